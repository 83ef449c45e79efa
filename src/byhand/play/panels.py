"""The panels: the JSON that each of them shows."""

import threading
from typing import Any

import numpy as np

from byhand.data import Dataset, TrainTest
from byhand.data.dataset import COLORS_DROPPED
from byhand.data.formats.images import ENDINGS as PICTURES
from byhand.errors import UsageError
from byhand.explain import Figure, Step, explain_step
from byhand.explain.animation import values_of
from byhand.model import Model
from byhand.model.model import blocks, max_block_size
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.layers import Activation
from byhand.page import model_description
from byhand.play.playground import Playground, epoch_json
from byhand.play.requests import MAX_PICTURES, MAX_UPLOAD, UPLOADS, pixels_of
from byhand.play.setup import CHOICES, LIMITS, Setup, fits
from byhand.report import Evaluation

#: Number of training images searched for the largest activations, and number shown.
SEARCHED, SHOWN_ACTIVATIONS = 5_000, 12
#: Maximum number of classes with an example, and of files left out, shown of an uploaded data set.
SHOWN_CLASSES, SHOWN_LEFT_OUT = 12, 20
#: Maximum number of mistakes shown for a cell of the confusion matrix.
SHOWN_MISTAKES = 24
#: One explanation at a time: it parses code, and Python 3.11 can't parse in two threads at once (issue 106905).
EXPLAINING = threading.Lock()
#: Maximum size of an array that is sent in full.
FULL_SIZE = 16


def whole_state(playground: Playground) -> dict[str, Any]:
    """Return the initial state of a page, except the training state and the id of the last event."""
    digits, gentle, own = playground.digits, playground.gentle_setup(), playground.own
    return {
        "training": playground.training_number,
        "setup": playground.setup.config(),
        "usual": (own.usual if own else Setup.usual(playground.setup.data, digits.train)).config(),
        "own": {"file": own.functions.file, "settings": list(own.settings)} if own else None,
        "choices": {name: list(known) for name, known in CHOICES.items()} | {"data": playground.data_names},
        "limits": {name: list(limits) for name, limits in LIMITS.items()},
        "uploads": {
            "endings": sorted(UPLOADS),
            "pictures": sorted(PICTURES),
            "files": MAX_PICTURES,
            "bytes": MAX_UPLOAD,
        },
        "digits": {
            "name": digits.name,
            "train": len(playground.training_data),
            "test": len(digits.test),
            "classes": list(digits.classes),
            "shape": list(digits.train.shape),
        },
        "model": model_description(playground.model),
        "origin": playground.origin if playground.trainer is None else "training",
        "loaded": {"fits": own is None and fits(playground.loaded, digits.train), "setup": gentle and gentle.config()},
        "points": list(playground.curve.points),  # a copy: the training thread adds to the list
        "history": [epoch_json(record) for record in playground.curve.epochs],
    }


def picture_json(data: Dataset, index: int) -> dict[str, Any]:
    return {"index": index, "label": int(data.labels[index]), "pixels": pixels_of(data.images[index])}


def upload_json(digits: TrainTest, left_out: list[str], setup: Setup) -> dict[str, Any]:
    """Return what an uploaded data set contains: classes with their numbers of images, an example of each, notes."""
    train, test = digits
    counts = [int(np.sum(train.labels == k) + np.sum(test.labels == k)) for k in range(len(digits.classes))]
    firsts = [int(places[0]) for k in range(len(counts)) if len(places := np.flatnonzero(train.labels == k))]
    return {
        "setup": setup.config(),
        "shape": list(train.shape),
        "count": len(train) + len(test),
        "test": len(test),
        "classes": [{"name": name, "count": count} for name, count in zip(digits.classes, counts, strict=True)],
        "pictures": [picture_json(train, index) for index in firsts[:SHOWN_CLASSES]],
        "notes": [note for note in train.note.replace(COLORS_DROPPED, "colors read as gray").split(", ") if note],
        "left_out": left_out[:SHOWN_LEFT_OUT],
        "left_out_count": len(left_out),
    }


def added(playground: Playground) -> list[dict[str, Any]]:
    """Return the images that were added by hand, with their labels."""
    return [{"pixels": pixels_of(image), "label": label} for image, label in playground.added]


# ---- Network


def largest_activations(model: Model, data: Dataset, layer: int, unit: int) -> dict[str, Any]:
    """Return the images with a unit's largest activations. layer: index among the layers with weights."""
    weighted = model.network.parametric_layers
    if not 0 <= layer < len(weighted) or not 0 <= unit < weighted[layer].b.size:
        raise UsageError(f"layer and unit must exist in the network, got layer {layer}, unit {unit}")
    if not fits(model, data):
        raise UsageError(f"the model must have the size and the classes of the images of {data.name}")
    data = data[:SEARCHED]
    cut = blocks(len(data), max_block_size(model.network, 500))
    values = np.concatenate([activations(model, data.images[rows], layer)[:, unit] for rows in cut])
    order = np.argsort(-values, kind="stable")[:SHOWN_ACTIVATIONS]
    return {
        "looked_through": len(data),
        "silent": float(np.mean(values <= 0)),
        "pictures": [{**picture_json(data, int(i)), "answer": float(values[i])} for i in order],
    }


def activations(model: Model, images: Array, number: int) -> Array:
    """Return the activations of a layer with weights; the maximum of each map     images: (N, H, W) → (N, units)"""
    layers, weighted = model.network.layers, model.network.parametric_layers
    layer = weighted[number]
    end = weighted[number + 1].index if number + 1 < len(weighted) else len(layers)
    last = next((after for after in layers[layer.index : end] if isinstance(after, Activation)), layer)
    pass_ = Pass(model.network, needs_gradient=False)
    pass_.forward(model.preparation(images, model.network.dtype))
    out = pass_.outs[last.index]
    largest: Array = out.reshape(len(out), -1, layer.b.size).max(axis=1)
    return largest


def gradients(model: Model, image: Array, label: int) -> dict[str, Any]:
    """Return the loss of one image, and its gradient with respect to the sums of each layer with weights."""
    loss, stages = values_of(model, image, label)
    return {"loss": loss, "deltas": [stage.deltas.tolist() for stage in stages]}


# ---- Step


def one_step(model: Model, image: Array, label: int, setup: Setup, unit: tuple[int, int] | None) -> dict[str, Any]:
    """Return one training step on one image: formulas, numbers and code. The model is not changed."""
    rule: dict[str, Any] = {"learning_rate": setup.learning_rate, "optimizer": setup.optimizer_object}
    with EXPLAINING:
        explanation = explain_step(model, image, label, **rule, units=() if unit is None else [unit])
    after = explanation.afterwards
    return {
        **{name: getattr(explanation, name) for name in ("title", "loss", "loss_after")},
        "answer": explanation.answer(),
        "pixels": pixels_of(image),
        "label": label,
        "probabilities": explanation.probabilities[0].tolist(),
        "afterwards": None if after is None else after[0].tolist(),
        "steps": [step_json(step) for step in explanation.steps],
        "units": [{"name": unit.name, "lines": [list(line) for line in unit.lines()]} for unit in explanation.units],
    }


def step_json(step: Step) -> dict[str, Any]:
    return {
        **{name: getattr(step, name) for name in ("title", "text", "formula", "shapes", "lines")},
        "figures": [figure_json(figure) for figure in step.figures],
        "code": [{"computes": what, "place": quote.place, "text": quote.text} for what, quote in step.code],
        "parts": [step_json(part) for part in step.parts],
    }


def figure_json(figure: Figure) -> dict[str, Any]:
    """Return an array's caption, and its values if it is small."""
    values = figure.array.ravel().tolist() if figure.array.size <= FULL_SIZE else None
    return {"symbol": figure.symbol, "caption": figure.caption, "values": values}


# ---- Errors


def errors(evaluation: Evaluation) -> dict[str, Any]:
    """Return the metrics of the test set, and the confusion matrix."""
    return {
        **{name: getattr(evaluation, name) for name in ("correct", "accuracy", "interval", "loss")},
        "count": len(evaluation),
        "confusion": evaluation.confusion.tolist(),
        "doubtful": sum(mistake.doubtful for mistake in evaluation.mistakes),
    }


def misread(evaluation: Evaluation, label: int | None, predicted: int | None) -> dict[str, Any]:
    """Return the mistakes in one cell of the confusion matrix, or in all cells, the worst first."""
    chosen = [
        mistake
        for mistake in evaluation.mistakes
        if (label is None or mistake.label == label) and (predicted is None or mistake.predicted == predicted)
    ]
    names = ("predicted", "confidence", "doubtful")
    pictures = [
        picture_json(evaluation.data, mistake.index) | {name: getattr(mistake, name) for name in names}
        for mistake in chosen[:SHOWN_MISTAKES]
    ]
    return {"count": len(chosen), "pictures": pictures}
