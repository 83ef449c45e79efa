"""The old pickle, `mnist.pkl.gz`: three pairs (images, labels), 50,000 + 10,000 + 10,000, floats of byte / 256.

A pickle is a small program, and running it can do anything. Nothing is run here: `_Steps` reads the program step by
step, understands the steps that describe NumPy arrays in tuples (as Python 2 or 3 wrote them), and refuses all others.
"""

import io
import pickletools
import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from byhand.data.dataset import Dataset
from byhand.data.formats import gzip_io as packed
from byhand.errors import DataError

MOST_STEPS = 10_000  # the real file takes about 150


def read(path: Path) -> tuple[Dataset, Dataset | None]:
    """(training set, test set): of three sets the first two, training and validation, are put together again."""
    sets = read_sets(path)
    if len(sets) == 3:
        training, validation, test = sets
        images = np.concatenate([training.images, validation.images])
        labels = np.concatenate([training.labels, validation.labels])
        return Dataset(images, labels, name=str(path), scale=training.scale), test
    return sets[0], sets[1] if len(sets) == 2 else None


def read_sets(path: Path) -> list[Dataset]:
    """The one to three sets of the file, each as it stands there."""
    pairs = _pairs(path, _Steps(path).read(packed.read_all(path)))
    sets = [Dataset.from_arrays(images, labels, name=str(path)) for images, labels in pairs]
    if len({(part.shape, part.scale) for part in sets}) > 1:
        seen = ", ".join(f"{part.shape[0]}×{part.shape[1]}, 1/{part.scale}" for part in sets)
        raise DataError(f"{path}: all images must be of one size and scale, got {seen}")
    return sets


def _pairs(path: Path, result: Any) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """The arrays of one to three pairs; no deeper, so that a pickle can't wind itself up."""
    if isinstance(result, tuple | list) and 1 <= len(result) <= 3:
        pairs = [pair for item in result if (pair := _pair(item))]
        if len(pairs) == len(result):
            return pairs
    raise DataError(f"{path}: the pickle must hold one to three pairs (images, labels), it holds something else")


def _pair(item: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    if isinstance(item, tuple | list) and len(item) == 2:
        images, labels = (getattr(part, "value", None) for part in item)
        if isinstance(images, np.ndarray) and isinstance(labels, np.ndarray):
            return images, labels
    return None


class _Name(str):
    """A thing that the pickle names, like `numpy.dtype`; only its name, never the thing."""


class _Mark:
    """Where a tuple or list of any length begins on the stack."""


class _Build:
    """An array or a dtype between its making and the step that fills it in: `of` is "array" or "dtype"."""

    def __init__(self, of: str, value: Any = None) -> None:
        self.of, self.value = of, value


class _Steps:
    """Reads the steps of one pickle. The stack and the memo are the pickle's own; no step calls anything it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0

    def read(self, content: bytes) -> Any:
        """What the pickle describes."""
        try:
            return self._result(content)
        except DataError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
            reason = packed.shown(error) or "it ends early"
            raise DataError(f"{self.path}: the pickle must be whole and in order: {reason}") from None

    def _result(self, content: bytes) -> Any:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in a name: no more than a wrong name here
            for step, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(content))):
                if step == MOST_STEPS:
                    raise DataError(f"{self.path}: the pickle must take at most {MOST_STEPS:,} steps, it takes more")
                if opcode.name == "STOP":
                    return self.stack.pop()
                self._take(opcode.name, argument)
        raise ValueError("it has no end")

    def _take(self, name: str, argument: Any) -> None:
        """One step."""
        stack = self.stack
        if name in _VALUES:
            stack.append(_VALUES[name](argument))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in _LENGTHS:
            stack.append(tuple(self._pop(_LENGTHS[name])))
        elif name in ("TUPLE", "LIST"):
            items = self._pop_to_mark()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name == "APPEND":
            (item,) = self._pop(1)
            stack[-1].append(item)
        elif name == "APPENDS":
            items = self._pop_to_mark()
            stack[-1].extend(items)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._name(argument.split(" ", 1) if name == "GLOBAL" else self._pop(2))
        elif name == "REDUCE":
            called, arguments = self._pop(2)
            stack.append(self._described(called, arguments))
        elif name == "BUILD":
            (state,) = self._pop(1)
            self._fill_in(stack[-1], state)
        elif name not in ("PROTO", "FRAME"):
            raise DataError(f"{self.path}: the pickle must hold arrays only, it has a step {name}; nothing was run")

    def _pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError("a step takes more than there is")
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def _pop_to_mark(self) -> list[Any]:
        mark = max(i for i, item in enumerate(self.stack) if isinstance(item, _Mark))
        items = self._pop(len(self.stack) - mark - 1)
        self._pop(1)
        return items

    def _name(self, parts: list[Any]) -> None:
        name = ".".join(map(str, parts)).replace("numpy._core.", "numpy.core.")
        if name not in _ALLOWED:
            asked = packed.shown(name)
            raise DataError(f"{self.path}: the pickle must hold arrays only, it asks for {asked}; nothing was run")
        self.stack.append(_Name(name))

    def _described(self, called: Any, arguments: Any) -> Any:
        """What a call of an allowed name would give, made here."""
        if not isinstance(called, _Name):
            raise TypeError("it calls what is not a name")
        if called == "numpy.core.multiarray._reconstruct":
            return _Build("array")
        if called == "numpy.dtype":
            return _Build("dtype", _dtype(str(arguments[0])))
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
        """The second half of an array or a dtype: shape and bytes, or the byte order."""
        if not isinstance(thing, _Build):
            raise TypeError("it fills in what is neither array nor dtype")
        if thing.of == "dtype":
            thing.value = thing.value.newbyteorder({"<": "<", ">": ">", "|": "|", "=": "="}[state[1]])
        else:
            _, shape, dtype, fortran, raw = state
            thing.value = self._array(raw, dtype, shape, bool(fortran))

    def _encoded(self, text: str) -> bytes:
        """The bytes that a text stands for. A small file can name one large text many times, so all are counted."""
        self.encoded += len(text)
        if self.encoded > packed.CEILING:
            raise ValueError(f"text must be at most {packed.CEILING:,} letters in all")
        return text.encode("latin1")

    def _array(self, raw: Any, dtype: Any, shape: Any, fortran: bool) -> npt.NDArray[Any]:
        kind = dtype.value
        data = self._encoded(raw) if isinstance(raw, str) else raw
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError("a shape must be whole numbers")
        if prod(shape) * kind.itemsize != len(data):
            raise DataError(f"{self.path}: an array of {shape} {kind} has {len(data):,} bytes, which doesn't fit")
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _dtype(code: str) -> np.dtype[Any]:
    """Plain numbers only: `f4`, `i8`, `u1`, …"""
    if code.lstrip("<>|=") not in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        raise ValueError(f"arrays must hold plain numbers, not {code[:20]!r}")
    return np.dtype(code)


def _same(value: Any) -> Any:
    return value


_ALLOWED = {
    "numpy.core.multiarray._reconstruct", "numpy.core.numeric._frombuffer", "numpy.ndarray", "numpy.dtype",
    "_codecs.encode",
}  # fmt: skip
_LENGTHS = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_VALUES: dict[str, Callable[[Any], Any]] = {
    "MARK": lambda _: _Mark(),
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_LIST": lambda _: [],
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"), _same),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE"), _same),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _same),
}
