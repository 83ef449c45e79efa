"""Records of steps and epochs, history and progress of a run, and test accuracy."""

import csv
import html
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict, overload

import byhand
from byhand import checks
from byhand.errors import MissingExtraError, ModelFileError, UsageError
from byhand.files import StrPath, write_text
from byhand.nn.arrays import Array
from byhand.schema import checked
from byhand.text import counted, did_you_mean, percent

#: The 97.5 % quantile of the normal distribution.
Z_95 = 1.959963984540054


RECORD_RULE = "each line must be an epoch record of byhand train"


class StepRecord(NamedTuple):
    """One step: loss and accuracy on its batch before the update.

    `gradient_norm`, before clipping, is only computed for clipping and at the end of an epoch.
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
    """One epoch: means over its steps, and the validation loss and accuracy after it.

    `epoch` counts from 1, and `step`, its last step, from 0. `gradient_norm` is that of the last step. `dead` is the
    fraction of dead units of each ReLU layer. `warnings` are the watchdog's.
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
        """Return plain values, for a line of `metrics.jsonl`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "EpochRecord":
        """Return the record of plain values; raise UsageError for a wrong type."""
        try:
            record = cls(**{**values, "dead": tuple(values["dead"]), "warnings": tuple(values["warnings"])})
        except (TypeError, KeyError):
            raise UsageError(RECORD_RULE) from None
        numbers = [record.loss, record.accuracy, record.rate, record.gradient_norm, *record.dead]
        numbers += [record.images_per_second, record.seconds]
        numbers += [n for n in (record.validation_loss, record.validation_accuracy) if n is not None]
        if not (
            all(checks.is_integer(n, 0, 2**63 - 1) for n in (record.epoch, record.step))
            and all(type(n) is float or checks.is_integer(n, -(2**63), 2**63) for n in numbers)
            and all(isinstance(line, str) for line in record.warnings)
        ):
            raise UsageError(RECORD_RULE)
        return record


#: Names in other libraries, and what to type here.
ELSEWHERE = {
    **dict.fromkeys(("val_loss", "valid_loss", "test_loss"), "validation_loss"),
    **dict.fromkeys(("val_accuracy", "val_acc", "valid_acc", "test_accuracy"), "validation_accuracy"),
    **dict.fromkeys(("acc", "train_accuracy"), "accuracy"),
    **dict.fromkeys(("lr", "learning_rate"), "rate"),
    "train_loss": "loss",
    "time": "seconds",
}


@dataclass
class History:
    """The records of a run. `ending` is `done`, `stopped early` or `interrupted`."""

    records: list[EpochRecord] = field(default_factory=list)
    ending: str = "done"
    best_epoch: int | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[EpochRecord]:
        return iter(self.records)

    @overload
    def __getitem__(self, index: int) -> EpochRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[EpochRecord]: ...
    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    def __getitem__(self, index: int | slice | str) -> Any:
        """Return a record by its number, or one value of each record by its name: `history["loss"]`."""
        return self.column(index) if isinstance(index, str) else self.records[index]

    if not TYPE_CHECKING:  # which would accept any name

        def __getattr__(self, name: str) -> Any:
            hint = "" if name.startswith("_") else ' (did you mean history["loss"]?)'
            raise AttributeError(f"History has no attribute {name!r}{hint}")

    def column(self, name: str) -> list[Any]:
        """Return one value of each record: `history.column("loss")`."""
        known = [field.name for field in fields(EpochRecord)]
        if name not in known:
            hint = did_you_mean(name, known, ELSEWHERE) or f": a record has {', '.join(known)}"
            raise UsageError(f"no column {name!r:.60}{hint}")
        return [getattr(record, name) for record in self.records]

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row per record. This needs pandas."""
        try:
            import pandas
        except ImportError:
            raise MissingExtraError("pandas", "pandas") from None
        return pandas.DataFrame([asdict(record) for record in self], columns=[f.name for f in fields(EpochRecord)])

    def plot(self, column: str = "loss", *, ax: Any = None) -> Any:
        """Plot the training and validation loss, or `column="accuracy"`, and return the axes. This needs Matplotlib."""
        return byhand.plot_history(self, column=column, ax=ax)

    def to_csv(self, path: StrPath) -> None:
        """Write a CSV file with a line per record."""
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


@dataclass
class Progress:
    """Steps so far, sums of the current epoch, and the state of early stopping."""

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


#: Arrays that a run has only after its first validation, and arrays of the same shape.
OPTIONAL_STATE = {"best": "parameters", "best_statistics": "statistics"}


def check_state(
    arrays: Mapping[str, Array],
    plain: Mapping[str, Any],
    own_arrays: Mapping[str, Array],
    own_plain: Mapping[str, Any],
    total_steps: int,
) -> tuple[Progress, list[float]]:
    """Return the progress and the start lengths of a state.

    A checkpoint may belong to another run. Its names, shapes and types must be those of this run, so that nothing is
    broadcast, truncated or ignored.
    """
    check_arrays(arrays, own_arrays)
    check_plain(plain, own_plain)
    if plain["step"] > total_steps:
        raise ModelFileError(f"step of the state must be at most {total_steps}, got {plain['step']}")
    values = dict(plain)
    try:
        values["records"] = [EpochRecord.from_json(record) for record in plain["records"]]
    except (TypeError, UsageError):
        raise ModelFileError("records of the state must be epoch records") from None
    start_lengths = [float(length) for length in values.pop("start_lengths")]
    return Progress(**values), start_lengths


def check_arrays(arrays: Mapping[str, Array], own: Mapping[str, Array]) -> None:
    """Check the names, shapes and dtypes of the arrays of a state."""
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
    """Check the names and types of the plain values of a state."""
    if set(plain) != set(own):
        raise ModelFileError(f"the state must hold {listed(own)}, got {listed(plain)}")
    for name, like in own.items():
        if not is_alike(plain[name], like):
            kind = {bool: "true or false", float: "a number", int: "an integer of at least 0"}.get(type(like), "a list")
            raise ModelFileError(f"{name} of the state must be {kind}, got {str(plain[name])[:40]!r}")
    lengths, count = plain["start_lengths"], len(own["start_lengths"])
    if len(lengths) != count or not all(is_alike(length, 0.0) for length in lengths):
        raise ModelFileError(f"start_lengths of the state must be {count} numbers, got {lengths}")


def is_alike(value: Any, like: Any) -> bool:
    """Return True if a value has the type of `like`, and is not NaN or over 2⁶³."""
    if type(like) is int:
        return checks.is_integer(value, 0, 2**63 - 1)
    return type(value) is type(like) and not (isinstance(value, float) and math.isnan(value))


def listed(names: Iterable[str]) -> str:
    """Return the sorted names, for an error message."""
    return ", ".join(sorted(names))[:200]


def wilson(right: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval for an accuracy of right / count.

    (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n), also valid near 0 and 1
    """
    p, z2 = right / count, Z_95**2
    middle = p + z2 / (2 * count)
    reach = Z_95 * math.sqrt(p * (1 - p) / count + z2 / (4 * count * count))
    low, high = (middle - reach) / (1 + z2 / count), (middle + reach) / (1 + z2 / count)
    return max(0.0, low), min(1.0, high)


class Tested(TypedDict):
    """The test in a model's metadata; there may be more keys."""

    images: Annotated[int, (1, 10**9)]
    accuracy: Annotated[float, (0, 1)]


def tested(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the test accuracy and its 95 % interval; empty without a test set."""
    try:
        test = checked(Tested, {name: one for name, one in metadata["test"].items() if name in ("images", "accuracy")})
    except (KeyError, AttributeError, UsageError):  # a file's metadata can be anything
        return {}
    accuracy, count = test["accuracy"], test["images"]
    return {"tested_on": count, "test_accuracy": accuracy, "interval": wilson(round(accuracy * count), count)}


def tested_lines(metadata: Mapping[str, Any]) -> list[str]:
    """Return the same as a list of at most one line of text."""
    if not (found := tested(metadata)):
        return []
    low, high = (percent(end, 1) for end in found["interval"])
    accuracy, images = percent(found["test_accuracy"]), counted(found["tested_on"], "image")
    return [f"test accuracy {accuracy} on {images} (95 % interval {low} to {high})"]
