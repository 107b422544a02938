"""Weights that others published: what there is, under which licence, and how to get it.

Nothing is fetched unless `get` is called. Files are converted and kept in Keras' home directory.
"""

import json
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from weights import convert
from weights.download import fetch

_GITHUB = "https://github.com"
_BLOG = "https://martin-krasser.de/sisr"
_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="
_RESTORMER = f"{_GITHUB}/swz30/Restormer/releases/download/v1.0"
_VGGFACE = f"{_GITHUB}/rcmalli/keras-vggface/releases/download/v2.0"
_ALBANIE = "https://www.robots.ox.ac.uk/~albanie/models/pytorch-mcn"
_TORCH = "https://download.pytorch.org/models"
_LINEAR = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1"
)

_RECORD = "sha256.json"  # checksums of first downloads, by address

_APACHE = "Apache-2.0"
_RESTORMER_LICENCE = "academic use only (the Restormer authors' licence)"
_VGGFACE_LICENCE = "non-commercial research (Visual Geometry Group)"
_LPIPS_LICENCE = "BSD-3 (torchvision), BSD-2 (PerceptualSimilarity)"


@dataclass(frozen=True)
class Source:
    """One file to fetch.

    Args:
        url: Its address.
        sha256: The first digits of its checksum, as its publisher's file name has them, or None.
        member: End of the name of the file wanted, if this is a tar archive.
    """

    url: str
    sha256: str | None = None
    member: str | None = None


@dataclass(frozen=True)
class Outside:
    """Weights published elsewhere.

    Args:
        what: One line for people.
        megabytes: About how much is fetched; None: not known.
        licence: The publisher's.
        sources: Files whose tensors belong together.
    """

    what: str
    megabytes: float | None
    licence: str
    sources: tuple


def _blog(name, what, megabytes, member):
    source = Source(f"{_BLOG}/{name}.tar.gz", member=member)
    return Outside(what, megabytes, _APACHE, (source,))


def _restormer(name, what):
    source = Source(f"{_RESTORMER}/{name}.pth")
    return Outside(f"Restormer, {what}", 105, _RESTORMER_LICENCE, (source,))


def _vggface(base, file, what, megabytes):
    return Outside(what, megabytes, _VGGFACE_LICENCE, (Source(f"{base}/{file}"),))


def _lpips(net, file, megabytes):
    trunk = Source(f"{_TORCH}/{file}", sha256=file.rpartition("-")[2].removesuffix(".pth"))
    linear = Source(f"{_LINEAR}/{net}.pth")
    return Outside(f"LPIPS 0.1 with {net}", megabytes, _LPIPS_LICENCE, (trunk, linear))


CATALOGUE = {
    "blog-edsr-16-x4": _blog(
        "weights-edsr-16-x4", "the blog's EDSR ×4, 16 blocks", None, "edsr-16-x4/weights.h5"
    ),
    "blog-wdsr-b-32-x4": _blog(
        "weights-wdsr-b-32-x4", "the blog's WDSR-B ×4, 32 blocks", None, "wdsr-b-32-x4/weights.h5"
    ),
    "blog-srgan": _blog(
        "weights-srgan", "the blog's SRGAN generator", None, "srgan/gan_generator.h5"
    ),
    "blog-srgan-pre": _blog(
        "weights-srgan", "the same before the GAN stage", None, "srgan/pre_generator.h5"
    ),
    "rrdb-psnr-x4": Outside(
        "ESRGAN's network before the GAN stage, ×4",
        67,
        _APACHE,
        (Source(f"{_DRIVE}1swaV5iBMFfg-DL6ZyiARztbhutDCWXMM", sha256="150ff491"),),
    ),
    "esrgan-x4": Outside(
        "ESRGAN ×4",
        67,
        _APACHE,
        (
            Source(
                f"{_GITHUB}/xinntao/Real-ESRGAN/releases/download/v0.1.1/"
                "ESRGAN_SRx4_DF2KOST_official-ff704c30.pth",
                sha256="ff704c30",
            ),
        ),
    ),
    "restormer-deraining": _restormer("deraining", "rain"),
    "restormer-motion-deblurring": _restormer("motion_deblurring", "motion blur"),
    "restormer-defocus-deblurring": _restormer("single_image_defocus_deblurring", "defocus blur"),
    "restormer-dual-pixel-defocus": _restormer(
        "dual_pixel_defocus_deblurring", "defocus blur, from two views"
    ),
    "restormer-real-denoising": _restormer("real_denoising", "noise of cameras"),
    "restormer-color-denoising": _restormer(
        "gaussian_color_denoising_blind", "Gaussian noise of any strength"
    ),
    "restormer-gray-denoising": _restormer(
        "gaussian_gray_denoising_blind", "Gaussian noise of any strength, grey"
    ),
    "vggface2-senet50": _vggface(
        _VGGFACE, "rcmalli_vggface_tf_notop_senet50.h5", "VGGFace2 SENet-50 of keras-vggface", 105
    ),
    "vggface2-resnet50": _vggface(
        _VGGFACE, "rcmalli_vggface_tf_notop_resnet50.h5", "VGGFace2 ResNet-50 of keras-vggface", 95
    ),
    "vggface2-senet50-pytorch": _vggface(
        _ALBANIE, "senet50_ft_dag.pth", "VGGFace2 SENet-50 of S. Albanie", 175
    ),
    "lpips-squeeze": _lpips("squeeze", "squeezenet1_1-b8a52dc0.pth", 5),
    "lpips-alex": _lpips("alex", "alexnet-owt-7be5be79.pth", 244),
    "lpips-vgg": _lpips("vgg", "vgg16-397923af.pth", 553),
}


def cache_dir():
    """Folder of converted weights, in Keras' home (``KERAS_HOME``, by default ``~/.keras``)."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    return home / "models" / "whole-pictures"


def cached(name):
    """Path of the converted weights of an entry; it exists once `get` has run."""
    return cache_dir() / f"{name}{convert.ENDING}"


def fetched(name):
    """Return the path of an entry's weights; `FileNotFoundError` says how to get them."""
    path = cached(name)
    if not path.exists():
        outside = CATALOGUE[name]
        raise FileNotFoundError(
            f"{outside.what} is not on this machine; `python -m infer weights get {name}` fetches "
            f"it ({_size(outside)}; {outside.licence}), and `python -m infer convert FILE` reads "
            "one you have"
        )
    return path


def get(name, *, allow_nan=False, report=print):
    """Fetch, check, convert and keep the weights of an entry, unless they are there.

    A broken download goes on at the next call. A checksum that is not known is recorded at the
    first download in ``sha256.json`` and compared at later ones.

    Args:
        name: A name in `CATALOGUE`.
        allow_nan: As for `convert.load_foreign`.
        report: Called with sentences on what is done.

    Returns:
        Path of a weight file of this library.

    Raises:
        ValueError: There is no such entry, or what was fetched is not what it should be.
        OSError: It could not be fetched whole.
    """
    if name not in CATALOGUE:
        raise ValueError(f"no outside weights named {name!r}; there are {', '.join(CATALOGUE)}")
    target = cached(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / f"{name}.lock"):  # of two at once the second waits for the first
        if target.exists():
            report(f"{target} is there already")
        else:
            _get(name, target, allow_nan, report)
    return target


def _get(name, target, allow_nan, report):
    outside = CATALOGUE[name]
    folder = cache_dir() / f"{name}.download"
    origin = {"url": [source.url for source in outside.sources], "licence": outside.licence}
    try:
        files, digests = _fetched(outside.sources, folder, report)
        convert.convert(files, target, allow_nan=allow_nan, origin=origin, report=report)
    except ValueError:  # not what it should be: the next call fetches it anew
        shutil.rmtree(folder)
        raise
    record = cache_dir() / _RECORD
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(_recorded() | digests, indent=1) + "\n")
    os.replace(partial, record)
    shutil.rmtree(folder)


def _recorded():
    record = cache_dir() / _RECORD
    if not record.exists():
        return {}
    try:
        return json.loads(record.read_text())
    except ValueError as error:
        raise OSError(
            f"{record}, the checksums of earlier downloads, is damaged ({error}): remove it"
        ) from error


def _fetched(sources, folder, report):
    """Fetch sources and unpack what is wanted of them: the files, and checksums by address."""
    files, digests = [], {}
    for source in sources:
        file = folder / source.url.rpartition("/")[2].partition("?")[0]
        known = source.sha256 or _recorded().get(source.url)
        digests[source.url] = fetch(source.url, file, known, report=report)
        files.append(_unpacked(file, source.member) if source.member else file)
    return files, digests


def _unpacked(archive, member):
    try:
        with tarfile.open(archive) as tar:
            found = next((m for m in tar if m.isfile() and m.name.endswith(member)), None)
            if found is None:
                raise ValueError(f"{archive} has no {member} in it")
            target = archive.with_name(Path(member).name)
            with target.open("wb") as file:
                shutil.copyfileobj(tar.extractfile(found), file)
            return target
    except tarfile.TarError as error:
        raise ValueError(f"{archive} is not a whole tar archive: {error}") from error


def table():
    """Return the catalogue as lines: name, what, MB, licence, whether it is here, and addresses."""
    lines = []
    for name, outside in CATALOGUE.items():
        here = "; here" if cached(name).exists() else ""
        lines.append(f"{name}: {outside.what}; {_size(outside)}; {outside.licence}{here}")
        lines += [f"    {source.url}" for source in outside.sources]
    return "\n".join(lines)


def _size(outside):
    return f"{outside.megabytes:g} MB" if outside.megabytes else "size not known"
