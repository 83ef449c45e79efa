"""Submissions: what was handed in, found in a folder.

Each file in the folder is one, called as the file is without its suffix; each folder in it is one, called as the folder
is, with one notebook (or else one Python file) somewhere in it. What is neither is found too, with its `problem`, so
that everybody who handed something in has a row in the table of marks. Hidden files are left alone, links not followed.
"""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from byhand.errors import DataMissingError

IGNORED = ("__MACOSX", "__pycache__")
MANY = 20_000  # files looked at in one folder: more is somebody's whole disk
LISTED = 5
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


@dataclass(frozen=True)
class Submission:
    """One submission: the student's name as the file or folder has it, the file to mark, or why there is none."""

    name: str
    path: Path
    problem: str = ""


def find(folder: Path, leave_out: Collection[Path] = ()) -> list[Submission]:
    """Every submission in the folder, in the order of their names; `leave_out` are files and folders of our own."""
    if not folder.is_dir():
        raise DataMissingError(f"{folder}: no such folder")
    ours = {path.resolve() for path in leave_out}
    entries = sorted(folder.iterdir(), key=lambda path: (path.name.casefold(), path.name))
    entries = [one for one in entries if not _is_hidden(one.name) and one.resolve() not in ours]
    found = [_of(one) for one in entries]
    twice = {name for name, count in Counter(one.name for one in found).items() if count > 1}
    found = [
        replace(one, name=entry.name) if one.name in twice else one for one, entry in zip(found, entries, strict=True)
    ]
    if not found:
        raise DataMissingError(
            f"{folder}: must hold submissions (notebooks, or a folder for each student), it is empty"
        )
    return found


def _of(entry: Path) -> Submission:
    if entry.is_symlink():
        return Submission(entry.name, entry, "is a link, and links are not followed")
    if entry.is_dir():
        return _in_folder(entry)
    if entry.suffix.lower() in ARCHIVES:
        return Submission(entry.stem, entry, "is an archive: unpack it into a folder of this name")
    if entry.suffix.lower() not in (".ipynb", ".py"):
        return Submission(entry.stem, entry, f"must be a .ipynb or .py file, got {entry.name}")
    if not entry.is_file():
        return Submission(entry.stem, entry, "is no ordinary file")
    return Submission(entry.stem, entry)


def _in_folder(folder: Path) -> Submission:
    """The one notebook below the folder, else the one Python file."""
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        files += [Path(place, name) for name in sorted(names) if not _is_hidden(name)]
        if len(files) > MANY:
            return Submission(folder.name, folder, f"holds more than {MANY:,} files")
    files = [one for one in files if one.is_file() and not one.is_symlink()]
    for suffix in (".ipynb", ".py"):
        found = [one for one in files if one.suffix.lower() == suffix]
        if len(found) == 1:
            return Submission(folder.name, found[0])
        if found:
            listed = ", ".join(str(one.relative_to(folder)) for one in found[:LISTED])
            more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
            return Submission(folder.name, folder, f"must hold one {suffix} file, it holds {listed}{more}")
    packed = any(one.suffix.lower() in ARCHIVES for one in files)
    return Submission(
        folder.name, folder, f"holds no .ipynb or .py file{', but an archive: unpack it' if packed else ''}"
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED
