"""Text files that appear whole or not at all, whatever happens while they are written."""

import os
from pathlib import Path


def write_text(path, text):
    """Write a text file under another name, then give it its own.

    Args:
        path: The file; its folder is made if it is missing.
        text: What it is to hold.

    Raises:
        OSError: There is no room, or the folder cannot be written to. A file that was there is as
            it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave the new name with nothing
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
