"""What krasserm/super-resolution's README, SRGAN notebook and article do beyond `test_blog`, small.

Its three notebooks were also run whole, by a kernel, with nothing but numbers changed.
"""

import functools

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from model import resolve_single
from model.edsr import edsr
from model.srgan import discriminator, generator
from model.wdsr import wdsr_b
from tests.test_blog import div2k  # noqa: F401  (a fixture)
from train import SrganGeneratorTrainer, SrganTrainer
from utils import load_image

pytestmark = pytest.mark.usefixtures("div2k")
NETWORKS = {"edsr-16-x4": edsr, "wdsr-b-32-x4": wdsr_b}


def data_sets():
    from data import DIV2K

    train_loader = DIV2K(scale=4, downgrade="bicubic", subset="train")
    valid_loader = DIV2K(scale=4, downgrade="bicubic", subset="valid")
    train_ds = train_loader.dataset(batch_size=2, random_transform=True, repeat_count=None)
    return train_ds, valid_loader


def drawn_by_their_function(models):
    """`resolve_and_plot` of the SRGAN notebook and of the article: what its axes show."""
    lr = load_image("demo/0869x4-crop.png")
    plt.figure(figsize=(20, 20))
    pictures = [lr, *(resolve_single(model, lr) for model in models)]
    for picture, position in zip(pictures, [1, 3, 4], strict=True):
        plt.subplot(2, 2, position)
        plt.imshow(picture)
        plt.title(models[0].name.upper())
        plt.xticks([])
        plt.yticks([])
    shown = [np.asarray(axes.images[0].get_array()) for axes in plt.gcf().axes]
    plt.close("all")
    return shown


def test_batches_are_iterated_as_in_its_readme():
    train_ds, valid_loader = data_sets()
    for lr, hr in train_ds:
        assert lr.shape == (2, 24, 24, 3) and hr.shape == (2, 96, 96, 3)
        break
    valid_ds = valid_loader.dataset(batch_size=1, random_transform=False, repeat_count=1)
    assert [hr.shape for _, hr in valid_ds] == 2 * [(1, 96, 128, 3)]


def test_random_batches_validate_its_srgan_generator():
    train_ds, valid_loader = data_sets()
    valid_ds = valid_loader.dataset(batch_size=16, random_transform=True, repeat_count=1)
    pre_trainer = SrganGeneratorTrainer(
        model=generator(num_filters=4, num_res_blocks=1), checkpoint_dir=".ckpt/pre_generator"
    )
    pre_trainer.train(train_ds, valid_ds.take(10), steps=2, evaluate_every=1, save_best_only=False)
    assert np.isfinite(pre_trainer.evaluate(valid_ds.take(10)).numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_its_networks_are_fine_tuned_and_compared(name):
    weights_file = f"weights/{name}/weights.h5"
    small = functools.partial(NETWORKS[name], scale=4, num_filters=4, num_res_blocks=1)
    pre_trained = small()
    pre_trained.save_weights(weights_file)

    fine_tuned = small()
    fine_tuned.load_weights(weights_file)
    gan_trainer = SrganTrainer(generator=fine_tuned, discriminator=discriminator(num_filters=2))
    gan_trainer.train(data_sets()[0], steps=2)
    gan_trainer.generator.save_weights(f"weights/article/weights-{name}-fine-tuned.h5")

    again = small()
    again.load_weights(f"weights/article/weights-{name}-fine-tuned.h5")
    lr, before, after = drawn_by_their_function([pre_trained, again])
    assert lr.shape == (13, 17, 3) and before.shape == after.shape == (52, 68, 3)
    np.testing.assert_array_equal(after, drawn_by_their_function([fine_tuned, again])[1])


# Keras warns of its own default with every tf.data.Dataset.
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning")
def test_its_article_trains_by_keras_own_loop():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        boundaries=[200000], values=[1e-3, 5e-4]
    )
    model = wdsr_b(scale=4, num_filters=4, num_res_blocks=1)
    before = model.get_weights()
    model.compile(optimizer=keras.optimizers.Adam(schedule), loss="mean_absolute_error")
    model.fit(data_sets()[0], epochs=1, steps_per_epoch=2, verbose=0)
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert resolve_single(model, load_image("demo/0869x4-crop.png")).shape == (52, 68, 3)
    model.save_weights("weights-wdsr-b-x4.h5")
    again = wdsr_b(scale=4, num_filters=4, num_res_blocks=1)
    again.load_weights("weights-wdsr-b-x4.h5")
    for ours, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        assert (ours == theirs).all()
