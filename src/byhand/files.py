"""Atomic writes, for every file that byhand writes, appending, and file locks."""

import contextlib
import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from byhand.errors import StorageError

#: A path, as the functions of the library accept it.
StrPath = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(target: StrPath) -> Iterator[BinaryIO]:
    """Open a temporary binary file that replaces `target` when the block ends; after an error it is removed.

    The data is flushed to the disk before the file is renamed. Missing folders are created. The new file has the
    permissions of the old one, or those of a plain `open`. Symbolic links are followed. If `target` is not a regular
    file (a pipe, /dev/stdout), it is written to directly.
    """
    target = Path(os.path.realpath(target)) if os.path.islink(target) else Path(target)
    if not target.name or target.is_dir():  # no name: "", ".", "/"
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(target))
    make_folder(target.parent)
    before = target.stat() if target.exists() else None
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
        with contextlib.suppress(OSError):  # keep the original exception
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = str(target)  # instead of the temporary file
            del error.filename2  # its None would be part of the message
        raise
    flush_folder(target.parent)


def write_bytes(target: StrPath, content: bytes) -> None:
    """Write `content` to `target` atomically."""
    with replacing(target) as file:
        file.write(content)


def write_text(target: StrPath, content: str) -> None:
    """Write `content` to `target` atomically, as UTF-8."""
    write_bytes(target, content.encode())


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; if a file has the name of one of them, the error names that file."""
    missing = list(itertools.takewhile(lambda place: not os.path.lexists(place), (folder, *folder.parents)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for place in (folder, *folder.parents):
            if place.exists() and not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "is a file, not a folder", str(place)) from None
        raise
    for place in missing:
        flush_folder(place.parent)


def append(path: Path, content: bytes) -> None:
    """Append to a file; after an error, cut it to its size before."""
    try:
        with open(path, "ab", buffering=0) as file:
            before = file.tell()
            try:
                for start in iter(lambda: file.tell() - before, len(content)):  # a write may be short
                    file.write(content[start:])
            except BaseException:
                with contextlib.suppress(OSError):  # keep the original exception
                    file.truncate(before)
                raise
    except OSError as error:
        error.filename = str(path)
        raise


def remove_parts(folder: Path, *names: str) -> None:
    """Remove the temporary files of these files, which killed processes have left in a locked folder."""
    for name in names:
        for part in folder.glob(f".{name}.*.part"):
            part.unlink(missing_ok=True)


def lock(path: Path, message: str) -> BinaryIO:
    """Lock a file and return it; closing it releases the lock. Without file locks in the system, only open it.

    If another process holds the lock, raise `StorageError` with `message`.
    """
    make_folder(path.parent)
    file = open(path, "ab")  # noqa: SIM115 - closed by the caller
    try:
        import fcntl
    except ImportError:  # Windows
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StorageError(message) from None
    except OSError:
        pass  # a file system without locks
    return file


def flush_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that the rename survives a crash, on systems that support it."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
