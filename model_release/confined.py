"""Starts a program that will run model code so that it cannot look into other processes.

    python -I -B confined.py PROGRAM [ARGUMENT …]   PROGRAM: a script, or a folder with __main__.py

A process of the same user may read another's environment, and with it the pipeline's secrets, from
`/proc/<pid>/environ`. Two things end that here, for this process and all that it starts: a Landlock
domain, outside of which nothing can be traced or read so (Linux 5.13, no privilege needed), and for
root the loss of all capabilities. It only ever takes rights away. Standard library only.
"""

import ctypes
import os
import sys

PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_RESTRICT_SELF = 446
MAKE_BLOCK_DEVICE = 1 << 11
"""A domain has to forbid something: of all that it can, a model needs this least."""
CAPABILITY_VERSION_3 = 0x20080522


def confine() -> str:
    """Confine this process; return what is missing from that, empty when nothing is."""
    if sys.platform != "linux":
        return f"{sys.platform} has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    forbidden = ctypes.c_uint64(MAKE_BLOCK_DEVICE)
    domain = libc.syscall(
        LANDLOCK_CREATE_RULESET, ctypes.byref(forbidden), ctypes.c_size_t(8), ctypes.c_uint32(0)
    )
    if domain < 0:
        return f"this kernel has no Landlock ({os.strerror(ctypes.get_errno())})"
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    refused = libc.syscall(LANDLOCK_RESTRICT_SELF, domain, ctypes.c_uint32(0))
    os.close(domain)
    if refused:
        return f"Landlock refused ({os.strerror(ctypes.get_errno())})"
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        return f"capabilities are kept ({os.strerror(ctypes.get_errno())})"
    return ""


if __name__ == "__main__":
    if missing := confine():
        sys.stderr.write(f"warning: model code is not kept from other processes: {missing}\n")
        sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-I", "-B", *sys.argv[1:]])  # noqa: S606
