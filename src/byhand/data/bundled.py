"""The bundled sample: 5,000 digits of MNIST that are always there, with no network and no files of one's own.

`tools/make_sample.py` made the four IDX files in `sample/`; NOTICE says where they are from. They are read through
`importlib.resources`, so they may also lie inside a zip.
"""

import contextlib
from importlib import resources

from byhand.data import idx
from byhand.data.dataset import Dataset, Digits

NAME = "mnist-5k"


def load() -> Digits:
    """4,000 digits to train on and 1,000 to test, 400 and 100 of each class."""
    with contextlib.ExitStack() as stack:
        folder = resources.files("byhand.data") / "sample"
        here = {
            f"{part}-{kind}": stack.enter_context(
                resources.as_file(folder / f"{prefix}-{kind}-idx{dimensions}-ubyte.gz")
            )
            for part, prefix in (("train", "train"), ("test", "t10k"))
            for kind, dimensions in (("images", 3), ("labels", 1))
        }
        train, test = (
            Dataset(idx.read(here[f"{part}-images"], 3), idx.read(here[f"{part}-labels"], 1), name=NAME)
            for part in ("train", "test")
        )
    return Digits(train, test, "the bundled sample")
