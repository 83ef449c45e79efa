"""The data set: pictures as bytes, a label for each, and the names of the classes.

A reader (`idx`, `csv`, …) makes a `Dataset` from a file; training, evaluation and the pages take it from here.
Pixels stay bytes all the way (60,000 digits are 47 MB, as floats 376 MB) and may be a memory-mapped file of the cache;
the model's preparation turns them into floats. `from_arrays` and `from_frame` accept what people have in memory
(floats, flat rows, labels in a column); nothing is rounded or guessed: what doesn't fit is a `DataError`.
"""

import base64
import functools
import hashlib
import html
import io
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt

from byhand.errors import DataError, UsageError, short_repr
from byhand.lazy import renamed

__getattr__ = renamed(__name__, {"Digits": "TrainTest"})

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

DIGITS = tuple("0123456789")
SCALE = 255
#: Rows of a contact sheet: the first classes.
SHEET_ROWS = 10


class Sample(NamedTuple):
    """One picture, uint8 (H, W), and the number of its class."""

    image: Bytes
    label: int


class Dataset:
    """N labelled pictures: `images` uint8 (N, H, W), `labels` int64 (N,), `classes`, `name` and `scale`.

    `scale` is the number that a byte is divided by to become a float: 255, or 256 as in the old pickle of MNIST.
    The arrays are read-only. An index gives a `Sample`; a slice or an array of indices or booleans, a `Dataset`.
    """

    def __init__(
        self,
        images: Bytes,
        labels: npt.NDArray[Any],
        *,
        classes: Sequence[str] = DIGITS,
        name: str = "arrays",
        scale: int = SCALE,
    ) -> None:
        if images.dtype != np.uint8 or images.ndim != 3:
            raise DataError(f"{name}: images must be bytes (N, H, W), got {images.dtype} {images.shape}")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise DataError(f"{name}: labels must be integers (N,), got {labels.dtype} {labels.shape}")
        if len(images) != len(labels):
            raise DataError(f"{name}: each image needs one label, got {len(images):,} images, {len(labels):,} labels")
        if images.size == 0:
            raise DataError(f"{name}: there must be at least one image with pixels, got {images.shape}")
        check_labels(labels, classes, name)
        self.images, self.labels = images, labels.astype(np.int64)
        self.classes, self.name, self.scale = tuple(classes), name, scale
        self._protect()

    def _protect(self) -> None:
        """Make the arrays read-only, since `checksum` is remembered."""
        self.images, self.labels = np.asarray(self.images).view(), self.labels.view()
        self.images.flags.writeable = self.labels.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy or a pickle, whose arrays NumPy makes writable."""
        self.__dict__ |= state
        self._protect()

    def _copy(self, **changes: Any) -> "Dataset":
        copy = object.__new__(Dataset)
        copy.__setstate__(vars(self) | changes)
        return copy

    def renamed(self, name: str, classes: Sequence[str] | None = None) -> "Dataset":
        """Return the same pictures under another name, the classes too if they are given (as many as before)."""
        return self._copy(name=name, classes=tuple(classes or self.classes))

    @classmethod
    def from_arrays(
        cls,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        classes: Sequence[str] | None = None,
        name: str = "arrays",
    ) -> Self:
        """Make a data set of images (N, H, W) or (N, H·W of a square), bytes or floats made from bytes; labels (N,).

        Floats from 0 to 1 must be whole bytes divided by 255 or by 256: they become those bytes again, and `scale`
        remembers which. Without `classes` the labels are digits.
        """
        pixels, scale = _as_bytes(np.asarray(images), name)
        if pixels.ndim == 2:
            side = round(pixels.shape[1] ** 0.5)
            if side * side != pixels.shape[1]:
                raise DataError(f"{name}: a row must hold the pixels of a square, got {pixels.shape[1]} columns")
            pixels = pixels.reshape(len(pixels), side, side)
        return cls(pixels, _as_labels(np.asarray(labels)), classes=classes or DIGITS, name=name, scale=scale)

    @classmethod
    def from_frame(cls, frame: Any, *, name: str = "frame") -> Self:
        """Make a data set of a pandas data frame: the label first, or in the column `label`, then one column a pixel.

        A frame that took the first row of a header-less file for its column names has lost a picture: it is rejected.
        """
        columns = list(frame.columns)
        if len(columns) > 1 and all(isinstance(c, str) and _is_number(c) for c in columns):
            raise DataError(
                f"{name}: the column names are numbers ({', '.join(columns[:3])}, …), so the first picture was read "
                "as a header; read the file with header=None"
            )
        where = columns.index("label") if "label" in columns else 0
        table = frame.to_numpy()
        return cls.from_arrays(np.delete(table, where, axis=1), table[:, where], name=name)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Sample: ...
    @overload
    def __getitem__(self, index: slice | npt.NDArray[Any] | Sequence[int]) -> "Dataset": ...
    def __getitem__(
        self, index: int | np.integer[Any] | slice | npt.NDArray[Any] | Sequence[int]
    ) -> "Sample | Dataset":
        if isinstance(index, int | np.integer):
            return Sample(self.images[index], int(self.labels[index]))
        if not isinstance(index, slice):
            index = np.asarray(index)
            if index.ndim != 1:
                raise UsageError(f"index must be a number, a slice or an array (n,), got an array {index.shape}")
            if index.size == 0:
                index = index.astype(np.intp)
        part = self._copy(images=self.images[index], labels=self.labels[index])
        vars(part).pop("checksum", None)
        return part

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a picture."""
        return self.images.shape[1], self.images.shape[2]

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of the shape, the images and the labels in their order."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        height, width = self.shape
        return f"<Dataset {self.name}: {len(self):,} images of {height}×{width}, {len(self.classes)} classes>"

    def _repr_html_(self) -> str:
        """Return a contact sheet for notebooks: the first few pictures of each class, one class a row."""
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(self._contact_sheet()).save(png, format="png", optimize=True)
        source = base64.b64encode(png.getvalue()).decode()
        classes = html.escape(" ".join(self.classes[:SHEET_ROWS]))
        return (
            f"<figure><figcaption>{html.escape(repr(self)[1:-1])}</figcaption>"
            f'<img src="data:image/png;base64,{source}" style="image-rendering: pixelated" '
            f'alt="The first pictures of each class, one class a row: {classes}"></figure>'
        )

    def _contact_sheet(self, columns: int = 16) -> Bytes:
        """Draw one row a class, its first pictures from left to right, with grey lines between."""
        height, width = self.shape
        rows = min(len(self.classes), SHEET_ROWS)
        sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), 40, np.uint8)
        for row in range(rows):
            for column, i in enumerate(np.flatnonzero(self.labels == row)[:columns]):
                top, left = row * (height + 1), column * (width + 1)
                sheet[top : top + height, left : left + width] = self.images[i]
        return sheet

    def split(self, held_out: float, *, rng: np.random.Generator) -> "tuple[Dataset, Dataset]":
        """Return (rest, held): `held_out` pictures, a number or a share below 1, are drawn stratified by class.

        Both keep the order of the pictures.
        """
        number = round(held_out * len(self)) if isinstance(held_out, float) and held_out <= 1 else held_out
        if not 0 < number < len(self) or number != int(number):
            raise UsageError(f"held_out must be a share above 0 and below 1, or 1 to {len(self) - 1}, got {held_out}")
        held = np.zeros(len(self), bool)
        for label, count in enumerate(stratified_counts(self.labels, int(number), len(self.classes))):
            held[rng.permutation(np.flatnonzero(self.labels == label))[:count]] = True
        return self[~held], self[held]

    def batches(self, size: int, *, rng: np.random.Generator | None) -> "Iterator[Dataset]":
        """Yield every picture once, `size` at a time, in a new order from `rng` (None: as they stand).

        The last batch may be shorter.
        """
        if size < 1:
            raise UsageError(f"size of a batch must be at least 1, got {size}")
        order = None if rng is None else rng.permutation(len(self))
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self[part] if order is None else self[order[part]]


class TrainTest:
    """Two data sets that belong together, `train` and `test`, and a line on where they came from.

    Unpacks: `train, test = byhand.load("mnist")`.
    """

    def __init__(self, train: Dataset, test: Dataset, source: str) -> None:
        if train.classes != test.classes:
            raise DataError(f"{source}: both sets need the same classes, got {train.classes} and {test.classes}")
        if train.shape != test.shape:
            raise DataError(f"{source}: both sets need pictures of one size, got {train.shape} and {test.shape}")
        self.train, self.test, self.source = train, test, source

    @property
    def name(self) -> str:
        return self.train.name

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    def __iter__(self) -> Iterator[Dataset]:
        yield self.train
        yield self.test

    def __repr__(self) -> str:
        return f"<TrainTest {self.name}: {len(self.train):,} to train on, {len(self.test):,} to test; {self.source}>"

    def _repr_html_(self) -> str:
        return self.train._repr_html_() + self.test._repr_html_()


def check_dataset(data: object, rule: str = "a Dataset") -> Dataset:
    """Return the data set, or raise an error that says what was given in its place."""
    if isinstance(data, TrainTest):
        raise UsageError(f"data must be {rule}, got a TrainTest: pass its .train or its .test")
    if not isinstance(data, Dataset):
        raise UsageError(f"data must be {rule}, got {short_repr(data)}")
    return data


def check_labels(labels: npt.NDArray[Any], classes: Sequence[str], where: str) -> None:
    """Reject labels that are not the number of a class; the error names the first."""
    if labels.size and (labels.min() < 0 or labels.max() >= len(classes)):
        wrong = int(np.flatnonzero((labels < 0) | (labels >= len(classes)))[0])
        raise DataError(f"{where}: labels must be 0 to {len(classes) - 1}, label {wrong} (from 0) is {labels[wrong]}")


def stratified_counts(labels: Integers, number: int, classes: int) -> Integers:
    """Return how many of `number` samples fall to each class: its exact share rounded down, the rest to the largest
    remainders."""
    exact = number * np.bincount(labels, minlength=classes) / len(labels)
    counts = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(counts - exact, kind="stable")[: number - counts.sum()]
    counts[largest_remainders] += 1
    return counts


def _as_bytes(values: npt.NDArray[Any], name: str) -> tuple[Bytes, int]:
    """Return the bytes behind `values`, and the number that they were divided by (255 if they were not)."""
    if values.dtype == np.uint8:
        return values, SCALE
    if values.dtype == bool:
        return values * np.uint8(SCALE), SCALE
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: pixels must be numbers, got {values.dtype}")
    if values.size == 0:
        return values.astype(np.uint8), SCALE
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 255):  # so that NaN is rejected too
        raise DataError(f"{name}: pixels must be 0 to 255, or floats from 0 to 1, got {low:g} to {high:g}")
    if values.dtype.kind == "f" and high <= 1:
        for scale in (255, 256):
            if (pixels := _whole(values * values.dtype.type(scale))) is not None:
                return pixels, scale
        raise DataError(f"{name}: floats from 0 to 1 must be whole bytes divided by 255 or 256, some are neither")
    if (pixels := _whole(values)) is None:
        raise DataError(f"{name}: pixels from 0 to {high:g} must be whole numbers, some have a fraction")
    return pixels, SCALE


def _whole(values: npt.NDArray[Any]) -> Bytes | None:
    """Return `values` as bytes, if they are whole numbers from 0 to 255 (but for float32's rounding)."""
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    if rounded.max() > 255 or np.abs(values - rounded).max() > 1e-3:
        return None
    pixels: Bytes = rounded.astype(np.uint8)
    return pixels


def _as_labels(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers in one row, also if they came as floats, as booleans or as a column."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    is_whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all()
    return labels.astype(np.int64) if is_whole or labels.dtype.kind == "b" else labels


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
