"""Errors as one line for people."""

import errno


def sentence(error, file=None):
    """Say in one line what went wrong; of a full disk, which file and what can be done.

    Args:
        error: The exception.
        file: What was being made, for errors that name no file.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no room left on the disk for {error.filename or file}: free some and run again, "
            "or write to another disk"
        )
    return " ".join(str(error).split()) or type(error).__name__
