"""Ensembles of models, and test-time augmentation by shifts. Both average probabilities.

    Ensemble([Model.load(path) for path in paths]).predict(images)
    ShiftAveraged(model).predict(images)

Models from different seeds make different mistakes, so their average is usually more accurate than any one of them.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from byhand.errors import UsageError, short_repr
from byhand.lazy import renamed
from byhand.model.model import Model, Reader
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax

__getattr__ = renamed(__name__, {"Committee": "Ensemble", "Shifted": "ShiftAveraged"})


class Averaged(Reader):
    """Base class: the probabilities are a mean over members."""

    @abstractmethod
    def member_probabilities(self, images: Array) -> Iterator[Array]:
        """Yield softmax(Z) of each member, in float64    images: uint8 (N, H, W) or (N, D) → (N, K) each"""

    def probabilities(self, images: Array) -> Array:
        """P = mean of the members' probabilities    images: uint8 (N, H, W) or (N, D) → (N, K)"""
        P: Array = np.mean(list(self.member_probabilities(images)), axis=0)
        return P

    def logits(self, images: Array) -> Array:
        """ln P, so that softmax gives P; finite, since P is at least `tiny`"""
        P = self.probabilities(images)
        logits: Array = np.log(np.maximum(P, np.finfo(P.dtype).tiny))
        return logits

    def predict(self, images: Array) -> Array:
        """Return class numbers    images: uint8 (N, H, W) or (N, D) → (N,)"""
        classes: Array = self.probabilities(images).argmax(axis=1)
        return classes


class Ensemble(Averaged):
    """Several models with the same classes, for images of the same size."""

    def __init__(self, members: Iterable[Model], *, metadata: dict[str, Any] | None = None) -> None:
        if not isinstance(members, Iterable):
            raise UsageError(f"members of an ensemble must be a list of models, got {short_repr(members)}")
        self.members = members = tuple(members)
        if not members:
            raise UsageError("an ensemble needs at least 1 member, got none")
        if others := [member for member in members if not isinstance(member, Model)]:
            raise UsageError(f"members of an ensemble must be models, got {short_repr(others[0])}")
        self.metadata = dict(metadata or {})
        self.classes = members[0].classes
        for number, member in enumerate(members, start=1):
            if member.classes != self.classes or member.network.in_size != members[0].network.in_size:
                raise UsageError(
                    f"members of an ensemble must have the same image size and classes, member {number} has "
                    f"{member.network.in_size} pixels and {len(member.classes)} classes, the first "
                    f"{members[0].network.in_size} and {len(self.classes)}"
                )

    @property
    def models(self) -> tuple[Model, ...]:
        return self.members

    def member_probabilities(self, images: Array) -> Iterator[Array]:
        for member in self.members:
            yield softmax(member.logits(images).astype(np.float64))

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        return f"<Ensemble of {len(self)}, {self.size:,} parameters, the first member: {self.members[0]!r}>"


#: The shifts (down, right) of the views, in pixels.
SHIFTS = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


class ShiftAveraged(Averaged):
    """Test-time augmentation: the mean over each image and its four shifts by one pixel.

    It is more accurate and takes five times as long; `docs/recipes.md` has the figures.
    """

    def __init__(self, reader: Model | Ensemble) -> None:
        if not isinstance(reader, Model | Ensemble):
            raise UsageError(f"reader must be a Model or an Ensemble, got {short_repr(reader)}")
        self.reader = reader
        self.classes, self.metadata = reader.classes, reader.metadata

    @property
    def models(self) -> tuple[Model, ...]:
        return self.reader.models

    def member_probabilities(self, images: Array) -> Iterator[Array]:
        images = self.models[0].check_images(images)
        if 1 in images.shape[1:]:
            raise UsageError(f"images to shift must have the shape (N, H, W), got {images.shape}")
        for shift in SHIFTS:
            yield softmax(self.reader.logits(shifted(images, *shift)).astype(np.float64))

    def __repr__(self) -> str:
        return f"<ShiftAveraged, {len(SHIFTS)} views: {self.reader!r}>"


def shifted(images: Array, down: int, right: int) -> Array:
    """Shift images; the new rows or columns are 0    images, result: uint8 (N, H, W) or (N, H, W, 3)"""
    _, H, W, *channels = images.shape
    margin = max(abs(down), abs(right))
    wide = np.pad(images, [(0, 0), (margin, margin), (margin, margin), *[(0, 0)] * len(channels)])
    return wide[:, margin - down : margin - down + H, margin - right : margin - right + W]
