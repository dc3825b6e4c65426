"""Which system calls a confined process is refused (seccomp).

Landlock speaks of files and mounts of what is mounted. What is left are sockets, the kernel's
keyrings, other processes' limits and priorities and, where mounts are not allowed, who may do what
with a file. Standard library only.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Their AUDIT_ARCH; the calls below are numbered in this order."""
SOCKETS = {"socket": (41, 198), "connect": (42, 203), "io_uring_setup": (425, 425)}
KEYS = {"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)}
"""The kernel's keyrings, which a process has in common with whoever started it."""
NO_MASK = 0xFFFFFFFF
SOCK_TYPE, SOCK_STREAM, SOCK_SEQPACKET = 0xF, 1, 5
SOCKET_PAIR = ((0, NO_MASK, (1,)), (1, SOCK_TYPE, (SOCK_STREAM, SOCK_SEQPACKET)))
"""Arguments, by place and mask, that reach nobody: a pair of AF_UNIX that cannot be connected."""
ITSELF = ((0, NO_MASK, (0,)),)
ONE_OTHER = {
    "prlimit64": ((302, 261), ITSELF),
    "sched_setparam": ((142, 118), ITSELF),
    "sched_setscheduler": ((144, 119), ITSELF),
    "sched_setattr": ((314, 274), ITSELF),
    "setpriority": ((141, 140), (*ITSELF, (1, NO_MASK, (0,)))),
    "ioprio_set": ((251, 30), ((0, NO_MASK, (1,)), (1, NO_MASK, (0,)))),
}
"""What changes another process of this user, unless its arguments say that it is the caller."""
FILE_CHANGES = {
    "chmod": (90, 53), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, 54), "fchown": (93, 55), "lchown": (94, 54), "fchownat": (260, 54),
    "utime": (132, 88), "utimes": (235, 88), "futimesat": (261, 88), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
"""What Landlock does not know of: who may do what with a file, and its times."""
X32 = 0x40000000
"""From this number on, x86_64 has the same calls once more."""
ALLOW, DENY, PRETEND = 0x7FFF0000, 0x00050000 | 13, 0x00050000
"""seccomp(2): let it pass; answer EACCES; do nothing, and answer that it is done."""

Step = tuple[int, int, int, int]
"""Of a filter: what to do, how many steps to skip if it is so and if not, and with what."""


def filter_calls(libc: ctypes.CDLL, *, sockets: bool, changes: bool) -> str:
    """Refuse what reaches or changes others and no rule of files tells.

    Args:
        libc: the C library.
        sockets: whether it may open them; else only pairs, for event loops and for pipes.
        changes: whether it may change modes, owners, times and attributes: elsewhere than in its
            own folder mounts keep it from that, or it is told that it has, as copying a file does.

    Returns:
        What is missing; nothing, where all of it is refused.
    """
    missing = "sockets, keys and limits of others kept from it"
    if platform.machine() not in ARCHITECTURES:
        return f"{missing} (no filter for {platform.machine()})"
    nth = list(ARCHITECTURES).index(platform.machine())
    load, equal, at_least, end = 0x20, 0x15, 0x35, 0x06
    denied = KEYS if sockets else KEYS | SOCKETS
    checked = ONE_OTHER if sockets else ONE_OTHER | {"socketpair": ((53, 199), SOCKET_PAIR)}
    answers = [(numbers[nth], DENY) for numbers in denied.values()]
    answers += [(numbers[nth], PRETEND) for numbers in FILE_CHANGES.values() if not changes]
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, ARCHITECTURES[platform.machine()]),
        (end, 0, 0, DENY),
        (load, 0, 0, 0),
        (at_least, 0, 1, X32),
        (end, 0, 0, DENY),
        *(step for call, what in answers for step in ((equal, 0, 1, call), (end, 0, 0, what))),
        *(step for numbers, only in checked.values() for step in _only(numbers[nth], only)),
        (end, 0, 0, ALLOW),
    ]
    steps = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    filters = struct.pack("@HP", len(program), ctypes.addressof(steps))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    refused = libc.prctl(PR_SET_SECCOMP, 2, filters, 0, 0)
    return f"{missing} ({os.strerror(ctypes.get_errno())})" if refused else ""


def _only(call: int, arguments: Sequence[tuple[int, int, Sequence[int]]]) -> list[Step]:
    """Steps of a filter that let `call` pass with these arguments and no others."""
    load, mask, equal, end = 0x20, 0x54, 0x15, 0x06
    steps: list[Step] = []
    for place, bits, values in arguments:
        steps += [(load, 0, 0, 16 + 8 * place), (mask, 0, 0, bits)]
        steps += [(equal, len(values) - nth, 0, value) for nth, value in enumerate(values)]
        steps.append((end, 0, 0, DENY))
    steps.append((end, 0, 0, ALLOW))
    return [(equal, 0, len(steps), call), *steps]
