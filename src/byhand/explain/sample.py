"""The sample: what people give to be explained, as pictures and class numbers."""

from typing import Any

import numpy as np

from byhand.data import Dataset, Sample
from byhand.errors import UsageError
from byhand.model import Model
from byhand.nn.arrays import Array


def sample_of(model: Model, image: Any, label: Any) -> tuple[Array, Array | None, str]:
    """Pictures uint8 (N, H, W), labels (N,) or None, and what to call them."""
    if isinstance(image, Sample):
        image, label = image.image, image.label if label is None else label
    elif isinstance(image, Dataset):
        image, label = image.images, image.labels if label is None else label
    images = np.asarray(image)
    if images.ndim in (1, 2):
        images = images[None]
        label = None if label is None else [label]
    images = model.check_images(images)
    if len(images) == 0:
        raise UsageError("an explanation needs at least one picture, got none")
    if label is None:
        return images, None, "a picture" if len(images) == 1 else f"{len(images)} pictures"
    if not isinstance(label, list | tuple | np.ndarray):
        raise UsageError(f"label must be one for each of the {len(images)} pictures, got {label!r}")
    labels = np.array([class_number(model, one) for one in label])
    if len(labels) != len(images):
        raise UsageError(f"label must be one for each of the {len(images)} pictures, got {len(labels)}")
    name = model.classes[labels[0]]
    return images, labels, f"a {name}" if len(images) == 1 else f"{len(images)} pictures, the first a {name}"


def class_number(model: Model, label: Any) -> int:
    """A class by its number or its name."""
    if isinstance(label, str) and label in model.classes:
        return model.classes.index(label)
    if isinstance(label, int | np.integer) and not isinstance(label, bool) and 0 <= label < len(model.classes):
        return int(label)
    raise UsageError(f"label must be a class, 0 to {len(model.classes) - 1} or its name, got {label!r}")
