"""The panels: the JSON that each of them shows. Every number is computed elsewhere, from a copy of the model."""

import threading
from typing import Any

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.explain import Explanation, Figure, Step, explain_step
from byhand.model import Model
from byhand.model.inference import blocks, max_block_size
from byhand.nn.arrays import Array
from byhand.nn.backprop import Pass
from byhand.nn.layers import Activation
from byhand.page import model_description
from byhand.play.curve import epoch_json
from byhand.play.playground import Playground
from byhand.play.requests import pixels_of
from byhand.play.setup import CHOICES, LIMITS, Setup, fitting, threads
from byhand.play.storage import START
from byhand.play.trainer import Trainer
from byhand.report import Evaluation
from byhand.training.settings import maps_of

#: Training pictures that are looked through for those that excite a unit, and how many of them are shown.
LOOKED_THROUGH = 5_000
EXCITING = 12
#: Wrong pictures shown for one cell of the confusion grid.
SHOWN = 24
#: One explanation at a time: it quotes code, and Python 3.11 can't parse in two threads at once (its issue 106905).
READING_CODE = threading.Lock()
#: Arrays of at most so many numbers are written out.
WRITTEN_OUT = 16


def whole_state(trainer: Trainer, playground: Playground) -> dict[str, Any]:
    """Everything that a page needs to begin with, but for the last event that it holds."""
    model = playground.model
    return {
        **trainer.state(playground),
        "training": playground.training,
        "setup": playground.setup.to_json(),
        "choices": {name: list(known) for name, known in CHOICES.items()} | {"data": playground.data_names},
        "limits": {name: list(limits) for name, limits in LIMITS.items()},
        "digits": {
            "name": playground.digits.name,
            "source": playground.digits.source,
            "train": len(playground.kept),
            "validation": len(playground.held),
            "test": len(playground.digits.test),
            "classes": list(playground.digits.classes),
            "shape": list(playground.digits.train.shape),
        },
        "model": model_description(model),
        "origin": playground.origin if playground.session is None else "training",
        "loaded": {"origin": playground.origin, "fits": fitting(playground.loaded, playground.digits.train)},
        "points": [point.to_json() for point in playground.curve.points],
        "history": [epoch_json(record) for record in playground.curve.epochs],
    }


def picture_json(data: Dataset, index: int) -> dict[str, Any]:
    return {"index": index, "label": int(data.labels[index]), "pixels": pixels_of(data.images[index])}


# ---- Network


def exciting(model: Model, data: Dataset, layer: int, unit: int) -> dict[str, Any]:
    """The pictures to which a unit answers loudest. layer: which of the layers with weights, from 0."""
    weighted = model.network.weighted
    if not 0 <= layer < len(weighted) or not 0 <= unit < weighted[layer].b.size:
        raise UsageError(f"layer and unit must be one of the network's, got layer {layer}, unit {unit}")
    if not fitting(model, data):
        raise UsageError(f"the model doesn't take the pictures of {data.name}")
    data = data[:LOOKED_THROUGH]
    cut = blocks(len(data), max_block_size(model.network, 500))
    loudness = np.concatenate([unit_answers(model, data.images[rows], layer)[:, unit] for rows in cut])
    order = np.argsort(-loudness, kind="stable")[:EXCITING]
    return {
        "layer": layer,
        "unit": unit,
        "looked_through": len(data),
        "silent": float(np.mean(loudness <= 0)),
        "pictures": [{**picture_json(data, int(i)), "answer": float(loudness[i])} for i in order],
    }


def unit_answers(model: Model, images: Array, number: int) -> Array:
    """What the units of weighted layer `number` answer, after their activation      images: (N, H, W) → (N, units)

    A map is as loud as its loudest place.
    """
    layers, weighted = model.network.layers, model.network.weighted
    asked = weighted[number]
    end = weighted[number + 1].index if number + 1 < len(weighted) else len(layers)
    last = next((layer for layer in layers[asked.index : end] if isinstance(layer, Activation)), asked)
    pass_ = Pass(model.network, needs_gradient=False)
    pass_.forward(model.preparation(images, model.network.dtype))
    out = pass_.outs[last.index]
    loudest: Array = out.reshape(len(out), -1, asked.b.size).max(axis=1)
    return loudest


# ---- Step


def one_step(model: Model, image: Array, label: int, setup: Setup, unit: tuple[int, int] | None) -> dict[str, Any]:
    """One step of learning from one picture: formulas, numbers, code; the model itself is not changed."""
    with READING_CODE:
        explanation = explain_step(
            model,
            image,
            label,
            learning_rate=setup.learning_rate,
            optimizer=setup.rule(),
            units=() if unit is None else [unit],
        )
    return {
        "title": explanation.title,
        "settings": explanation.settings,
        "answer": explanation.answer(),
        "loss": explanation.loss,
        "loss_after": explanation.loss_after,
        "pixels": pixels_of(image),
        "label": label,
        "probabilities": [float(p) for p in explanation.probabilities[0]],
        "afterwards": afterwards_of(explanation),
        "steps": [step_json(step) for step in explanation.steps],
        "units": [
            {"name": unit.name, "layer": unit.layer, "unit": unit.unit, "lines": [list(line) for line in unit.lines()]}
            for unit in explanation.units
        ],
    }


def afterwards_of(explanation: Explanation) -> list[float] | None:
    return None if explanation.afterwards is None else [float(p) for p in explanation.afterwards[0]]


def step_json(step: Step) -> dict[str, Any]:
    return {
        "key": step.key,
        "title": step.title,
        "text": step.text,
        "formula": step.formula,
        "shapes": step.shapes,
        "lines": list(step.lines),
        "figures": [figure_json(figure) for figure in step.figures],
        "code": [{"computes": what, "place": quote.place, "text": quote.text} for what, quote in step.code],
        "parts": [step_json(part) for part in step.parts],
    }


def figure_json(figure: Figure) -> dict[str, Any]:
    """An array in words, and number by number where it is short."""
    short = figure.array.size <= WRITTEN_OUT
    return {
        "symbol": figure.symbol,
        "shape": list(figure.array.shape),
        "caption": figure.caption,
        "values": [float(value) for value in figure.array.ravel()] if short else None,
    }


# ---- Errors


def errors(evaluation: Evaluation) -> dict[str, Any]:
    """The figures of the test set, and the grid of which class was read as which."""
    low, high = evaluation.interval
    return {
        "data": evaluation.data.name,
        "count": len(evaluation),
        "correct": evaluation.correct,
        "accuracy": evaluation.accuracy,
        "interval": [low, high],
        "loss": evaluation.loss,
        "confusion": evaluation.confusion.tolist(),
        "doubtful": sum(mistake.doubtful for mistake in evaluation.mistakes),
    }


def wrong_pictures(evaluation: Evaluation, label: int | None, predicted: int | None) -> dict[str, Any]:
    """The mistakes of one cell of the grid, or of all of them, the worst first."""
    chosen = [
        mistake
        for mistake in evaluation.mistakes
        if (label is None or mistake.label == label) and (predicted is None or mistake.predicted == predicted)
    ]
    return {
        "count": len(chosen),
        "pictures": [
            {
                **picture_json(evaluation.data, mistake.index),
                "predicted": mistake.predicted,
                "confidence": mistake.confidence,
                "doubtful": mistake.doubtful,
            }
            for mistake in chosen[:SHOWN]
        ],
    }


# ---- Share


def as_python(setup: Setup, steps: int, batches_per_epoch: int) -> str:
    """The training as a program: it makes the same numbers as the panel showed."""
    epochs, rest = divmod(steps, batches_per_epoch)
    rule = "Momentum(nesterov=True)" if setup.optimizer == "momentum" else f"optimizer_named({setup.optimizer!r})"
    imports = "from byhand.nn.optimizers import " + ("Momentum" if setup.optimizer == "momentum" else "optimizer_named")
    preparation = "\nfrom byhand.model.preparation import Preparation" if setup.start == "new" else ""
    return f"""import numpy as np

import byhand
{imports}
from byhand.nn.schedules import Constant{preparation}

digits = byhand.load({setup.data!r})
train, held = digits.train.split(0.1, rng=np.random.default_rng([{setup.seed}, 0]))
{model_as_python(setup)}
history = byhand.fit(
    model,
    train,
    validation_data=held,
    epochs={max(1, epochs + (rest > 0))},
    batch_size={setup.batch_size},
    learning_rate={setup.learning_rate!r},
    optimizer={rule},
    schedule=Constant(),
    augment={setup.augment!r},
    seed={setup.seed},
    threads={threads()},  # sums are taken in the order that the number of threads asks for
)
print(history)
print(f"{{model.accuracy(digits.test):.2%}} of the test digits are read right")
model.save("digits.safetensors")
"""


def model_as_python(setup: Setup) -> str:
    """What the training begins with: new weights of a seed, or those that were loaded."""
    if setup.start == "loaded":
        return f'model = byhand.Model.load("{START}")  # the weights that it began with lie in the folder of its run'
    sliding = list(maps_of(setup.maps))
    maps = f"\n    maps={sliding}," if sliding else ""
    return f"""model = byhand.Model(
    [digits.train.images[0].size, *{list(setup.layers)}, len(digits.classes)],
    seed={setup.seed},{maps}
    activation={setup.activation!r},
    init={setup.init!r},
    output_scale=0.1,
    preparation=Preparation.standard(deskew={setup.deskew}),
    classes=digits.classes,
)"""
