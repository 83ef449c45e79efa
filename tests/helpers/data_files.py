"""Valid files of each format, and mutations of them, for tests and tests/long/rack.py.

`FORMATS` has a function per format that writes a small data set into a folder and returns the path to load.
`outcome` loads it and returns "loaded" or "refused"; anything else is an AssertionError or the bug itself.
"""

import gzip
import io
import pickle
import shutil
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from byhand.data import TrainTest, load
from byhand.data.formats import idx
from byhand.errors import DataError

Write = Callable[[Path], Path]
MOST_SECONDS, MOST_BYTES = 5.0, 64 << 20
TRAIN, TEST, SIDE = 21, 10, 5


def arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images (21, 5, 5) and labels, images (10, 5, 5) and labels; half of the pixels are 0."""
    rng = np.random.default_rng(seed)

    def images(count: int) -> np.ndarray:
        return (rng.integers(0, 256, (count, SIDE, SIDE)) * rng.integers(0, 2, (count, SIDE, SIDE))).astype(np.uint8)

    return images(TRAIN), np.arange(TRAIN) % 10, images(TEST), np.arange(TEST) % 10


def csv_text(images: np.ndarray, labels: np.ndarray, header: bool = False) -> bytes:
    table = np.c_[labels, images.reshape(len(images), -1)]
    names = "label," + ",".join(f"pixel{i}" for i in range(table.shape[1] - 1)) + "\n"
    return ((names if header else "") + "".join(",".join(map(str, row)) + "\n" for row in table)).encode()


def old_pickle(protocol: int = 2) -> bytes:
    """Return three pairs of floats byte / 256, as in mnist.pkl.gz."""
    X, y, X_test, y_test = arrays()
    flat, flat_test = (part.reshape(len(part), -1).astype(np.float32) / np.float32(256) for part in (X, X_test))
    return pickle.dumps(((flat[:14], y[:14]), (flat[14:], y[14:]), (flat_test, y_test)), protocol=protocol)


def write_idx(folder: Path, pack: bool = False) -> Path:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    for name, values in zip(names, arrays(), strict=True):
        content = idx.dump(values)
        path = folder / f"{name}-ubyte{'.gz' if pack else ''}"
        path.write_bytes(gzip.compress(content, mtime=0) if pack else content)
    return folder


def write_csv(folder: Path) -> Path:
    X, y, X_test, y_test = arrays()
    (folder / "mnist_train.csv").write_bytes(csv_text(X, y))
    (folder / "mnist_test.csv").write_bytes(csv_text(X_test, y_test))
    return folder / "mnist_train.csv"


def write_csv_with_header(folder: Path) -> Path:
    (folder / "digits.csv").write_bytes(csv_text(*arrays()[:2], header=True))
    return folder / "digits.csv"


def write_csv_gz(folder: Path) -> Path:
    (folder / "digits.csv.gz").write_bytes(gzip.compress(csv_text(*arrays()[:2]), mtime=0))
    return folder / "digits.csv.gz"


def write_pickle(folder: Path) -> Path:
    (folder / "mnist.pkl").write_bytes(old_pickle())
    return folder / "mnist.pkl"


def write_pickle_gz(folder: Path) -> Path:
    (folder / "mnist.pkl.gz").write_bytes(gzip.compress(old_pickle(5), mtime=0))
    return folder / "mnist.pkl.gz"


def write_npz(folder: Path, compressed: bool = False) -> Path:
    X, y, X_test, y_test = arrays()
    save = np.savez_compressed if compressed else np.savez
    save(folder / "mnist.npz", x_train=X, y_train=y.astype(np.uint8), x_test=X_test, y_test=y_test)
    return folder / "mnist.npz"


def write_pictures(folder: Path, ending: str = ".png") -> Path:
    from PIL import Image

    for i, (image, label) in enumerate(zip(*arrays()[2:], strict=True)):
        path = folder / str(label) / f"{i}{ending}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


FORMATS: dict[str, Write] = {
    "idx": write_idx,
    "idx.gz": lambda folder: write_idx(folder, pack=True),
    "csv": write_csv,
    "csv-with-header": write_csv_with_header,
    "csv.gz": write_csv_gz,
    "pickle": write_pickle,
    "pickle.gz": write_pickle_gz,
    "npz": write_npz,
    "npz-compressed": lambda folder: write_npz(folder, compressed=True),
    "pictures": write_pictures,
    "pictures-gif": lambda folder: write_pictures(folder, ".gif"),
}


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the content after one to four changes: bits or numbers replaced, parts deleted or doubled, or cut off."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, max(len(data), 1)))
        length = int(rng.choice([1, 2, 4, 8, 30]))
        change = int(rng.integers(0, 8))
        if change == 0 and data:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif change == 1:
            data[at : at + 1] = bytes([rng.choice(INTERESTING)])
        elif change == 2:
            data[at : at + 4] = bytes(rng.integers(0, 256, 4, dtype=np.uint8))
        elif change == 3:
            del data[at : at + length]
        elif change == 4:
            data[at:at] = data[at : at + length]
        elif change == 5:
            data[at:at] = PIECES[rng.integers(0, len(PIECES))]
        elif change == 6:
            early = int(rng.integers(0, min(len(data), 40) + 1))  # in most headers
            data[early : early + 4] = PIECES[rng.integers(0, len(PIECES))][:4].ljust(4, b"\xff")
        elif rng.integers(0, 3) == 0:
            del data[at:]
    return bytes(data)


INTERESTING = np.frombuffer(b'\0\x01\x7f\x80\xff,\n\r" -.0129(R.bcIlt\x8c\x8e\x96', np.uint8)
PIECES = (
    b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0", b",", b"\n", b"\r\n", b",,", b"256", b"-1",
    b"1e9", b"nan", b"99999999999999999999", b"\xef\xbb\xbf", b"\x1f\x8b", b"PK\x03\x04", b"cos\nsystem\n(S'true'\ntR.",
    b"\x8e\xff\xff\xff\xff\0\0\0\0", b"(I2147483647\nt", b"2147483648, ", b"'|O'", b"0" * 40,
)  # fmt: skip


def mutate_inside(path: Path, rng: np.random.Generator) -> None:
    """Change the file, or in half of the cases the content of a compressed one, so that its checksum is right."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b" and rng.integers(0, 2):
        path.write_bytes(gzip.compress(mutate(gzip.decompress(content), rng), mtime=0))
    elif content[:2] == b"PK" and rng.integers(0, 2):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = list(members)[rng.integers(0, len(members))]
        members[name] = mutate(members[name], rng)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, member in members.items():
                archive.writestr(name, member)
    else:
        path.write_bytes(mutate(content, rng))


def mutations(write: Write, folder: Path, times: range) -> Iterator[tuple[int, Path]]:
    """Yield for each number in `times` the path to load, with one file of the data set changed, reproducibly."""
    original = folder / "original"
    original.mkdir()
    path = write(original)
    files = sorted(file for file in original.rglob("*") if file.is_file())
    for number in times:
        rng = np.random.default_rng([sum(map(ord, original.name)), number])
        changed = files[rng.integers(0, len(files))]
        content = changed.read_bytes()
        mutate_inside(changed, rng)
        yield number, path
        changed.write_bytes(content)
    shutil.rmtree(original)


def outcome(path: Path, cache: Path) -> str:
    """Return "loaded" or "refused", after checks of message, time, memory, and left-over files."""
    before = sorted(path.parent.rglob("*"))
    started = time.process_time()
    tracemalloc.reset_peak()
    try:
        digits = load(path, offline=True, cache=cache)
    except DataError as error:
        message = str(error)
        assert "\n" not in message, message[:1000]
        assert len(message) < 600, message[:1000]
        assert str(path.parent) in message, message
        result = "refused"
    else:
        check_valid(digits)
        result = "loaded"
    assert time.process_time() - started < MOST_SECONDS
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    assert sorted(path.parent.rglob("*")) == before
    assert not cache.exists()
    return result


def outcomes(name: str, folder: Path, numbers: range) -> dict[str, int]:
    """Mutate a data set of that format once for each number, and count the outcomes."""
    found = {"loaded": 0, "refused": 0}
    tracemalloc.start()
    try:
        for number, path in mutations(FORMATS[name], folder, numbers):
            try:
                found[outcome(path, folder / "cache")] += 1
            except BaseException as error:
                error.add_note(f"mutation {number} of {name}")
                raise
    finally:
        tracemalloc.stop()
    return found


def check_valid(digits: TrainTest) -> None:
    for part in digits:
        assert part.images.dtype == np.uint8
        assert part.images.shape == (len(part), *part.shape)
        assert part.labels.dtype == np.int64
        assert 0 <= part.labels.min() <= part.labels.max() < len(part.classes)
        assert part.scale in (255, 256)
        assert part.checksum
