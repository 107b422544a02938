"""Which network a command takes for which picture, and what it says about it."""

import functools

from infer.commands.pictures import report


class Choice:
    """The network for each picture, by what it is: looked at as it is read, told once a kind.

    Args:
        command: Key of `infer.first_look.NETWORKS`.
        ready: Function (kind, name) → a network made ready. Called when a picture first needs it.
        named: Name or file of the network that the user wants in any case.
        look: False: take `named` without a look.

    Raises:
        FileNotFoundError: No network for a kind of picture is bundled.
    """

    def __init__(self, command, ready, *, named=None, look=True):
        from infer.first_look import NETWORKS, choose
        from weights.load import manifest

        bundled = manifest()
        self.names = {kind: named or choose(command, kind, bundled) for kind in NETWORKS[command]}
        self._look = look and (not named or learned_from_clean(named))
        self._named, self._ready = named, functools.lru_cache(ready)
        self._told = set()  # kinds of pictures

    def __call__(self, job, pixels):
        """The network for a picture."""
        if not self._look:
            return self.only()
        from infer.batch import UnusableError
        from infer.first_look import encoder_of, look

        lossy, quality = encoder_of(job.source)
        seen = look(pixels, lossy=lossy, quality=quality)
        if seen.kind not in self._told:
            self._told.add(seen.kind)
            self._tell(job, seen)
        try:
            return self.only() if self._named else self._ready(seen.kind, self.names[seen.kind])
        except (ValueError, OSError) as error:
            raise UnusableError from error

    def only(self):
        """The network made ready where there is but one."""
        return self._ready("clean", self._named)

    def _tell(self, job, seen):
        name = self.names[seen.kind]
        unlike = seen.kind != "clean" and learned_from_clean(name)
        if unlike or not self._named:
            advice = f"; {_advice(name, seen.kind)}" if unlike else ""
            report(f"{name} for {job.source} ({seen}){advice}")

    def key(self):
        """What of the choice results depend on: the files of every network there may be."""
        return " ".join(weights_key(name) for name in self.names.values())


def weights_key(name):
    """Tell one version of a network's file from another, without loading it."""
    from weights.load import find, manifest

    if name in manifest():
        return str(manifest()[name].get("sha256"))[:16]
    stat = find(name).stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def learned_from_clean(name):
    """Whether a network's file says that it was trained, and not on damaged pictures."""
    from model.weight_file import read_note
    from weights.load import find, manifest

    note = manifest().get(name)
    if note is None:
        path = find(name)
        if not path.name.endswith((".weights.h5", ".safetensors")):
            return False
        note = read_note(path)
    return bool(note.get("training")) and not note["training"].get("damage")


def _advice(name, kind):
    from infer.first_look import FIRST
    from weights.load import manifest

    other = f"{name}-photo"
    instead = f"; {other} learned from such ones" if other in manifest() else ""
    first = f"`upscale --first {FIRST[kind]}` mends them before"
    return f"but it learned from clean pictures: {first}{instead}"
