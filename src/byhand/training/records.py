"""Records: what the training loop yields for its steps and epochs; the caller shows them.

A step's record is light, for it is made thousands of times; an epoch's says all that a curve or a watchdog needs.
"""

import html
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple


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
        """The record that these plain values describe; a ValueError where they are of the wrong kinds."""
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
        """One value from each record: `history.column("loss")`."""
        return [getattr(record, name) for record in self.records]

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
