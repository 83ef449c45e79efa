"""The contestants: byhand, its peers as their documentation teaches them, and the same step in flat NumPy."""

import importlib

from benchmarks.work import Work
from byhand.errors import MissingExtraError

#: The contestant that shows byhand's overhead; the others are peers, and byhand's speedup over them is reported.
FLAT = "flat NumPy"

#: Name → (module, the distribution whose version is reported).
CONTESTANTS = {
    "byhand": ("ours", "byhand"),
    FLAT: ("flat", "numpy"),
    "assignment": ("assignment", "numpy"),
    "scikit-learn": ("sklearn_mlp", "scikit-learn"),
    "PyTorch": ("torch_eager", "torch"),
    "JAX": ("jax_jit", "jax"),
}


#: The epoch whose loss is compared: the first where there are batches, the eleventh where an epoch is one iteration.
COMPARED_BATCHES, COMPARED_WHOLE = 0, 10


class Contestant:
    """Made from a work, ready to begin."""

    def __init__(self, work: Work) -> None:
        raise NotImplementedError

    def epoch(self, number: int) -> float:
        """Train for one epoch, the first (number 0) unshuffled; the mean of the batches' losses."""
        raise NotImplementedError

    def epochs(self, first: int, count: int) -> float:
        """So many epochs, numbered from `first` on; the loss of the last."""
        return [self.epoch(number) for number in range(first, first + count)][-1]


def contestant(name: str, work: Work) -> Contestant:
    """The contestant of that name, its data and its network ready."""
    module, distribution = CONTESTANTS[name]
    try:
        made: Contestant = importlib.import_module(f"benchmarks.contestants.{module}").Trainer(work)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or distribution, "bench") from error
    return made
