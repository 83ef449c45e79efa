"""The boundary around the student's code on Linux, which the kernel enforces for everything in the process.

The audit hook in `environment` sees what Python does, and code that calls the C library passes it by. So three features
of the kernel close the process, and none of them needs privileges:

- a network namespace without a network, where the kernel allows one;
- Landlock: no file can be opened except those in `readable` and, for writing, those in `folder`;
- seccomp, by libseccomp: only the system calls below are left. They compute, use open files, and make threads. There is
  no call to make another process, a socket, or shared memory, to send a signal or a limit to another process, to change
  the mode or the owner of a file, or to leave the process group, so killing the process ends everything.

None of them can be undone. Without Landlock (Linux 5.13) or libseccomp 2 there is no boundary, and `confine` returns
the reason. Names, sizes and times of existing files stay visible: Landlock does not restrict `stat`.
"""

import ctypes
import os
import signal
import stat
import struct
import sys
from collections.abc import Collection, Iterator

NEW_USER, NEW_NETWORK, DIE_WITH_PARENT, NO_NEW_PRIVILEGES = 0x10000000, 0x40000000, 1, 38  # <linux/sched.h>, prctl.h
CAPABILITIES, OVERRIDE = 0x20080522, 0b10  # the version of <linux/capability.h>, CAP_DAC_OVERRIDE
MACHINES = ("x86_64", "aarch64")  # on others, some system calls have other arguments
CREATE_RULESET, ADD_RULE, RESTRICT_SELF, PATH_BENEATH = 444, 445, 446, 1  # <linux/landlock.h>, on every architecture
READ, LIST, WRITE = 0b100, 0b1000, 0b0111_0001_1011_0010  # rights: no devices, sockets or pipes are made
ON_FILES = 0b1100_0000_0000_0111  # the rights that a file has, not only a folder
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # their number in each version of Landlock, 16 in later ones
ALLOW, SUCCESS, NOT_IMPLEMENTED, WAIT_FOR_THREADS = 0x7FFF0000, 0x00050000, 0x00050000 | 38, 4  # <seccomp.h>
EQUAL, MASKED = 4, 7  # comparisons of an argument
THREAD = 0x10000  # CLONE_THREAD
CALLS = """
    access alarm brk chdir clock_getres clock_gettime clock_nanosleep close close_range copy_file_range creat
    dup dup2 dup3 epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2
    fadvise64 fallocate fchdir fdatasync flock fstat fstatfs fsync ftruncate futex getcpu getcwd getdents
    getdents64 getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getrandom getresgid
    getresuid getrlimit getrusage getsid gettid gettimeofday getuid link linkat lseek lstat madvise membarrier
    mkdir mkdirat mmap mprotect mremap msync munmap nanosleep newfstatat pause pipe pipe2 poll ppoll
    pread64 preadv preadv2 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv rename
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn
    rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_yield select sendfile set_robust_list set_tid_address
    setitimer sigaltstack stat statfs statx symlink symlinkat sysinfo time times umask uname unlink unlinkat
    wait4 waitid write writev
"""
IGNORED = "chmod fchmod fchmodat futimesat utime utimensat utimes"  # they do nothing, so that `shutil.copy` works


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`: the argument of a system call and the values that it may have."""

    _fields_ = (("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def confine(folder: str, readable: Collection[str], without: str) -> str:
    """Close this process for good; return an empty text, or the reason why there is no boundary.

    folder: the only one to write to; readable: files and folders; without: a folder below them that stays closed
    """
    if sys.platform != "linux" or os.uname().machine not in MACHINES:
        return f"it needs Linux on {' or '.join(MACHINES)}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NETWORK) != 0:  # without privileges, only together with a user namespace
        libc.unshare(NEW_USER | NEW_NETWORK)
    libc.prctl(DIE_WITH_PARENT, signal.SIGKILL)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    for kept in (OVERRIDE, 0):  # of root's capabilities; in a container, its files may belong to another user
        if libc.capset(struct.pack("Ii", CAPABILITIES, 0), struct.pack("6I", kept, kept, 0, 0, 0, 0)) == 0:
            break
    if len(os.listdir("/proc/self/task")) > 1:
        return "a package started threads before it"  # Landlock closes the calling thread only
    return _restrict_files(libc, folder, readable, without) or _restrict_calls()


def _restrict_files(libc: ctypes.CDLL, folder: str, readable: Collection[str], without: str) -> str:
    version = libc.syscall(CREATE_RULESET, None, 0, 1)
    if version < 1:
        return "the kernel has no Landlock (Linux 5.13 and later)"
    handled = (1 << RIGHTS.get(version, 16)) - 1
    ruleset = libc.syscall(CREATE_RULESET, struct.pack("Q", handled), 8, 0)
    rules = [(folder, READ | LIST | WRITE), (os.devnull, WRITE)]
    for root in readable:
        rules += [(root, LIST), *((path, READ | LIST) for path in _apart(root, without))]
    for path, rights in rules:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # not on this system
            continue
        on = rights & handled & (-1 if stat.S_ISDIR(os.fstat(descriptor).st_mode) else ON_FILES)
        if on:
            libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, struct.pack("=Qi", on, descriptor), 0)
        os.close(descriptor)
    failed = libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return "Landlock failed" if failed else ""


def _apart(root: str, without: str) -> Iterator[str]:
    """Yield the root, or what it contains apart from one folder."""
    if root == without:
        return
    if not without.startswith(root.rstrip(os.sep) + os.sep):
        yield root
        return
    for name in os.listdir(root):
        yield from _apart(os.path.join(root, name), without)


def _restrict_calls() -> str:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return "libseccomp is not installed"
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(NOT_IMPLEMENTED))  # the C library then tries an older call

    def allow(name: str, *comparisons: tuple[int, int, int, int], action: int = ALLOW) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            values = (Comparison * len(comparisons))(*(Comparison(*one) for one in comparisons))
            library.seccomp_rule_add_array(rules, action, number, len(comparisons), values)

    for name in CALLS.split():
        allow(name)
    for name in IGNORED.split():
        allow(name, action=SUCCESS)
    allow("clone", (0, MASKED, THREAD, THREAD))
    for name in ("kill", "tgkill"):  # such as `abort`
        allow(name, (0, EQUAL, os.getpid(), 0))
    for process in (0, os.getpid()):
        allow("sched_setaffinity", (0, EQUAL, process, 0))
    allow("prlimit64", (0, EQUAL, 0, 0), (2, EQUAL, 0, 0))  # reads limits
    for command in (*range(8), 36, 37, 38, 1030):  # F_DUPFD … F_SETLKW, F_OFD_…, F_DUPFD_CLOEXEC, but not F_SETOWN
        allow("fcntl", (1, EQUAL, command, 0))
    for request in (0x5401, 0x5413, 0x5421, 0x5450, 0x5451):  # TCGETS, TIOCGWINSZ, FIONBIO, FIONCLEX, FIOCLEX
        allow("ioctl", (1, EQUAL, request, 0))
    for name, flags in (("open", 1), ("openat", 2)):  # O_TRUNC only for writing: the first Landlock does not look at it
        allow(name, (flags, MASKED, os.O_TRUNC, 0))
        allow(name, (flags, MASKED, os.O_ACCMODE, os.O_WRONLY))
        allow(name, (flags, MASKED, os.O_ACCMODE, os.O_RDWR))
    library.seccomp_attr_set(rules, WAIT_FOR_THREADS, 1)
    failed = library.seccomp_load(rules)
    library.seccomp_release(rules)
    return "seccomp failed" if failed else ""
