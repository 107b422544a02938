"""The data sets a restoration run asks for: many tasks in turn, or one task and few pictures."""

from data.prepared import PreparedPictures, RealDamage, RealPairs
from data.tasks import TASKS, TRAINING_MIX, VALIDATION_MIX, DamagedPictures, clean_store, rotation

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

    def foundation(self, stages, *, every=250, mix=None, valid_mix=None, real=None):
        """Make the data sets of a foundation run.

        Args:
            stages: ``(first_step, crop_px, batch_size)``, see `data.tasks.rotation`.
            every: Steps of a turn.
            mix: Task → number of training pictures; the paper's by default. Only its tasks have
                turns.
            valid_mix: Task → number of validation pictures; the paper's by default.
            real: Layout → folder of real pairs, or of prepared ones with their masks, that have
                turns as well, without validation.

        Returns:
            Training batches, and task → validation batches.

        Raises:
            ValueError: There is no such task, or fewer pictures than asked for.
        """
        sources = [
            DamagedPictures(task, self._train, count, seed=self._seed)
            for task, count in (mix or TRAINING_MIX).items()
        ]
        sources += [self._real(*item) for item in (real or {}).items()]
        valid = {
            task: self._valid_pictures(task, count)
            for task, count in (valid_mix or VALIDATION_MIX).items()
        }
        return rotation(sources, stages, every=every), valid

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
