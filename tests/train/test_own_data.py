"""People's own data sets, networks, losses, schedules: they work, or one sentence says why not."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.edsr import edsr
from model.restormer import restormer
from model.srgan import discriminator
from tests.conftest import start_anew
from train import EdsrTrainer, FoundationTrainer, SrganTrainer, Trainer, TrainerOptions
from train.losses import charbonnier_loss, l1_loss, l2_loss, vgg_content_loss


def network(scale=2):
    return edsr(scale, num_filters=4, num_res_blocks=1)


def batches(scale=2, size=4, top=255.0, channels=3):
    """Endless float batches, all different, of LR pictures 7×11 px."""
    random = np.random.default_rng(2)
    lr = random.uniform(0, top, (3, size, 7, 11, channels)).astype(np.float32)
    hr = lr.repeat(scale, axis=2).repeat(scale, axis=3)
    return tf.data.Dataset.from_tensor_slices((lr, hr)).repeat()


def swapped():
    return batches().map(lambda lr, hr: (hr, lr))


def with_mask(*batch):
    return *batch, tf.ones_like(batch[0][..., :1])


class Own(keras.Model):
    """A network of a subclass, without a config of its own."""

    def __init__(self):
        super().__init__()
        self.convolution = keras.layers.Conv2D(12, 3, padding="same")

    def call(self, pictures, training=False):
        return tf.nn.depth_to_space(self.convolution(pictures), 2)


def built():
    model = Own()
    model(tf.zeros([1, 8, 8, 3]))
    return model


def never(message):
    """A loss that no step may reach."""

    def loss(hr, sr):
        raise AssertionError(message)

    return loss


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (lambda: batches(top=1.0), r"pictures must be in 0\.\.255, got .* multiply them by 255"),
        (swapped, r"batches must be \(lr, hr\), got 14×22 px first and 7×11 px second: .*swapped"),
        (
            lambda: batches(4),
            "makes 14×22 px of 3 channels of 7×11 .* are 28×44 .*different scales",
        ),
        (lambda: batches(channels=1), "pictures must have 3 channels for edsr, got 1"),
        (
            lambda: batches().take(3),
            r"must be endless, got 3 batches for 9 steps: add \.repeat\(\)",
        ),
        (lambda: batches().map(lambda lr, hr: lr), "must be a tuple of 2 tensors, got EagerTensor"),
        (lambda: batches().map(with_mask), "must be a tuple of 2 tensors, got 3"),
        (lambda: batches().unbatch(), r"must have the shape \(B, H, W, C\), got \(7, 11, 3\)"),
        (lambda: batches().take(0), "must be endless, got 0 batches"),
        (lambda: [(1, 2)], "must be a tf.data.Dataset of batches, got list"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_the_first_step(data, sentence, tmp_path):
    trainer = Trainer(network(), never("a step was made"), 1e-3, tmp_path, report=str)
    with pytest.raises(ValueError, match=sentence):
        trainer.train(data(), steps=9)
    assert trainer.step == 0 and not (tmp_path / "run.json").exists()


def test_validation_data_are_checked_before_the_first_step_too(tmp_path):
    trainer = Trainer(network(), never("a step was made"), 1e-3, tmp_path, report=str)
    with pytest.raises(ValueError, match="validation pictures to compare with are 28×44"):
        trainer.train(batches(), batches(4).take(1), steps=9)
    with pytest.raises(ValueError, match=r"validation pictures must be in 0\.\.255"):
        trainer.train(batches(), batches(top=1.0).take(1), steps=9)


def test_a_discriminator_of_another_size_is_refused(tmp_path):
    networks = network(4), discriminator(num_filters=2)
    trainer = SrganTrainer(*networks, never("a step was made"), 1e-3, tmp_path, report=str)
    with pytest.raises(ValueError, match="must be 96×96 px for the discriminator, got 28×44 px"):
        trainer.train(batches(4), steps=1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda d: Trainer(Own(), checkpoint_dir=d), "own.* has no weights to train: call it once"),
        (
            lambda d: Trainer(built(), checkpoint_dir=d, options=TrainerOptions(ema_decay=0.9)),
            "ema_decay needs a copy of own.*, which cannot be made from its get_config",
        ),
        (
            lambda d: Trainer(
                built(), checkpoint_dir=d, options=TrainerOptions(precision="mixed_bfloat16")
            ),
            "precision 'mixed_bfloat16' needs a functional network, but own",
        ),
        (lambda d: Trainer(network(), learning_rate=-1, checkpoint_dir=d), "above 0 .*, got -1"),
        (lambda d: Trainer(network(), learning_rate="fast", checkpoint_dir=d), "got fast"),
    ],
)
def test_networks_and_rates_that_cannot_train_are_refused(make, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        make(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"evaluate_every": 0}, "evaluate_every must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"checkpoint_every_s": -1}, "checkpoint_every_s must be 0 or more, got -1"),
        ({"hours": 0}, "hours must be above 0, got 0"),
        ({"steps": 5, "hours": 1}, "a run has steps or hours, not both"),
    ],
)
def test_lengths_are_checked(arguments, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        Trainer(network(), checkpoint_dir=tmp_path, report=str).train(batches(), **arguments)


def test_a_loss_that_is_no_scalar_is_refused(tmp_path):
    trainer = Trainer(network(), lambda hr, sr: tf.abs(hr - sr), 1e-3, tmp_path, report=str)
    with pytest.raises(ValueError, match="a loss must be a scalar, the mean over the batch"):
        trainer.train(batches(), steps=1)


def test_uneven_batches_and_accumulation_end_in_one_sentence(tmp_path):
    uneven = batches(size=7).unbatch().batch(4).take(2).unbatch().take(7).batch(4).repeat()
    options = TrainerOptions(accumulate=2)
    trainer = Trainer(network(), l1_loss, 1e-3, tmp_path, options=options, report=str)
    with pytest.raises(ValueError, match="accumulate must divide every batch, and 2 does not"):
        trainer.train(uneven, steps=2)


def test_numpy_numbers_and_subclassed_networks_train(tmp_path):
    rate = keras.optimizers.schedules.CosineDecay(np.float32(1e-3), np.int64(100))
    trainer = Trainer(built(), l2_loss, rate, tmp_path, report=str)
    trainer.train(batches(), steps=2)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["recipe"]["learning_rate"]["initial_learning_rate"] == pytest.approx(1e-3)
    assert trainer.step == 2


def test_a_global_half_precision_policy_trains(tmp_path):
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        trainer = Trainer(network(), l1_loss, 1e-3, tmp_path, report=str)
        trainer.train(batches(), steps=1)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert trainer.step == 1


def test_thawed_layers_are_named_as_the_reason(tmp_path):
    model = network()
    model.layers[2].trainable = False
    Trainer(model, checkpoint_dir=tmp_path, report=str).train(batches(), steps=1)
    with pytest.raises(ValueError, match="layers were frozen or thawed"):
        Trainer(network(), checkpoint_dir=tmp_path, report=str)


def test_run_json_tells_the_loss_and_a_changed_one_is_refused(tmp_path):
    def started(loss):
        return EdsrTrainer(network(), tmp_path, 1e-3, loss=loss, report=str)

    started(charbonnier_loss).train(batches(), steps=1)
    noted = json.loads((tmp_path / "run.json").read_text())["recipe"]["loss"]
    assert noted == {"function": "charbonnier_loss", "epsilon": 1e-3}
    assert started(charbonnier_loss).step == 1
    with pytest.raises(ValueError, match="loss was .*charbonnier_loss.*, is l1_loss"):
        started(l1_loss)
    with pytest.raises(ValueError, match="loss"):
        started(functools.partial(charbonnier_loss, epsilon=1.0))


def test_two_functions_of_one_name_are_told_apart_by_what_they_do(tmp_path):
    def started(factor):
        return Trainer(
            network(), lambda hr, sr: factor * l1_loss(hr, sr), 1e-3, tmp_path, report=str
        )

    started(2.0).train(batches(), steps=1)
    assert started(2.0).step == 1
    with pytest.raises(ValueError, match=r"loss.factor was 2.0, is 3.0"):
        started(3.0)
    with pytest.raises(ValueError, match="loss.code was"):
        factor = 2.0
        Trainer(network(), lambda hr, sr: factor + l1_loss(hr, sr), 1e-3, tmp_path, report=str)


def features(width):
    """A stand-in for VGG19: a convolution of pictures in caffe style."""
    start_anew(width)
    layers = [keras.Input((None, None, 3)), keras.layers.Conv2D(width, 1)]
    return keras.Sequential(layers)


@pytest.mark.slow
def test_another_content_network_is_refused(tmp_path):
    def started(width):
        content_loss = vgg_content_loss(features(width))
        networks = network(4), discriminator(num_filters=2)
        return SrganTrainer(*networks, content_loss, 1e-3, tmp_path, report=str)

    data = tf.data.Dataset.from_tensors(
        (tf.fill((1, 24, 24, 3), 9.0), tf.fill((1, 96, 96, 3), 9.0))
    )
    started(2).train(data.repeat(), steps=1)
    assert started(2).step == 1
    with pytest.raises(ValueError, match="loss.features.parameters was 8, is 12"):
        started(3)


def sure(bias):
    """A discriminator that is sure of one answer, before a sigmoid."""
    pictures = keras.Input((96, 96, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pictures))
    model = keras.Model(pictures, keras.layers.Dense(1, activation="sigmoid")(x))
    model.layers[-1].bias.assign([bias])
    return model


@pytest.mark.parametrize("bias", [-40.0, 40.0])
def test_srgan_learns_from_a_discriminator_that_is_sure_and_wrong(bias, tmp_path):
    networks = network(4), sure(bias)
    trainer = SrganTrainer(*networks, l2_loss, 1e-3, tmp_path, report=str)
    lr, hr = tf.fill((1, 24, 24, 3), 9.0), tf.fill((1, 96, 96, 3), 9.0)
    with tf.GradientTape() as tape:
        against = trainer.losses(lr, hr)[1]
    slope = tape.gradient(against, networks[1].layers[-1].bias.value)
    assert float(slope[0]) == pytest.approx(np.sign(bias), rel=1e-3)


def test_other_start_weights_are_refused_and_new_ones_are_not(tmp_path):
    for name in "ab":
        network().save_weights(tmp_path / f"{name}.weights.h5")

    def started(name, folder):
        model = network()
        if name:
            model.load_weights(tmp_path / f"{name}.weights.h5")
        return EdsrTrainer(model, tmp_path / folder, 1e-3, report=str)

    started("a", "run").train(batches(), steps=1)
    assert started("a", "run").step == 1
    with pytest.raises(ValueError, match="networks.begins_with was [0-9a-f]+, is [0-9a-f]+"):
        started("b", "run")
    with pytest.raises(ValueError, match="networks.begins_with was [0-9a-f]+, is None"):
        started(None, "run")
    started(None, "new").train(batches(), steps=1)
    assert started(None, "new").step == 1  # drawn anew, and replaced by the checkpoint's


def test_an_exact_picture_leaves_the_mean_finite_and_the_best_moves(tmp_path):
    def valid():
        lr, hr = next(iter(batches(size=1)))
        yield tf.zeros_like(lr), tf.zeros_like(hr)
        yield lr, hr

    signature = (tf.TensorSpec((1, 7, 11, 3)), tf.TensorSpec((1, 14, 22, 3)))
    data = tf.data.Dataset.from_generator(valid, output_signature=signature)
    model = keras.Sequential(  # without bias: black stays black
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(3, 1, use_bias=False),
            keras.layers.UpSampling2D(2),
        ]
    )
    trainer = EdsrTrainer(model, tmp_path, 1e-2, report=str)
    trainer.train(batches(), data, steps=9, evaluate_every=3)
    text = (tmp_path / "metrics.jsonl").read_text()
    psnr_db = [json.loads(line)["psnr_rgb_db"] for line in text.splitlines()]
    assert psnr_db == sorted(psnr_db) and 50 < psnr_db[-1] < 100 and "Infinity" not in text
    assert [p.name for p in (tmp_path / "best").glob("*.index")] == ["ckpt-9.index"]


@pytest.mark.slow
def test_foundation_takes_plain_pairs_and_validation_of_one_kind(tmp_path):
    small = {"dim": 4, "num_blocks": (1, 0, 0, 0), "num_refinement_blocks": 0}
    model = restormer(**small, heads=(1, 1, 1, 2), mask_aware=True)
    pairs = tf.data.Dataset.from_tensors(
        (tf.fill((1, 16, 24, 3), 90.0), tf.fill((1, 16, 24, 3), 99.4))
    )
    trainer = FoundationTrainer(model, tmp_path, 1e-3, report=str)
    trainer.train(pairs.repeat(), pairs, 2, 2)
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert 0 < line["psnr_rgb_db"] < 100 and line["ssim_rgb"] <= 1
    with pytest.raises(ValueError, match="are of different scales"):
        FoundationTrainer(network(), tmp_path / "b", 1e-3, report=str).train(pairs.repeat())
