"""Plots for notebooks, with Matplotlib (extra `plots`). Every function takes `ax=` and returns the axes.

The two plots of the reference programs are `plot_history` (the loss curve) and `plot_prediction`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from byhand.checks import integer
from byhand.data import Sample
from byhand.errors import MissingExtraError, UsageError
from byhand.model import Model
from byhand.nn.arrays import Array
from byhand.page.document import tiled
from byhand.report.evaluation import Evaluation
from byhand.report.images import first_layer
from byhand.training.records import EpochRecord, History

COLORS = {"training": "#1b62c4", "validation": "#d9660b"}


def plot_history(history: History | Sequence[EpochRecord], *, column: str = "loss", ax: Any = None) -> Any:
    """Plot the training and validation loss per epoch, or the accuracy with `column="accuracy"`."""
    records = list(history)
    if column not in ("loss", "accuracy"):
        raise UsageError(f"column must be loss or accuracy, got {column!r}")
    if not records:
        raise UsageError("a history needs at least one record, got none")
    ax = axes(ax)
    epochs = [r.epoch for r in records]
    mark = "o" if len(records) <= 40 else None
    lines = [("training", [getattr(r, column) for r in records], "-")]
    if records[0].validation_loss is not None:
        lines.append(("validation", [getattr(r, f"validation_{column}") for r in records], "--"))
    for name, values, style in lines:
        ax.plot(epochs, values, style, color=COLORS[name], label=name, marker=mark, markersize=3)
    ax.set(xlabel="epoch", ylabel=column, title=column.capitalize())
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return ax


def plot_confusion(evaluation: Evaluation, *, ax: Any = None) -> Any:
    """Plot the confusion matrix: true classes in rows, predictions in columns. Only mistakes are colored."""
    ax = axes(ax, figsize=(6, 6))
    counts = evaluation.confusion
    wrong = counts.astype(float)
    np.fill_diagonal(wrong, np.nan)
    most = max(1.0, np.nanmax(wrong, initial=0.0))
    ax.imshow(wrong, cmap="Oranges", vmin=0, vmax=most)
    places = range(len(evaluation.classes))
    for i, j in np.ndindex(counts.shape):
        if counts[i, j]:
            ax.text(
                j, i, f"{counts[i, j]}", ha="center", va="center", fontsize=8, weight="bold" if i == j else "normal"
            )
    ax.set_xticks(places, evaluation.classes)
    ax.set_yticks(places, evaluation.classes)
    ax.set(xlabel="predicted", ylabel="true", title=f"Accuracy {evaluation.accuracy:.2%} of {len(evaluation):,} images")
    return ax


def plot_mistakes(evaluation: Evaluation, *, count: int = 20, columns: int = 10, ax: Any = None) -> Any:
    """Plot the worst mistakes, with their labels and predictions."""
    mistakes = evaluation.mistakes[: integer("count", count, 1)]
    columns = min(integer("columns", columns, 1), max(1, len(mistakes)))
    rows = max(1, -(-len(mistakes) // columns))
    ax = axes(ax, figsize=(columns * 0.9, rows * 1.25))
    height, width, *channels = evaluation.data.shape
    down, across = round(height * 1.45), width + 2
    sheet = np.zeros((rows * down, columns * across, *channels), np.uint8)
    for place, mistake in enumerate(mistakes):
        top, left = place // columns * down, place % columns * across
        sheet[top : top + height, left : left + width] = evaluation.data.images[mistake.index]
        words = " → ".join(evaluation.names(mistake.index)) + ("*" if mistake.doubtful else "")
        ax.text(left + width / 2, top + height * 1.05, words, ha="center", va="top", fontsize=8, color="white")
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_axis_off()
    doubt = " (*: doubtful label)" if any(mistake.doubtful for mistake in mistakes) else ""
    ax.set_title(f"The worst {len(mistakes)} of {len(evaluation.mistakes):,} mistakes{doubt}", fontsize=10)
    return ax


def plot_weights(model: Model, *, count: int = 40, columns: int = 8, ax: Any = None) -> Any:
    """Plot the weights of the `count` units or maps of the first layer with the largest norms."""
    layer = model.network.parametric_layers[0]
    side = round(layer.inputs**0.5)
    first = first_layer(layer, (side, side), integer("count", count, 1))
    if first is None:
        raise UsageError(f"weights can be plotted if the inputs are square images, got {layer.inputs} inputs")
    columns = min(integer("columns", columns, 1), len(first.chosen))
    ax = axes(ax, figsize=(columns, -(-len(first.chosen) // columns)))
    limit = float(np.abs(layer.W).max()) or 1.0
    ax.imshow(tiled(first.pictures, columns), cmap="PuOr_r", vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_axis_off()
    words = f"Weights of {len(first.chosen)} of {len(first.norms)} {first.each}s (orange: positive)"
    ax.set_title(words, fontsize=10)
    return ax


def plot_prediction(model: Model, image: Sample | Array, label: int | None = None, *, ax: Any = None) -> Any:
    """Plot an image with its prediction and label                               image: uint8 (H, W) or a Sample"""
    if isinstance(image, Sample) and label is None:
        label = image.label
    images = np.asarray(image.image if isinstance(image, Sample) else image)[None]
    probabilities = model.probabilities(images)[0]
    best = int(probabilities.argmax())
    ax = axes(ax, figsize=(3.2, 3.6))
    ax.imshow(model.check_images(images)[0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    ax.set_axis_off()
    truth = "" if label is None else f", label: {model.classes[label]}"
    color = "black" if label is None or label == best else "#b3261e"
    ax.set_title(f"prediction: {model.classes[best]} ({probabilities[best]:.0%}){truth}", fontsize=10, color=color)
    return ax


def axes(ax: Any, **settings: Any) -> Any:
    """Return `ax`, or the axes of a new figure."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise MissingExtraError("matplotlib", "plots") from None
    return plt.subplots(layout="constrained", **settings)[1]
