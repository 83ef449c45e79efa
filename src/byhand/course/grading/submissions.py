"""Find the submissions in a folder or zip file, as Moodle, Canvas and nbgrader name and arrange them too.

A submission is a notebook or Python file, or a folder or zip file with one of them. Any other entry becomes a
submission with a `problem`, so that it has a row in the table.
"""

import os
import re
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from byhand.course.grading import Submission
from byhand.errors import DataError, DataMissingError, UsageError

KINDS = (".ipynb", ".py")
ARCHIVES = (".tar", ".gz", ".tgz", ".7z", ".rar")
IGNORED = ("__MACOSX", "__pycache__")
MAX_FILES = 20_000  # per submission or archive
MAX_CLASS, MAX_UNPACKED = 4 * 2**30, 256 * 2**20  # bytes of an archive with all submissions, and with one
MAX_LISTED = 5
PLATFORMS = (  # the student in a name that a platform has made, with the number of the user
    re.compile(r"(?P<name>.+?)_(?P<user>\d+)_assignsubmission_[a-z]+(?:_.*)?"),  # Moodle: folders or files
    re.compile(r"(?P<name>.+?)(?:_LATE)?_(?P<user>\d+)_\d{3,}_.+"),  # Canvas: user, submission, file
)


def find(place: Path, unpacked: Path, leave_out: Collection[Path] = ()) -> list[Submission]:
    """Return the submissions in a folder, zip file or single file, sorted by name, without the files `leave_out`.

    unpacked: an empty folder for the content of archives
    """
    if place.is_file() and place.suffix.lower() in KINDS:
        return [Submission(place.stem, place)]
    folder = place if place.is_dir() else _content(place, unpacked)
    excluded = {path.resolve() for path in leave_out}
    entries = sorted(folder.iterdir(), key=lambda path: (path.name.casefold(), path.name))
    entries = [one for one in entries if not _is_hidden(one.name) and one.resolve() not in excluded]
    if not entries:
        raise DataMissingError(f"{place}: must contain notebooks, or a folder per student, got an empty folder")
    students: dict[tuple[str, str], list[Path]] = {}
    for entry in entries:
        students.setdefault(_student(entry), []).append(entry)
    count = Counter(name for name, _ in students)
    return [_of(name if count[name] == 1 else paths[0].name, paths, unpacked) for (name, _), paths in students.items()]


def _content(archive: Path, unpacked: Path) -> Path:
    """Unpack the archive of all submissions, and return the folder that contains them."""
    if not archive.exists():
        raise DataMissingError(f"{archive}: no such folder")
    if archive.suffix.lower() != ".zip":
        raise UsageError(f"SUBMISSIONS must be a folder, or a .zip, .ipynb or .py file, got {archive}")
    try:
        folder = _unpack(archive, unpacked, MAX_CLASS)
    except ValueError as error:
        raise DataError(f"{archive}: {error}") from error
    inside = [*folder.iterdir()]
    return inside[0] if [one.name for one in inside] == [archive.stem] and inside[0].is_dir() else folder


def _student(entry: Path) -> tuple[str, str]:
    """Return the student's name, and the number or the file name that tells students of the same name apart."""
    for pattern in PLATFORMS:
        if found := pattern.fullmatch(entry.name):
            return found["name"], found["user"]
    return (entry.name if entry.is_dir() or entry.is_symlink() else entry.stem), entry.name


def _of(name: str, entries: list[Path], unpacked: Path) -> Submission:
    """Return the submission of a student: the only notebook or, without a notebook, the only Python file."""
    entry = entries[0]
    if entry.is_symlink() or (len(entries) == 1 and not entry.is_dir() and entry.suffix.lower() != ".zip"):
        return Submission(name, entry, _problem(entry))
    try:
        files = [(one, shown) for path in entries for one, shown in _files(path, path.name, unpacked)]
    except ValueError as error:
        return Submission(name, entry, str(error))
    for suffix in KINDS:
        found = [(one, shown) for one, shown in files if one.suffix.lower() == suffix]
        if len(found) == 1:
            return Submission(name, found[0][0])
        if found:
            listed = ", ".join(shown for _, shown in found[:MAX_LISTED])
            more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
            return Submission(name, entry, f"must contain one {suffix} file, got {listed}{more}")
    archive = "an archive: unpack it" if any(one.suffix.lower() in (*ARCHIVES, ".zip") for one, _ in files) else "none"
    return Submission(name, entry, f"must contain a .ipynb or .py file, got {archive}")


def _problem(entry: Path) -> str:
    """Return the reason why a file cannot be graded; empty if it can."""
    if entry.is_symlink():
        return "links are not followed"
    if entry.suffix.lower() in ARCHIVES:
        return "must be a .zip file, or unpacked into a folder of this name"
    if entry.suffix.lower() not in KINDS:
        return f"must be a .ipynb or .py file, got {entry.name}"
    return "" if entry.is_file() else "must be a regular file"


def _files(entry: Path, shown: str, unpacked: Path, *, is_inside: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield the files of an entry, with their names in messages. An archive within an archive is not unpacked."""
    if entry.is_symlink():
        return
    is_archive = entry.suffix.lower() == ".zip" and entry.is_file() and not is_inside
    if not entry.is_dir() and not is_archive:
        yield entry, shown
        return
    folder = _unpack(entry, unpacked, MAX_UNPACKED) if is_archive else entry
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            path = Path(place, name)
            if _is_hidden(name) or not path.is_file():
                continue
            count += 1
            if count > MAX_FILES:
                raise ValueError(f"must contain at most {MAX_FILES:,} files")
            yield from _files(path, str(path.relative_to(folder)), unpacked, is_inside=is_archive)


def _unpack(archive: Path, unpacked: Path, most: int) -> Path:
    """Unpack a zip file into a new folder, and return it; raise ValueError if that fails.

    Only notebooks, Python files and archives have their content; other files are empty.
    """
    folder = unpacked / str(len([*unpacked.iterdir()]))
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as source:
            parts_of = ((one, PurePosixPath(one.filename.replace("\\", "/")).parts) for one in source.infolist())
            members = [(one, parts) for one, parts in parts_of if parts and not any(map(_is_hidden, parts))]
            if len(members) > MAX_FILES:
                raise ValueError(f"must contain at most {MAX_FILES:,} files, got {len(members):,}")
            if sum(one.file_size for one, _ in members) > most:
                raise ValueError(f"must unpack to at most {most >> 20:,} MB")
            for one, parts in members:
                path = folder.joinpath(*parts)
                if not path.is_relative_to(folder) or ".." in parts or ":" in one.filename:
                    raise ValueError(f"must not name files outside the archive, got {one.filename}")
                (path if one.is_dir() else path.parent).mkdir(parents=True, exist_ok=True)
                if not one.is_dir():
                    with path.open("wb") as file:
                        if path.suffix.lower() in (*KINDS, ".zip"):
                            shutil.copyfileobj(source.open(one), file)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"can't be unpacked: {error}") from error
    return folder


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name in IGNORED
