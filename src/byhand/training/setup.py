"""Setup of a run: check and split the data, choose the plan, and allocate arrays."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from byhand import checks
from byhand.data import Dataset
from byhand.data.augment import Augmentation
from byhand.data.dataset import check_dataset, stratified_counts
from byhand.errors import UsageError, short_repr
from byhand.model.model import Model, check_classes, check_model, label_numbers
from byhand.model.preparation import Preparation
from byhand.nn.arrays import Array, aligned
from byhand.nn.backprop import Pass
from byhand.text import did_you_mean
from byhand.threads import available
from byhand.training.batches import Batch, Batches, Inputs, Shard, batch_of, check_same, part_of
from byhand.training.plan import Member, Team, form_of, layers_for, plan_for, unscaled
from byhand.training.recipe import Recipe
from byhand.training.watchdog import PROBE_SIZE

#: Rows of floats that are examined to decide what they are.
SOME = 1_000
#: Training data: a data set, or the network's inputs with labels.
Data = Dataset | tuple[Array, Array]


class Setup:
    """The parts of one run: batches, plan, layers and arrays."""

    def __init__(
        self,
        model: Model,
        data: Data,
        recipe: Recipe,
        seed: int,
        sample_weights: Array | None,
        validation_data: Data | None,
        shard: Shard | None,
    ) -> None:
        self.model, self.recipe, self.seed, self.shard = model, recipe, checks.seed(seed), shard
        self.network = check_model(model).network
        data = training_data(model, data)
        validation_data = None if validation_data is None else training_data(model, validation_data)
        model.preparation = preparation_for(model, data)
        self._split(data, sample_weights, validation_data)
        if shard is not None:
            settings = repr((self.network.config(), recipe.replace(threads=None).config(), self.seed))
            check_same(shard, "network, recipe and seed", settings.encode(), self.network.parameters.tobytes())
            check_same(shard, "data", self.batches.labels.tobytes())
        self._choose_plan()
        #: The vector of the all-reduce: gradient, loss, correct predictions, stop request.
        self.message = aligned(self.network.size + 3, self.network.dtype)
        self.gradient = self.message[: self.network.size]

    def _split(self, data: Data, sample_weights: Array | None, validation_data: Data | None) -> None:
        """Check the data, and split it into training, validation and probe samples."""
        model, recipe = self.model, self.recipe
        self._augments = bool(Augmentation.parse(recipe.augment))
        images, labels = samples_of(model, data, prepared=not self._augments)
        recipe.loss.check(labels)
        weights = None if sample_weights is None else check_weights(sample_weights, len(labels))
        fraction = recipe.validation if validation_data is None else 0
        kept, held = held_out(labels, fraction, len(model.classes), self.seed)
        if weights is not None and not weights[kept].any():
            raise UsageError(
                "sample_weights must be positive for at least one training sample, but all are 0 or held out"
            )
        self.batches = Batches(images, labels, kept, weights, recipe, self.seed, model.preparation, self.shard)
        self.validation: Batch | None = None
        if validation_data is not None:
            rows, own_labels = samples_of(model, validation_data, prepared=True)
            self.validation = batch_of(rows.reshape(len(rows), -1), slice(0, len(rows)), own_labels)
        elif len(held):
            held_weights = None if weights is None else weights[held]
            if held_weights is not None and not held_weights.any():
                raise UsageError(f"sample_weights must not be 0 for all {len(held)} samples that validation holds out")
            self.validation = self._batch(images, labels, held, held_weights)
        elif recipe.patience is not None:
            raise UsageError("patience needs validation data, got validation 0")
        if self.validation is not None:
            recipe.loss.check(self.validation.labels)
        probed = kept[:: max(1, len(kept) // PROBE_SIZE)][:PROBE_SIZE]
        self.probe = self._batch(images, labels, probed)

    def _batch(self, images: Array, labels: Array, index: Array, weights: Array | None = None) -> Batch:
        """Return a batch of these samples, prepared but not augmented."""
        rows = images[index]
        if self._augments:  # then they are not prepared yet
            rows = self.model.preparation.pictures(rows)
        return batch_of(rows.reshape(len(index), -1), slice(0, len(index)), labels[index], weights)

    def _choose_plan(self) -> None:
        """Choose the plan and the forms of layers and batches."""
        processes, neighbours = (self.shard.size, self.shard.neighbours) if self.shard else (1, 1)
        self.threads = self.recipe.threads or max(1, available() // neighbours)
        self.rows = -(-self.batches.batch_size // processes)
        busy, samples = int(bool(self.batches.augmentation)), len(self.batches.index)
        self.plan = plan_for(self.network, self.rows, self.threads, busy=busy, samples=samples)
        self.form = None
        if self.batches.is_whole and not self.batches.augmentation:
            whole = self.batches.all_as_one()
            self.form = form_of(whole.pixels, self.network, self.recipe, self.model.preparation)
            if self.form is not None and self.form.columns is not None:
                whole = replace(whole, pixels=np.take(whole.pixels, self.form.columns, axis=1))
            self.batches.whole = part_of(whole, self.shard)
        self.layers = layers_for(self.network, min(self.rows, self.plan.block), self.form)

    def new_pass(self, gradient: Array | None = None) -> Pass:
        all_reduce = self.shard.sum if self.shard else None
        return Pass(self.network, gradient=gradient, layers=self.layers, sum_over_processes=all_reduce)

    def inputs(self) -> Inputs:
        to_floats = self.model.preparation.to_floats if self.form is None else unscaled
        return Inputs(to_floats, self.network.dtype)

    def team(self) -> Team | None:
        """Return the threads for the blocks of a batch; None without blocks."""
        if self.plan.workers == 1 and self.plan.block >= self.rows:
            return None
        totals = [self.gradient]
        totals += [aligned(self.network.size, self.network.dtype) for _ in range(self.plan.workers - 1)]
        members = [Member(self.new_pass(), self.inputs(), total, self.recipe.loss) for total in totals]
        return Team(members, self.plan)


def preparation_for(model: Model, data: Data) -> Preparation:
    """Return the model's preparation, with `input` set from the data unless it is already set.

    Floats that equal prepared bytes do not change it, so that the model still takes images.
    """
    preparation = model.preparation
    if preparation.input is not None:
        return preparation
    if isinstance(data, Dataset):
        return preparation if data.has_mnist_form else replace(preparation, input="image", shape=data.shape)
    if not isinstance(data, tuple | list) or not data or np.ndim(data[0]) != 2:
        return preparation  # rejected later, with the reason
    X = np.asarray(data[0])[:SOME]
    if X.dtype.kind not in "iufb":
        return preparation
    pixels = (X * preparation.deviation + preparation.mean) * preparation.divisor
    are_bytes = bool(((pixels > -0.01) & (pixels < 255.01) & (np.abs(pixels - np.rint(pixels)) < 0.01)).all())
    return preparation if are_bytes and pixels.any() else Preparation(divisor=1, input="floats")


def samples_of(model: Model, data: Data, *, prepared: bool) -> tuple[Array, Array]:
    """Return samples and labels: bytes (N, H, W), deskewed if `prepared`, or floats (N, D)."""
    if not isinstance(data, tuple | list):
        data = check_dataset(data, "a Dataset or a pair (X, y)")
        if len(data) == 0:
            raise UsageError("training needs at least one image, got an empty data set")
        check_classes(model.classes, data)
        images = model.check_images(data.images)
        return (model.preparation.pictures(images) if prepared else images), data.labels
    X, y = np.ascontiguousarray(data[0], dtype=model.network.dtype), data[1]
    check_finite("X", X)
    return X, y if y.ndim == 2 else y.astype(np.intp, copy=False)


RULE = "data must be a Dataset or a pair (X, y)"
#: The name of a data set made from arrays.
ARRAYS = "arrays"


def training_data(model: Model, data: Any) -> Data:
    """Return a data set unchanged, and a pair (X, y) as checked arrays, or as a data set if X is bytes.

    X may have the shape of the images. y may be (N, 1), whole floats, or names of the model's classes.
    """
    if isinstance(data, str | os.PathLike):
        raise UsageError(f"{RULE}, got {short_repr(data)}: use byhand.load({data!r}).train")
    if not isinstance(data, tuple | list):
        hint = ": pass the labels too, fit(model, X, y)" if hasattr(data, "shape") else ""
        if hasattr(data, "__next__") or hasattr(data, "batch_size"):
            hint = ": make two arrays of it, X and y"
        return check_dataset(data, "a Dataset or a pair (X, y)", hint)
    inputs, outputs = check_model(model).network.in_size, model.network.out_size
    if len(data) != 2:
        hint = "pass weights as sample_weights" if len(data) == 3 else "make two arrays, X and y"
        raise UsageError(f"data must be a pair (X, y), got {short_repr(data)}: {hint}")
    X, y = checks.array("X", data[0]), label_numbers(model.classes, data[1])
    check_shape(X, y, inputs)
    if y.shape == (len(X),) and outputs == 1 and y.dtype.kind == "f":
        y = y[:, None]  # regression
    if y.shape not in ((len(X),), (len(X), outputs)):
        raise UsageError(f"y must have the shape ({len(X)},) or ({len(X)}, {outputs}), got {y.shape}")
    check_values(X, y, outputs)
    if X.dtype != np.uint8:
        return X.reshape(len(X), inputs), y
    images = model.check_images(X)
    if y.ndim == 2:
        return model.preparation(images, model.network.dtype), y
    return Dataset(images, y, classes=model.classes, name=ARRAYS)


def check_shape(X: Array, y: Array, inputs: int) -> None:
    """Reject an X of another shape, with the expression to type."""
    if X.ndim == 4 and X.shape[1] == 3 != X.shape[3]:
        raise UsageError(f"the channels must be last, (N, H, W, 3), got {X.shape}: use X.transpose(0, 2, 3, 1)")
    if X.ndim < 2 or math.prod(X.shape[1:]) != inputs or len(X) == 0:
        hint = ": use X.T" if X.ndim == 2 and X.shape[0] == inputs else ""
        if X.ndim == 1 and y.ndim > 1:
            hint = ": X comes first, then y"
        elif X.ndim == 4 and X.shape[3] == 3 and math.prod(X.shape[1:]) == 3 * inputs:
            hint = f": colors need a model with {3 * inputs:,} inputs"
        raise UsageError(f"X must have the shape (N, {inputs}) with N of at least 1, got {X.shape}{hint}")


def check_values(X: Array, y: Array, outputs: int) -> None:
    """Reject X and y that are not numbers, and labels that are not class numbers."""
    if X.dtype.kind not in "iufb":
        raise UsageError(f"X must be numbers, got {X.dtype}")
    if y.ndim == 2 and y.dtype.kind == "f":
        check_finite("y", y)
    if y.ndim == 1 and (y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= outputs):
        hint = ": number them with np.unique(y, return_inverse=True)[1]"
        if y.dtype.kind in "iu" and (y.min(), y.max()) == (1, outputs):
            hint = ": use y - 1"
        got = f"{y.min()} to {y.max()}" if y.dtype.kind in "iu" else "NaN" if np.isnan(y).any() else str(y.dtype)
        raise UsageError(f"labels must be integers 0 to {outputs - 1}, got {got}{hint}")


def check_finite(name: str, values: Array) -> None:
    """Reject NaN and infinity, with their place    values: (N, D)"""
    if not np.isfinite(values).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise UsageError(f"{name} must be finite, got {values[row, column]} in row {row}, column {column}")


def check_weights(weights: Array, count: int) -> Array:
    """Return sample weights, scaled to a mean of 1    (count,)"""
    weights = np.asarray(weights)
    if weights.shape != (count,):
        raise UsageError(f"sample_weights must have the shape ({count},), got {weights.shape}")
    if weights.dtype.kind not in "iufb":
        raise UsageError(f"sample_weights must be numbers, got {weights.dtype}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise UsageError("sample_weights must be finite, at least 0 and not all 0")
    proportions: Array = weights / np.float64(weights.max())
    proportions /= proportions.mean()
    return proportions


#: Weights of the classes: "balanced", weights by class, or one weight per class, in order.
ClassWeights = Literal["balanced"] | Mapping[Any, float] | Sequence[float]


def weights_of_classes(given: ClassWeights, model: Model, data: Data) -> list[float]:
    """Return one weight per class. "balanced" is samples / (classes · samples of the class), as in scikit-learn."""
    labels, classes = labels_of(data), check_model(model).classes
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise UsageError(f"class_weights need labels that are class numbers (N,), got {labels.dtype} {labels.shape}")
    if given != "balanced" if isinstance(given, str) else not isinstance(given, Mapping | Sequence | np.ndarray):
        rule = "'balanced', a dictionary or one weight per class"
        raise UsageError(f"class_weights must be {rule}, got {short_repr(given)}")
    if isinstance(given, str):
        counts = np.bincount(labels.clip(0, len(classes) - 1), minlength=len(classes))
        return [len(labels) / (np.count_nonzero(counts) * count) if count else 1.0 for count in counts.tolist()]
    if isinstance(given, Mapping):
        weights: list[Any] = [1.0] * len(classes)
        for key, weight in given.items():
            is_number = checks.is_integer(key, 0, len(classes) - 1) and not isinstance(data, Dataset)
            if not is_number and str(key) not in classes:
                hint = did_you_mean(str(key), classes) or f": the classes are {' '.join(classes)}"
                raise UsageError(f"class_weights has no class {key!r:.60}{hint}")
            weights[key if is_number else classes.index(str(key))] = weight
    else:
        weights = list(given)
    if len(weights) != len(classes):
        raise UsageError(f"class_weights must have one weight for each of {len(classes)} classes, got {len(weights)}")
    for weight in weights:
        checks.number("class_weights", weight, 0)
    return [float(weight) for weight in weights]


def labels_of(data: Data) -> Array:
    """Return the labels of training data, before they are checked."""
    if isinstance(data, tuple | list) and len(data) == 2:
        return np.asarray(data[1])
    return check_dataset(data, "a Dataset or a pair (X, y)").labels


def with_class_weights(sample_weights: Array | None, weights: Sequence[float], data: Data) -> Array:
    """Return the sample weights times the weight of each sample's class    → (N,)"""
    labels = labels_of(data)
    of_samples: Array = np.asarray(weights)[labels.clip(0, len(weights) - 1)]  # other labels are rejected later
    return of_samples if sample_weights is None else of_samples * check_weights(sample_weights, len(labels))


def held_out(labels: Array, validation: float, classes: int, seed: int) -> tuple[Array, Array]:
    """Return the indices of training and held-out samples: a stratified split."""
    everything = np.arange(len(labels))
    if not validation:
        return everything, everything[:0]
    count = round(validation * len(labels)) if validation < 1 else int(validation)
    if not 0 < count < len(labels):
        raise UsageError(f"validation must hold out some of the {len(labels)} samples, not all, got {validation}")
    rng = np.random.default_rng([seed, 0])
    if labels.ndim == 1:
        held_counts = stratified_counts(labels, count, classes)
        held = [rng.permutation(np.flatnonzero(labels == k))[:n] for k, n in enumerate(held_counts)]
        chosen = np.concatenate(held)
    else:
        chosen = rng.permutation(len(labels))[:count]
    return np.setdiff1d(everything, chosen), np.sort(chosen)
