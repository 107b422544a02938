"""Fetch one file over HTTP by pooch, which compares its checksum; a broken download is continued.

`weights/download.py` fetches weight files, whose checksums may be unknown or known in part only.
"""

import functools
import http
import logging
import shutil
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

_TIMEOUT_S = 60  # without a byte
_CHUNK_BYTES = 1 << 16  # written at a time; fewer are lost when the connection breaks


def download(url, target, sha256, report=print):
    """Fetch a file, unless it is there.

    What has arrived is kept in ``TARGET.part``, and a later call asks for the rest only.

    Args:
        url: Address, http or https.
        target: File to write; it appears whole or not at all.
        sha256: Its checksum, 64 hexadecimal digits.
        report: Called with a sentence when the download begins.

    Raises:
        OSError: The server does not have it, or the connection broke.
        ValueError: The checksum is another.
    """
    target = Path(target)
    pooch.get_logger().setLevel(logging.WARNING)  # what it logs is what `report` is told
    part = target.with_name(target.name + ".part")
    continued = functools.partial(_continued, part, report)
    pooch.retrieve(url, f"sha256:{sha256}", target.name, target.parent, downloader=continued)


def check(file, sha256):
    """Raise `ValueError` if a file does not have a checksum."""
    found = pooch.file_hash(str(file))
    if found != sha256:
        raise ValueError(
            f"{file} has sha256 {found}, not {sha256}: it is another file or cut short; remove it"
        )


def _continued(part, report, url, output_file, _pooch):
    """A downloader as pooch wants them, that begins where `part` ends."""
    start = part.stat().st_size if part.exists() else 0
    report(f"fetching {url}" + (f", from byte {start:,} on" if start else ""))
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with (
        part.open("ab") as file,
        tqdm(desc=part.stem, total=1, unit="B", unit_scale=True, disable=None, leave=False) as bar,
    ):

        def begin_anew(response, **_):
            if response.status_code == http.HTTPStatus.OK:  # the server sends it all
                file.truncate(0)

        fetch = pooch.HTTPDownloader(
            progressbar=bar,
            chunk_size=_CHUNK_BYTES,
            timeout=_TIMEOUT_S,
            headers=headers,
            hooks={"response": begin_anew},
        )
        try:
            fetch(url, file, None)
        except requests.HTTPError as error:
            # Nothing is left to fetch: the checksum tells whether it is the file.
            if error.response.status_code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
    shutil.move(part, output_file)
