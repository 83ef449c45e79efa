"""Loading, importing and verifying data sets by name or path.

Names are searched in BYHAND_DATA, the cache and the mirrors. The bundled sample is the fallback only if no data set is
named. Large data sets are cached and then memory-mapped.
"""

import dataclasses
import itertools
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data import catalog, store
from byhand.data.catalog import BUNDLED, CATALOG, Entry, Progress, Say
from byhand.data.dataset import Dataset, TrainTest, common_classes
from byhand.data.formats.detect import DataFiles, detect, detect_format
from byhand.data.formats.image_sets import read_frame
from byhand.data.store import CacheFolder
from byhand.errors import DataError, DataMissingError, UsageError, short_repr
from byhand.text import closest, did_you_mean, near_path

ENVIRONMENT, OFFLINE = "BYHAND_DATA", "BYHAND_OFFLINE"
RETRY = 24 * 60 * 60  # seconds until the default tries mirrors again that were all unavailable
HELD_OUT = 7  # without a test set, one image in seven is held out, as in MNIST
SET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_PROBLEMS = 100  # in the list of `verify`


def load(
    name_or_path: Any = None,
    *,
    offline: bool = False,
    color: bool = False,
    cache: CacheFolder = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> TrainTest:
    """Load a data set by name or path; the default is full MNIST, or the bundled sample if it is not available.

    Names: "mnist", "fashion-mnist", "kmnist", "mnist-5k" (bundled), and imported ones; "./mnist" is a folder.
    Paths: a folder of IDX files or images, a zip of images, CSV, parquet, X.npy with y.npy, mnist.pkl.gz, mnist.npz.
    Also (images, labels), a pair of such pairs, a pair of CSV paths, or a pandas data frame.

    offline: never use the network, as with BYHAND_OFFLINE=1.  color: keep the three channels of color pictures
    cache: the cache folder.  say: called with each message.  progress: called with (file, bytes so far, total bytes)
    """
    search = Search(offline or offline_in_environment(), cache, say or _ignore, progress, color)
    digits = _found(name_or_path, search)
    if color and len(digits.train.shape) != 3:
        raise UsageError(f"color needs pictures with three channels, got gray images: {digits.source}")
    return digits


def _found(name_or_path: Any, search: "Search") -> TrainTest:
    if name_or_path is None:
        return search.default()
    if not isinstance(name_or_path, str | os.PathLike):
        return _from_memory(name_or_path, search)
    if isinstance(name_or_path, str):
        if known := catalog.known_name(name_or_path):
            return search.named(CATALOG[known])
        if not os.path.exists(Path(name_or_path).expanduser()):  # False for an invalid path too
            return search.imported(name_or_path)
    return search.read(detect_format(Path(name_or_path).expanduser()))


def fetch(name: str, *, offline: bool = False, say: Say | None = None, progress: Progress | None = None) -> TrainTest:
    """Return a data set of the catalog from the cache, or download it. Arguments as for `load`."""
    known = catalog.known_name(name)
    if known is None:
        near = did_you_mean(name, CATALOG)
        raise UsageError(f"NAME must be one of {', '.join(CATALOG)}, got {name!r}{near}")
    offline = offline or offline_in_environment()
    entry, search = CATALOG[known], Search(offline, None, say or _ignore, progress)
    if offline or known == BUNDLED:
        return search.named(entry)
    return search.in_cache(entry) or search.fetched(entry)


def _ignore(_: str) -> None:
    """Do nothing: the default of `say`."""


@dataclasses.dataclass(frozen=True)
class Search:
    """The options of `load`, and the search for data with them."""

    offline: bool
    cache: CacheFolder = None
    say: Say = _ignore
    progress: Progress | None = None
    color: bool = False

    def default(self) -> TrainTest:
        """Return MNIST from BYHAND_DATA, the cache or a mirror; if all fail, the bundled sample."""
        entry = CATALOG["mnist"]
        if base := environment():
            inside = base / entry.name
            return self.read(detect_format(inside if inside.is_dir() and detect(inside) else base))
        if digits := self.in_cache(entry):
            return digits
        failure = store.folder(self.cache) / f"{entry.name}.unavailable"
        why = "offline"
        if not self.offline and (at := _recent(failure)):
            why = f"no mirror available at {at}; `byhand data get {entry.name}` tries again"
        elif not self.offline:
            try:
                return self.fetched(entry, with_reasons=False)
            except DataMissingError:
                why = "no mirror available"
                with suppress(OSError):
                    failure.parent.mkdir(parents=True, exist_ok=True)
                    failure.touch()
        self.say(f"full MNIST not found ({why}): using the bundled sample of 5,000 digits")
        return catalog.bundled()

    def named(self, entry: Entry) -> TrainTest:
        """Return a data set of the catalog from BYHAND_DATA, the cache or a mirror."""
        if entry.name == BUNDLED:
            return catalog.bundled()
        if digits := self.in_environment(entry) or self.in_cache(entry):
            return digits
        if self.offline:
            rule = f"must be in {ENVIRONMENT} or the cache when offline, it is in neither"
            raise DataMissingError(f"{entry.name}: {rule}; `byhand data get {entry.name}` downloads it")
        return self.fetched(entry)

    def in_environment(self, entry: Entry) -> TrainTest | None:
        """Return the data set in BYHAND_DATA if it has the checksums of `entry`, or None."""
        base = environment()
        for path in (base / entry.name, base) if base else ():
            if files := detect(path) if path.exists() else None:
                digits = self.read(files)
                if digits.name == entry.name:
                    return digits
                self.say(f"{ENVIRONMENT}: {path} does not have the checksums of {entry.name}")
        return None

    def in_cache(self, entry: Entry) -> TrainTest | None:
        """Return the cached data set, or None if there is none or it is damaged."""
        try:
            return store.load(store.named_folder(entry.name, self.cache))
        except DataError as error:
            self.say(str(error))
            return None

    def fetched(self, entry: Entry, *, with_reasons: bool = True) -> TrainTest:
        """Download a data set into the cache; `with_reasons` also reports why a mirror failed."""
        lines = itertools.count()
        say = self.say if with_reasons else lambda line: None if next(lines) else self.say(line)
        digits = catalog.fetch(entry, say=say, progress=self.progress)
        place = store.named_folder(entry.name, self.cache)
        digits.source = f"fetched into {place}"
        return self.save(place, digits)

    def imported(self, name: str) -> TrainTest:
        """Return the data set that was imported as `name`."""
        digits = store.load(store.named_folder(name, self.cache)) if SET_NAME.fullmatch(name) else None
        if digits is None:
            known = [*CATALOG, *store.names(self.cache)]
            like = closest(name.lower(), known)
            hint = f"; did you mean {like}?" if like else near_path(name) or f" (names: {', '.join(known)})"
            raise DataMissingError(f"no data set or file named {name!r}{hint}")
        return digits

    def read(self, files: DataFiles) -> TrainTest:
        """Read the files of a data set, or their cached arrays."""
        sources = list(files.files.values())
        files = dataclasses.replace(files, color=self.color)
        place = store.parsed_folder(f"{files.kind} in color" if self.color else files.kind, files.path, self.cache)
        if sources:
            try:
                if digits := store.load(place, sources):
                    return digits
            except DataError as error:
                self.say(f"{error}; reading {files.path} again")
        stats = [store.FileStat.of(file) for file in sources]
        digits = read(files)
        if sources and digits.train.images.nbytes >= store.MIN_CACHED_BYTES:
            return self.save(place, digits, stats)
        return digits

    def save(self, place: Path, digits: TrainTest, stats: Sequence[store.FileStat] = ()) -> TrainTest:
        """Cache a data set; if that fails, report the reason."""
        try:
            return store.save(place, digits, stats)
        except OSError as error:
            self.say(f"{place}: the cache can't be written ({error.strerror or error}); continuing without it")
            return digits


def offline_in_environment() -> bool:
    """Return True if BYHAND_OFFLINE is set to anything except 0, false, no or off."""
    return os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no", "off")


def _recent(failure: Path) -> str | None:
    """Return the time of a download that failed less than a day ago, such as `14:05`, or None."""
    try:
        at = failure.stat().st_mtime
    except OSError:
        return None
    return time.strftime("%H:%M", time.localtime(at)) if 0 <= time.time() - at < RETRY else None


def environment() -> Path | None:
    """Return the path in BYHAND_DATA, which must exist, or None."""
    if not (given := os.environ.get(ENVIRONMENT)):
        return None
    path = Path(given).expanduser()
    if not path.exists():
        raise DataMissingError(f"{ENVIRONMENT} must be an existing folder or file, got {path}")
    return path


def read(files: DataFiles) -> TrainTest:
    """Read a data set; its name is that of the catalog's entry with its checksums, or its file's."""
    train, test = files.read()
    entry = catalog.identify(train, test, files.files if files.kind == "idx" else {})
    name = entry.name if entry else files.path.resolve().name.split(".")[0] or "data"
    if not entry and catalog.known_name(name):
        name = f"{name}-by-name"
    classes = entry.classes if entry else None
    return _pair(train.renamed(name, classes), test.renamed(name, classes) if test else None, str(files.path))


def _pair(train: Dataset, test: Dataset | None, source: str) -> TrainTest:
    """Return both sets; without a test set, hold out a part of the training set."""
    if test is None:
        count = len(train)
        if count < HELD_OUT:
            raise DataError(f"{source}: must have at least {HELD_OUT} images to hold out a test set, got {count}")
        train, test = train.split(1 / HELD_OUT, rng=np.random.default_rng(0))
        source = f"{source} (no test set: {len(test):,} of {count:,} images held out)"
    if train.note:
        source = f"{source} ({train.note})"
    train, test = common_classes([train, test])
    if len(train.classes) < 2:
        raise DataError(f"{source}: there must be at least two classes, but all labels are {train.classes[0]!r}")
    return TrainTest(train, test, source)


def _from_memory(data: Any, search: Search) -> TrainTest:
    """Make data sets from a data frame, (images, labels), a pair of these, or a pair of CSV paths."""
    color = search.color
    if isinstance(data, TrainTest):
        return data
    if hasattr(data, "to_pandas"):  # data sets of Hugging Face, frames of Polars
        data = data.to_pandas()
    if hasattr(data, "columns"):
        return _pair(read_frame(data, color=color), None, "a data frame")
    if not isinstance(data, tuple | list) or len(data) != 2:
        rule = "a name, a path, a data frame, (images, labels) or a pair of those"
        raise UsageError(f"data must be {rule}, got {short_repr(data)}")
    first, second = (part.to_pandas() if hasattr(part, "to_pandas") else part for part in data)
    if isinstance(first, str | os.PathLike) and isinstance(second, str | os.PathLike):
        files = {"train": Path(first).expanduser(), "test": Path(second).expanduser()}
        return search.read(DataFiles("csv", files["train"], files))
    if hasattr(first, "columns") and hasattr(second, "columns"):
        train = read_frame(first, color=color)
        return _pair(train, read_frame(second, shape=train.shape, color=color), "two data frames")
    if all(isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[0]) > 1 for part in data):
        train, test = (Dataset.from_arrays(*part, color=color) for part in (first, second))
        return _pair(train, test, "arrays")
    return _pair(Dataset.from_arrays(first, second, color=color), None, "arrays")


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """A data set with a name, and its location on this machine or the problem with it."""

    name: str
    about: str
    where: str | None = None
    problem: str | None = None


def named_sets() -> list[NamedSet]:
    """Return the catalog's and the imported data sets, and where `load` finds them offline."""
    search = Search(offline=True)
    found = []
    for name in dict.fromkeys([*CATALOG, *store.names()]):
        entry = CATALOG.get(name)
        about, where, problem = entry.about if entry else "imported", None, None
        try:
            if name == BUNDLED:
                where = "bundled"
            elif digits := (entry and search.in_environment(entry)) or store.load(store.named_folder(name)):
                where = digits.source
        except DataError as error:
            problem = str(error)
        found.append(NamedSet(name, about, where, problem))
    return found


def import_dataset(path: str | os.PathLike[str], name: str | None = None, *, force: bool = False) -> TrainTest:
    """Copy a data set to the cache as `name` (default: its own); `force` replaces a different one."""
    digits = read(detect_format(Path(path).expanduser()))
    name = name or re.sub(r"[^a-z0-9._-]+", "-", digits.name.lower()).strip("-._")
    if not SET_NAME.fullmatch(name):
        raise UsageError(f"the name must be at most 64 lower-case letters, digits and . _ -, got {name!r}")
    known = catalog.known_name(name)
    if known == BUNDLED:
        raise UsageError(f"the name must not be {known}, which is the bundled sample")
    if known and digits.name != known:
        raise DataError(f"{path}: must have the checksums of {known} to be imported as {known}")
    place = store.named_folder(known or name)
    if not force and (there := _other_than(digits, place)):
        raise UsageError(f"{name} exists already as a different data set ({there}); choose another name or use --force")
    train, test = (part.renamed(known or name) for part in digits)
    try:
        return store.save(place, TrainTest(train, test, f"imported from {digits.source}"))
    except OSError as error:
        raise DataError(f"{place}: can't be written: {error.strerror or error}") from None


def _other_than(digits: TrainTest, place: Path) -> str | None:
    """Return the source of an undamaged, different data set in the folder, or None."""
    try:
        there = store.load(place)
    except DataError:
        return None
    sums, sums_there = ([(part.classes, part.checksum) for part in pair or ()] for pair in (digits, there))
    return there.source if there and sums_there != sums else None


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of `verify`: the name or path, its problems, and the data set if there are none."""

    where: str
    problems: list[str]
    digits: TrainTest | None


def verify(name_or_path: str | os.PathLike[str]) -> Report:
    """Verify a data set by name (in the cache, then in BYHAND_DATA) or path, without downloading it."""
    name = catalog.known_name(name_or_path) if isinstance(name_or_path, str) else None
    path = Path(name_or_path).expanduser()
    if name == BUNDLED:
        report = _report(name, catalog.bundled)
        if report.digits and catalog.identify(report.digits.train, report.digits.test, {}) != CATALOG[name]:
            return Report(name, [f"{name}: wrong checksums; reinstall byhand"], None)
        return report
    if name is None and os.path.exists(path):
        return _verify_files(path)
    place = store.named_folder(name or str(name_or_path))
    if SET_NAME.fullmatch(name or str(name_or_path)) and (place / store.MANIFEST).exists():
        return _report(str(place), lambda: store.load(place, verify=True))
    if name and (base := environment()):
        report = _verify_files(base / name if (base / name).is_dir() else base)
        if report.digits and report.digits.name != name:
            return dataclasses.replace(report, problems=[f"{report.where}: must have the checksums of {name}"])
        return report
    raise DataMissingError(f"no data set or file named {str(name_or_path)!r} on this machine{near_path(name_or_path)}")


def _verify_files(path: Path) -> Report:
    """Read each file of the data set by itself, and if all are valid, the data set."""
    try:
        files = detect_format(path)
        problems = [problem for one in files.readers() for problem in _report("", one).problems]
    except DataError as error:
        return Report(str(path), [str(error)], None)
    if not problems:
        return _report(str(path), partial(read, files))
    more = len(problems) - MAX_PROBLEMS
    rest = [f"{path}: {more:,} more problems of this kind"] if more > 0 else []
    return Report(str(path), problems[:MAX_PROBLEMS] + rest, None)


def _report(where: str, reader: Callable[[], Any]) -> Report:
    """Run a reader, and return its result or its error."""
    try:
        result = reader()
    except DataError as error:
        return Report(where, [str(error)], None)
    return Report(where, [], result if isinstance(result, TrainTest) else None)
