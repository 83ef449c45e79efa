"""The curve: what the loss and the accuracy were on the way, kept short however long the way gets."""

from dataclasses import dataclass, field
from typing import Any

from byhand.training.records import EpochRecord, StepRecord

#: Beyond this many points neighbours are joined, so a curve has half to all of them.
MOST = 400
#: So many points an epoch has at least, however quickly it passes: a line of two says nothing about the way.
AN_EPOCH = 20
#: And so many are made at most of what happened between two pieces of news.
AT_ONCE = 40


@dataclass
class Point:
    """The means over some steps; `epoch` is where they end, as a fraction of epochs."""

    epoch: float
    loss: float
    accuracy: float
    steps: int

    def to_json(self) -> list[float]:
        return [round(self.epoch, 4), round(self.loss, 6), round(self.accuracy, 5), self.steps]


@dataclass
class Curve:
    """Points of training, and the records of whole epochs with their validation."""

    points: list[Point] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)

    def add(self, point: Point) -> None:
        self.points.append(point)
        if len(self.points) > MOST:
            self.points = [joined(*self.points[i : i + 2]) for i in range(0, len(self.points), 2)]

    def add_epoch(self, record: EpochRecord) -> None:
        self.epochs.append(record)
        if len(self.epochs) > MOST:  # each stands for an epoch; of two, the later is kept
            self.epochs = self.epochs[1::2]


def points_of(records: list[StepRecord], batches_per_epoch: int) -> list[Point]:
    """The steps since the last point, as one point, or as several where they are more than a piece of an epoch."""
    span = max(1, batches_per_epoch // AN_EPOCH, -(-len(records) // AT_ONCE))
    return [point_of(records[start : start + span], batches_per_epoch) for start in range(0, len(records), span)]


def point_of(records: list[StepRecord], batches_per_epoch: int) -> Point:
    """These steps as one point."""
    return Point(
        epoch=(records[-1].step + 1) / batches_per_epoch,
        loss=sum(r.loss for r in records) / len(records),
        accuracy=sum(r.accuracy for r in records) / len(records),
        steps=len(records),
    )


def joined(first: Point, second: Point | None = None) -> Point:
    """Two neighbours as one; a last one without a neighbour stays as it is."""
    if second is None:
        return first
    steps = first.steps + second.steps

    def mean(a: float, b: float) -> float:
        return (a * first.steps + b * second.steps) / steps

    return Point(second.epoch, mean(first.loss, second.loss), mean(first.accuracy, second.accuracy), steps)


def epoch_json(record: EpochRecord) -> dict[str, Any]:
    """What the page shows of an epoch."""
    return {
        "epoch": record.epoch,
        "loss": record.loss,
        "accuracy": record.accuracy,
        "validation_loss": record.validation_loss,
        "validation_accuracy": record.validation_accuracy,
        "images_per_second": record.images_per_second,
        "warnings": list(record.warnings),
    }
