"""The model file: a safetensors file, which cannot contain code.

The arrays are the parameters (`0.W`, `0.b`, …). The metadata are JSON: `format`, `version`, `architecture`,
`preparation`, `classes`, `card`, and `checksum`, which covers everything else. Invalid files are rejected, with exit
code 5. Version 1 will always be readable: `tests/golden` has an example.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from byhand.errors import ByhandError, ModelFileError, UsageError, short_repr
from byhand.files import StrPath, replacing
from byhand.nn.arrays import Array
from byhand.schema import json_value
from byhand.text import printable

Kind = TypeVar("Kind")

FORMAT = "byhand model"
VERSION = 1

#: Allowed types of parameters. float16 halves the size of a file, and is read as float32.
STORED = {np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)}

#: Limits against damaged and malicious files.
MAX_HEADER_BYTES = 1_000_000
MAX_FILE_BYTES = 1 << 33


@dataclass(frozen=True)
class Content:
    """The content of a model file."""

    tensors: Mapping[str, Array]
    architecture: list[dict[str, Any]]
    preparation: dict[str, Any]
    classes: tuple[str, ...]
    metadata: dict[str, Any]


def write(path: StrPath, content: Content) -> None:
    """Write a model file, atomically."""
    check_finite(path, content.tensors)
    texts = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": content.architecture,
        "preparation": content.preparation,
        "classes": list(content.classes),
        "card": content.metadata,
    }
    write_arrays(path, content.tensors, texts)


def read(path: StrPath) -> Content:
    """Read and check a model file."""
    path = Path(path)
    tensors, texts = read_arrays(path, FORMAT, VERSION)
    types = {tensor.dtype for tensor in tensors.values()}
    if len(types) != 1 or not types <= STORED:
        names = ", ".join(map(str, types))
        raise ModelFileError(f"{path}: tensors must be all float32, all float64 or all float16, got {names}")
    check_finite(path, tensors)
    if types == {np.dtype(np.float16)}:
        tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    return Content(
        tensors,
        architecture=parsed(path, texts, "architecture", list),
        preparation=parsed(path, texts, "preparation", dict),
        classes=tuple(parsed(path, texts, "classes", list)),
        metadata=parsed(path, texts, "card", dict),
    )


def check_finite(path: StrPath, tensors: Mapping[str, Array]) -> None:
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ModelFileError(f"{path}: parameters must be finite")


def write_arrays(path: StrPath, tensors: Mapping[str, Array], texts: Mapping[str, Any]) -> str:
    """Write arrays and texts atomically, and return their checksum."""
    from safetensors.numpy import save

    metadata = {name: as_text(name, value) for name, value in texts.items()}
    for text in metadata.values():
        with naming(path):
            json_value(text)
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata["checksum"] = checksum(arrays, metadata)
    header, body = in_order(save(arrays, metadata))
    if len(header) > MAX_HEADER_BYTES:
        raise ModelFileError(f"{path}: header must have at most {MAX_HEADER_BYTES:,} bytes, got {len(header):,}")
    with replacing(path) as file:
        file.write(header)
        file.write(body)
    return metadata["checksum"]


def as_text(name: str, value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, default=plain)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name} must be plain values: {error}") from None


def plain(value: Any) -> Any:
    """Convert NumPy's numbers to Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"got {short_repr(value)}")


def in_order(content: bytes) -> tuple[bytes, memoryview]:
    """Return the header and the body of a file, with the texts sorted by name.

    safetensors writes them in random order, and the same model should give the same bytes.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the arrays
    return len(text).to_bytes(8, "little") + text, memoryview(content)[8 + length :]


def read_arrays(path: Path, form: str, version: int) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays and texts of a file; check format, version and checksum."""
    from safetensors import SafetensorError, safe_open

    what = form.removeprefix("byhand ")
    if not path.is_file():
        raise ModelFileError(f"{path}: no such {what} file")
    check_header(path, what)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: not a safetensors file, or a damaged one ({reason(error)})") from None
    if metadata.get("format") != json.dumps(form):
        raise ModelFileError(f"{path}: a safetensors file, but not a {form}")
    found = parsed(path, metadata, "version", int)
    if found > version:
        raise ModelFileError(f"{path}: format version must be at most {version} for this byhand, got {found}")
    texts = {name: text for name, text in metadata.items() if name != "checksum"}
    if metadata.get("checksum") != checksum(tensors, texts):
        raise ModelFileError(f"{path}: damaged: the content does not match the checksum")
    return tensors, metadata


@contextlib.contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Raise errors of a file's content as a ModelFileError with its path."""
    try:
        yield
    except ModelFileError:
        raise
    except (ByhandError, TypeError, ValueError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise ModelFileError(f"{path}: {reason(error)}") from None


def check_header(path: Path, what: str) -> None:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path}: must have at most {MAX_FILE_BYTES:,} bytes, got {size:,}")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
            rule = f"not a safetensors file: its header must fit its {size:,} bytes, got {length:,}"
            if path.suffix.lower() not in ("", ".safetensors"):
                rule = "give the folder of a run, such as runs/001, or a .safetensors file"
            raise ModelFileError(f"{path}: not a {what} file ({rule})")


def parsed(path: Path, metadata: Mapping[str, str], name: str, kind: type[Kind]) -> Kind:
    """Return the value of a metadata text, which must be of this type."""
    with naming(path):
        text = metadata.get(name, "null")
        value = json_value(text, f"{name} must be JSON")
        if not isinstance(value, kind):
            raise UsageError(f"{name} must be a {kind.__name__}, got {text[:40]!r}")
        return value


def checksum(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of all texts and arrays, with names, types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(metadata):
        digest.update(f"{name}={metadata[name]}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype.str}:{tensor.shape}\0".encode())
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, shortened."""
    return printable((str(error).splitlines() or [type(error).__name__])[0], 200)
