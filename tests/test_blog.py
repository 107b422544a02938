"""Code written for krasserm/super-resolution runs here: the cells of its three notebooks, small.

Only numbers are changed (depth, steps, batch), and VGG's weights are random where there is no
network to fetch them.
"""

import functools
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

import train.recipes
from model.vgg import vgg_54
from train import EdsrTrainer, SrganGeneratorTrainer, SrganTrainer, WdsrTrainer
from utils import load_image, plot_sample

matplotlib.use("Agg")


@pytest.fixture
def div2k(tmp_path, monkeypatch):
    """A tiny DIV2K in its own layout under the working folder, and a picture to try."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.recipes, "vgg_54", functools.partial(vgg_54, weights=None))
    random = np.random.default_rng(0)
    for subset, first in (("train", 1), ("valid", 801)):
        for number in range(first, first + 2):
            hr = random.integers(0, 256, (96, 128, 3), dtype=np.uint8)
            save(f".div2k/images/DIV2K_{subset}_HR/{number:04}.png", hr)
            lr = f".div2k/images/DIV2K_{subset}_LR_bicubic/X4/{number:04}x4.png"
            save(lr, hr[::4, ::4])
    save("demo/0869x4-crop.png", random.integers(0, 256, (13, 17, 3), dtype=np.uint8))


def save(path, pixels):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def data_sets(batch_size=2):
    from data import DIV2K

    div2k_train = DIV2K(scale=4, subset="train", downgrade="bicubic")
    div2k_valid = DIV2K(scale=4, subset="valid", downgrade="bicubic")
    train_ds = div2k_train.dataset(batch_size=batch_size, random_transform=True)
    valid_ds = div2k_valid.dataset(batch_size=1, random_transform=False, repeat_count=1)
    return train_ds, valid_ds


@pytest.mark.parametrize("network", ["edsr", "wdsr"])
def test_edsr_and_wdsr_notebooks(div2k, network):
    from model import resolve_single
    from model.edsr import edsr
    from model.wdsr import wdsr_b

    build, trainer_of = {"edsr": (edsr, EdsrTrainer), "wdsr": (wdsr_b, WdsrTrainer)}[network]
    weights_file = f"weights/{network}-1-x4/weights.h5"
    train_ds, valid_ds = data_sets()
    trainer = trainer_of(
        model=build(scale=4, num_res_blocks=1), checkpoint_dir=f".ckpt/{network}-1-x4"
    )
    trainer.train(train_ds, valid_ds.take(10), steps=2, evaluate_every=1, save_best_only=True)
    trainer.restore()
    psnrv = trainer.evaluate(valid_ds)
    assert f"PSNR = {psnrv.numpy():3f}" == f"PSNR = {float(psnrv):.6f}" != "PSNR = nan"
    trainer.model.save_weights(weights_file)

    model = build(scale=4, num_res_blocks=1)
    model.load_weights(weights_file)
    lr = load_image("demo/0869x4-crop.png")
    sr = resolve_single(model, lr)
    assert sr.shape == (52, 68, 3) and sr.dtype == np.uint8
    plot_sample(lr, sr)
    matplotlib.pyplot.close("all")


@pytest.mark.slow
def test_srgan_notebook(div2k):
    from model import resolve_single
    from model.srgan import discriminator, generator

    train_ds, _ = data_sets()
    small = functools.partial(generator, num_filters=4, num_res_blocks=1)
    pre_trainer = SrganGeneratorTrainer(model=small(), checkpoint_dir=".ckpt/pre_generator")
    pre_trainer.train(
        train_ds, train_ds.take(1), steps=2, evaluate_every=1000, save_best_only=False
    )
    pre_trainer.model.save_weights("weights/srgan/pre_generator.h5")

    gan_generator = small()
    gan_generator.load_weights("weights/srgan/pre_generator.h5")
    gan_trainer = SrganTrainer(generator=gan_generator, discriminator=discriminator(num_filters=2))
    gan_trainer.train(train_ds, steps=2)
    gan_trainer.generator.save_weights("weights/srgan/gan_generator.h5")
    gan_trainer.discriminator.save_weights("weights/srgan/gan_discriminator.h5")

    model = small()
    model.load_weights("weights/srgan/gan_generator.h5")
    assert resolve_single(model, load_image("demo/0869x4-crop.png")).shape == (52, 68, 3)
