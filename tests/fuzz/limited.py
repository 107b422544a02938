"""Inputs in child processes with limits on time and memory; a child ends with the first that fails.

Time is the processor's, for the machine may be busy. Linux only: memory is measured by ``/proc``.
"""

import os
import re
import resource
import select
import signal
import time

import psutil

BYTES = 2 << 30

HANGS, DIES, HUNGRY = "takes too long", "process lost", "takes over 2 GB"


def outcomes(function, arguments, seconds):
    """Call a function with each argument, in children that may take so long and 2 GB for one.

    Args:
        function: Gives a short string without line breaks, the outcome.
        arguments: A list.
        seconds: Of processor time for one argument; ten times as many may go by.

    Yields:
        For each argument the string, or `HANGS`, `HUNGRY` or `DIES`.
    """
    while arguments:
        done = 0
        for text in _of_one_child(function, arguments, seconds):
            yield text
            done += 1
        arguments = arguments[done:]


def _of_one_child(function, arguments, seconds):
    """Yield the outcomes of one child, which may end early, but not before the first."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        _in_child(function, arguments, reading, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as lines:
            for _ in arguments:
                if not _answers(lines, child, seconds):
                    yield HANGS
                    return
                text = lines.readline().decode().rstrip("\n")
                yield text or DIES
                if not text or text == HUNGRY:
                    return
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _answers(lines, child, seconds):
    """Wait for a line of a child; False if it takes too long."""
    process = psutil.Process(child)
    before_s, ends = _processor_s(process), time.monotonic() + 10 * seconds
    while not select.select([lines], [], [], 1)[0]:
        if _processor_s(process) - before_s > seconds or time.monotonic() > ends:
            return False
    return True


def _processor_s(process):
    times = process.cpu_times()
    return times.user + times.system


def _in_child(function, arguments, reading, writing):
    """Write a line an outcome, and end without Python's clean-up."""
    os.close(reading)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for argument in arguments:
            before = _peak_bytes(reset=True)
            text = function(argument)
            text = HUNGRY if _peak_bytes() - before > BYTES else text
            os.write(writing, text[:1000].encode(errors="replace") + b"\n")
    finally:
        os._exit(0)


def _peak_bytes(*, reset=False):
    """The most memory this process had; counted anew from now if `reset`."""
    if reset:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) << 10
