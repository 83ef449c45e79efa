"""The start of the program: what must be done before other modules load.

Ctrl-C ends the program cleanly while Python loads the rest, streams that the caller closed are replaced, and OpenBLAS
gets its kernel before NumPy loads. This module imports next to nothing.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The exit code that a shell gives to a program ended by Ctrl-C.
INTERRUPTED = 130

#: Words of /proc/cpuinfo: an AMD processor with all that OpenBLAS's SkylakeX kernels use.
AMD_WITH_AVX512 = {"AuthenticAMD", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "fma", "avx2"}


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """While modules load, let Ctrl-C end the program at once: an exception may be lost in the middle of an import.

    There is nothing to save yet. A handler that the caller installed stays, and so does an ignored Ctrl-C.
    """
    import signal

    try:
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            raise ValueError
        signal.signal(signal.SIGINT, exit_now)
    except ValueError:  # another handler, or not the main thread, which alone may set one
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def exit_now(*_: object) -> None:
    """Exit as interrupted, without cleaning up."""
    write_interrupted()
    os._exit(INTERRUPTED)


def write_interrupted() -> None:
    """Write a line below the terminal's `^C`; by file descriptor, which needs nothing loaded."""
    with suppress(OSError):
        os.write(2, b"\ninterrupted\n")


def open_closed_streams() -> None:
    """Replace each stream that the caller closed (`>&-`) by /dev/null.

    In the order of their descriptors, so that each gets its own, and no file opened later is written to in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - stays open
            os.set_inheritable(stream.fileno(), True)  # as the three are, for the processes that a command starts
            setattr(sys, name, stream)


def choose_blas_kernel() -> None:
    """Name OpenBLAS's AVX-512 kernels on AMD processors that it does not know, unless the user has named others.

    OpenBLAS chooses once, when NumPy loads it, and falls back to AVX2 on AMD's newest processors: every product takes
    twice as long. See docs/decisions/0004-blas-kernel.md.
    """
    if "OPENBLAS_CORETYPE" in os.environ or "numpy" in sys.modules:
        return
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as cpuinfo:
        if is_amd_with_avx512(cpuinfo.read()):
            os.environ["OPENBLAS_CORETYPE"] = "SKYLAKEX"


def is_amd_with_avx512(cpuinfo: str) -> bool:
    """Return True if the first core in /proc/cpuinfo is AMD's and has AVX-512."""
    return set(cpuinfo.partition("\n\n")[0].split()) >= AMD_WITH_AVX512
