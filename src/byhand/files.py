"""Files: nothing is ever half-written.

`replacing` gives a file beside the target; when the block ends well it is flushed to the disk and renamed into
place, and when it doesn't, it is removed and the target stays as it was. Every file byhand writes goes through here.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from byhand.errors import StorageError


@contextlib.contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that becomes `target` when the block ends without an error.

    The folder is made if it is missing. The new file has the permissions of the one that it replaces, or else those
    that a plain `open` would have given. What a link points to is replaced, not the link; what is no file at all (a
    pipe, /dev/stdout) is written to as it is.
    """
    target = Path(os.path.realpath(target)) if os.path.islink(target) else Path(target)
    if not target.name or target.is_dir():  # no name: "", ".", "/"
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(target))
    make_folder(target.parent)
    before = _status(target)
    if before is not None and not stat.S_ISREG(before.st_mode):
        with open(target, "wb") as file:
            yield file
        return
    part = target.with_name(f".{target.name[:200]}.{secrets.token_hex(6)}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(part, flags, 0o666), "w+b") as file:
            if before is not None and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the first error is the one to report
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(target)  # the name that the caller knows
            del error.filename2  # None would be shown as one
        raise
    _flush_folder(target.parent)


def write_bytes(target: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `target`, whole or not at all."""
    with replacing(target) as file:
        file.write(content)


def write_text(target: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `target` as UTF-8, whole or not at all."""
    write_bytes(target, content.encode())


def _status(target: Path) -> os.stat_result | None:
    """Return the status of what is there now, or None."""
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; the error of a file that is in the way names that file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for place in (folder, *folder.parents):
            if place.exists() and not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(place)) from None
        raise


def lock(path: Path, message: str) -> BinaryIO | None:
    """Lock a file for this process and return it: closing it ends the lock. On a system without file locks, None.

    If another process has the lock, an error with this message is raised.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    make_folder(path.parent)
    file = open(path, "ab")  # noqa: SIM115 - closed by the caller
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StorageError(message) from None
    except OSError:
        pass  # a file system without locks: two processes would still write whole files only
    return file


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
