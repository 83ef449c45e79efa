"""The front door: one module a command, each thin (parse, call, show).

Here is what happens before anything else can: Ctrl-C has its answer while Python still loads, and streams that the
caller closed are replaced. So this module imports next to nothing; the commands stand in `front`.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from byhand.cli.group import COMMANDS as COMMANDS
    from byhand.cli.group import LazyGroup as LazyGroup
    from byhand.cli.group import cli as cli

#: What a shell gives for a program that Ctrl-C ended.
INTERRUPTED = 130


def main() -> None:
    """Run the command line and leave with the exit code that the outcome stands for."""
    try:
        with leaving_at_once():
            open_closed_streams()
            from byhand.cli import kernel

            kernel.choose()
            from byhand.cli.group import run
        run()
    except KeyboardInterrupt:
        say_interrupted()
        sys.exit(INTERRUPTED)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While modules load, Ctrl-C ends the program on the spot: an exception may be lost in the middle of an import.

    Nothing has been begun that could be saved. Where the caller wants Ctrl-C ignored, it stays so.
    """
    import signal

    try:
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            raise ValueError
        signal.signal(signal.SIGINT, leave_at_once)
    except ValueError:  # it is somebody else's, or this is not the main thread, which alone may set it
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def leave_at_once(*_: object) -> None:
    """Say that it was interrupted, and be gone."""
    say_interrupted()
    os._exit(INTERRUPTED)


def say_interrupted() -> None:
    """In a line of its own, after the terminal's `^C`; by the number of stderr, which needs nothing loaded."""
    with suppress(OSError):
        os.write(2, b"\ninterrupted\n")


def open_closed_streams() -> None:
    """A stream that the caller closed (`>&-`) is to nobody's ears, as if it were /dev/null.

    In the order of their numbers, so that each gets its own, and no file opened later is written to in its place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - stays open
            os.set_inheritable(stream.fileno(), True)  # as the three are, for the processes that a command starts
            setattr(sys, name, stream)


def __getattr__(name: str) -> Any:
    """What stands in `front` is found here too, and loaded when it is first asked for."""
    if name not in ("COMMANDS", "LazyGroup", "cli"):
        raise AttributeError(f"module 'byhand.cli' has no attribute {name!r}")
    from byhand.cli import group

    return getattr(group, name)
