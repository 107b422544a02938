"""Fetch one file over HTTP: goes on where it broke off, and keeps it only if it is whole."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

_CHUNK_BYTES = 2**20
_TIMEOUT_S = 60  # without a byte
_RANGE_NOT_SATISFIABLE = 416


def fetch(url, target, sha256=None, report=print):
    """Download a file unless it is there.

    What has arrived is kept in ``TARGET.part``, and a later call asks for the rest only.

    Args:
        url: Address, http or https.
        target: File to write; it appears whole or not at all.
        sha256: The checksum's hexadecimal digits, or the first of them; None: not known.
        report: Called with a sentence when the download begins.

    Returns:
        The SHA-256 of the file, 64 hexadecimal digits.

    Raises:
        OSError: The server has no such file, the connection broke, or the checksum is wrong.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        part = target.with_name(target.name + ".part")
        _fetch_rest(url, part, report)
        _verify(part, sha256, url)
        os.replace(part, target)
    return _verify(target, sha256, url)


def _fetch_rest(url, part, report):
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "whole-pictures"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            if response.status != http.HTTPStatus.PARTIAL_CONTENT:
                start = 0  # the server sends it all again
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            report(f"fetching {url}" + (f", from byte {start:,} on" if start else ""))
            _append(response, part, start)
    except urllib.error.HTTPError as error:
        if error.code == _RANGE_NOT_SATISFIABLE and start:  # nothing is left to fetch
            return
        raise OSError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
        raise OSError(f"could not fetch {url}: {getattr(error, 'reason', error)}") from error
    except ConnectionError as error:
        raise _broken(url, part, None, error) from error
    if total is not None and part.stat().st_size < total:
        raise _broken(url, part, total, "it ended early")


def _append(response, part, start):
    with part.open("ab" if start else "wb") as file:
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)


def _broken(url, part, total, error):
    of = f" of {total:,}" if total else ""
    return OSError(
        f"the connection to {url} broke after {part.stat().st_size:,}{of} bytes ({error}); the "
        "same command goes on from there"
    )


def _verify(path, sha256, url):
    digest = sha256_of(path)
    if sha256 and not digest.startswith(sha256):
        path.unlink()
        raise OSError(
            f"{url} gave a file with sha256 {digest}, not {sha256}…; it was removed. The file has "
            "changed at its origin, or something between changed it"
        )
    return digest


def sha256_of(path):
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
