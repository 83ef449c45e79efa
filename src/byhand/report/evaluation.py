"""Evaluation: metrics of a model on a data set, computed from its probabilities and the labels."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.data.dataset import check_dataset
from byhand.errors import DivergedError, UsageError
from byhand.model import Reader
from byhand.model.model import check_classes
from byhand.nn.arrays import Array
from byhand.nn.losses import SoftmaxCrossEntropy, softmax
from byhand.text import aligned, percent
from byhand.training.records import wilson

#: Checksum of MNIST's test set, and its images whose label fewer than three of five people agreed with. They count as
#: labeled, and are marked in lists of mistakes.
MNIST_TEST = "f5147f7baa1787ec4b3cd00068f8ec8a61d969373b74639b6aef5c981fc5a5b2"
MNIST_LABEL_ERRORS = frozenset(
    (947, 1621, 1901, 2130, 2462, 2597, 2654, 3520, 3558, 5937, 6651, 6783, 8527, 9679, 9729)
)


@dataclass(frozen=True)
class Mistake:
    """A misclassified image; `confidence` is the probability of the predicted class."""

    index: int
    label: int
    predicted: int
    confidence: float
    label_probability: float
    doubtful: bool  #: the label is in `MNIST_LABEL_ERRORS`


@dataclass(frozen=True)
class ClassFigures:
    """Metrics of one class with `count` images; NaN if undefined. f1: harmonic mean of precision and recall."""

    name: str
    count: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Bin:
    """The images with a confidence from `low` to `high`: their mean confidence and their accuracy."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of a model on a data set, and its metrics.

    labels, predictions: (N,);  probabilities: float32 (N, K);  loss: the mean cross-entropy
    """

    data: Dataset
    classes: tuple[str, ...]
    labels: Array
    predictions: Array
    probabilities: Array
    loss: float
    label_errors: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.labels)

    @functools.cached_property
    def right(self) -> Array:
        """Mask of the correctly classified images            boolean (N,)"""
        right: Array = self.predictions == self.labels
        return right

    @property
    def correct(self) -> int:
        """Number of correctly classified images."""
        return int(np.count_nonzero(self.right))

    def names(self, index: int) -> tuple[str, str]:
        """Return the names of an image's label and prediction."""
        return self.classes[self.labels[index]], self.classes[self.predictions[index]]

    @property
    def accuracy(self) -> float:
        """Fraction of correctly classified images."""
        return self.correct / len(self)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy (Wilson)."""
        return wilson(self.correct, len(self))

    @functools.cached_property
    def confusion(self) -> Array:
        """Confusion matrix: true classes in rows, predictions in columns                integers (K, K)"""
        K = len(self.classes)
        counts: Array = np.bincount(self.labels * K + self.predictions, minlength=K * K).reshape(K, K)
        return counts

    @functools.cached_property
    def per_class(self) -> tuple[ClassFigures, ...]:
        """Precision, recall and F1 of each class."""

        def share(part: int, whole: int) -> float:
            return part / whole if whole else math.nan

        counts = (self.confusion.sum(axis=1), self.confusion.sum(axis=0), self.confusion.diagonal())
        return tuple(
            ClassFigures(name, count, share(right, given), share(right, count), share(2 * right, count + given))
            for name, count, given, right in zip(self.classes, *(n.tolist() for n in counts), strict=True)
        )

    @functools.cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """Misclassified images, those with the lowest probability of the label first."""
        wrong = np.flatnonzero(~self.right)
        labels, answers = self.labels[wrong], self.predictions[wrong]
        of_label, of_answer = self.probabilities[wrong, labels], self.probabilities[wrong, answers]
        order = np.lexsort((wrong, -of_answer, of_label))
        columns = (array[order].tolist() for array in (wrong, labels, answers, of_answer, of_label))
        return tuple(
            Mistake(index, label, answer, sure, likely, index in self.label_errors)
            for index, label, answer, sure, likely in zip(*columns, strict=True)
        )

    @functools.cached_property
    def calibration(self) -> tuple[Bin, ...]:
        """Ten bins of confidence, without the empty ones."""
        confidence = self.probabilities.max(axis=1).astype(np.float64)
        place = np.minimum((confidence * 10).astype(int), 9)
        return tuple(
            Bin(k / 10, (k + 1) / 10, int(here.sum()), float(confidence[here].mean()), float(self.right[here].mean()))
            for k in range(10)
            if (here := place == k).any()
        )

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: the mean of |confidence − accuracy| over the bins, weighted by their counts."""
        return sum(b.count * abs(b.confidence - b.accuracy) for b in self.calibration) / len(self)

    def text(self, mistakes: int = 10, columns: int | None = None) -> str:
        """Return the metrics, the confusion matrix and the worst mistakes, for a terminal of this width."""
        low, high = self.interval
        width = max(6, *(len(name) + 1 for name in self.classes))
        first = width + 9
        interval = f"95 % interval {percent(low)} to {percent(high)}"
        rows = [["true \\ read as", *self.classes, "    recall"]]
        for counts, figures in zip(self.confusion, self.per_class, strict=True):
            recall = percent(figures.recall, 1).rjust(10)
            rows.append([figures.name, *(str(count) if count else "·" for count in counts), recall])
        rows.append(["precision", *(percent(each.precision, 0).replace(" ", "") for each in self.per_class), ""])
        rows = [[row[0].ljust(first), *(cell.rjust(width) for cell in row[1:])] for row in rows]
        lines = [
            f"accuracy {percent(self.accuracy)} ({self.correct:,} of {len(self):,}; {interval}), loss {self.loss:.4f}",
            "",
            *aligned(rows, columns, gap=""),
        ]
        if self.mistakes:
            lines += ["", f"the worst of {len(self.mistakes):,} mistakes:"]
        lines += [
            f"  image {m.index:>5}: a {self.classes[m.label]}, read as {self.classes[m.predicted]} "
            f"with {percent(m.confidence, 1)}{'  (its label is doubtful)' if m.doubtful else ''}"
            for m in self.mistakes[:mistakes]
        ]
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as plain values; None if undefined."""

        def defined(share: float) -> float | None:
            return None if math.isnan(share) else share

        return {
            "data": self.data.name,
            "images": len(self),
            "accuracy": self.accuracy,
            "interval": self.interval,
            "loss": self.loss,
            "classes": self.classes,
            "confusion": self.confusion.tolist(),
            "per_class": [
                {"class": f.name, "images": f.count, "precision": defined(f.precision), "recall": defined(f.recall)}
                for f in self.per_class
            ],
            "mistakes": [
                {
                    "image": m.index,
                    "label": self.classes[m.label],
                    "predicted": self.classes[m.predicted],
                    "confidence": m.confidence,
                    "doubtful": m.doubtful,
                }
                for m in self.mistakes
            ],
        }

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"<Evaluation on {self.data.name}: {self.correct:,} of {len(self):,} right, "
            f"{self.accuracy:.2%} (95 %: {low:.2%} to {high:.2%})>"
        )


def evaluate(model: Reader, data: Dataset) -> Evaluation:
    """Evaluate a model on every image of `data`."""
    if len(check_dataset(data)) == 0:
        raise UsageError("an evaluation needs at least one image, got an empty data set")
    check_classes(model.classes, data)
    logits = model.logits(data.images)
    if not np.isfinite(logits).all():
        where = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        raise DivergedError(f"the network's outputs must be finite numbers, those for image {where} are not")
    loss, _ = SoftmaxCrossEntropy()(logits, data.labels)
    return Evaluation(
        data=data,
        classes=model.classes,
        labels=np.asarray(data.labels),
        predictions=logits.argmax(axis=1),
        probabilities=softmax(logits).astype(np.float32, copy=False),
        loss=loss,
        label_errors=known_label_errors(data),
    )


def known_label_errors(data: Dataset) -> frozenset[int]:
    """Return the indices of doubtful labels, if the data is MNIST's test set."""
    return MNIST_LABEL_ERRORS if len(data) == 10_000 and data.checksum == MNIST_TEST else frozenset()
