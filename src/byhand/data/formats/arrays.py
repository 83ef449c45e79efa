"""Arrays in a file: Keras's `mnist.npz` and the old pickle `mnist.pkl.gz`, read without running or trusting anything.

    mnist.npz       a zip of four arrays, `x_train`, `y_train`, `x_test` and `y_test`
    mnist.pkl.gz    three pairs (images, labels), 50,000 + 10,000 + 10,000, floats of byte / 256

Both describe arrays by dtype and shape. A description is checked against the bytes that are really there before
anything is allocated, and only plain numbers are accepted. A pickle is a small program, and running it can do anything:
here every step must be one that describes NumPy arrays in tuples (as Python 2 or 3 wrote them), and each name in it
stands for a description. Nothing that the pickle names is imported or called.
"""

import io
import pickle
import pickletools
import re
import warnings
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.data import formats
from byhand.data.dataset import Dataset
from byhand.data.formats import read_all
from byhand.errors import DataError
from byhand.text import printable

Array = npt.NDArray[Any]

NUMBERS = re.compile(r"[<>|=]?(?:[iu][1248]|f[248])|\|b1")


def array_of(where: str, content: bytes, start: int, dtype: np.dtype[Any], shape: Any, fortran: bool) -> Array:
    """Return the array that `content` holds from `start` on, if it has just as many bytes as dtype and shape say."""
    if not isinstance(shape, tuple) or len(shape) > 4 or not all(type(n) is int and n >= 0 for n in shape):
        raise DataError(f"{where}: the shape of an array must be at most four whole numbers")
    room = len(content) - start
    if prod(shape) * dtype.itemsize != room:
        raise DataError(f"{where}: an array of {shape} {dtype} has {max(room, 0):,} bytes, which doesn't fit")
    return np.frombuffer(content, dtype, prod(shape), start).reshape(shape, order="F" if fortran else "C")


# ---- mnist.npz

MEMBERS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of `mnist.npz`."""
    x_train, y_train, x_test, y_test = _members(path)
    train = Dataset.from_arrays(x_train, y_train, name=f"{path}: train")
    test = Dataset.from_arrays(x_test, y_test, name=f"{path}: test")
    return train, test


def _members(path: Path) -> list[Array]:
    try:
        # A zip is read from memory: of a file, the module would allocate what the zip's directory claims.
        with zipfile.ZipFile(io.BytesIO(read_all(path))) as archive:
            missing = [name for name in MEMBERS if f"{name}.npy" not in archive.namelist()]
            if missing:
                raise DataError(f"{path}: must hold {', '.join(MEMBERS)}, {', '.join(missing)} is missing")
            claimed = sum(archive.getinfo(f"{name}.npy").file_size for name in MEMBERS)
            if claimed > formats.CEILING:
                raise DataError(f"{path}: must hold at most {formats.CEILING:,} bytes unpacked, claims {claimed:,}")
            return [_member(f"{path}: {name}", archive, f"{name}.npy") for name in MEMBERS]
    except DataError:
        raise
    except Exception as error:  # zipfile and zlib fail in many ways on damaged files
        reason = printable(error) or "it ends early"
        raise DataError(f"{path}: the zip must be undamaged: {reason}") from None


def _member(where: str, archive: zipfile.ZipFile, member: str) -> Array:
    """Return the array of one .npy."""
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{where}: must be stored or deflated, is packed by method {info.compress_type}")
    with archive.open(info) as file:  # piece by piece: the size that the zip claims is never allocated
        content = b"".join(iter(lambda: file.read(1 << 20), b""))
    npy = io.BytesIO(content)
    try:
        with warnings.catch_warnings(action="ignore"):  # about a header that Python 2 wrote
            is_first_version = np.lib.format.read_magic(npy) == (1, 0)
            read_header = getattr(np.lib.format, f"read_array_header_{1 if is_first_version else 2}_0")
            shape, fortran, dtype = read_header(npy)
    except Exception as error:  # NumPy fails in many ways on damaged headers
        raise DataError(f"{where}: must begin with a header as .npy does: {printable(error)}") from None
    if not NUMBERS.fullmatch(dtype.str):
        raise DataError(f"{where}: must hold plain numbers, holds {dtype.str}")
    return array_of(where, content, npy.tell(), dtype, shape, fortran)


# ---- mnist.pkl.gz

MOST_STEPS = 10_000  # the real file takes about 150


def read_pickle(path: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of one to three sets; of three, the first two make the training set."""
    sets = [Dataset.from_arrays(*pair, name=str(path)) for pair in _pairs(path, read_all(path))]
    if len({(part.shape, part.scale) for part in sets}) > 1:
        got = ", ".join(f"{part.shape[0]}×{part.shape[1]}, 1/{part.scale}" for part in sets)
        raise DataError(f"{path}: all images must be of one size and scale, got {got}")
    if len(sets) == 3:
        training, validation, test = sets
        images = np.concatenate([training.images, validation.images])
        labels = np.concatenate([training.labels, validation.labels])
        return Dataset(images, labels, name=str(path), scale=training.scale), test
    return sets[0], sets[1] if len(sets) == 2 else None


def _pairs(path: Path, content: bytes) -> list[tuple[Array, Array]]:
    """Return the one to three pairs of arrays that the pickle describes."""
    try:
        _check_steps(path, content)
        result = _Unpickler(path, content).load()
        items = result if isinstance(result, tuple | list) and len(result) <= 3 else ()
        pairs = []
        for item in items:  # no deeper, so that a pickle can't wind itself up
            match item:
                case [_Array() as images, _Array() as labels]:
                    pairs.append((images.value(str(path)), labels.value(str(path))))
    except DataError:
        raise
    except Exception as error:  # a step may meet anything in the place of what it needs
        reason = printable(error) or "it ends early"
        raise DataError(f"{path}: the pickle must be whole and in order: {reason}") from None
    if not pairs or len(pairs) < len(result):
        raise DataError(f"{path}: the pickle must hold one to three pairs (images, labels), it holds something else")
    return pairs


def _check_steps(path: Path, content: bytes) -> None:
    """Reject a pickle with a step that describes no arrays, or with a length or a number that is too large."""
    with warnings.catch_warnings(action="ignore"):  # about odd escapes in a name: it will be a wrong name
        for count, (opcode, argument, _) in enumerate(pickletools.genops(content), start=1):
            if count > MOST_STEPS:
                raise DataError(f"{path}: the pickle must have at most {MOST_STEPS:,} steps, it has more")
            if opcode.name not in _STEPS:
                raise DataError(
                    f"{path}: the pickle must hold arrays only, it has a step {opcode.name}; nothing was run"
                )
            if "PUT" in opcode.name and (argument or 0) > MOST_STEPS:  # pickle would allocate a memo of this length
                raise ValueError(f"a place in the memo must be at most {MOST_STEPS:,}, got {argument:,}")


class _Unpickler(pickle.Unpickler):
    """Python's own unpickler, in which every name stands for a description; what is not named here is rejected."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}".replace("numpy._core.", "numpy.core.")
        if full_name not in _NAMES:
            asked = printable(full_name)
            raise DataError(f"{self.path}: the pickle must hold arrays only, it asks for {asked}; nothing was run")
        return _NAMES[full_name]


class _Type:
    """A dtype as a pickle describes it: a code, then the byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not NUMBERS.fullmatch(code):
            raise ValueError(f"arrays must hold plain numbers, not {code if isinstance(code, str) else type(code)}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise ValueError("a byte order must be <, >, | or =")
        self.dtype = self.dtype.newbyteorder(state[1])


class _Encoded:
    """Bytes that a pickle describes as a text. They are made for an array only: a text may be named many times."""

    def __init__(self, text: str, encoding: str) -> None:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError("text must be latin1")
        self.text = text


class _Array:
    """An array as a pickle describes it, at once or by a state that follows."""

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
_STEPS = {
    "PROTO", "FRAME", "STOP", "MARK", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET",
    "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "EMPTY_LIST", "LIST", "APPEND", "APPENDS",
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
