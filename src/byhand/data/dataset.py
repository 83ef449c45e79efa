"""Data sets: images as bytes, their labels, and the names of the classes.

Pixels stay bytes, possibly memory-mapped: 60,000 digits are 47 MB, as floats 376 MB.
"""

import base64
import contextlib
import functools
import hashlib
import html
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self, overload

import numpy as np
import numpy.typing as npt

from byhand.errors import DataError, UsageError, short_repr
from byhand.lazy import renamed
from byhand.text import counted

__getattr__ = renamed(__name__, {"Digits": "TrainTest"})

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

DIGITS = tuple("0123456789")
#: The names that a column of labels has in the header of a CSV file or in a data frame.
LABEL_COLUMNS = ("label", "labels", "class", "target", "y", "digit")
#: Pixels from 0 to at most this number are scaled to 0 … 255.
LOW_RANGE = 16
#: The hint for other numbers.
ON_FLOATS = "train the network on floats with `fit(model, (X, y))`"
#: The note on color pictures of which only the brightness is used.
COLORS_DROPPED = "colors read as gray (--color, or color=True in Python, keeps them)"
#: More classes than this, with fewer than two images each on average, are measurements rather than classes.
MANY_CLASSES = 100
#: The same for a column of labels that no name marks.
FEW_CLASSES = 20
SCALE = 255
SHEET_ROWS = 10  # maximum number of classes on a contact sheet


class Sample(NamedTuple):
    """One image, uint8 (H, W), and its label, the index of its class."""

    image: Bytes
    label: int


class Dataset:
    """Read-only arrays `images`, uint8 (N, H, W), and `labels`, int64 (N,), with `classes`, `name` and `scale`.

    Color images are (N, H, W, 3): red, green and blue of a pixel are neighbors in memory, and in the network's inputs.
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
        note: str = "",
    ) -> None:
        if images.dtype != np.uint8 or not (images.ndim == 3 or is_color(images)):
            hint = "; the labels come second" if images.ndim < labels.ndim else ""
            raise DataError(f"{name}: images must be bytes (N, H, W), got {images.dtype} {images.shape}{hint}")
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            hint = ": use y.argmax(axis=1) for one-hot rows" if labels.ndim == 2 else ""
            raise DataError(f"{name}: labels must be integers (N,), got {labels.dtype} {labels.shape}{hint}")
        if len(images) != len(labels):
            raise DataError(f"{name}: each image needs one label, got {len(images):,} images, {len(labels):,} labels")
        if images.size == 0:
            raise DataError(f"{name}: there must be at least one image with pixels, got {images.shape}")
        check_labels(labels, classes, name)
        self.images, self.labels = images, labels.astype(np.int64)
        self.classes, self.name, self.scale, self.note = tuple(classes), name, scale, note
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

    def with_classes(self, classes: Sequence[str]) -> "Dataset":
        """Return the same images with the labels as numbers of other `classes`, which contain all of these."""
        numbers = np.array([classes.index(name) for name in self.classes], np.int64)
        part = self._copy(labels=numbers[self.labels], classes=tuple(classes))
        vars(part).pop("checksum", None)
        return part

    @classmethod
    def from_arrays(
        cls,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        classes: Sequence[str] | None = None,
        name: str = "arrays",
        color: bool = False,
    ) -> Self:
        """Make a data set from images (N, H, W), with one channel, or (N, H·W) of squares, and labels (N,).

        Images with three channels (N, H, W, 3) are read as gray, unless `color`.
        Pixels are bytes, or bytes divided by 255 or 256; other floats are rejected, not rounded. Integers up to 16 are
        scaled to 0 … 255. Labels are numbers of `classes`. Without `classes` they are integers or names, and the
        classes are the values found, in order; of images in MNIST's form, the ten digits.
        """
        pixels, scale = _as_bytes(np.asarray(images), name)
        if pixels.ndim == 4 and 1 in (pixels.shape[1], pixels.shape[3]):  # one channel, as in PyTorch and in Keras
            pixels = pixels.squeeze(1 if pixels.shape[1] == 1 else 3)
        note = ""
        if is_color(pixels) and not color:
            pixels, note = as_gray(pixels), COLORS_DROPPED
        elif pixels.ndim == 4 and pixels.shape[1] == 3 != pixels.shape[3]:
            rule = "the channels must be last, (N, H, W, 3)"
            raise DataError(f"{name}: {rule}, got {pixels.shape}: use X.transpose(0, 2, 3, 1)")
        if pixels.ndim == 2:
            side = round(pixels.shape[1] ** 0.5)
            if side * side != pixels.shape[1]:
                raise DataError(f"{name}: a row must hold the pixels of a square, got {pixels.shape[1]} columns")
            pixels = pixels.reshape(len(pixels), side, side)
        values = _as_labels(np.asarray(labels), name)
        if classes is None and values.shape == (len(pixels),):
            values, classes = class_numbers(values, pixels, name)
        return cls(pixels, values, classes=classes or DIGITS, name=name, scale=scale, note=note)

    @classmethod
    def from_frame(cls, frame: Any, *, name: str = "frame") -> Self:
        """Make a data set from a pandas data frame: a column per pixel, and one for the labels.

        That is `label`, `class`, `target`, `y` or `digit`, or else the first or the last column.
        """
        columns = list(frame.columns)
        if len(columns) > 1 and all(isinstance(c, str) and _is_number(c) for c in columns):
            names = ", ".join(columns[:3])
            hint = "so the first image was read as a header; read the file with header=None"
            raise DataError(f"{name}: the column names are numbers ({names}, …), {hint}")
        place = label_column_named(columns, name)
        if place is None:
            first, last = (set(frame.iloc[:, column].astype(str)) for column in (0, -1))
            place = first_or_last(first, last, len(frame), name)
        labels = frame.iloc[:, place].to_numpy()
        return cls.from_arrays(np.delete(frame.to_numpy(), place, axis=1).astype(float), labels, name=name)

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
    def shape(self) -> tuple[int, ...]:
        """Height and width of an image, and for color its 3 channels."""
        return self.images.shape[1:]

    @functools.cached_property
    def has_mnist_form(self) -> bool:
        """True if the images have MNIST's form, as handwriting that was normalized has."""
        return has_mnist_form(self.images)

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of the shape, the images and the labels."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        size = "×".join(map(str, self.shape))
        return f"<Dataset {self.name}: {len(self):,} images of {size}, {len(self.classes)} classes>"

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
        height, width, *channels = self.shape
        rows = min(len(self.classes), SHEET_ROWS)
        sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *channels), 40, np.uint8)
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

    def renamed(self, name: str) -> "TrainTest":
        """Return the same data set with another name."""
        return TrainTest(self.train.renamed(name), self.test.renamed(name), self.source)

    def __iter__(self) -> Iterator[Dataset]:
        yield self.train
        yield self.test

    def __str__(self) -> str:
        return f"{self.name}: {len(self.train):,} to train on, {len(self.test):,} to test; {self.source}"

    def __repr__(self) -> str:
        return f"<TrainTest {self}>"

    def _repr_html_(self) -> str:
        return self.train._repr_html_() + self.test._repr_html_()


def check_dataset(data: object, rule: str = "a Dataset", hint: str = "") -> Dataset:
    """Return `data`, or raise an error if it is not a data set."""
    if isinstance(data, TrainTest):
        raise UsageError(f"data must be {rule}, got a TrainTest: pass its .train or its .test")
    if not isinstance(data, Dataset):
        hint = ": use byhand.load(data).train" if hasattr(data, "columns") else hint
        raise UsageError(f"data must be {rule}, got {short_repr(data)}{hint}")
    return data


def check_labels(labels: Array, classes: Sequence[str], where: str) -> None:
    """Raise an error for the first label that is not the index of a class."""
    if labels.size and (labels.min() < 0 or labels.max() >= len(classes)):
        wrong = int(np.flatnonzero((labels < 0) | (labels >= len(classes)))[0])
        raise DataError(f"{where}: labels must be 0 to {len(classes) - 1}, got {labels[wrong]} at index {wrong}")


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
        rule = "pixels must be 0 to 255, or floats from 0 to 1"
        raise DataError(f"{name}: {rule}, got {low:g} to {high:g}; {ON_FLOATS}")
    if values.dtype.kind == "f" and high <= 1:
        for scale in (255, 256):
            if (pixels := _whole(values * values.dtype.type(scale))) is not None:
                return pixels, scale
        rule = "floats from 0 to 1 must be whole bytes divided by 255 or 256"
        raise DataError(f"{name}: {rule}, but some are neither; {ON_FLOATS}")
    if (pixels := _whole(values)) is None:
        rule = f"pixels from 0 to {high:g} must be integers"
        raise DataError(f"{name}: {rule}, but some have a fraction; {ON_FLOATS}")
    if 1 < high <= LOW_RANGE:  # as in scikit-learn's `load_digits`
        return np.rint(pixels * (SCALE / LOW_RANGE)).astype(np.uint8), SCALE
    return pixels, SCALE


def _whole(values: Array) -> Bytes | None:
    """Return `values` as bytes, or None if they are not integers up to float32 rounding."""
    rounded = np.rint(values) if values.dtype.kind == "f" else values
    if rounded.max() > 255 or np.abs(values - rounded).max() > 1e-3:
        return None
    return rounded.astype(np.uint8)


def _as_labels(labels: Array, name: str) -> Array:
    """Return integer or text labels (N,) from integers, whole floats, booleans or texts, (N,) or (N, 1)."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind in "OSU":
        try:
            labels = np.char.strip(labels.astype(str))
        except ValueError:
            raise DataError(f"{name}: labels must be Unicode text, but some can't be decoded") from None
        if missing := np.isin(labels, ("", "nan", "None", "<NA>")).sum():
            raise DataError(f"{name}: every label must have a value, {counted(int(missing), 'label')} have none")
        with contextlib.suppress(ValueError, OverflowError):
            labels = labels.astype(np.float64)  # whole numbers that came as text, as OpenML's do
    is_whole = labels.dtype.kind == "f" and np.isfinite(labels).all() and (labels == np.rint(labels)).all()
    return labels.astype(np.int64) if is_whole or labels.dtype.kind == "b" else labels


def class_numbers(labels: npt.NDArray[Any], images: Bytes, name: str) -> tuple[Integers, tuple[str, ...]]:
    """Return the class index of each label, and the class names: the distinct labels, sorted.

    Images in MNIST's form with labels from 0 to 9 get all ten digits as classes, even if some don't occur.
    """
    if labels.dtype.kind not in "iuU":
        raise DataError(f"{name}: labels must be integers or names, got {labels.dtype}")
    values, numbers = np.unique(labels, return_inverse=True)
    if values.dtype.kind in "iu" and values[0] >= 0 and values[-1] < len(DIGITS) and has_mnist_form(images):
        return labels.astype(np.int64), DIGITS
    if len(values) > MANY_CLASSES and 2 * len(values) > len(labels):
        raise DataError(f"{name}: labels must be classes, got {len(values):,} values for {len(labels):,} images")
    return numbers.astype(np.int64), tuple(map(str, values.tolist()))


def label_column_named(columns: Sequence[Any], name: str) -> int | None:
    """Return the index of the column whose name marks it as the labels, or None."""
    places = [i for i, column in enumerate(columns) if str(column).strip().lower() in LABEL_COLUMNS]
    if len(places) > 1:
        raise DataError(f"{name}: must have one column of labels, got {', '.join(str(columns[i]) for i in places)}")
    return places[0] if places else None


def first_or_last(first: set[str], last: set[str], rows: int, name: str) -> int:
    """Return the index of the label column, 0 or -1, given the distinct values of the first and the last column.

    Labels are names, or vary and are dense: 0, 1, 2, …. A pixel at the border is mostly constant.
    """
    ranks = [_label_rank(values) for values in (first, last)]
    if ranks == [0, 0]:
        raise DataError(f"{name}: there must be at least two classes, but the first and the last column are constant")
    hint = "name it `label` in a header line"
    if ranks[0] == ranks[1]:
        raise DataError(f"{name}: the first and the last column could both hold the labels: {hint}")
    place = 0 if ranks[0] > ranks[1] else -1
    if (count := len((first, last)[place])) > max(rows // 2, FEW_CLASSES):
        places = ("first", "last") if place == 0 else ("last", "first")
        got = f"the {places[1]} column is constant or has no labels, the {places[0]} has {count} values in {rows} rows"
        raise DataError(f"{name}: no column of labels found: {got}; {hint}")
    return place


def _label_rank(values: set[str]) -> int:
    """Return 3 for names, 2 for dense integers such as 0, 1, 2, …, 1 for other numbers, and 0 for a constant column.

    A few values that are not numbers count as damaged numbers.
    """
    numbers = sorted(float(value) for value in values if _is_number(value) and math.isfinite(float(value)))
    if len(values) < 2:
        return 0
    if 2 * len(numbers) < len(values):
        return 3
    is_dense = all(number == int(number) for number in numbers) and numbers[-1] - numbers[0] < 2 * len(numbers)
    return 1 + is_dense


def common_classes(parts: Sequence[Dataset]) -> list[Dataset]:
    """Return data sets with the same classes: those of all labels together, in order."""
    names = dict.fromkeys(name for part in parts for name in part.classes)
    if len({part.classes for part in parts}) > 1:
        are_numbers = all(map(_is_number, names))
        names = dict.fromkeys(sorted(names, key=lambda name: (float(name) if are_numbers else 0.0, name)))
    return [part if part.classes == tuple(names) else part.with_classes(tuple(names)) for part in parts]


def is_color(images: Array) -> bool:
    """Return True for images with three channels, (N, H, W, 3)."""
    return images.ndim == 4 and images.shape[3] == 3


def as_gray(images: Bytes) -> Bytes:
    """Return the brightness of color images, as Pillow computes it    uint8 (…, 3) → (…)"""
    weights = np.array([19595, 38470, 7471], np.uint32)
    gray: Bytes = ((images @ weights + 32768) >> 16).astype(np.uint8)
    return gray


def has_mnist_form(images: Bytes) -> bool:
    """Return True if nine of ten images have MNIST's form: light ink in a box of 20 × 20, centered by its mass."""
    if images.shape[1:] != (28, 28):
        return False
    some = images[:: -(-len(images) // 500)].astype(np.float64)
    some = some[some.any(axis=(1, 2))]
    is_ink = 4 * some >= some.max(axis=(1, 2), keepdims=True)
    sides, centers = [], []
    for axis in (1, 2):
        lines = is_ink.any(axis=axis)
        sides.append(28 - lines.argmax(axis=1) - lines[:, ::-1].argmax(axis=1))
        centers.append(some.sum(axis=axis) @ np.arange(28) / some.sum(axis=(1, 2)))
    longest = np.maximum(*sides)
    fits = (longest >= 17) & (longest <= 20) & (np.abs(np.array(centers) - 14) < 1).all(axis=0)
    return bool(len(some)) and bool(fits.mean() > 0.9)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
