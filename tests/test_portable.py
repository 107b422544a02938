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
    """What is asked for first may be used: ``hasattr(os, …)``, or ``suppress(ImportError)``."""
    text = file.read_text(encoding="utf-8")
    tree = ast.parse(text)
    modules = {name.split(".")[0] for name in modules_imported(tree)}
    assert not modules & set(UNIX_MODULES.split())
    for module, names in (("os", UNIX_NAMES), ("signal", UNIX_SIGNALS)):
        used = {node.attr for node in ast.walk(tree) if is_attribute_of(node, module)}
        used |= set(names_imported_from(tree, module))
        for name in sorted(used & set(names.split())):
            assert f'hasattr({module}, "{name}")' in text, f"{module}.{name} is not portable"


def modules_imported(node):
    """All but those below ``with suppress(ImportError)``."""
    if isinstance(node, ast.With) and "ImportError" in ast.unparse(node.items[0]):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module
    for child in ast.iter_child_nodes(node):
        yield from modules_imported(child)


def is_attribute_of(node, module):
    """Whether a node is ``module.name``."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == module
    )


def names_imported_from(tree, module):
    """Names in ``from module import …``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            yield from (alias.name for alias in node.names)
