"""The cache: data sets that were read once, as plain arrays that the next load maps into memory.

    <cache>/sets/NAME/     fetched or imported, found by name
    <cache>/parsed/KEY/    read from files of the user's, found by their path

Each holds four .npy files and `manifest.json`, written last, which says what they must be. Nothing is hashed while
size and times are what the manifest noted after hashing; where they differ, the checksum decides: of a source that it
is the same after all, of a part that it is undamaged. The folder may be deleted at any time.
"""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand import files
from byhand.data import formats
from byhand.data.dataset import Dataset, Digits
from byhand.errors import DataError

VERSION = 1
MANIFEST = "manifest.json"
TICK = 2_000_000_000  # ns: the coarsest clock of a file system; a file changed within it may not show it
WORTH_KEEPING = 2_000_000  # bytes of pictures: less is read again as quickly


def folder(cache: str | os.PathLike[str] | None = None) -> Path:
    """Where the cache is: `cache`, else the environment's BYHAND_CACHE, else the user's cache folder."""
    if cache or (cache := os.environ.get("BYHAND_CACHE")):
        return Path(cache).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("byhand", appauthor=False))


def place_of_set(name: str, cache: str | os.PathLike[str] | None) -> Path:
    """Where the data set of that name lies, if it does."""
    return folder(cache) / "sets" / name


def place_of_path(kind: str, path: Path, cache: str | os.PathLike[str] | None) -> Path:
    """Where the arrays that were read from `path` lie, if they do."""
    key = hashlib.sha256(f"{kind}\n{path.resolve()}".encode()).hexdigest()[:24]
    return folder(cache) / "parsed" / key


@dataclasses.dataclass(frozen=True)
class Stamp:
    """What tells, without reading it, that a file was not changed."""

    path: str
    size: int
    modified: int
    changed: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        stat = path.stat()
        return cls(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)

    def settled(self, seen: int) -> bool:
        """Whether the file had been left alone for a tick when it was `seen` (ns): a later change would show."""
        return max(self.modified, self.changed) + TICK < seen


# ---- writing


def keep(place: Path, digits: Digits, sources: Sequence[Stamp] = ()) -> Digits:
    """Put `digits` at `place` and return them as they lie there; OSError if that can't be written.

    `sources` are the stamps of the files that it was read from, taken before they were read.
    """
    seen = time.time_ns()
    noted = [{**dataclasses.asdict(stamp), "sha256": formats.digest(Path(stamp.path))} for stamp in sources]
    if [Stamp.of(Path(stamp.path)) for stamp in sources] != list(sources):
        return digits  # changed while it was read: these pictures belong to neither version
    parts = {}
    for which, part in (("train", digits.train), ("test", digits.test)):
        for kind, values in (("images", part.images), ("labels", part.labels.astype(_label_type(part)))):
            parts[f"{which}-{kind}"] = _write(place / f"{which}-{kind}.npy", values)
    manifest = {
        "version": VERSION,
        "name": digits.name,
        "source": digits.source,
        "classes": digits.classes,
        "scale": [digits.train.scale, digits.test.scale],
        "checksum": [digits.train.checksum, digits.test.checksum],
        "seen": seen,
        "sources": noted,
        "parts": parts,
    }
    _write_manifest(place, manifest)
    return kept(place, [Path(stamp.path) for stamp in sources]) or digits


def _label_type(part: Dataset) -> type[np.integer[Any]]:
    return np.uint8 if len(part.classes) <= 256 else np.int64


def _write(path: Path, values: npt.NDArray[Any]) -> dict[str, Any]:
    """One array, and what the manifest says of it."""
    with files.replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(values), allow_pickle=False)
    return {"sha256": formats.digest(path), **_size_and_time(path)}


def _write_manifest(place: Path, manifest: dict[str, Any]) -> None:
    files.write_text(place / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"size": stat.st_size, "modified": stat.st_mtime_ns}


# ---- reading


def kept(place: Path, sources: Sequence[Path] = (), *, trust: bool = True) -> Digits | None:
    """The data set at `place`; None if there is none or its sources have changed, a `DataError` if it is damaged.

    Without `trust` every part is hashed, whatever its size and time say.
    """
    if not os.path.exists(place / MANIFEST):
        return None
    try:
        manifest = json.loads((place / MANIFEST).read_text("utf-8"))
        if manifest["version"] != VERSION or not _sources_are_the_same(place, manifest, sources):
            return None
        _check_parts(place, manifest, trust)
        return _open(place, manifest)
    except FileNotFoundError as error:
        raise DataError(f"{place}: a kept data set must be whole, {Path(error.filename).name} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{place}: a kept data set must be undamaged: {error}") from None


def _sources_are_the_same(place: Path, manifest: dict[str, Any], sources: Sequence[Path]) -> bool:
    """By their stamps where these can be trusted, else by their checksums (and then the new stamps are noted)."""
    noted = {entry["path"]: entry for entry in manifest["sources"]}
    seen, stamps = time.time_ns(), [Stamp.of(path) for path in sources]
    if {stamp.path for stamp in stamps} != set(noted):
        return False
    unsure = [
        stamp
        for stamp in stamps
        if {**dataclasses.asdict(stamp), "sha256": noted[stamp.path]["sha256"]} != noted[stamp.path]
        or not stamp.settled(manifest["seen"])
    ]
    if any(formats.digest(Path(stamp.path)) != noted[stamp.path]["sha256"] for stamp in unsure):
        return False
    if unsure and [Stamp.of(path) for path in sources] == stamps:
        manifest["sources"] = [{**dataclasses.asdict(stamp), "sha256": noted[stamp.path]["sha256"]} for stamp in stamps]
        manifest["seen"] = seen
        _note(place, manifest)
    return True


def _check_parts(place: Path, manifest: dict[str, Any], trust: bool) -> None:
    """Each part by size and time, or else by its checksum."""
    moved = False
    for name, noted in manifest["parts"].items():
        path = place / f"{name}.npy"
        now = _size_and_time(path)
        if not trust or {"sha256": noted["sha256"], **now} != noted:
            if formats.digest(path) != noted["sha256"]:
                raise DataError(f"{path.name} has a wrong checksum")
            noted.update(now)
            moved = True
    if moved:
        _note(place, manifest)


def _note(place: Path, manifest: dict[str, Any]) -> None:
    """Write down what was found out; a cache that can't be written is still one that can be read."""
    try:
        _write_manifest(place, manifest)
    except OSError:
        return


def _open(place: Path, manifest: dict[str, Any]) -> Digits:
    """The arrays as windows onto their files."""
    sets = []
    for which, scale, checksum in zip(("train", "test"), manifest["scale"], manifest["checksum"], strict=True):
        images, labels = (
            np.load(place / f"{which}-{kind}.npy", mmap_mode="r", allow_pickle=False) for kind in ("images", "labels")
        )
        part = Dataset(images, labels, classes=manifest["classes"], name=manifest["name"], scale=scale)
        part.checksum = checksum
        sets.append(part)
    return Digits(sets[0], sets[1], manifest["source"])


def names(cache: str | os.PathLike[str] | None = None) -> list[str]:
    """The data sets that were fetched or imported."""
    sets = folder(cache) / "sets"
    return sorted(path.parent.name for path in sets.glob(f"*/{MANIFEST}"))
