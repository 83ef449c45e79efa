"""Arrays in a file: Keras's `mnist.npz` and the old pickle `mnist.pkl.gz`, read without running or trusting anything.

    mnist.npz       a zip of four arrays, `x_train`, `y_train`, `x_test` and `y_test`
    mnist.pkl.gz    three pairs (images, labels), 50,000 + 10,000 + 10,000, floats of byte / 256

Both describe arrays by dtype and shape. A description is checked against the bytes that are really there before
anything is allocated, and only plain numbers are accepted. A pickle is a small program, and running it can do anything:
`_Steps` reads the program step by step, understands the steps that describe NumPy arrays in tuples (as Python 2 or 3
wrote them), and rejects all others. Nothing is run.
"""

import ast
import io
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
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
        raise ValueError("a shape must be whole numbers")
    room = len(content) - start
    if prod(shape) * dtype.itemsize != room:
        raise DataError(f"{where}: an array of {shape} {dtype} has {max(room, 0):,} bytes, which doesn't fit")
    return np.frombuffer(content, dtype, prod(shape), start).reshape(shape, order="F" if fortran else "C")


# ---- mnist.npz

MEMBERS = ("x_train", "y_train", "x_test", "y_test")
NPY_MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError, OverflowError, LookupError
)  # fmt: skip


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
    except _DAMAGE as error:
        reason = printable(error) or "it ends early"
        raise DataError(f"{path}: the zip must be undamaged: {reason}") from None


def _member(where: str, archive: zipfile.ZipFile, member: str) -> Array:
    """Return the array of one .npy: magic, version, length of the header, the header, the numbers."""
    info = archive.getinfo(member)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{where}: must be stored or deflated, is packed by method {info.compress_type}")
    with archive.open(info) as file:  # piece by piece: the size that the zip claims is never allocated
        content = b"".join(iter(lambda: file.read(1 << 20), b""))
    if content[:6] != NPY_MAGIC or len(content) < 12:
        raise DataError(f"{where}: must begin as .npy does, got {content[:6].hex(' ') or 'nothing'}")
    width = 2 if content[6] == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    header = content[8 + width : start]
    if len(header) > LONGEST_HEADER:
        raise DataError(f"{where}: the header must be at most {LONGEST_HEADER:,} bytes, claims {len(header):,}")
    try:
        fields = ast.literal_eval(header.decode("latin1").strip())
        code, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
        if not isinstance(code, str) or not isinstance(fortran, bool):
            raise ValueError
        if not NUMBERS.fullmatch(code):
            raise DataError(f"{where}: must hold plain numbers, holds {printable(code)}")
        return array_of(where, content, start, np.dtype(code), shape, fortran)
    except DataError:
        raise
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        got = printable(header[:60].decode("latin1"))
        raise DataError(f"{where}: the header must tell dtype, order and shape, got {got}") from None


# ---- mnist.pkl.gz

MOST_STEPS = 10_000  # the real file takes about 150


def read_pickle(path: Path) -> tuple[Dataset, Dataset | None]:
    """Return the training set and the test set of one to three sets; of three, the first two make the training set."""
    pairs = _pairs(path, _Steps(path).read(read_all(path)))
    sets = [Dataset.from_arrays(images, labels, name=str(path)) for images, labels in pairs]
    if len({(part.shape, part.scale) for part in sets}) > 1:
        got = ", ".join(f"{part.shape[0]}×{part.shape[1]}, 1/{part.scale}" for part in sets)
        raise DataError(f"{path}: all images must be of one size and scale, got {got}")
    if len(sets) == 3:
        training, validation, test = sets
        images = np.concatenate([training.images, validation.images])
        labels = np.concatenate([training.labels, validation.labels])
        return Dataset(images, labels, name=str(path), scale=training.scale), test
    return sets[0], sets[1] if len(sets) == 2 else None


def _pairs(path: Path, result: Any) -> list[tuple[Array, Array]]:
    """Return the arrays of one to three pairs; no deeper, so that a pickle can't wind itself up."""
    pairs = []
    for item in result if isinstance(result, tuple | list) and len(result) <= 3 else ():
        match item:
            case [_Build(value=np.ndarray() as images), _Build(value=np.ndarray() as labels)]:
                pairs.append((images, labels))
    if not pairs or len(pairs) < len(result):
        raise DataError(f"{path}: the pickle must hold one to three pairs (images, labels), it holds something else")
    return pairs


class _Name(str):
    """A thing that the pickle names, like `numpy.dtype`; only its name, never the thing."""


class _Build:
    """An array or a dtype between its making and the step that fills it in: `of` is "array" or "dtype"."""

    def __init__(self, of: str, value: Any = None) -> None:
        self.of, self.value = of, value


class _Steps:
    """Reads the steps of one pickle. The stack and the memo are the pickle's own; no step calls anything it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.marks: list[int] = []  # where tuples and lists of any length begin on the stack
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def read(self, content: bytes) -> Any:
        """Return what the pickle describes."""
        try:
            with warnings.catch_warnings(action="ignore"):  # about odd escapes in a name: it will be a wrong name
                for step, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
                    if opcode.name == "STOP":
                        return self.stack.pop()
                    if step == MOST_STEPS:
                        raise DataError(f"{self.path}: the pickle must have at most {MOST_STEPS:,} steps, it has more")
                    self._take(opcode.name, argument)
            raise ValueError("it has no end")
        except DataError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
            reason = printable(error) or "it ends early"
            raise DataError(f"{self.path}: the pickle must be whole and in order: {reason}") from None

    def _take(self, name: str, argument: Any) -> None:
        """Take one step."""
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "PUT" | "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._pop(0 if name == "EMPTY_TUPLE" else int(name[-1]))))
            case "EMPTY_LIST" | "LIST" | "TUPLE":
                items = [] if name == "EMPTY_LIST" else self._pop_to_mark()
                stack.append(tuple(items) if name == "TUPLE" else items)
            case "APPEND" | "APPENDS":
                items = self._pop(1) if name == "APPEND" else self._pop_to_mark()
                stack[-1].extend(items)
            case "GLOBAL" | "STACK_GLOBAL":
                self._name(argument.split(" ", 1) if name == "GLOBAL" else self._pop(2))
            case "REDUCE":
                stack.append(self._called(*self._pop(2)))
            case "BUILD":
                (state,) = self._pop(1)
                self._fill_in(stack[-1], state)
            case _ if name in _VALUES:
                stack.append(_CONSTANTS.get(name, argument))
            case _:
                raise DataError(f"{self.path}: the pickle must hold arrays only, it has a step {name}; nothing was run")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("a step takes more than there is")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def _pop_to_mark(self) -> list[Any]:
        return self._pop(max(len(self.stack) - self.marks.pop(), 0))

    def _name(self, parts: list[Any]) -> None:
        name = ".".join(map(str, parts)).replace("numpy._core.", "numpy.core.")
        if name not in _ALLOWED:
            named = printable(name)
            raise DataError(f"{self.path}: the pickle must hold arrays only, it asks for {named}; nothing was run")
        self.stack.append(_Name(name))

    def _called(self, called: Any, arguments: Any) -> Any:
        """Return what a call of an allowed name would give, made here."""
        if not isinstance(called, _Name):
            raise TypeError("it calls what is not a name")
        if called == "numpy.core.multiarray._reconstruct":
            return _Build("array")
        if called == "numpy.dtype":
            code = str(arguments[0])
            if not NUMBERS.fullmatch(code):
                raise ValueError(f"arrays must hold plain numbers, not {code[:20]!r}")
            return _Build("dtype", np.dtype(code))
        if called == "numpy.core.numeric._frombuffer":
            raw, dtype, shape, order = arguments
            return _Build("array", self._array(raw, dtype, shape, order == "F"))
        if called == "_codecs.encode":
            text, encoding = arguments
            if encoding not in ("latin1", "latin-1"):
                raise ValueError("text must be latin1")
            return self._encoded(text)
        raise TypeError(f"it calls {called}")

    def _fill_in(self, thing: Any, state: Any) -> None:
        """Fill in the second half of an array or a dtype: shape and bytes, or the byte order."""
        if not isinstance(thing, _Build):
            raise TypeError("it fills in what is neither array nor dtype")
        if thing.of == "dtype":
            thing.value = thing.value.newbyteorder({"<": "<", ">": ">", "|": "|", "=": "="}[state[1]])
        else:
            _, shape, dtype, fortran, raw = state
            thing.value = self._array(raw, dtype, shape, bool(fortran))

    def _encoded(self, text: str) -> bytes:
        """Return the bytes of a text. A small file can name one large text many times, so all are counted."""
        self.encoded += len(text)
        if self.encoded > formats.CEILING:
            raise ValueError(f"text must be at most {formats.CEILING:,} letters in all")
        return text.encode("latin1")

    def _array(self, raw: Any, dtype: Any, shape: Any, fortran: bool) -> Array:
        data = self._encoded(raw) if isinstance(raw, str) else raw
        return array_of(str(self.path), data, 0, dtype.value, shape, fortran)


_ALLOWED = {
    "numpy.core.multiarray._reconstruct", "numpy.core.numeric._frombuffer", "numpy.ndarray", "numpy.dtype",
    "_codecs.encode",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *_CONSTANTS,
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
