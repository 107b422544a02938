"""The data sets a restoration run asks for: many tasks in turn, or one task and few pictures."""

from pathlib import Path

import numpy as np

from data.prepared import LAYOUTS, PreparedPictures, RealDamage, RealPairs, pair_files
from data.tasks import (
    TASKS,
    TRAINING_MIX,
    VALIDATION_MIX,
    DamagedPictures,
    clean_store,
    find_task,
    rotation,
)

_VALIDATION_SEED = 1 << 32  # far from any training seed: other damage, other draws


class RestorationData:
    """Clean pictures to train and to validate on, and what is made of them.

    Args:
        train_dirs: Folders of clean pictures.
        valid_dirs: Others, which training never sees.
        caches_dir: Where decoded pictures are kept.
        seed: Key of all draws and damage.
        report: Called with a sentence on each picture left out.
    """

    def __init__(self, train_dirs, valid_dirs, *, caches_dir=".caches", seed=0, report=print):
        self._options = {"caches_dir": caches_dir, "report": report}
        self._train = clean_store(train_dirs, **self._options)
        self._valid = clean_store(valid_dirs, **self._options)
        self._seed = seed

    def foundation(self, stages, *, every=250, mix=None, valid_mix=None, real=None, turns=None):
        """Make the data sets of a foundation run.

        Args:
            stages: ``(first_step, crop_px, batch_size)``, see `data.tasks.rotation`.
            every: Steps of a turn.
            mix: Task → number of training pictures; the paper's by default. Only its tasks have
                turns.
            valid_mix: Task → number of validation pictures; the paper's by default.
            real: Layout → folder of real pairs, or of prepared ones with their masks, that have
                turns as well, without validation.
            turns: Task or layout → its turns in a round, where that is more than one.

        Returns:
            Training batches, and task → validation batches.

        Raises:
            ValueError: There is no such task, or fewer pictures than asked for, or turns of what
                is not in the mix.
        """
        sources = {
            task: DamagedPictures(task, self._train, count, seed=self._seed)
            for task, count in (mix or TRAINING_MIX).items()
        }
        sources |= {layout: self._real(layout, folder) for layout, folder in (real or {}).items()}
        turns = turns or {}
        if absent := turns.keys() - sources:
            raise ValueError(
                f"turns of {', '.join(sorted(absent))}, but there are only {', '.join(sources)}"
            )
        valid = {
            task: self._valid_pictures(task, count)
            for task, count in (valid_mix or VALIDATION_MIX).items()
        }
        turns = [turns.get(name, 1) for name in sources]
        return rotation([*sources.values()], stages, every=every, turns=turns), valid

    def _real(self, layout, folder):
        if layout == "prepared":
            return PreparedPictures(folder, seed=self._seed, **self._options)
        return RealDamage(RealPairs(layout, folder, **self._options), seed=self._seed)

    def few(self, task, train_size, valid_size, *, crop_px=128, batch_size=8):
        """Return (training, validation) batches of one task and so many pictures each."""
        training = DamagedPictures(task, self._train, train_size, seed=self._seed)
        return training.dataset(batch_size, crop_px), self._valid_pictures(task, valid_size)

    def _valid_pictures(self, task, count):
        seed = self._seed + _VALIDATION_SEED
        return DamagedPictures(task, self._valid, count, seed=seed).whole_pictures()


def validation_pictures(task, directory, strength=None, *, caches_dir=".caches"):
    """Damage every picture of a folder as validation does, always in the same way.

    Args:
        task: Name in `TASKS`.
        directory: Folder of clean pictures.
        strength: In the task's unit; the usual one by default.
        caches_dir: Where decoded pictures are kept.

    Yields:
        ``(name, damaged, clean, valid_mask)`` by name: uint8, (1, H, W, 3) twice and (1, H, W, 1).

    Raises:
        ValueError: There is no such task, or the strength is not positive.
    """
    if strength is not None and not strength > 0:
        raise ValueError(f"strength must be positive, got {strength:g}")
    find_task(task)
    store = clean_store([directory], caches_dir)
    pictures, names = DamagedPictures(task, store, seed=_VALIDATION_SEED), store.names()
    for i in np.argsort(pictures.numbers):
        yield Path(names[pictures.numbers[i]]).name, *pictures.whole(i, strength)


def real_pictures(layout, directory, *, caches_dir=".caches"):
    """Read pairs of real damage; yields as `validation_pictures`, all pixels counting as real ones.

    Args:
        layout: A data set's name in `data.prepared.LAYOUTS`.
        directory: Its folder.
        caches_dir: Where decoded pictures are kept.

    Raises:
        ValueError: There is no such data set, or the pictures of a pair have different sizes.
    """
    known = sorted(LAYOUTS.keys() - {"prepared"})  # those have masks
    if layout not in known:
        raise ValueError(f"real pairs are of {', '.join(known)}, got {layout!r}")
    pairs = RealPairs(layout, directory, caches_dir=caches_dir).pairs
    files = pair_files(layout, directory)
    for i, number in enumerate(pairs.numbers):
        damaged, clean = pairs[i]
        yield files[number][0].name, damaged[None], clean[None], np.ones_like(clean[None, ..., :1])


def parse_mix(words):
    """Turn ``["aliasing=900", …]`` or ``["all=20"]`` into task → number; None for no words.

    Raises:
        ValueError: A word is not like that, or there is no such task.
    """
    mix = {}
    for word in words or ():
        task, _, count = word.partition("=")
        if not count.isdecimal() or task not in ("all", *TASKS):
            raise ValueError(f"a mix is TASK=NUMBER, with all or {', '.join(TASKS)}; got {word!r}")
        mix |= dict.fromkeys(TASKS if task == "all" else [task], int(count))
    return mix or None


def parse_turns(words):
    """Turn ``["gaussian-noise=4", …]`` into what has turns → their number.

    Raises:
        ValueError: A word is not like that.
    """
    for word in words:
        if not word.partition("=")[2].isdecimal():
            raise ValueError(f"turns are KIND=NUMBER, such as gaussian-noise=4; got {word!r}")
    return {kind: int(number) for kind, _, number in (word.partition("=") for word in words)}


def parse_real(words):
    """Turn ``["polyu=DIR", …]`` into layout → folder."""
    for word in words:
        if "=" not in word:
            raise ValueError(f"real pairs are LAYOUT=DIR, such as polyu=DIR; got {word!r}")
    return dict(word.split("=", 1) for word in words)
