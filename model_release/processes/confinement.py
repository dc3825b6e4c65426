"""What a process takes from itself before it becomes one that runs model code.

By the kernel's means alone: Landlock (since Linux 5.13) leaves it files, seccomp system calls,
mounts, where they are allowed, a /dev/shm and a folder of limited size; capabilities go, limits
come. Rights are only taken away, so no privilege is needed. Standard library only.
"""

import ctypes
import os
import resource
import stat
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_release.processes.system_calls import filter_calls

PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION_3 = 0x20080522

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
ASK_VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
MAKE_AND_REMOVE = 0b1_1111_1111_0000
"""Remove folders and files; make devices, folders, files, sockets, pipes and symbolic links."""
REFER = 1 << 13
TRUNCATE = 1 << 14
READ = EXECUTE | READ_FILE | READ_DIR
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
"""What a rule about a file that is no folder may speak of."""
RIGHTS = {1: READ | WRITE_FILE | MAKE_AND_REMOVE, 2: REFER, 3: TRUNCATE}
"""What is forbidden, by the version of Landlock that can."""

SCOPES_SINCE = 6
SCOPE_OF_SIGNALS = 0b10
SCOPES = 0b11
"""No abstract Unix socket and no signal reaches a process outside of the domain."""

SYSTEM = (
    *("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt", "/nix/store", "/proc", "/sys"),
    *(
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/localtime",
        "/etc/timezone",
    ),
    *("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/mime.types", "/etc/fonts"),
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/OpenCL"),
    *("/etc/os-release", "/etc/debian_version", "/etc/magic", "/etc/locale.alias"),
)
"""What programs read of a system: nothing of a user, of `/run`, `/var` or `/tmp`."""

DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "nvidia*", "dri", "kfd")
NETWORK = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/run/systemd/resolve",
)

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
MS_PRIVATE_ALL = 0x4000 | (1 << 18)
MS_NOSUID_NODEV = 0b110

AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_SETATTR = 442
MS_BIND_ALL = 0x1000 | 0x4000

FILE_BYTES = 16 * 2**30
"""No file that the confined process writes becomes larger."""
OWN_BYTES = 2 * 2**30
"""Its temporary folder and /dev/shm hold no more, each, where they are mounted."""
PROCESSES = 8192
"""Of one user, threads included; the kernel does not count root's."""


@dataclass(frozen=True)
class Policy:
    """What a confined process may do beside reading what every program reads.

    Args:
        own: its folder, which it may change; empty at the beginning where `mounted`.
        reads: files and folders that it may read and run.
        writes: further folders that it may change.
        network: whether it may open sockets.
        mounted: whether `own` becomes a file system of limited size, which only it sees.
    """

    own: str
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()
    network: bool = False
    mounted: bool = False


def mount(policy: Policy) -> str:
    """Have a /dev/shm of its own, and a folder of limited size; return what is missing.

    Before `bound_signals`, which ends all mounting.
    """
    if sys.platform != "linux":
        return ""
    missing = "a /dev/shm and a bounded folder of its own"
    libc = ctypes.CDLL(None, use_errno=True)
    user, who = os.geteuid(), os.getegid()
    namespaces = CLONE_NEWNS | CLONE_NEWIPC | (CLONE_NEWUSER if user else 0)
    if libc.unshare(namespaces):
        return f"{missing} ({_error()})"
    try:
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
            Path("/proc/self/gid_map").write_text(f"{who} {who} 1")
    except OSError as error:
        return f"{missing} ({error.strerror})"
    if libc.mount(b"none", b"/", None, MS_PRIVATE_ALL, None):
        return f"{missing} ({_error()})"
    size = f"size={OWN_BYTES},mode=0700".encode()
    for place in ("/dev/shm", *([policy.own] if policy.mounted else [])):  # noqa: S108
        if libc.mount(b"tmpfs", place.encode(), b"tmpfs", MS_NOSUID_NODEV, size):
            return f"{missing} ({_error()})"
    for each in _changed(policy):  # so that all else can become read-only
        if libc.mount(each, each, None, MS_BIND_ALL, None):
            return f"{missing} ({_error()})"
    return ""


def bound_signals() -> bool:
    """Have this process and what it starts signal nobody else (Linux 6.12); whether that is so."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # Any domain forbids to move files between folders, unless a rule says otherwise.
    attributes = struct.pack("=QQQ", REFER, 0, SCOPE_OF_SIGNALS)
    size = ctypes.c_size_t(len(attributes))
    domain = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, 0)
    if domain < 0:
        return False
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    allowed = _allow(libc, domain, "/", REFER)
    bound = allowed and not libc.syscall(LANDLOCK_RESTRICT_SELF, domain, 0)
    os.close(domain)
    return bound


def confine(policy: Policy, unmounted: str) -> list[str]:
    """Confine this process; return which protections are missing, none if all are there.

    `unmounted` is what `mount` answered.
    """
    if sys.platform != "linux":
        return [f"{sys.platform} has no Landlock"]
    libc = ctypes.CDLL(None, use_errno=True)
    _limit()
    changeable = unmounted or _read_only(libc, policy)
    os.chdir(policy.own)  # after the mounts, or it would stand in the folder beneath
    found = (
        changeable,
        _enter_domain(libc, policy, shared_memory=not unmounted),
        _drop_capabilities(libc),
        filter_calls(libc, sockets=policy.network, changes=not changeable or policy.network),
    )
    return [missing for missing in found if missing]


def _error() -> str:
    return os.strerror(ctypes.get_errno())


def _limit() -> None:
    """Bound what one process takes; whoever takes all memory is the first that the kernel ends."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_NPROC, PROCESSES),
    ):
        _, hard = resource.getrlimit(what)
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (limit, limit))
    Path("/proc/self/oom_score_adj").write_text("1000")


def _changed(policy: Policy) -> list[bytes]:
    """The places that it may change."""
    return [each.encode() for each in (policy.own, "/dev/shm", *policy.writes)]  # noqa: S108


def _read_only(libc: ctypes.CDLL, policy: Policy) -> str:
    """Take from it every change of what is mounted elsewhere than where it may write.

    Landlock keeps content and names of files from it, not their modes, owners and times.
    """
    taken, given = struct.pack("=4Q", 1, 0, 0, 0), struct.pack("=4Q", 0, 1, 0, 0)
    size = ctypes.c_size_t(len(taken))
    refused = (
        libc.unshare(CLONE_NEWNS)
        or libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, taken, size)
        or any(
            libc.syscall(MOUNT_SETATTR, AT_FDCWD, each, 0, given, size) for each in _changed(policy)
        )
    )
    return f"modes and times of others' files kept from it ({_error()})" if refused else ""


def _enter_domain(libc: ctypes.CDLL, policy: Policy, *, shared_memory: bool) -> str:
    """Leave it the files of its policy, and no other process."""
    missing = "files and other processes kept from it"
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ASK_VERSION)
    if version < 1:
        return f"{missing} (no Landlock: {_error()})"
    handled = sum(right for since, right in RIGHTS.items() if since <= version)
    scopes = SCOPES if version >= SCOPES_SINCE else 0
    attributes = struct.pack("=QQQ", handled, 0, scopes)[: 24 if scopes else 8]
    size = ctypes.c_size_t(len(attributes))
    domain = libc.syscall(LANDLOCK_CREATE_RULESET, attributes, size, 0)
    if domain < 0:
        return f"{missing} ({_error()})"
    for place, rights in _rules(policy, shared_memory=shared_memory):
        if not _allow(libc, domain, place, rights & handled):
            return f"{missing} ({place}: {_error()})"
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(LANDLOCK_RESTRICT_SELF, domain, 0):
        return f"{missing} ({_error()})"
    os.close(domain)
    return "" if scopes else "signals kept from other processes (Linux 6.12)"


def _rules(policy: Policy, *, shared_memory: bool) -> Iterator[tuple[str, int]]:
    """Each place that may be read or changed, and what may be done there."""
    memory = ["/dev/shm"] if shared_memory else []  # noqa: S108
    for place in (policy.own, *policy.writes, *memory):
        yield place, sum(RIGHTS.values())
    for place in (*SYSTEM, *policy.reads, *(NETWORK if policy.network else ())):
        yield place, READ
    for pattern in DEVICES:
        for device in Path("/dev").glob(pattern):
            yield str(device), READ_FILE | READ_DIR | WRITE_FILE


def _allow(libc: ctypes.CDLL, domain: int, place: str, rights: int) -> bool:
    """Add a rule about a place, where it is there; False when it is refused."""
    try:
        file = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True
    if not stat.S_ISDIR(os.fstat(file).st_mode):
        rights &= FILE_RIGHTS
    rule = struct.pack("=Qi", rights, file)
    refused = libc.syscall(LANDLOCK_ADD_RULE, domain, PATH_BENEATH, rule, 0)
    os.close(file)
    return not refused


def _drop_capabilities(libc: ctypes.CDLL) -> str:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    refused = libc.capset(header, (ctypes.c_uint32 * 6)())
    return f"capabilities taken away ({_error()})" if refused else ""
