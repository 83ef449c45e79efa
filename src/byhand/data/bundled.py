"""The bundled sample: 5,000 digits of MNIST that are always there, with no network and no files of one's own.

`tools/make_sample.py` made the four IDX files in `sample/`; NOTICE says where they are from. They are read through
`importlib.resources`, so they may also lie inside a zip.
"""

from importlib import resources

from byhand.data import catalog
from byhand.data.dataset import Digits
from byhand.data.formats import InMemoryFile, idx

NAME = "mnist-5k"


def files() -> dict[str, InMemoryFile]:
    """The four files, in memory."""
    folder = resources.files("byhand.data") / "sample"
    return {
        part: InMemoryFile(f"{NAME}/{name}.gz", (folder / f"{name}.gz").read_bytes())
        for part, name in catalog.FILES.items()
    }


def load() -> Digits:
    """4,000 digits to train on and 1,000 to test, 400 and 100 of each class."""
    held = files()
    train, test = (
        idx.read_pair(held[f"{part}-images"], held[f"{part}-labels"]).renamed(NAME) for part in ("train", "test")
    )
    return Digits(train, test, "the bundled sample")
