"""Readers of Keras's `mnist.npz`, of .npy files, and of the old pickle `mnist.pkl.gz`, safe for untrusted files.

    mnist.npz       a zip of four arrays, `x_train`, `y_train`, `x_test` and `y_test`; or of two, such as `X` and `y`
    X.npy, y.npy    images and labels, one array per file
    mnist.pkl.gz    three pairs (images, labels), 50,000 + 10,000 + 10,000, floats of byte / 256

Sizes are checked against the number of bytes before memory is allocated. A pickle is a program: only instructions
that describe NumPy arrays in tuples are accepted, and no name in it is imported or called.
"""

import contextlib
import io
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from byhand.data import formats
from byhand.data.dataset import Array, Dataset, common_classes
from byhand.data.formats import read_all
from byhand.errors import DataError
from byhand.files import replacing
from byhand.text import printable

Named = TypeVar("Named")

#: Labels may be names.
TEXTS = re.compile(r"[<>]U[1-9]\d{0,2}|\|S[1-9]\d{0,2}")
NUMBERS = re.compile(r"[<>|=]?(?:[iu][1248]|f[248])|\|b1")


def array_of(where: str, content: bytes, start: int, dtype: np.dtype[Any], shape: Any, fortran: bool) -> Array:
    """Return the array in `content` from `start` on, which must have the right size."""
    if not isinstance(shape, tuple) or len(shape) > 4 or not all(type(n) is int and n >= 0 for n in shape):
        raise DataError(f"{where}: the shape of an array must be at most four integers")
    size, available = prod(shape) * dtype.itemsize, len(content) - start
    if size != available:
        raise DataError(f"{where}: an array of {shape} {dtype} must have {size:,} bytes, got {max(available, 0):,}")
    return np.frombuffer(content, dtype, prod(shape), start).reshape(shape, order="F" if fortran else "C")


MEMBERS = ("x_train", "y_train", "x_test", "y_test")
#: The names of the classes, if the labels are their numbers.
CLASSES = "byhand_classes"


def read_npz(path: Path, *, color: bool = False) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of an npz file: Keras's four arrays, or two named as .npy files."""
    names: list[str] = list(MEMBERS)
    # `npz_arrays` reports a damaged file.
    with contextlib.suppress(Exception), zipfile.ZipFile(io.BytesIO(read_all(path))) as archive:
        inside = {name.removesuffix(".npy").lower(): name.removesuffix(".npy") for name in archive.namelist()}
        if (found := _pairs_named(inside)) and not {"x_test", "y_test"} & inside.keys():
            names = list(found[0].values())
        names += [CLASSES] if CLASSES in inside else []
    arrays = npz_arrays(path, names)
    classes = arrays.pop().astype(str).tolist() if names[-1] == CLASSES else None
    train, *test = (
        Dataset.from_arrays(*pair, classes=classes, name=f"{path}: {part}", color=color)
        for part, pair in (("train", arrays[:2]), ("test", arrays[2:]))
        if pair
    )
    return train, test[0] if test else None


def write_npz(path: Path, train: Dataset, test: Dataset) -> None:
    """Write a data set with the names of its classes, which `read_npz` reads with the same checksums."""
    values = train.images, train.labels, test.images, test.labels, np.array(train.classes)
    arrays: Any = dict(zip((*MEMBERS, CLASSES), values, strict=True))
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)


def npz_arrays(path: Path, names: Sequence[str]) -> list[Array]:
    """Return these arrays of an .npz file: images and labels in turn."""
    try:
        # From memory: from a file, zipfile allocates the sizes in the directory, which can be wrong.
        with zipfile.ZipFile(io.BytesIO(read_all(path))) as archive:
            missing = [name for name in names if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise DataError(f"{path}: must contain {', '.join(names)}; missing: {', '.join(missing)}")
            claimed = sum(archive.getinfo(f"{name}.npy").file_size for name in names)
            if claimed > formats.CEILING:
                raise DataError(f"{path}: must have at most {formats.CEILING:,} bytes uncompressed, claims {claimed:,}")
            return [
                _member(f"{path}: {name}", archive, f"{name}.npy", may_be_text=i % 2 == 1 or name == CLASSES)
                for i, name in enumerate(names)
            ]
    except DataError:
        raise
    except Exception as error:  # zipfile and zlib fail in many ways on damaged files
        raise DataError(f"{path}: damaged zip file: {printable(error) or 'unexpected end'}") from None


#: The names of two .npy files that belong together: images and labels.
NPY_PAIRS = (("x", "y"), ("images", "labels"), ("data", "labels"), ("data", "target"))
#: The names of the two files in a training set, or of the only ones.
NPY_FORMS = ("{}_train", "train_{}", "{}")


def find_npy(folder: Path) -> list[dict[str, Path]]:
    """Return the data sets of .npy files in a folder: `images`, `labels`, and possibly `test_images`, `test_labels`."""
    return _pairs_named({path.stem.lower(): path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".npy"})


def _pairs_named(inside: Mapping[str, Named]) -> list[dict[str, Named]]:
    """Return the values of each data set among these names, under the keys of `find_npy`."""
    found = []
    for form in NPY_FORMS:
        for names in NPY_PAIRS:
            wanted = [form.format(name) for name in names]
            tests = [name.replace("train", "test") for name in wanted]
            if all(name in inside for name in wanted):
                files = dict(zip(("images", "labels"), [inside[name] for name in wanted], strict=True))
                if tests != wanted and all(name in inside for name in tests):
                    files |= dict(zip(("test_images", "test_labels"), [inside[name] for name in tests], strict=True))
                found.append(files)
    return found


def read_npy(files: dict[str, Path], *, color: bool = False) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of .npy files, as `find_npy` returns them."""

    def part(images: str, labels: str) -> Dataset:
        pixels = npy_array(str(files[images]), read_all(files[images]), may_be_text=False)
        names = npy_array(str(files[labels]), read_all(files[labels]), may_be_text=True)
        return Dataset.from_arrays(pixels, names, name=str(files[images]), color=color)

    return part("images", "labels"), part("test_images", "test_labels") if "test_images" in files else None


def _member(where: str, archive: zipfile.ZipFile, member: str, *, may_be_text: bool) -> Array:
    """Return the array of one .npy file."""
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{where}: must be stored or deflated, got compression method {info.compress_type}")
    with archive.open(info) as file:  # in pieces: the size in the zip's directory can be wrong
        content = b"".join(iter(lambda: file.read(1 << 20), b""))
    return npy_array(where, content, may_be_text=may_be_text)


def npy_array(where: str, content: bytes, *, may_be_text: bool) -> Array:
    """Return the array in the content of a .npy file."""
    npy = io.BytesIO(content)
    try:
        with warnings.catch_warnings(action="ignore"):  # about headers written by Python 2
            is_first_version = np.lib.format.read_magic(npy) == (1, 0)
            read_header = getattr(np.lib.format, f"read_array_header_{1 if is_first_version else 2}_0")
            shape, fortran, dtype = read_header(npy)
    except Exception as error:  # NumPy fails in many ways on damaged headers
        raise DataError(f"{where}: invalid .npy header: {printable(error)}") from None
    is_text = may_be_text and TEXTS.fullmatch(dtype.str)
    if not is_text and not NUMBERS.fullmatch(dtype.str):
        raise DataError(f"{where}: must contain plain numbers, got {dtype.str}")
    return array_of(where, content, npy.tell(), dtype, shape, fortran)


MAX_INSTRUCTIONS = 10_000  # the original file has about 150


def read_pickle(path: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of a pickle; the first two of three sets are joined."""
    sets = common_classes([Dataset.from_arrays(*pair, name=str(path)) for pair in _pairs(path, read_all(path))])
    if len({(part.shape, part.scale) for part in sets}) > 1:
        got = ", ".join(f"{part.shape[0]}×{part.shape[1]}, 1/{part.scale}" for part in sets)
        raise DataError(f"{path}: all images must have the same size and scale, got {got}")
    if len(sets) == 3:
        training, validation, test = sets
        images = np.concatenate([training.images, validation.images])
        labels = np.concatenate([training.labels, validation.labels])
        return Dataset(images, labels, classes=training.classes, name=str(path), scale=training.scale), test
    return sets[0], sets[1] if len(sets) == 2 else None


def _pairs(path: Path, content: bytes) -> list[tuple[Array, Array]]:
    """Return the one to three pairs (images, labels) in a pickle."""
    try:
        _check_instructions(path, content)
        result = _Unpickler(path, content).load()
        items = result if isinstance(result, tuple | list) and len(result) <= 3 else ()
        pairs = []
        for item in items:  # no recursion: a pickle can be nested in itself
            match item:
                case [_Array() as images, _Array() as labels]:
                    pairs.append((images.value(str(path)), labels.value(str(path))))
    except DataError:
        raise
    except Exception as error:  # an instruction may get operands of any type
        raise DataError(f"{path}: damaged pickle: {printable(error) or 'unexpected end'}") from None
    if not pairs or len(pairs) < len(result):
        raise DataError(f"{path}: the pickle must contain one to three pairs (images, labels), found something else")
    return pairs


def _check_instructions(path: Path, content: bytes) -> None:
    """Raise an error for instructions that don't describe arrays, too many of them, or a huge memo."""
    with warnings.catch_warnings(action="ignore"):  # about invalid escapes in a name
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content), start=1):
            if count > MAX_INSTRUCTIONS:
                rule = f"must have at most {MAX_INSTRUCTIONS:,} instructions, got more"
                raise DataError(f"{path}: the pickle {rule}")
            if opcode.name not in _INSTRUCTIONS:
                raise DataError(f"{path}: the pickle must contain only arrays, found {opcode.name}; nothing was run")
            if "PUT" in opcode.name and (argument or 0) > MAX_INSTRUCTIONS:  # pickle allocates a memo of this length
                raise ValueError(f"an index of the memo must be at most {MAX_INSTRUCTIONS:,}, got {argument:,}")


class _Unpickler(pickle.Unpickler):
    """Python's unpickler, restricted to the names in `_NAMES`."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if full_name not in _NAMES:
            found = printable(full_name)
            raise DataError(f"{self.path}: the pickle must contain only arrays, found {found}; nothing was run")
        return _NAMES[full_name]


class _Type:
    """A pickled dtype: a code, then the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not NUMBERS.fullmatch(code):
            raise ValueError(f"arrays must contain plain numbers, not {code if isinstance(code, str) else type(code)}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError("a byte order must be <, >, | or =")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Encoded:
    """Bytes stored as text; encoded lazily, because a pickle can refer to a text many times."""

    def __init__(self, text: str, encoding: str) -> None:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError("text must be latin1")
        self.text = text


class _Array:
    """A pickled array, described by arguments or by a state."""

    def __init__(self, raw: Any = None, dtype: Any = None, shape: Any = None, order: Any = "C") -> None:
        self.raw, self.dtype, self.shape, self.fortran = raw, dtype, shape, order == "F"

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.fortran, self.raw = state

    def value(self, where: str) -> Array:
        raw = self.raw.text if isinstance(self.raw, _Encoded) else self.raw
        content = raw.encode("latin1") if isinstance(raw, str) else raw
        return array_of(where, content, 0, self.dtype.dtype, self.shape, bool(self.fortran))


_NAMES: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.numeric._frombuffer": _Array,
    "numpy.ndarray": None,
    "numpy.dtype": _Type,
    "_codecs.encode": _Encoded,
}
_INSTRUCTIONS = {
    "PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "EMPTY_LIST", "LIST", "APPEND", "APPENDS",
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
