"""Loading: from a name or a path to a pair of data sets; finding, importing and verifying them.

The search order is: the path that was given, the folder in BYHAND_DATA, the cache, the mirrors, and, unless a data set
was named, the bundled sample. A path that was given and is missing is an error, never a reason to look further. What
was read from large files is kept in the cache, and memory-mapped from there the next time.
"""

import dataclasses
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from byhand.data import catalog, store
from byhand.data.catalog import BUNDLED, CATALOG, Entry, Progress, Say
from byhand.data.dataset import Dataset, TrainTest
from byhand.data.formats.detect import DataFiles, detect, detect_format
from byhand.errors import DataError, DataMissingError, UsageError
from byhand.text import closest

ENVIRONMENT = "BYHAND_DATA"
HELD_OUT = 7  # without a test set, one picture in seven becomes one, as of MNIST's 70,000
SET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_PROBLEMS = 100  # that `verify` lists

CacheFolder = str | os.PathLike[str] | None


def load(
    name_or_path: Any = None,
    *,
    offline: bool = False,
    cache: CacheFolder = None,
    say: Say | None = None,
    progress: Progress | None = None,
) -> TrainTest:
    """Load the data set with that name or at that path, as a pair with `.train` and `.test`; without one, what is here.

    Names: "mnist", "fashion-mnist", "kmnist", "mnist-5k" (bundled), and those imported; a folder called as one of them
    is "./mnist". Paths: a folder of IDX files or of pictures, CSV, mnist.pkl.gz, mnist.npz. Also (images, labels), a
    pair of such pairs, a pair of paths of CSV files, or a pandas data frame with the label first.

    `offline` never touches the network; `cache` is a folder to use in place of the user's; `say` is called with each
    message, `progress` with (file, bytes so far, bytes in all) during a download.
    """
    search = Search(offline, cache, say or _ignore, progress)
    if name_or_path is None:
        return search.default()
    if not isinstance(name_or_path, str | os.PathLike):
        return _from_memory(name_or_path, search)
    name = catalog.known_name(name_or_path) if isinstance(name_or_path, str) else None
    if name:
        return search.named(CATALOG[name])
    path = Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and not os.path.exists(path):  # False, too, for what can be no path
        return search.imported(name_or_path)
    return search.read(detect_format(path))


def fetch(name: str, *, offline: bool = False, say: Say | None = None, progress: Progress | None = None) -> TrainTest:
    """Return a known data set from the cache, where it is put if it isn't there. Arguments as for `load`."""
    known = catalog.known_name(name)
    if known is None:
        raise UsageError(f"NAME must be one of {', '.join(CATALOG)}, got {name!r}")
    entry, search = CATALOG[known], Search(offline, None, say or _ignore, progress)
    if offline or known == BUNDLED:
        return search.named(entry)
    return search.in_cache(entry) or search.fetched(entry)


def _ignore(_: str) -> None:
    """Drop a message: the default of `say`."""


@dataclasses.dataclass(frozen=True)
class Search:
    """One search for data: where it may look, and the callbacks for messages and progress."""

    offline: bool
    cache: CacheFolder = None
    say: Say = _ignore
    progress: Progress | None = None

    def default(self) -> TrainTest:
        """Return MNIST from BYHAND_DATA, the cache or the mirrors, or else the bundled sample."""
        entry = CATALOG["mnist"]
        if base := environment():
            inside = base / entry.name
            return self.read(detect_format(inside if inside.is_dir() and detect(inside) else base))
        if digits := self.in_cache(entry):
            return digits
        why = "offline"
        if not self.offline:
            try:
                return self.fetched(entry)
            except DataMissingError:
                why = "no mirror answered"
        self.say(f"full MNIST is not here ({why}): using the bundled sample of 5,000 digits")
        return catalog.bundled()

    def named(self, entry: Entry) -> TrainTest:
        """Return a known data set from BYHAND_DATA if it is there, else from the cache or the mirrors."""
        if entry.name == BUNDLED:
            return catalog.bundled()
        if digits := self.in_environment(entry) or self.in_cache(entry):
            return digits
        if self.offline:
            raise DataMissingError(
                f"{entry.name}: must be in {ENVIRONMENT} or the cache when offline, it is in neither; "
                f"`byhand data get {entry.name}` fetches it"
            )
        return self.fetched(entry)

    def in_environment(self, entry: Entry) -> TrainTest | None:
        """Return what BYHAND_DATA holds, if its checksums are those of `entry`."""
        base = environment()
        for path in (base / entry.name, base) if base else ():
            if files := detect(path) if path.exists() else None:
                digits = self.read(files)
                if digits.name == entry.name:
                    return digits
                self.say(f"{ENVIRONMENT}: {path} is not {entry.name} by its checksums")
        return None

    def in_cache(self, entry: Entry) -> TrainTest | None:
        """Return what was fetched or imported under that name; None if it is damaged: it is fetched again."""
        try:
            return store.kept(store.place_of_set(entry.name, self.cache))
        except DataError as error:
            self.say(str(error))
            return None

    def fetched(self, entry: Entry) -> TrainTest:
        """Download a data set from the mirrors into the cache."""
        digits = catalog.fetch(entry, say=self.say, progress=self.progress)
        place = store.place_of_set(entry.name, self.cache)
        digits.source = f"fetched into {place}"
        return self.keep(place, digits)

    def imported(self, name: str) -> TrainTest:
        """Return what `byhand data import` put into the cache under `name`."""
        digits = store.kept(store.place_of_set(name, self.cache)) if SET_NAME.fullmatch(name) else None
        if digits is None:
            known = [*CATALOG, *store.names(self.cache)]
            like = closest(name, known)
            hint = f"; did you mean {like}?" if like else f" (names: {', '.join(known)})"
            raise DataMissingError(f"{name}: must be a data set's name or a path, there is neither{hint}")
        return digits

    def read(self, files: DataFiles) -> TrainTest:
        """Read a data set's files, or the arrays that the cache has of them."""
        sources = list(files.files.values())
        place = store.place_of_path(files.kind, files.path, self.cache)
        if sources:
            try:
                if digits := store.kept(place, sources):
                    return digits
            except DataError as error:
                self.say(f"{error}; reading {files.path} again")
        stats = [store.FileStat.of(file) for file in sources]
        digits = read(files)
        if sources and digits.train.images.nbytes >= store.WORTH_KEEPING:
            return self.keep(place, digits, stats)
        return digits

    def keep(self, place: Path, digits: TrainTest, stats: list[store.FileStat] | None = None) -> TrainTest:
        """Put a data set into the cache; a message says so if that can't be written."""
        try:
            return store.keep(place, digits, stats or [])
        except OSError as error:
            self.say(f"{place}: the cache can't be written ({error.strerror or error}); going on without")
            return digits


def environment() -> Path | None:
    """Return the path in BYHAND_DATA; if it is set, something must be there."""
    if not (given := os.environ.get(ENVIRONMENT)):
        return None
    path = Path(given).expanduser()
    if not path.exists():
        raise DataMissingError(f"{ENVIRONMENT}: must be a folder or file that exists, {path} does not")
    return path


def read(files: DataFiles) -> TrainTest:
    """Read a data set's files; it is named after its checksums if they are known, else after its file."""
    train, test = files.read()
    entry = catalog.identify(train, test, files.files if files.kind == "idx" else {})
    name = entry.name if entry else files.path.resolve().name.split(".")[0] or "data"
    if not entry and catalog.known_name(name):
        name = f"{name}-by-name"
    classes = entry.classes if entry else None
    return _pair(train.renamed(name, classes), test.renamed(name, classes) if test else None, str(files.path))


def _pair(train: Dataset, test: Dataset | None, source: str) -> TrainTest:
    """Return both sets; without a test set, a part of the training set is held out, and the source says so."""
    if test is None:
        count = len(train)
        if count < HELD_OUT:
            raise DataError(f"{source}: must have at least {HELD_OUT} pictures to hold out a test set, has {count}")
        train, test = train.split(1 / HELD_OUT, rng=np.random.default_rng(0))
        source = f"{source} (no test set: {len(test):,} of {count:,} pictures held out)"
    return TrainTest(train, test, source)


def _from_memory(data: Any, search: Search) -> TrainTest:
    """Make a pair of a data frame, (images, labels), two of those, or two paths of CSV files."""
    if isinstance(data, TrainTest):
        return data
    if hasattr(data, "columns"):
        return _pair(Dataset.from_frame(data), None, "a data frame")
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise UsageError(
            "data must be a name, a path, a data frame, (images, labels) or a pair of those, "
            f"got {type(data).__name__}{f' of {len(data)}' if isinstance(data, tuple | list) else ''}"
        )
    first, second = data
    if isinstance(first, str | os.PathLike) and isinstance(second, str | os.PathLike):
        files = {"train": Path(first).expanduser(), "test": Path(second).expanduser()}
        return search.read(DataFiles("csv", files["train"], files))
    if hasattr(first, "columns") and hasattr(second, "columns"):
        return _pair(Dataset.from_frame(first), Dataset.from_frame(second), "two data frames")
    if all(isinstance(part, tuple | list) and len(part) == 2 and np.ndim(part[0]) > 1 for part in data):
        return _pair(Dataset.from_arrays(*first), Dataset.from_arrays(*second), "arrays")
    return _pair(Dataset.from_arrays(first, second), None, "arrays")


@dataclasses.dataclass(frozen=True)
class NamedSet:
    """A data set that has a name: where it is on this machine, or why it can't be used."""

    name: str
    about: str
    where: str | None = None
    problem: str | None = None


def named_sets() -> list[NamedSet]:
    """Return the known and the imported data sets, with the place where `load` finds each without the network."""
    search = Search(offline=True)
    found = []
    for name in dict.fromkeys([*CATALOG, *store.names()]):
        entry = CATALOG.get(name)
        about, where, problem = entry.about if entry else "imported", None, None
        try:
            if name == BUNDLED:
                where = "bundled"
            elif digits := (entry and search.in_environment(entry)) or store.kept(store.place_of_set(name)):
                where = digits.source
        except DataError as error:
            problem = str(error)
        found.append(NamedSet(name, about, where, problem))
    return found


def import_dataset(path: str | os.PathLike[str], name: str | None = None, *, force: bool = False) -> TrainTest:
    """Read the data set at `path` into the cache, to be loaded as `name` (else as what it is) from then on.

    Another data set that was imported under that name is replaced with `force` only.
    """
    digits = read(detect_format(Path(path).expanduser()))
    name = name or re.sub(r"[^a-z0-9._-]+", "-", digits.name.lower()).strip("-._")
    if not SET_NAME.fullmatch(name):
        raise UsageError(f"the name must be small letters, digits and . _ -, at most 64, got {name!r}")
    known = catalog.known_name(name)
    if known == BUNDLED:
        raise UsageError(f"the name must be free, {known} is the bundled sample")
    if known and digits.name != known:
        raise DataError(f"{path}: must be {known} by its checksums to be imported as {known}, it is not")
    place = store.place_of_set(known or name)
    if not force and (there := _other_than(digits, place)):
        raise UsageError(f"{name} is there already, another data set, {there}: give another name, or --force")
    train, test = (part.renamed(known or name) for part in digits)
    try:
        return store.keep(place, TrainTest(train, test, f"imported from {digits.source}"))
    except OSError as error:
        raise DataError(f"{place}: can't be written: {error.strerror or error}") from None


def _other_than(digits: TrainTest, place: Path) -> str | None:
    """Return where the data set at `place` is from, if it is undamaged and its pictures are not these."""
    try:
        there = store.kept(place)
    except DataError:
        return None
    sums, sums_there = ([(part.classes, part.checksum) for part in pair or ()] for pair in (digits, there))
    return there.source if there and sums_there != sums else None


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of `verify`: the name or path, what is wrong with it, and what it is if nothing is."""

    where: str
    problems: list[str]
    digits: TrainTest | None


def verify(name_or_path: str | os.PathLike[str]) -> Report:
    """Verify a data set by name (in the cache, else in BYHAND_DATA) or by path; list all that is wrong with it.

    Files are read as `load` reads them, but each on its own first; nothing is written or fetched.
    """
    name = catalog.known_name(name_or_path) if isinstance(name_or_path, str) else None
    path = Path(name_or_path).expanduser()
    if name == BUNDLED:
        return _report(name, _verified_sample)
    if name is None and os.path.exists(path):
        return _verify_files(path)
    place = store.place_of_set(name or str(name_or_path))
    if SET_NAME.fullmatch(name or str(name_or_path)) and (place / store.MANIFEST).exists():
        return _report(str(place), lambda: store.kept(place, trust=False))
    if name and (base := environment()):
        report = _verify_files(base / name if (base / name).is_dir() else base)
        if report.digits and report.digits.name != name:
            wrong = f"{report.where}: must be {name} by its checksums, it is not"
            return dataclasses.replace(report, problems=[wrong])
        return report
    raise DataMissingError(f"{name_or_path}: must be a path or a data set that is here, there is neither")


def _verified_sample() -> TrainTest:
    digits = catalog.bundled()
    entry = catalog.identify(digits.train, digits.test, {})
    if entry is None or entry.name != BUNDLED:
        raise DataError(f"{BUNDLED}: must have the known checksums, it has others; install byhand again")
    return digits


def _verify_files(path: Path) -> Report:
    """Read each file of the data set at the path by itself, and if nothing is wrong, all of them together."""
    try:
        files = detect_format(path)
        problems = [problem for one in files.readers() for problem in _report("", one).problems]
    except DataError as error:
        return Report(str(path), [str(error)], None)
    if not problems:
        return _report(str(path), partial(read, files))
    more = len(problems) - MOST_PROBLEMS
    rest = [f"{path}: and {more:,} more problems of this kind"] if more > 0 else []
    return Report(str(path), problems[:MOST_PROBLEMS] + rest, None)


def _report(where: str, reader: Callable[[], Any]) -> Report:
    """Return the outcome of one reader."""
    try:
        result = reader()
    except DataError as error:
        return Report(where, [str(error)], None)
    return Report(where, [], result if isinstance(result, TrainTest) else None)
