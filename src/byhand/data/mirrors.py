"""Mirrors: fetching a known data set, from each server in turn until every file is right.

A download stays in memory until its checksum is found to be the known one: no half file is ever left, and a server
that sends something else is only one that is tried no further.
"""

import hashlib
import io
from collections.abc import Callable
from urllib.parse import urlsplit

from byhand.data import catalog
from byhand.data.dataset import Dataset
from byhand.data.formats import InMemoryFile, idx, printable, read_all
from byhand.errors import DataError, DataMissingError

CONNECT, SILENCE = 3, 20  # seconds: to connect; without a byte
LARGEST = 64 << 20  # bytes of a download; the largest file known has 18 MB

Progress = Callable[[str, int, int], None]  # (file, bytes so far, bytes in all or 0)
Say = Callable[[str], None]


def fetch(entry: catalog.Entry, *, say: Say, progress: Progress | None = None) -> tuple[Dataset, Dataset]:
    """(training set, test set) from the mirrors; `DataMissingError` tells what each of them answered."""
    mirrors, held = list(entry.mirrors), {}
    say(f"getting {entry.name} from {_host(mirrors[0])}")
    for number, (part, name) in enumerate(catalog.FILES.items()):
        held[part] = _one_file(entry, number, f"{name}.gz", mirrors, say, progress)
    train, test = (
        idx.read_pair(held[f"{part}-images"], held[f"{part}-labels"]).renamed(entry.name, entry.classes)
        for part in ("train", "test")
    )
    return train, test


def _one_file(
    entry: catalog.Entry, number: int, name: str, mirrors: list[str], say: Say, progress: Progress | None
) -> InMemoryFile:
    """The file from the first mirror that has it right; those that don't go to the end of `mirrors`."""
    answers = []
    for mirror in tuple(mirrors):
        try:
            file = InMemoryFile(f"{mirror}{name}", _download(f"{mirror}{name}", name, progress))
            _check(entry, number, file)
            return file
        except (OSError, DataError) as error:
            answer = _reason(error)
            say(f"{_host(mirror)}: {name}: {answer}")
            answers.append(f"{_host(mirror)}: {answer}")
            mirrors.append(mirrors.pop(mirrors.index(mirror)))
    raise DataMissingError(f"{entry.name}: one of the mirrors must have {name}; {'; '.join(answers)}")


def _check(entry: catalog.Entry, number: int, file: InMemoryFile) -> None:
    """The known SHA-256 of what is inside, or the known MD5 of the `.gz` itself."""
    if entry.sha256:
        kind, known, found = "SHA-256", entry.sha256[number], hashlib.sha256(read_all(file)).hexdigest()
    elif entry.md5:
        kind, known = "MD5", entry.md5[number]
        found = hashlib.md5(file.content, usedforsecurity=False).hexdigest()
    else:
        raise DataError("there is no checksum to know it by")
    if found != known:
        raise DataError(f"the {kind} must be {known[:12]}…, got {found[:12]}…")


def _download(url: str, name: str, progress: Progress | None) -> bytes:
    import pooch  # type: ignore[import-untyped]

    sink = _Sink()
    downloader = pooch.HTTPDownloader(
        progressbar=_Bar(name, sink, progress) if progress else False,
        chunk_size=1 << 16,
        timeout=(CONNECT, SILENCE),
        headers={"Accept-Encoding": "identity"},
    )
    downloader(url, sink, None)
    return sink.getvalue()


class _Sink(io.BytesIO):
    """Takes a download, and no more of it than any data set has."""

    def write(self, chunk, /):  # type: ignore[no-untyped-def]
        if self.tell() + len(chunk) > LARGEST:
            raise DataError(f"a file must have at most {LARGEST:,} bytes, this one has more")
        return super().write(chunk)


class _Bar:
    """What pooch takes for a progress bar."""

    def __init__(self, name: str, sink: _Sink, progress: Progress) -> None:
        self.name, self.sink, self.progress, self.total = name, sink, progress, 0

    def update(self, _: int) -> None:
        if not self.total or self.sink.tell() < self.total:
            self.progress(self.name, self.sink.tell(), self.total)

    def reset(self) -> None:
        """pooch sets its bar back and fills it up at the end; here `close` tells the end, once."""

    def close(self) -> None:
        self.progress(self.name, self.sink.tell(), self.sink.tell())


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _reason(error: Exception) -> str:
    """One short line on what went wrong."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status:
        return f"answers {status}"
    if "Timeout" in type(error).__name__:
        return "no answer"
    if "Connection" in type(error).__name__:
        return "no connection"
    if isinstance(error, DataError):
        return str(error).removeprefix(str(getattr(error, "url", "")))
    return printable(error) or type(error).__name__
