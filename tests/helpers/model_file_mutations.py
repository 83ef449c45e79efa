"""Files of models and runs, and mutations of them, for tests and tests/long/rack.py.

A file is changed blindly (bytes flipped, cut, doubled), or its texts or arrays are replaced and the checksum corrected,
so that the checks behind the checksum are reached too. The reader must return a result or raise one `ModelFileError` of
one line that names the file, in little time and memory.
"""

import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from byhand.errors import ModelFileError
from byhand.model import Model
from byhand.model.file import checksum
from byhand.training import checkpoint, steps
from byhand.training.checkpoint import Checkpoint
from byhand.training.runs import CONFIG, METRICS, MODEL, Run
from helpers import small_run
from helpers.data_files import mutate

MOST_SECONDS, MOST_BYTES = 5.0, 32 << 20

Read = Callable[[Path], object]


def model_read(path: Path) -> None:
    """Load a model, predict, and show it."""
    model = Model.load(path)
    with np.errstate(all="ignore"):  # weights of 1e38 are finite, the logits may overflow
        assert model.predict(np.full((2, 8, 8), 200, np.uint8)).shape == (2,)
    assert repr(model)
    assert not any(set(name) & set("\x1b\n\r\0") for name in model.classes)
    assert json.dumps(model.metadata) is not None
    model._repr_html_()


class CheckpointRead:
    """Loads a checkpoint, and resumes a run from it."""

    def __init__(self) -> None:
        self.session = small_run.session(chosen=small_run.recipe(augment="none"))
        self.start = self.session.state()

    def __call__(self, path: Path) -> None:
        found = checkpoint.read(path)
        self.session.restore(found.arrays, found.plain)
        arrays, plain = self.session.state()
        assert all(np.isfinite(array).all() for array in arrays.values())
        assert json.dumps(plain)
        json.dumps(found.environment)


def config_read(path: Path) -> None:
    config = Run(path.parent).config()
    assert isinstance(config, dict)
    json.dumps(config)


def records_read(path: Path) -> None:
    for record in Run(path.parent).records():
        f"{record.epoch:,} {record.step:,} {record.loss:.4f} {record.accuracy:.2%} {record.seconds:.1f}"
        " ".join(record.warnings)
        json.dumps(record.to_json())


def write_model(folder: Path) -> Path:
    small_run.model().save(folder / MODEL)
    return folder / MODEL


def write_checkpoint(folder: Path) -> Path:
    with small_run.session(chosen=small_run.recipe(augment="none")) as session:
        for record in steps(session):
            if record.step == 24:
                break
        checkpoint.write(folder / "a.safetensors", Checkpoint(*session.state(), checkpoint.fingerprint(session), 3))
    return folder / "a.safetensors"


def write_config(folder: Path) -> Path:
    with small_run.session() as session:
        settings = checkpoint.fingerprint(session)
        Run(folder).write_config({name: one for name, one in settings.items() if name not in ("plan", "versions")})
    return folder / CONFIG


def write_records(folder: Path) -> Path:
    with small_run.session(chosen=small_run.recipe(epochs=2)) as session:
        for _ in steps(session):
            pass
        Run(folder).write_records(session.progress.records)
    return folder / METRICS


def unpacked(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return a safetensors file's header and the bytes after it."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def packed(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def sealed(header: dict[str, Any], body: bytes) -> bytes:
    """Return the file with a correct checksum, if its arrays can be read."""
    arrays = {}
    for name, place in header.items():
        if name == "__metadata__":
            continue
        start, stop = place["data_offsets"]
        kind = {"F32": "<f4", "F64": "<f8", "U8": "u1", "I64": "<i8", "F16": "<f2", "I32": "<i4"}[place["dtype"]]
        arrays[name] = np.frombuffer(body[start:stop], kind).reshape(place["shape"])
    texts = {name: text for name, text in header["__metadata__"].items() if name != "checksum"}
    header["__metadata__"]["checksum"] = checksum(arrays, texts)
    return packed(header, body)


ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 0.5, -0.0, 1e-300, 1e300, 2**31, 2**63, 2**64, 10**400, float("nan"), float("inf"),
    float("-inf"), "", "relu", "../../x", "/etc/passwd", "\x1b[2J", "a\nb", "\0", "\ud800", "x" * 5000, [], {}, [[]],
    [1, 2, 3], {"a": 1}, {"kind": "dense"}, [{"kind": "dense", "inputs": 10**9, "units": 10**9}], [None] * 50,
)  # fmt: skip


def odd_json(value: Any, rng: np.random.Generator) -> Any:
    """Return the value with one element replaced, deleted, doubled or renamed."""
    if not (isinstance(value, dict | list) and value and rng.integers(0, 5)):
        return ODD[rng.integers(0, len(ODD))]
    change = rng.integers(0, 8)
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    at = int(rng.integers(0, len(pairs)))
    name, inner = pairs[at]
    if change == 0:
        del pairs[at]
    elif change == 1:
        pairs.append(("odd", inner))
    else:
        pairs[at] = name, odd_json(inner, rng)
    return dict(pairs) if isinstance(value, dict) else [inner for _, inner in pairs]


def mutate_json(text: str, rng: np.random.Generator) -> str:
    """Return the text with odd values, deep nesting, or changed bytes."""
    change = rng.integers(0, 10)
    if change == 0:
        return mutate(text.encode("utf-8", "surrogatepass"), rng).decode("utf-8", "replace")
    if change == 1:
        deep = int(rng.choice([18, 21, 1000, 50_000]))
        return "[" * deep + "]" * deep
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # changed twice
        value = None
    return json.dumps(odd_json(value, rng))


def mutate_knowingly(content: bytes, rng: np.random.Generator) -> bytes:
    """Change a text or an array of a safetensors file, and correct the checksum."""
    header, body = unpacked(content)
    texts, data = header["__metadata__"], bytearray(body)
    names = [name for name in header if name != "__metadata__"]
    for _ in range(rng.integers(1, 3)):
        change = rng.integers(0, 10)
        name = names[rng.integers(0, len(names))]
        if change < 5:
            chosen = list(texts)[rng.integers(0, len(texts))]
            if chosen != "checksum":
                texts[chosen] = mutate_json(texts[chosen], rng)
        elif change == 5 and name in header:
            renamed = str(rng.choice(["", "0.W", "../0.W", "999.W", "plain", "best", "x" * 300]))
            header[renamed] = header.pop(name)
        elif change == 6 and name in header:
            header[name] = {**header[name], "shape": header[name]["shape"][::-1] + [1] * int(rng.integers(0, 3))}
        elif change == 7 and name in header:
            header[name] = {**header[name], "dtype": str(rng.choice(["F32", "U8", "I32", "F16", "F64"]))}
        elif name in header:
            start, stop = header[name]["data_offsets"]
            if header[name]["dtype"] == "U8":
                plain = mutate_json(bytes(data[start:stop]).decode("utf-8", "replace"), rng).encode("utf-8", "replace")
                data[start:stop] = plain[: stop - start].ljust(stop - start)
            elif stop - start >= 4:
                number = np.float32(rng.choice([np.nan, np.inf, -np.inf, 1e38, -0.0, 1e-45]))
                data[start : start + 4] = number.tobytes()
    try:
        return sealed(header, bytes(data))
    except (ValueError, KeyError, AttributeError):
        return packed(header, bytes(data))


def mutate_header(content: bytes, rng: np.random.Generator) -> bytes:
    """Return the file with wrong sizes, shapes and offsets in its header."""
    header, body = unpacked(content)
    if rng.integers(0, 4) == 0:
        length = int(rng.choice([0, 1, 8, len(content), len(content) - 8, 2**20, 2**31, 2**62]))
        return struct.pack("<Q", length) + content[8:]
    name = list(header)[rng.integers(0, len(header))]
    if name != "__metadata__":
        odd = [0, 1, -1, 2**31, 2**40, 2**62, 2**64]
        key = str(rng.choice(["shape", "data_offsets", "dtype"]))
        value: Any = [odd[i] for i in rng.integers(0, len(odd), rng.integers(0, 4))]
        header[name] = {**header[name], key: "F99" if key == "dtype" else value}
    else:
        header[name] = odd_json(header[name], rng)
    return packed(header, body)


def change(content: bytes, rng: np.random.Generator, *, is_text: bool) -> bytes:
    """Return one mutation of a file, reproducible by the generator."""
    kind = rng.integers(0, 4)
    if kind == 0:
        return mutate(content, rng)
    if not is_text:
        return mutate_header(content, rng) if kind == 1 else mutate_knowingly(content, rng)
    lines = content.decode().splitlines() if content.count(b"\n{") else [content.decode()]
    at = int(rng.integers(0, len(lines)))
    lines[at] = mutate_json(lines[at], rng)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[], Read], bool]] = {
    "model": (write_model, lambda: model_read, False),
    "checkpoint": (write_checkpoint, CheckpointRead, False),
    "config": (write_config, lambda: config_read, True),
    "records": (write_records, lambda: records_read, True),
}


def outcome(path: Path, read: Read) -> str:
    """Return "read" or "refused"; anything else is an AssertionError or the bug itself."""
    started = time.process_time()
    tracemalloc.reset_peak()
    floor = tracemalloc.get_traced_memory()[0]
    try:
        read(path)
    except ModelFileError as error:
        message = str(error)
        assert message.isprintable(), message[:1000]
        assert len(message) < 1000, message[:2000]
        result = "refused"
    else:
        result = "read"
    assert time.process_time() - started < MOST_SECONDS
    assert tracemalloc.get_traced_memory()[1] - floor < MOST_BYTES
    return result


def outcomes(name: str, folder: Path, numbers: range) -> dict[str, int]:
    """Mutate the file of that kind once for each number, and count the outcomes."""
    write, reader, is_text = READERS[name]
    path = write(folder)
    content, read = path.read_bytes(), reader()
    read(path)
    found = {"read": 0, "refused": 0}
    tracemalloc.start()
    try:
        for number in numbers:
            changed = change(content, np.random.default_rng([len(name), number]), is_text=is_text)
            path.write_bytes(changed)
            try:
                found[outcome(path, read)] += 1
            except BaseException as error:
                error.add_note(f"mutation {number} of {name}: {changed[:300]!r}")
                raise
    finally:
        tracemalloc.stop()
        path.unlink()
    return found
