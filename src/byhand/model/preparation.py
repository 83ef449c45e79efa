"""Preparation: from images to the inputs of a network.

It is saved with the model. Images are deskewed (bytes to bytes, once), then bytes are scaled to floats (in blocks, just
before the first product).
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.arrays import Array

#: The kinds of input: handwriting, normalized as in MNIST; other images, only scaled to one size; and other numbers.
INPUTS = ("handwriting", "image", "floats")
#: Mean and standard deviation of MNIST's training pixels / 255.
MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081


@dataclass(frozen=True)
class Preparation:
    """x = (byte / divisor − mean) / deviation, after deskewing if `deskew`."""

    divisor: int = 255
    mean: float = 0.0
    deviation: float = 1.0
    deskew: bool = False
    #: One of `INPUTS`; None means handwriting for images of 28 × 28, and image for others.
    input: str | None = None
    #: Height and width of the images, and 3 for color; None means a square in gray.
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.input is not None and self.input not in INPUTS:
            raise UsageError(f"input must be one of {', '.join(INPUTS)}, got {self.input!r}")
        if self.shape is not None:
            if not isinstance(self.shape, tuple | list):
                raise UsageError(f"shape must be a height and a width, got {self.shape!r:.60}")
            object.__setattr__(self, "shape", tuple(checks.integer("shape", side, 1) for side in self.shape))
            if len(self.shape) != 2 and self.shape[2:] != (3,):
                raise UsageError(f"shape must be a height and a width, and 3 for color, got {self.shape}")
            if self.deskew and len(self.shape) == 3:
                raise UsageError("deskew needs gray images, got images in color: use --no-deskew, or deskew=False")
        checks.number("divisor", self.divisor, 1, 2**16)
        checks.number("mean", self.mean, -1e6, 1e6)
        checks.number("deviation", self.deviation, 1e-6, 1e6)
        checks.flag("deskew", self.deskew)

    @classmethod
    def standard(cls, *, deskew: bool = False) -> Self:
        """Return the preparation with mean 0 and standard deviation 1 over MNIST."""
        return cls(mean=MNIST_MEAN, deviation=MNIST_DEVIATION, deskew=deskew)

    @classmethod
    def of(cls, images: Array, *, deskew: bool = False) -> Self:
        """Return the preparation that gives these pixels mean 0 and standard deviation 1   uint8 (N, H, W)"""
        counts = np.bincount(images.reshape(-1), minlength=256)
        levels = np.arange(256) / 255
        mean = float(counts @ levels / images.size)
        deviation = float(np.sqrt(counts @ (levels - mean) ** 2 / images.size))
        return cls(mean=mean, deviation=deviation if deviation > 0 else 1.0, deskew=deskew)

    def pictures(self, images: Array) -> Array:
        """Deskew images, if `deskew`    images, result: uint8 (N, H, W)"""
        if not self.deskew or len(images) == 0:
            return images
        from byhand.data.handwriting.deskew import deskew

        return deskew(images)

    def to_floats(self, pixels: Array, out: Array) -> Array:
        """Scale pixels, into `out`    pixels: uint8 (N, D), out: (N, D)"""
        np.copyto(out, pixels)
        if self.is_plain:
            out /= self.divisor  # the same bits as floats that the user has divided
        else:
            out *= 1 / (self.divisor * self.deviation)
            out -= self.mean / self.deviation
        return out

    def __call__(self, images: Array, dtype: DTypeLike = np.float32) -> Array:
        """Deskew and scale, into a new array    images: uint8 (N, H, W) → (N, D)"""
        pictures = self.pictures(images)
        pixels = pictures.reshape(len(pictures), -1)
        return self.to_floats(pixels, np.empty(pixels.shape, dtype))

    @property
    def is_plain(self) -> bool:
        """True if pixels are only divided, so that a pixel of 0 is an input of 0."""
        return self.mean == 0 and self.deviation == 1

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, as plain values."""
        plain = asdict(self)
        for name in ("input", "shape"):  # not in the files of earlier versions
            if plain[name] is None:
                del plain[name]
        return plain
