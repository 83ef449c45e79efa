"""Records: what the training loop yields for its steps and epochs, and how far a run has come.

A step's record is light, for it is made thousands of times; an epoch's holds all that a curve or the watchdog needs.

The state of a run is arrays and plain values. A checkpoint's file can be intact and still belong to another run:
another network, optimizer or data. `check_state` requires the names, shapes and kinds that the state of this run has;
then nothing can be broadcast, cut short or left out in silence.
"""

import csv
import html
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from byhand import checks
from byhand.errors import ModelFileError
from byhand.files import write_text
from byhand.nn.arrays import Array
from byhand.text import counted, percent

#: 1.96 standard deviations hold 95 % of a normal distribution.
Z_95 = 1.959963984540054


class StepRecord(NamedTuple):
    """One step: the loss and accuracy of its batch before the update, and the learning rate used.

    `gradient_norm` is the norm before clipping; None where it was not needed: gradients are not clipped, and the step
    doesn't end an epoch.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    rate: float
    gradient_norm: float | None
    samples: int
    images_per_second: float
    ends_epoch: bool


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: means over its steps, then the loss and accuracy of the validation data after it.

    `epoch` counts from 1, `step` is the number of its last step, from 0, and `gradient_norm` is that step's, before
    clipping. `dead` is, for each activation that can switch off, the fraction of units that stayed off for every sample
    of the probe. `warnings` are the watchdog's.
    """

    epoch: int
    step: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    rate: float
    gradient_norm: float
    dead: tuple[float, ...]
    images_per_second: float
    seconds: float
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a line of `metrics.jsonl`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EpochRecord":
        """Return the record that these plain values describe; raise a ValueError if they are of the wrong kinds."""
        record = cls(**{**values, "dead": tuple(values["dead"]), "warnings": tuple(values["warnings"])})
        numbers = [record.loss, record.accuracy, record.rate, record.gradient_norm, *record.dead]
        numbers += [record.images_per_second, record.seconds]
        numbers += [n for n in (record.validation_loss, record.validation_accuracy) if n is not None]
        if not (
            all(type(n) is int and 0 <= n < 2**63 for n in (record.epoch, record.step))
            and all(type(n) is float or (type(n) is int and abs(n) < 2**63) for n in numbers)
            and all(isinstance(line, str) for line in record.warnings)
        ):
            raise ValueError("a record must hold numbers, and lines of warnings")
        return record


@dataclass
class History:
    """The records of a run, first to last, and how it ended: `done`, `stopped early` or `interrupted`."""

    records: list[EpochRecord] = field(default_factory=list)
    ending: str = "done"
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    def __getitem__(self, index: int) -> EpochRecord:
        return self.records[index]

    def column(self, name: str) -> list[Any]:
        """Return one value of each record: `history.column("loss")`."""
        return [getattr(record, name) for record in self.records]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a line for each record, under the names of its fields."""
        rows = [asdict(record) | {"dead": str(record.dead), "warnings": " ".join(record.warnings)} for record in self]
        text = io.StringIO()
        table = csv.DictWriter(text, [field.name for field in fields(EpochRecord)], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        write_text(path, text.getvalue())

    def __repr__(self) -> str:
        if not self.records:
            return f"<History: no epochs, {self.ending}>"
        last = self.records[-1]
        validation = "" if last.validation_accuracy is None else f", validation {last.validation_accuracy:.2%}"
        figures = f"loss {last.loss:.4f}, accuracy {last.accuracy:.2%}{validation}"
        return f"<History: {last.epoch} epochs, {self.ending}; {figures}>"

    def _repr_html_(self) -> str:
        cells = [
            (
                r.epoch,
                f"{r.loss:.4f}",
                f"{r.accuracy:.2%}",
                "" if r.validation_accuracy is None else f"{r.validation_accuracy:.2%}",
                f"{r.images_per_second:,.0f}",
            )
            for r in self.records
        ]
        rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in cells)
        head = "".join(f"<th>{name}</th>" for name in ("epoch", "loss", "accuracy", "validation", "images/s"))
        return f"<table><caption>{html.escape(self.ending)}</caption><tr>{head}</tr>{rows}</table>"


# ---- the state of a run


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


#: State that a run has only from some moment on: the best weights so far.
OPTIONAL_STATE = {"best": "parameters", "best_statistics": "statistics"}


def check_state(
    arrays: Mapping[str, Array],
    plain: Mapping[str, Any],
    own_arrays: Mapping[str, Array],
    own_plain: Mapping[str, Any],
    total_steps: int,
) -> tuple[Progress, list[float]]:
    """Return the progress and the start lengths of a state, or raise an error if it is not of this run."""
    check_arrays(arrays, own_arrays)
    check_plain(plain, own_plain)
    if plain["step"] > total_steps:
        raise ModelFileError(f"step of the state must be at most {total_steps}, got {plain['step']}")
    values = dict(plain)
    try:
        values["records"] = [EpochRecord.from_json(record) for record in plain["records"]]
    except (TypeError, ValueError, KeyError):
        raise ModelFileError("records of the state must each be the record of an epoch") from None
    start_lengths = [float(length) for length in values.pop("start_lengths")]
    return Progress(**values), start_lengths


def check_arrays(arrays: Mapping[str, Array], own: Mapping[str, Array]) -> None:
    """Check that the arrays of a state have the names, shapes and dtypes of this run's."""
    expected = {name: array for name, array in own.items() if name not in OPTIONAL_STATE}
    if set(OPTIONAL_STATE) <= set(arrays):
        expected |= {name: own[like] for name, like in OPTIONAL_STATE.items()}
    if set(arrays) != set(expected):
        odd = min(set(arrays) ^ set(expected))
        raise ModelFileError(f"the state must be of this run: it has {listed(arrays)}, not {listed(expected)} ({odd})")
    for name, like in expected.items():
        array = arrays[name]
        if array.shape != like.shape or array.dtype != like.dtype:
            raise ModelFileError(
                f"the state must be of this run: its {name} is {array.dtype} {array.shape}, "
                f"here it is {like.dtype} {like.shape}"
            )


def check_plain(plain: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Check that the plain values have the names and kinds of this run's, and that no number is NaN."""
    if set(plain) != set(own):
        raise ModelFileError(f"the state must hold {listed(own)}, got {listed(plain)}")
    for name, like in own.items():
        if not is_alike(plain[name], like):
            kind = {bool: "true or false", float: "a number", int: "a whole number from 0"}.get(type(like), "a list")
            raise ModelFileError(f"{name} of the state must be {kind}, got {str(plain[name])[:40]!r}")
    lengths = plain["start_lengths"]
    if len(lengths) != len(own["start_lengths"]) or not all(is_alike(length, 0.0) for length in lengths):
        raise ModelFileError(f"start_lengths of the state must be {len(own['start_lengths'])} numbers, got {lengths}")


def is_alike(value: Any, like: Any) -> bool:
    """Return True if a value is of the same kind; integers are from 0 to 2⁶³, and NaN is not accepted."""
    if type(like) is int:
        return checks.is_integer(value, 0, 2**63 - 1)
    # JSON keeps the decimal point of the floats in a state
    return type(value) is type(like) and not (isinstance(value, float) and math.isnan(value))


def listed(names: Iterable[str]) -> str:
    """Return the names in order."""
    return ", ".join(sorted(names))[:200]


# ---- the accuracy of a result


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `count`, of which `right` were seen (Wilson's score interval).

    (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n): it stays inside 0 … 1 and is honest near both ends.
    """
    p, z2 = right / count, Z_95**2
    middle = p + z2 / (2 * count)
    reach = Z_95 * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    low, high = (middle - reach) / (1 + z2 / count), (middle + reach) / (1 + z2 / count)
    return max(0.0, low), min(1.0, high)


def tested(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the accuracy that a model's metadata record, with its 95 % interval; nothing without a test set."""
    if "test" not in metadata:
        return {}
    accuracy, count = metadata["test"]["accuracy"], metadata["test"]["images"]
    return {"tested_on": count, "test_accuracy": accuracy, "interval": wilson(round(accuracy * count), count)}


def tested_lines(metadata: Mapping[str, Any]) -> list[str]:
    """Return the same in a line of text, in a list."""
    if not (found := tested(metadata)):
        return []
    low, high = (percent(end, 1) for end in found["interval"])
    accuracy, images = percent(found["test_accuracy"]), counted(found["tested_on"], "image")
    return [f"test accuracy {accuracy} on {images} never seen (95 % interval {low} to {high})"]
