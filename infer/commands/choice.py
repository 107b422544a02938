"""Which network a command takes for which picture, and what it says about it."""

from collections import defaultdict

from infer.commands.pictures import report


def kinds_of(todo, max_megapixels):
    """Look at every picture that is to be made.

    Args:
        todo: The jobs.
        max_megapixels: Larger pictures are not looked at.

    Returns:
        Kind of picture → job → its `infer.first_look.FirstLook`; None, and "clean", where it could
        not be read: whoever reads it next says why.
    """
    from infer.first_look import look_at

    kinds = defaultdict(dict)
    for job in todo:
        try:
            seen = look_at(job.source, max_megapixels=max_megapixels)
        except (ValueError, OSError, MemoryError):
            seen = None
        kinds[seen.kind if seen else "clean"][job] = seen
    return kinds


def default_networks(command, todo, max_megapixels):
    """Choose a network for each picture, and say which and why.

    Args:
        command: Key of `infer.first_look.NETWORKS`.
        todo: The jobs.
        max_megapixels: See `kinds_of`.

    Returns:
        Job → ``(kind, name of its network)``.
    """
    from infer.first_look import choose
    from weights.load import manifest

    chosen, bundled = {}, manifest()
    for kind, looks in kinds_of(todo, max_megapixels).items():
        name = choose(command, kind, bundled)
        unlike = kind != "clean" and learned_from_clean(name)
        report(f"{name} for {_described(looks)}" + (f"; {_advice(kind)}" if unlike else ""))
        chosen |= {job: (kind, name) for job in looks}
    return chosen


def warn_if_unlike(name, todo, max_megapixels):
    """Say so where a named network learned from clean pictures and gets others."""
    if not learned_from_clean(name):
        return
    for kind, looks in kinds_of(todo, max_megapixels).items():
        if kind != "clean":
            report(f"{name} for {_described(looks)}; {_advice(kind)}")


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


def _described(looks):
    """What a line says of the pictures of one kind."""
    (job, look), *others = looks.items()
    why = f" ({look})" if look else ""
    return f"{job.source}{why}" + (f" and {len(others)} like it" if others else "")


def _advice(kind):
    from infer.first_look import FIRST

    return f"but it learned from clean pictures: `upscale --first {FIRST[kind]}` mends them before"
