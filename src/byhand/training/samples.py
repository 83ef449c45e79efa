"""Samples: what training is given, checked, and which of it is held out for validation."""

import numpy as np

from byhand.data import Dataset
from byhand.data.dataset import check_dataset, stratified_counts
from byhand.errors import UsageError, short_repr
from byhand.model.model import Model, check_classes
from byhand.nn.arrays import Array
from byhand.training.batches import Batch, batch_of

#: What training takes: pictures with labels, or the network's own inputs with labels.
Data = Dataset | tuple[Array, Array]


def pictures_of(model: Model, data: Data, *, prepared: bool) -> tuple[Array, Array]:
    """The samples and labels to train on: bytes (N, H, W), deskewed where asked, or floats (N, D) as they came."""
    if not isinstance(data, tuple | list):
        data = check_dataset(data, "a Dataset or a pair (X, y)")
        if len(data) == 0:
            raise UsageError("training needs at least one picture, got an empty data set")
        check_classes(model.classes, data)
        images = model.check_images(data.images)
        return (model.preparation.pictures(images) if prepared else images), data.labels
    if len(data) != 2:
        raise UsageError(f"data must be a pair (X, y), weights go into sample_weights; got {short_repr(data)}")
    X, y = map(np.asarray, data)
    if X.ndim != 2 or X.shape[1] != model.network.in_size or len(X) == 0:
        raise UsageError(f"X must have the shape (N, {model.network.in_size}) with N of at least 1, got {X.shape}")
    if y.shape not in ((len(X),), (len(X), model.network.out_size)):
        raise UsageError(f"y must have the shape ({len(X)},) or ({len(X)}, {model.network.out_size}), got {y.shape}")
    if X.dtype == np.uint8:
        raise UsageError("X must be the network's inputs, and bytes are pixels: give a Dataset, or divide them by 255")
    if X.dtype.kind not in "iufb":
        raise UsageError(f"X must be numbers, got {X.dtype}")
    X = np.ascontiguousarray(X, dtype=model.network.dtype)
    if not np.isfinite(X).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        raise UsageError(f"X must be finite, got {X[row, column]} in row {row}, column {column}")
    if y.ndim == 1 and (y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= model.network.out_size):
        got = f"{y.min()} to {y.max()}" if y.dtype.kind in "iu" else str(y.dtype)
        raise UsageError(f"labels must be integers 0 to {model.network.out_size - 1}, got {got}")
    return X, y if y.ndim == 2 else y.astype(np.intp, copy=False)


def check_weights(weights: Array | None, count: int) -> Array | None:
    """A weight of at least 0 for each sample, 1 in the mean, or none: only their proportions count."""
    if weights is None:
        return None
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


def held_out(labels: Array, validation: float, classes: int, seed: int) -> tuple[Array, Array]:
    """(kept, held): indices of the samples, the held-out ones drawn so that each class keeps its share."""
    everything = np.arange(len(labels))
    if not validation:
        return everything, everything[:0]
    count = round(validation * len(labels)) if validation < 1 else int(validation)
    if not 0 < count < len(labels):
        raise UsageError(f"validation must leave samples on both sides of {len(labels)}, got {validation}")
    rng = np.random.default_rng([seed, 0])
    if labels.ndim == 1:
        held_counts = stratified_counts(labels, count, classes)
        held = [rng.permutation(np.flatnonzero(labels == k))[:n] for k, n in enumerate(held_counts)]
        chosen = np.concatenate(held)
    else:
        chosen = rng.permutation(len(labels))[:count]
    mask = np.zeros(len(labels), bool)
    mask[chosen] = True
    return everything[~mask], everything[mask]


def prepared_rows(model: Model, pictures: Array, index: Array, *, raw: bool) -> Array:
    """Some of the samples, a row each; `raw`: as they came, so that they are still to be prepared."""
    rows = pictures[index]
    return (model.preparation.pictures(rows) if raw else rows).reshape(len(index), -1)


def validation_batch(
    model: Model,
    pictures: Array,
    labels: Array,
    weights: Array | None,
    held: Array,
    given: Data | None,
    *,
    raw: bool,
) -> Batch | None:
    """What is watched without being trained on: the data given for it, else the samples held out, if any are."""
    if given is not None:
        rows, labels = pictures_of(model, given, prepared=True)
        return batch_of(rows.reshape(len(rows), -1), slice(0, len(rows)), labels)
    if len(held) == 0:
        return None
    rows, weights = prepared_rows(model, pictures, held, raw=raw), None if weights is None else weights[held]
    if weights is not None and not weights.any():
        raise UsageError(f"sample_weights must not be 0 for all {len(held)} samples that validation holds out")
    return batch_of(rows, slice(0, len(held)), labels[held], weights)
