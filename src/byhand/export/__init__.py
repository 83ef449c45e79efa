"""Export: a trained model leaves the house, in a form that needs none of it.

`html` is one page with pad, network and weights inside; `onnx` is for other runtimes, with the whole preparation in
it; `npz` is plain arrays under the names of the reference pages. Each is checked before it is written: what another
program will compute is compared with what the model itself says.
"""

from collections.abc import Callable
from pathlib import Path

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.files import write_bytes
from byhand.model import Model

#: What is written, and a sentence on how near it is to the model.
Export = tuple[bytes, str]


def export(model: Model, path: str | Path, *, to: str | None = None, pictures: Dataset | None = None) -> str:
    """Write `model` as `html`, `onnx` or `npz` to `path`, and say how near the export is to it.

    Without `to` the end of the path's name decides. `pictures` are what the export is checked on, and what the page
    shows as samples; without them the bundled sample's test digits.
    """
    path = Path(path)
    content, about = exporter(kind_of(path, to))(model, pictures if pictures is not None else sample_for(model))
    write_bytes(path, content)
    return about


def kind_of(path: Path, to: str | None) -> str:
    """What is to be made: `to`, else what the end of the path's name says; the two must not contradict each other."""
    ending = path.suffix.removeprefix(".").lower()
    if to is None and not ending:
        raise UsageError(f"{path} has no ending that says what to make: .{', .'.join(KINDS)}, or name it with `to`")
    if to is not None and ending in KINDS and ending != to:
        raise UsageError(f"to must be what the name's ending says, got {to!r} and {path}")
    return ending if to is None else to


def exporter(to: str) -> Callable[[Model, Dataset], Export]:
    """What makes that kind of export, or an error that lists the kinds there are."""
    if to == "html":
        from byhand.export.single_page import as_html

        return as_html
    if to == "onnx":
        from byhand.export.onnx import as_onnx

        return as_onnx
    if to == "npz":
        from byhand.export.npz import as_npz

        return as_npz
    raise UsageError(f"to must be one of {', '.join(KINDS)}, got {to!r}")


KINDS = ("html", "onnx", "npz")


def sample_for(model: Model) -> Dataset:
    """Pictures that the model can take: the bundled sample's test digits, or noise where it takes another size."""
    import numpy as np

    from byhand.data import load
    from byhand.page import picture_shape

    digits = load("mnist-5k").test
    shape = picture_shape(model)
    if shape == digits.shape:
        return digits
    count = max(1, min(64, 2**20 // (shape[0] * shape[1])))
    noise = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Dataset(noise, np.zeros(len(noise), np.int64), name="noise")
