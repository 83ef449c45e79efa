"""Preparations before other imports: Ctrl-C, closed streams, encodings, the BLAS kernel."""

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The exit status that a shell gives to a program ended by Ctrl-C.
INTERRUPTED = 130
#: Words of /proc/cpuinfo for AMD processors that can run the SkylakeX kernels.
AMD_WITH_AVX512 = {"AuthenticAMD", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "fma", "avx2"}

#: ASCII for characters in texts, formulas and plots.
ASCII = {
    **dict(zip("−–—×·│└┘┌┐├┤┬┴┼─▲✗", "---x.|+++++++++-^x", strict=True)),
    **dict.fromkeys("█▇▆▅▄▃▂▁▀", "#"),
    **dict(zip("░▒▓≡", ":%@E", strict=True)),
    "→": "->",
    "←": "<-",
    "≥": ">=",
    "≤": "<=",
    "≈": "~",
    "Σ": "sum",
    "σ": "sigma",
    "∂": "d",
}


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Exit at once on Ctrl-C while modules load, because an exception during an import can get lost.

    A handler that the caller installed, or an ignored SIGINT, is kept.
    """
    import signal
    import threading

    previous = signal.getsignal(signal.SIGINT)
    if previous is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, exit_now)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def exit_now(*_: object) -> None:
    """Exit as interrupted, without cleaning up."""
    write_interrupted()
    os._exit(INTERRUPTED)


def write_interrupted() -> None:
    """Write a line below the terminal's `^C`, without importing anything."""
    with suppress(OSError):
        os.write(2, b"\ninterrupted\n")


def open_closed_streams() -> None:
    """Open /dev/null for each standard stream that the caller closed (`>&-`).

    In the order of their descriptors, so that no file opened later gets the descriptor of a stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - stays open
            os.set_inheritable(stream.fileno(), True)  # for the processes that a command starts
            setattr(sys, name, stream)


def replace_unencodable() -> None:
    """Write ASCII in place of characters that the encoding of stdout or stderr lacks, such as those of cp1252."""
    codecs.register_error("byhand", ascii_for)
    for stream in (sys.stdout, sys.stderr):
        is_utf = (getattr(stream, "encoding", None) or "").lower().startswith("utf")
        if hasattr(stream, "reconfigure") and (stream.errors == "strict" or not is_utf):
            stream.reconfigure(errors="byhand")


def ascii_for(error: UnicodeError) -> tuple[str, int]:
    """Handle an encoding error: `−` becomes `-`, a superscript a digit, and characters without a likeness `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import unicodedata

    letters = []
    for letter in error.object[error.start : error.end]:
        plain = ASCII.get(letter) or unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        letters.append(plain or "?")
    return "".join(letters), error.end


def configure_blas() -> None:
    """Set OpenBLAS's environment variables, unless the user has set them. It reads them when NumPy loads it.

    - Idle threads sleep after 2²² clock cycles, some 2 ms, instead of 2²⁸: until then they occupy a core.
    - `BYHAND_THREADS` caps the BLAS threads of every command.
    - On recent AMD processors, which OpenBLAS does not know, the kernels for AVX2 take twice as long as those for
      AVX-512. See docs/decisions/0004-blas-kernel.md.
    """
    if "numpy" in sys.modules:
        return
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "22")
    if "BYHAND_THREADS" in os.environ:
        from byhand.threads import available

        os.environ.setdefault("OPENBLAS_NUM_THREADS", str(available()))
    if "OPENBLAS_CORETYPE" in os.environ:
        return
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as cpuinfo:
        if is_amd_with_avx512(cpuinfo.read()):
            os.environ["OPENBLAS_CORETYPE"] = "SKYLAKEX"


def is_amd_with_avx512(cpuinfo: str) -> bool:
    """Return True if the first core in /proc/cpuinfo is AMD's and has AVX-512."""
    return set(cpuinfo.partition("\n\n")[0].split()) >= AMD_WITH_AVX512
