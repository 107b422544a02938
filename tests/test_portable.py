"""The library uses only what Python documents for Linux, macOS and Windows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "infer", "model", "train", "weights")
FILES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))

UNIX_MODULES = """
    curses fcntl grp nis ossaudiodev posix pty pwd readline resource spwd syslog termios tty
"""
# What the documentation of `os` calls available on Unix, or on Linux, only.
UNIX_NAMES = """
    O_CLOEXEC O_DIRECT O_DIRECTORY O_NOATIME O_NOFOLLOW O_SYNC O_TMPFILE chown chroot confstr
    copy_file_range ctermid eventfd fchown fdatasync fork forkpty fpathconf fstatvfs getegid geteuid
    getgid getgroups getloadavg getpgid getpriority getsid getuid getxattr killpg lchown listxattr
    lockf major makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open
    posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev readv removexattr
    sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setpgid
    setpriority setsid setuid setxattr splice statvfs sync sysconf tcgetpgrp uname unshare wait
    wait3 wait4 writev
"""
UNIX_SIGNALS = "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGUSR1 SIGUSR2 alarm"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_uses_what_all_systems_have(file):
    text = file.read_text(encoding="utf-8")
    found = set(names_used(ast.parse(text)))
    unix = {name for name in found if name.split(".")[0] in UNIX_MODULES.split()}
    unix |= found & {f"os.{name}" for name in UNIX_NAMES.split()}
    unix |= found & {f"signal.{name}" for name in UNIX_SIGNALS.split()}
    for name in sorted(unix):
        module, _, attribute = name.partition(".")
        assert attribute and f'hasattr({module}, "{attribute}")' in text, f"{name} is not portable"


def names_used(tree):
    """Modules imported, and ``module.name`` of every attribute and ``from`` import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
