"""Making the notebooks: all versions for a teacher (`release`), one folder for a student (`start`), and its data.

The data is `digits.npz`, bytes, in three sets for training, validation and test, so that a notebook needs NumPy and
nothing of byhand: it runs wherever it is carried to, and the answer key can't be imported from where it is marked.
"""

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from byhand.course.notebooks import versions
from byhand.course.notebooks.syllabus import LESSONS
from byhand.data import Digits, load
from byhand.errors import DataError, UsageError
from byhand.files import write_bytes, write_text

DATA = "digits.npz"
SHAPE = (28, 28)
ARRAYS = (
    *("train_images", "train_labels"),
    *("validation_images", "validation_labels"),
    *("test_images", "test_labels"),
)
NBGRADER_CONFIG = '''\
"""Settings for nbgrader: the stubs say what the course says, and marking leaves no room for a stray warning."""

c = get_config()  # noqa: F821 - nbgrader provides it
c.CourseDirectory.course_id = "byhand"
c.ClearSolutions.code_stub = {
    "python": "# write your code here\\nraise NotImplementedError('not written yet: your code goes here')"
}
'''


@dataclass(frozen=True)
class Started:
    """What `start` did: the files it wrote, the files that were there, and what the data is."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    data: str


def start(folder: str | os.PathLike[str], data: str | None = None) -> Started:
    """Put the student's notebooks and their data into `folder`; what is there already is somebody's work, and stays.

    Without `data`, a name or a path, the full MNIST is taken where it is found, else the bundled sample; nothing is
    fetched from the network.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"DIR must be a folder, or a name for a new one, {folder} is a file")
    files = {folder / f"{lesson.name}.ipynb": lesson for lesson in LESSONS}
    kept = [path for path in (*files, folder / DATA) if path.exists()]
    if folder / DATA in kept:
        _must_be_ours(folder / DATA)
    words = "the data that was there"
    if folder / DATA not in kept:
        digits = find(data)
        write_data(folder / DATA, digits)
        words = described(digits)
    elif data is not None:
        raise UsageError(f"{folder / DATA} is there already: move it away to have other data")
    for path, lesson in files.items():
        if path not in kept:
            versions.write(path, versions.student(lesson))
    written = [path for path in (*files, folder / DATA) if path not in kept]
    return Started(tuple(written), tuple(kept), words)


def release(folder: str | os.PathLike[str], data: str | None = None) -> list[Path]:
    """All versions of all lessons, each with the data beside it; returns the files, in the order of writing.

    `folder` must be new or empty: a release is never mixed with what was there.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"DIR must be a new or an empty folder, {folder} is not")
    content = packed(load(data or "mnist-5k", offline=True))
    written: list[Path] = []
    for lesson in LESSONS:
        made = {
            "student": versions.student(lesson),
            "solved": versions.solved(lesson),
            f"nbgrader/source/{lesson.name}": versions.for_nbgrader(lesson),
            f"otter/{lesson.name}": versions.for_otter(lesson),
        }
        for place, notebook in made.items():
            target = folder / place / f"{lesson.name}.ipynb"
            versions.write(target, notebook)
            if not target.with_name(DATA).exists():
                write_bytes(target.with_name(DATA), content)
            written.append(target)
    write_text(folder / "nbgrader" / "nbgrader_config.py", NBGRADER_CONFIG)
    return [*written, folder / "nbgrader" / "nbgrader_config.py"]


def _must_be_ours(path: Path) -> None:
    """Refuse a file of the name of our data that holds something else: the notebooks would stumble over it."""
    try:
        with zipfile.ZipFile(path) as npz:
            there = {name.removesuffix(".npy") for name in npz.namelist()}
        absent = [name for name in ARRAYS if name not in there]
        what = f"no {absent[0]} in it" if absent else ""
    except zipfile.BadZipFile:
        what = "no npz"
    except OSError as error:
        what = error.strerror or "it can't be read"
    if what:
        other = f"{path} is there already and is not the data of the course ({what})"
        raise UsageError(f"{other}: move it away, or choose another folder")


def find(data: str | None) -> Digits:
    """The data set that was asked for; else the full MNIST where it lies on this machine, else the bundled sample."""
    if data is not None:
        return load(data, offline=True)
    return load(offline=True)


def described(digits: Digits) -> str:
    """`mnist-5k: 3,333 pictures for training, 667 for validation, 1,000 for test`"""
    cut = _cut(len(digits.train))
    return (
        f"{digits.train.name}: {cut:,} pictures for training, {len(digits.train) - cut:,} for validation, "
        f"{len(digits.test):,} for test"
    )


def write_data(path: str | os.PathLike[str], digits: Digits) -> None:
    """`digits.npz` for the notebooks: the three sets, images (m, 28, 28) uint8 and labels (m,)."""
    write_bytes(path, packed(digits))


def packed(digits: Digits) -> bytes:
    """The three sets as a compressed npz; the last sixth of the training pictures is for validation."""
    train, test = digits.train, digits.test
    if train.images.shape[1:] != SHAPE or len(train.classes) != 10:
        raise DataError(
            f"{train.name}: the lessons are about ten classes of pictures of 28 × 28, it has {len(train.classes)} "
            f"classes of {' × '.join(map(str, train.images.shape[1:]))}"
        )
    cut = _cut(len(train))
    contents = (
        *(train.images[:cut], train.labels[:cut]),
        *(train.images[cut:], train.labels[cut:]),
        *(test.images, test.labels),
    )
    arrays: dict[str, Any] = {name: np.asarray(one) for name, one in zip(ARRAYS, contents, strict=True)}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _cut(count: int) -> int:
    return count * 5 // 6
