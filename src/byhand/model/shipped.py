"""The shipped model: reads digits before anybody has trained anything.

`model()` gives it. The file beside this one was made by `tools/make_model.py`; its card says from which data, how, and
how well it does. `byhand predict` and `byhand play` use it where no run is named.
"""

from importlib import resources

from byhand.errors import ModelFileError
from byhand.model import Model

FILE = "digits.safetensors"


def model() -> Model:
    """A new copy of the shipped model, which is the caller's to change."""
    place = resources.files("byhand.model") / FILE
    if not place.is_file():
        raise ModelFileError(
            f"the shipped model must be in byhand's own folder, {FILE} is missing: install byhand again"
        )
    with resources.as_file(place) as path:
        return Model.load(path)
