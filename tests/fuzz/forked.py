"""HDF5 read in a fork of this process in place of a new one, which would import h5py each time.

The same program reads under the same limits; only what the fork has already is added to its memory.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

from model import hdf5_file


def use():
    """Let `model.hdf5_file.read_apart` of this process fork from now on."""
    hdf5_file.subprocess = SimpleNamespace(
        run=_run, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )


def _run(command, *, timeout, **_):
    """As `subprocess.run` with captured output, of ``[python, hdf5_file.py, path, …]``."""
    out, err = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        _in_child(command[3:], out[1], err[1])
    os.close(out[1])
    os.close(err[1])
    texts, ends = {out[0]: b"", err[0]: b""}, time.monotonic() + timeout
    waiting = set(texts)
    while waiting:
        ready = select.select(waiting, [], [], max(0, ends - time.monotonic()))[0]
        if not ready:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise subprocess.TimeoutExpired(command, timeout)
        for pipe in ready:
            part = os.read(pipe, 1 << 16)
            texts[pipe] += part
            if not part:
                waiting.remove(pipe)
                os.close(pipe)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return subprocess.CompletedProcess(command, status, texts[out[0]], texts[err[0]])


def _in_child(arguments, out, err):
    """Run the reader's program on the pipes, and end without Python's clean-up."""
    status = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        with open("/proc/self/status") as file:
            hdf5_file._BASE_BYTES += int(re.search(r"VmSize:\s+(\d+)", file.read())[1]) << 10
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        hdf5_file._main(*arguments)
        status = 0
    except BaseException:
        hdf5_file._report(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(status)
