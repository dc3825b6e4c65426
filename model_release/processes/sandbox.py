"""Starts a program that will run model code, so that it can change nothing but its own folder.

    python -I -B sandbox.py PROGRAM [ARGUMENT …]   PROGRAM: a script, or a folder with __main__.py

The current folder is its own. Neither the program nor anything that it starts can do the following,
even after its parents have ended: read other processes' environments (they hold the pipeline's
secrets) from `/proc/<pid>/environ`; signal other processes; write to the registry, to the files of
models, to environments that other models share. A Landlock domain forbids it (since Linux 5.13;
newer kernels forbid more; no privilege is needed), and root loses all capabilities. Rights are only
taken away. Standard library only.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
ASK_VERSION = 1
PATH_BENEATH = 1

WRITE_FILE = 1 << 1
MAKE_AND_REMOVE = 0b1_1111_1111_0000
"""Remove folders and files; make devices, folders, files, sockets, pipes and symbolic links."""
REFER = 1 << 13
TRUNCATE = 1 << 14
RIGHTS = {1: WRITE_FILE | MAKE_AND_REMOVE, 2: REFER, 3: TRUNCATE}
"""What is forbidden, by the version of Landlock that can."""

SCOPES_SINCE = 6
SCOPES = 0b11
"""No abstract Unix socket and no signal reaches a process outside of the domain."""

SHARED = ("/dev/shm",)  # noqa: S108  semaphores and shared memory lie there
DEVICES = ("/dev",)
CAPABILITY_VERSION_3 = 0x20080522


def confine(own: Path) -> str:
    """Confine this process to `own`; return which protection is missing, empty if none is."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)
    if version < 1:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    if problem := _enter_domain(libc, version, own):
        return f"Landlock refused ({problem})"
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        return f"capabilities are kept ({os.strerror(ctypes.get_errno())})"
    return ""


def _enter_domain(libc: ctypes.CDLL, version: int, own: Path) -> str:
    """Restrict this process; the reason why not, empty when it is done."""
    handled = sum(right for since, right in RIGHTS.items() if since <= version)
    scopes = SCOPES if version >= SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", handled, 0, scopes)[: 24 if scopes else 8]
    size = ctypes.c_size_t(len(attributes))
    domain = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, 0)
    if domain < 0:
        return os.strerror(ctypes.get_errno())
    writable = {str(own): handled, **dict.fromkeys(SHARED, handled)}
    writable |= dict.fromkeys(DEVICES, handled & (WRITE_FILE | TRUNCATE))
    for place, rights in writable.items():
        if Path(place).is_dir():
            folder = os.open(place, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", rights, folder)
            refused = libc.syscall(LANDLOCK_ADD_RULE, domain, PATH_BENEATH, rule, 0)
            os.close(folder)
            if refused:
                return os.strerror(ctypes.get_errno())
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    refused = libc.syscall(LANDLOCK_RESTRICT_SELF, domain, 0)
    os.close(domain)
    return os.strerror(ctypes.get_errno()) if refused else ""


if __name__ == "__main__":
    if missing := confine(Path.cwd()):
        sys.stderr.write(f"warning: model code is not kept from other processes: {missing}\n")
        sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-B", *sys.argv[1:]])  # noqa: S606
