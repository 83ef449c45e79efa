"""Data sets: images as bytes, their labels, and the names of the classes.

Pixels stay bytes, possibly memory-mapped: 60,000 digits are 47 MB, as floats 376 MB.
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

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

DIGITS = tuple("0123456789")
SCALE = 255
SHEET_ROWS = 10  # maximum number of classes on a contact sheet


class Sample(NamedTuple):
    """One image, uint8 (H, W), and its label, the index of its class."""

    image: Bytes
    label: int


class Dataset:
    """Read-only arrays `images`, uint8 (N, H, W), and `labels`, int64 (N,), with `classes`, `name` and `scale`.

    `scale` is the divisor that converts bytes to floats: 255, or 256 in the old pickle of MNIST.
    An integer index returns a `Sample`; a slice, an index array or a mask returns a `Dataset`.
    """

    def __init__(
        self,
        images: Bytes,
        labels: Array,
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
        """Make the arrays read-only, because `checksum` is cached."""
        self.images, self.labels = np.asarray(self.images).view(), self.labels.view()
        self.images.flags.writeable = self.labels.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy or a pickle; NumPy makes their arrays writable."""
        self.__dict__ |= state
        self._protect()

    def _copy(self, **changes: Any) -> "Dataset":
        copy = object.__new__(Dataset)
        copy.__setstate__(vars(self) | changes)
        return copy

    def renamed(self, name: str, classes: Sequence[str] | None = None) -> "Dataset":
        """Return the same images with another name, and possibly other class names."""
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
        """Make a data set from images (N, H, W), or (N, H·W) of squares, and labels (N,).

        Pixels are bytes, or bytes divided by 255 or 256; other floats are rejected, not rounded.
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
        """Make a data set from a pandas data frame; the labels are the first column, or `label`."""
        columns = list(frame.columns)
        if len(columns) > 1 and all(isinstance(c, str) and _is_number(c) for c in columns):
            names = ", ".join(columns[:3])
            hint = "so the first image was read as a header; read the file with header=None"
            raise DataError(f"{name}: the column names are numbers ({names}, …), {hint}")
        where = columns.index("label") if "label" in columns else 0
        table = frame.to_numpy()
        return cls.from_arrays(np.delete(table, where, axis=1), table[:, where], name=name)

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Sample: ...
    @overload
    def __getitem__(self, index: slice | Array | Sequence[int]) -> "Dataset": ...
    def __getitem__(self, index: Any) -> "Sample | Dataset":
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
        """Height and width of an image."""
        return self.images.shape[1], self.images.shape[2]

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of the shape, the images and the labels."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        height, width = self.shape
        return f"<Dataset {self.name}: {len(self):,} images of {height}×{width}, {len(self.classes)} classes>"

    def _repr_html_(self) -> str:
        """Return a contact sheet for notebooks."""
        from PIL import Image

        png = io.BytesIO()
        Image.fromarray(self._contact_sheet()).save(png, format="png", optimize=True)
        source = base64.b64encode(png.getvalue()).decode()
        classes = html.escape(" ".join(self.classes[:SHEET_ROWS]))
        return (
            f"<figure><figcaption>{html.escape(repr(self)[1:-1])}</figcaption>"
            f'<img src="data:image/png;base64,{source}" style="image-rendering: pixelated" '
            f'alt="The first images of each class, one class per row: {classes}"></figure>'
        )

    def _contact_sheet(self, columns: int = 16) -> Bytes:
        """Draw the first images of each class, one class per row, with lines between them."""
        height, width = self.shape
        rows = min(len(self.classes), SHEET_ROWS)
        sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), 40, np.uint8)
        for row in range(rows):
            for column, i in enumerate(np.flatnonzero(self.labels == row)[:columns]):
                top, left = row * (height + 1), column * (width + 1)
                sheet[top : top + height, left : left + width] = self.images[i]
        return sheet

    def split(self, held_out: float, *, rng: np.random.Generator) -> "tuple[Dataset, Dataset]":
        """Split into (rest, held-out set), stratified by class; `held_out`: a number or a fraction.

        Both parts keep the order of the images.
        """
        number = round(held_out * len(self)) if isinstance(held_out, float) and held_out <= 1 else held_out
        if not 0 < number < len(self) or number != int(number):
            raise UsageError(f"held_out must be a fraction between 0 and 1, or 1 to {len(self) - 1}, got {held_out}")
        held = np.zeros(len(self), bool)
        for label, count in enumerate(stratified_counts(self.labels, int(number), len(self.classes))):
            held[rng.permutation(np.flatnonzero(self.labels == label))[:count]] = True
        return self[~held], self[held]

    def batches(self, size: int, *, rng: np.random.Generator | None) -> "Iterator[Dataset]":
        """Yield all images in batches, in random order, or without `rng` in order. The last may be smaller."""
        if size < 1:
            raise UsageError(f"size of a batch must be at least 1, got {size}")
        order = None if rng is None else rng.permutation(len(self))
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self[part] if order is None else self[order[part]]


class TrainTest:
    """A training and a test set, and a text on their source: `train, test = byhand.load("mnist")`."""

    def __init__(self, train: Dataset, test: Dataset, source: str) -> None:
        if train.classes != test.classes:
            raise DataError(f"{source}: both sets need the same classes, got {train.classes} and {test.classes}")
        if train.shape != test.shape:
            raise DataError(f"{source}: both sets need images of one size, got {train.shape} and {test.shape}")
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
    """Return `data`, or raise an error if it is not a data set."""
    if isinstance(data, TrainTest):
        raise UsageError(f"data must be {rule}, got a TrainTest: pass its .train or its .test")
    if not isinstance(data, Dataset):
        raise UsageError(f"data must be {rule}, got {short_repr(data)}")
    return data


def check_labels(labels: Array, classes: Sequence[str], where: str) -> None:
    """Raise an error for the first label that is not the index of a class."""
    if labels.size and (labels.min() < 0 or labels.max() >= len(classes)):
        wrong = int(np.flatnonzero((labels < 0) | (labels >= len(classes)))[0])
        raise DataError(f"{where}: labels must be 0 to {len(classes) - 1}, label {wrong} (from 0) is {labels[wrong]}")


def stratified_counts(labels: Integers, number: int, classes: int) -> Integers:
    """Distribute `number` samples over the classes by the largest-remainder method."""
    exact = number * np.bincount(labels, minlength=classes) / len(labels)
    counts = np.floor(exact).astype(np.int64)
    largest_remainders = np.argsort(counts - exact, kind="stable")[: number - counts.sum()]
    counts[largest_remainders] += 1
    return counts


def _as_bytes(values: Array, name: str) -> tuple[Bytes, int]:
    """Return `values` as bytes, and the divisor that was undone (255 if there was none)."""
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


def _whole(values: Array) -> Bytes | None:
    """Return `values` as bytes, or None if they are not integers up to float32 rounding."""
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    if rounded.max() > 255 or np.abs(values - rounded).max() > 1e-3:
        return None
    return rounded.astype(np.uint8)


def _as_labels(labels: Array) -> Array:
    """Return integer labels (N,) from integers, whole floats or booleans, (N,) or (N, 1)."""
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
