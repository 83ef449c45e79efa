"""Data sets: `load` finds one by name or path and returns its training and test set."""

from typing import TYPE_CHECKING

from byhand.lazy import lazy_names

if TYPE_CHECKING:
    from byhand.data.dataset import Dataset as Dataset
    from byhand.data.dataset import Sample as Sample
    from byhand.data.dataset import TrainTest as TrainTest
    from byhand.data.loading import load as load

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Dataset": "byhand.data.dataset",
        "Digits": "byhand.data.dataset",
        "Sample": "byhand.data.dataset",
        "TrainTest": "byhand.data.dataset",
        "load": "byhand.data.loading",
    },
)

__all__ = ["Dataset", "Sample", "TrainTest", "load"]
