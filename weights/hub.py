"""Networks on the Hugging Face Hub, or a server that speaks its calls: fetched and published.

``hf://owner/name[@revision][/file]`` names a weight file there. It is kept in the cache of
`huggingface_hub` (the optional extra ``hub``), which is also where it comes from without a network.
What it holds is a stranger's: `weights.read` reads it like any other file. ``HF_ENDPOINT`` names
another server.
"""

import contextlib
import hashlib
import os
import re
from pathlib import Path

from weights.download import sha256_of

LIBRARY = "whole-pictures"
SCHEME = "hf://"
WEIGHTS = "model.safetensors"
"""What the weight file of a published network is called."""

_ENDINGS = (".safetensors", ".h5", ".keras", ".pth", ".pt", ".npz")
_SHA256_DIGITS, _SHA1_DIGITS = 64, 40


def library():
    """The package `huggingface_hub`, which then sends no telemetry."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "hf:// needs the package huggingface_hub: pip install 'whole-pictures[hub]'"
        ) from error
    return huggingface_hub


def is_address(name):
    """Whether a name is an ``hf://`` address."""
    return str(name).startswith(SCHEME)


def parsed(address):
    """Take an address apart: repository, revision (None: the newest) and file ("": not named).

    Raises:
        ValueError: It is not ``hf://owner/name[@revision][/file]``.
    """
    library()
    from huggingface_hub.errors import HfUriError
    from huggingface_hub.utils import parse_hf_uri

    try:
        found = parse_hf_uri(str(address))
    except HfUriError as error:
        raise _no_address(address) from error
    if found.type != "model" or "/" not in found.id:
        raise _no_address(address)
    return found.id, found.revision, found.path_in_repo


def _no_address(address):
    return ValueError(f"an address must be hf://owner/name[@revision][/file], got {address}")


def fetched(address, report=print):
    """Fetch a weight file unless the cache has the newest one, and check it.

    Args:
        address: ``hf://owner/name[@revision][/file]``; the file is ``model.safetensors`` if none
            is named.
        report: Called with a sentence if the revision is another commit than the last time.

    Returns:
        Path of the file in the cache. Without a network that of the last time.

    Raises:
        ValueError: It is no such address.
        FileNotFoundError: There is no such repository, revision or file.
        OSError: The server cannot be reached and the file is not in the cache; or it arrived
            damaged.
        ImportError: `huggingface_hub` is not installed.
    """
    repository, revision, file = parsed(address)
    file = file or WEIGHTS
    before = library().try_to_load_from_cache(repository, file, revision=revision)
    path = Path(_downloaded(address, repository, revision, file))
    _check(path, address)
    if isinstance(before, str) and _commit(before, file) != _commit(path, file):
        report(
            f"{address} has changed: it is commit {_commit(path, file)[:12]} now, and was "
            f"{_commit(before, file)[:12]}; @{_commit(before, file)} in the address keeps that"
        )
    return path


def _commit(path, file):
    return Path(path).parents[file.count("/")].name


def _downloaded(address, repository, revision, file):
    from huggingface_hub import errors

    try:
        return library().hf_hub_download(repository, file, revision=revision, library_name=LIBRARY)
    except errors.GatedRepoError as error:
        raise FileNotFoundError(
            f"{address} is open only to those who accepted its terms on {server()}/{repository} "
            "and are logged in (`hf auth login`)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{server()} has no {repository}, or it is private (`hf auth login`)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{repository} has no revision {revision}") from error
    except errors.RemoteEntryNotFoundError as error:
        raise FileNotFoundError(
            f"{address}: there is no {file}; {_others(repository, revision)}"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise OSError(
            f"{server()} cannot be reached, and {address} is not on this machine"
        ) from error
    except errors.HfHubHTTPError as error:
        raise OSError(f"{address} could not be fetched: {error}") from error


def server():
    """Address of the hub: huggingface.co, or what ``HF_ENDPOINT`` says."""
    library()
    from huggingface_hub import constants

    return constants.ENDPOINT


def _others(repository, revision):
    files = _api().list_repo_files(repository, revision=revision)
    at = f"@{revision}" if revision else ""
    others = [f"{SCHEME}{repository}{at}/{f}" for f in files if f.endswith(_ENDINGS)]
    return f"weight files there are {', '.join(others)}" if others else "nor other weights"


def _check(path, address):
    """Compare a file with its checksum, which is what the cache calls its content."""
    name = path.resolve().name
    if re.fullmatch(f"[0-9a-f]{{{_SHA256_DIGITS}}}", name):
        digest = sha256_of(path)
    elif re.fullmatch(f"[0-9a-f]{{{_SHA1_DIGITS}}}", name):  # git's
        content = path.read_bytes()
        header = b"blob %d\0" % len(content)
        digest = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
    else:
        return  # a cache without links, on a disk that knows none
    if digest != name:
        path.resolve().unlink()
        raise OSError(
            f"{address}: the copy in the cache is damaged ({digest[:12]}…, not {name[:12]}…) and "
            "was removed; the same command fetches it again"
        )


def make_repository(address):
    """Make a repository, unless it is there: whoever may not upload knows before the work.

    Raises:
        OSError: The server cannot be reached, or refuses.
    """
    with _refusals(address):
        _api().create_repo(parsed(address)[0], exist_ok=True)


def upload(folder, address, report=print):
    """Put a folder's files in a repository.

    Args:
        folder: As `weights.model_card.write` made it.
        address: ``hf://owner/name[@branch]``.
        report: Called with a sentence on where it is.

    Raises:
        OSError: The server cannot be reached, or refuses.
    """
    repository, revision, _ = parsed(address)
    with _refusals(address):
        done = _api().upload_folder(repo_id=repository, folder_path=folder, revision=revision)
    report(f"{server()}/{repository}, commit {done.oid}")


def _api():
    return library().HfApi(library_name=LIBRARY)


@contextlib.contextmanager
def _refusals(address):
    """Turn what the hub's package raises while it uploads into one sentence."""
    library()
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    try:
        yield
    except HfHubHTTPError as error:
        raise OSError(
            f"{server()} refused {address} (is `hf auth login` done?): {error}"
        ) from error
    except (HTTPError, RuntimeError) as error:  # the latter of a large file
        raise OSError(f"{server()} cannot be reached: {error}") from error
