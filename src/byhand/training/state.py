"""The state of a run as arrays and plain values, checked against the run that is to continue it.

A checkpoint's file can be intact and still belong to another run: another network, optimizer or data. What `restore`
takes must have the names, shapes and kinds of what `state` of the same run returns; then nothing can be broadcast, cut
short or left out in silence.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from byhand.errors import ModelFileError
from byhand.nn.arrays import Array
from byhand.training.records import EpochRecord


@dataclass
class Progress:
    """How far a run has come: the steps taken, and the sums that the epoch's record is made of."""

    step: int = 0
    loss: float = 0.0
    correct: int = 0
    samples: int = 0
    weight: float = 0.0
    norm: float = 0.0
    seconds: float = 0.0
    total_seconds: float = 0.0
    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0
    finished: bool = False
    records: list[EpochRecord] = field(default_factory=list)

    def reset_epoch(self) -> None:
        """Start the sums of the next epoch."""
        self.loss, self.weight, self.correct, self.samples = 0.0, 0.0, 0, 0
        self.norm, self.seconds = 0.0, 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {"records": [record.to_json() for record in self.records]}


#: State that a run has only from some moment on: the best weights so far.
OPTIONAL_STATE = {"best": "parameters", "best_statistics": "statistics"}


def check(
    arrays: Mapping[str, Array],
    plain: Mapping[str, Any],
    own_arrays: Mapping[str, Array],
    own_plain: Mapping[str, Any],
    total_steps: int,
) -> tuple[Progress, list[float]]:
    """Return the progress and the start lengths of a state, or raise an error if it is not of this run."""
    check_arrays(arrays, own_arrays)
    check_plain(plain, own_plain)
    records = records_in(plain)
    if plain["step"] > total_steps:
        raise ModelFileError(f"step of the state must be at most {total_steps}, got {plain['step']}")
    values = dict(plain)
    start_lengths = [float(length) for length in values.pop("start_lengths")]
    return Progress(**{**values, "records": records}), start_lengths


def check_arrays(arrays: Mapping[str, Array], own: Mapping[str, Array]) -> None:
    """Check that the arrays of a state have the names, shapes and dtypes of this run's."""
    wanted = dict(own)
    if set(OPTIONAL_STATE) <= set(arrays):
        wanted |= {name: own[like] for name, like in OPTIONAL_STATE.items()}
    else:
        wanted = {name: array for name, array in wanted.items() if name not in OPTIONAL_STATE}
    if set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted))
        raise ModelFileError(f"the state must be of this run: it has {listed(arrays)}, not {listed(wanted)} ({odd[0]})")
    for name in wanted:
        array = arrays[name]
        if array.shape != wanted[name].shape or array.dtype != wanted[name].dtype:
            raise ModelFileError(
                f"the state must be of this run: its {name} is {array.dtype} {array.shape}, "
                f"here it is {wanted[name].dtype} {wanted[name].shape}"
            )


def check_plain(plain: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Check that the plain values have the names and kinds of this run's, and that no number is NaN."""
    if set(plain) != set(own):
        raise ModelFileError(f"the state must hold {listed(own)}, got {listed(plain)}")
    for name, like in own.items():
        if not is_alike(plain[name], like):
            raise ModelFileError(f"{name} of the state must be {kind(like)}, got {str(plain[name])[:40]!r}")
    lengths = plain["start_lengths"]
    if len(lengths) != len(own["start_lengths"]) or not all(is_alike(length, 0.0) for length in lengths):
        raise ModelFileError(f"start_lengths of the state must be {len(own['start_lengths'])} numbers, got {lengths}")


def records_in(plain: Mapping[str, Any]) -> list[EpochRecord]:
    """Return the records of the epochs, each as `EpochRecord.to_json` wrote it."""
    try:
        return [EpochRecord.from_json(record) for record in plain["records"]]
    except (TypeError, ValueError, KeyError):
        raise ModelFileError("records of the state must each be the record of an epoch") from None


def is_alike(value: Any, like: Any) -> bool:
    """Return True if a value is of the same kind: a whole number from 0, a float that is one, true or false, a list."""
    if isinstance(like, float):
        return type(value) is float and not math.isnan(value)  # JSON keeps the decimal point of the floats in a state
    if isinstance(like, int) and not isinstance(like, bool):
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return type(value) is type(like)


def kind(like: Any) -> str:
    """Describe the kind, for a message."""
    if isinstance(like, bool):
        return "true or false"
    return "a number" if isinstance(like, float) else "a whole number from 0" if isinstance(like, int) else "a list"


def listed(names: Mapping[str, Any]) -> str:
    """Return the names in order."""
    return ", ".join(sorted(names))[:200]
