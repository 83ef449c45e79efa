"""Augmentation: random shifts, rotations, scalings, shears and elastic distortions of the training images.

The distortion is a function of (seed, epoch, index of the image) only, so it does not depend on batches, threads or
ranks. For this, all sums are of integers, or of float32 numbers that are exact.
"""

import math
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from byhand import checks
from byhand.errors import UsageError
from byhand.nn.rng import GOLDEN_64, mix64

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
Floats = NDArray[np.float64]
Fixed = NDArray[np.int32]  # coordinates in 1/65536 pixels

MAX_SIDE = 256  # pixels; coordinates are 16.16 fixed-point numbers in 32 bits
GRID = 8  # the elastic field is a cubic B-spline over GRID × GRID random numbers
BLOCK_PIXELS = 64 * 28 * 28  # block size, so that the ten arrays of a block fit in the L2 cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """The limits of the distortions: amounts are uniform between minus and plus the limit."""

    shift: float = 0.0  # pixels, in x and in y
    rotate: float = 0.0  # degrees
    scale: float = 0.0  # 0.1 divides width and height, independently, by 0.9 to 1.1
    shear: float = 0.0  # pixels sideways per row
    elastic: float = 0.0  # pixels: root mean square of a smooth random displacement, in x and in y

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            object.__setattr__(self, name, checks.number(name, value, 0, _LIMITS[name]))

    def __bool__(self) -> bool:
        """Return True if there is any distortion."""
        return self != NONE

    def __str__(self) -> str:
        """Return `none`, `default`, or the nonzero limits: `shift=2,rotate=10`."""
        for word, meaning in _WORDS.items():
            if self == meaning:
                return word
        return ",".join(f"{name}={value!r}".removesuffix(".0") for name, value in asdict(self).items() if value)

    @classmethod
    def parse(cls, text: str) -> "Augmentation":
        """Parse `none`, `default`, `shift=2,rotate=10` or `default,elastic=0`."""
        first, *rest = parts = [part.strip() for part in text.split(",")]
        values = asdict(_WORDS.get(first, NONE))
        given = set()
        for part in rest if first in _WORDS else parts:
            name, equals, number = (piece.strip() for piece in part.partition("="))
            if name not in values or not equals or name in given:
                known = ", ".join(f"{name}=…" for name in values)
                raise UsageError(f"augment must be none, default, or any of {known}, each once, got {text!r}")
            try:
                values[name] = float(number)
            except ValueError:
                raise UsageError(f"augment: {name} must be a number, got {number!r}") from None
            given.add(name)
        return cls(**values)

    def halved(self) -> "Augmentation":
        """Return the same distortions at half strength."""
        return Augmentation(**{name: value / 2 for name, value in asdict(self).items()})


_LIMITS = {"shift": 100.0, "rotate": 180.0, "scale": 0.9, "shear": 2.0, "elastic": 20.0}
NONE = Augmentation()
# On a held-out set, [784, 256, 10], deskewed, 15 epochs: none 98.6 %; this 99.1 %; with elastic=1.2 98.7 %.
# Larger networks and longer trainings benefit from more.
DEFAULT = Augmentation(shift=1.0, rotate=10.0, scale=0.1, shear=0.1, elastic=0.6)
_WORDS = {"none": NONE, "default": DEFAULT}


def augment(images: Bytes, indices: ArrayLike, *, seed: int, epoch: int, spec: Augmentation) -> Bytes:
    """Return distorted copies of `images[indices]`, interpolated bilinearly; pixels outside are 0.

    images: uint8 (N, H, W); indices: (n,); result: uint8 (n, H, W).  Color: (N, H, W, 3), all channels alike
    """
    indices = np.asarray(indices, np.int64)
    if images.ndim == 4:
        channels = (images[..., c] for c in range(images.shape[3]))
        return np.stack([augment(one, indices, seed=seed, epoch=epoch, spec=spec) for one in channels], axis=3)
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UsageError(f"images must be uint8 (N, H, W), got {images.dtype} {images.shape}")
    _, height, width = images.shape
    if max(height, width) > MAX_SIDE:
        raise UsageError(f"images must have at most {MAX_SIDE} pixels per side for augmentation, got {(height, width)}")
    out: Bytes = images[indices]
    if not spec or out.size == 0:
        return out
    size = max(1, BLOCK_PIXELS // (height * width))
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        random = random_words(seed, epoch, chosen, count=AFFINE_WORDS + (FIELD_WORDS if spec.elastic else 0))
        x, y = _affine_sources(random[:, :AFFINE_WORDS], spec, height, width)
        if spec.elastic:
            across, down = _elastic_fields(random[:, AFFINE_WORDS:], spec, height, width)
            x += across
            y += down
        out[start : start + size] = _bilinear(out[start : start + size], x, y)
    return out


AFFINE_WORDS = 6  # angle, two scales, shear, two shifts
FIELD_WORDS = 2 * GRID * GRID // 8  # a byte for each number of two grids


def _affine_sources(random: Words, spec: Augmentation, height: int, width: int) -> tuple[Fixed, Fixed]:
    """Return the source coordinates x and y of each pixel: (n, H, W) each.

    [x'; y'] = R(angle) · [[sx, shear], [0, sy]] · [x; y] + shift, with the origin in the middle of the image.
    """
    unit = (random >> np.uint64(11)) * 2.0**-52 - 1.0  # uniform on [−1, 1)    (n, 6)
    angle, scale_x, scale_y, shear, shift_x, shift_y = unit.T
    cos, sin = (turn(angle * math.radians(spec.rotate)) for turn in (np.cos, np.sin))
    scale_x, scale_y = 1 + scale_x * spec.scale, 1 + scale_y * spec.scale
    shear = shear * spec.shear
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2

    def source(per_x: Floats, per_y: Floats, constant: Floats) -> Fixed:
        along_row = per_x[:, None] * (np.arange(width) - middle_x) + constant[:, None]
        along_column = per_y[:, None] * (np.arange(height) - middle_y)
        return _fixed(along_row)[:, None, :] + _fixed(along_column)[:, :, None]

    x = source(cos * scale_x, cos * shear - sin * scale_y, middle_x + shift_x * spec.shift)
    y = source(sin * scale_x, sin * shear + cos * scale_y, middle_y + shift_y * spec.shift)
    return x, y


def _fixed(pixels: NDArray[np.floating]) -> Fixed:
    whole: Fixed = np.rint(pixels * 65536).astype(np.int32)
    return whole


def _elastic_fields(random: Words, spec: Augmentation, height: int, width: int) -> tuple[Fixed, Fixed]:
    """Return smooth displacements, (n, H, W) each, with the root mean square `spec.elastic`.

    d(y, x) = Σ g_k · w_k(y, x), random grids times splines: integers below 2²⁴, exact in float32.
    """
    splines, deviation = _splines(height, width)
    grids = 2.0 * random.astype("<u8", copy=False).view(np.uint8) - 255.0  # odd, −255 … 255    (n, 2·GRID²)
    sums = grids.astype(np.float32).reshape(-1, GRID * GRID) @ splines
    sums *= np.float32(65536 * spec.elastic / deviation)
    across_down = sums.astype(np.int32).reshape(-1, 2, height, width)
    return across_down[:, 0], across_down[:, 1]


@lru_cache(maxsize=8)
def _splines(height: int, width: int) -> tuple[NDArray[np.float32], float]:
    """Return the integer weights of the grid at each pixel, (GRID², H·W), and the field's standard deviation."""
    weights = np.einsum("yi,xj->ijyx", _cubic(height), _cubic(width)).reshape(GRID * GRID, height * width)
    variance = (256**2 - 1) / 3  # of one number of the grid
    deviation = math.sqrt(variance * np.square(weights).sum(axis=0).mean())
    return weights.astype(np.float32), deviation


def _cubic(length: int) -> Floats:
    """Return cubic B-splines on GRID − 3 equal intervals, in 252nds: (length, GRID)."""
    position = (np.arange(length) + 0.5) / length * (GRID - 3)
    interval = np.minimum(position.astype(int), GRID - 4)
    t = position - interval
    pieces = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    weights = np.zeros((length, GRID))
    for step, piece in enumerate(pieces):
        weights[np.arange(length), interval + step] = piece / 6
    return np.rint(252 * weights)


def _bilinear(stack: Bytes, x: Fixed, y: Fixed) -> NDArray[np.uint32]:
    """Interpolate each image at the coordinates (x, y).    stack, x, y, result: (n, H, W)

    out = (1−v)·((1−u)·p00 + u·p01) + v·((1−u)·p10 + u·p11), with u and v the fractions in 256ths. A 32-bit word has
    p00 p01 p10 p11 from the lowest byte, so one `take` reads all four, and one multiplication mixes two of them.
    """
    n, height, width = stack.shape
    bordered = np.zeros((n, height + 3, width + 3), np.uint32)  # one zero before, two after
    bordered[:, 1:-2, 1:-2] = stack
    pairs = bordered[:, :, :-1] | bordered[:, :, 1:] << 8
    words = pairs[:, :-1] | pairs[:, 1:] << 16  # (n, H + 2, W + 2)

    x += 65536 + 128  # from the border's corner, rounded to 256ths
    y += 65536 + 128
    np.clip(x, 0, (width + 1) << 16, out=x)
    np.clip(y, 0, (height + 1) << 16, out=y)
    where = (y >> 16) * (width + 2)
    where += x >> 16
    where += np.arange(n, dtype=np.int32)[:, None, None] * ((height + 2) * (width + 2))
    four = words.ravel().take(where, mode="clip")

    u, v = ((x >> 8) & 255).view(np.uint32), ((y >> 8) & 255).view(np.uint32)
    left = four & 0x00FF00FF
    right = (four >> 8) & 0x00FF00FF
    mixed = left << 8
    mixed += u * (right - left)
    upper, lower = mixed & 0xFFFF, mixed >> 16
    value: NDArray[np.uint32] = upper << 8
    value += v * (lower - upper)
    value += 1 << 15
    value >>= 16
    return value


def random_words(seed: int, epoch: int, samples: NDArray[np.int64], *, count: int) -> Words:
    """Return `count` random 64-bit words for each sample: (n, count).

    Nested SplitMix64 streams (Steele, Lea and Flood, 2014), whose words are the keys of the next level: for the epoch,
    the sample, and the words themselves.
    """
    checks.integer("seed", seed, 0, 2**64 - 1)
    checks.integer("epoch", epoch, 0, 2**64 - 1)
    key = mix64(np.array([seed], np.uint64))
    key = _stream(key, np.array([epoch], np.uint64))
    keys = _stream(key, samples.astype(np.uint64))
    return _stream(keys[:, None], np.arange(count, dtype=np.uint64))


def _stream(key: Words, k: Words) -> Words:
    """mix(key + (k+1)·γ)"""
    words: Words = mix64(key + (k + np.uint64(1)) * np.uint64(GOLDEN_64))
    return words
