"""Image files, read with Pillow as bytes, gray or color: a photo, or an image of a data set.

The size in a header is checked before decoding.
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from byhand.data.dataset import Bytes
from byhand.errors import DataError, DataMissingError
from byhand.text import near_path, printable

if TYPE_CHECKING:
    from PIL.Image import Image

#: The accepted formats, by Pillow's names, and their file name endings.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
#: The first bytes of files in these formats.
SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"RIFF",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
    *(b"P%d" % k for k in range(1, 7)),
)
ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)
#: Pictures of other formats, which many programs can convert.
OTHER_PICTURES = frozenset(
    [".heic", ".heif", ".avif", ".jxl", ".svg", ".pdf", ".psd", ".eps", ".ico", ".raw", ".dng", ".cr2", ".nef", ".arw"]
)


def content_of(file: Path, name: str, most: int) -> bytes:
    """Return the content of a file. (From a file, Pillow may allocate the size in a damaged header.)"""
    try:
        if not file.exists():
            raise DataMissingError(f"{file}: no such file{near_path(file)}")
        if not file.is_file():
            raise DataError(f"{name} must be an image file, got something else")
        if file.stat().st_size > most:
            raise DataError(f"{name} must have at most {most:,} bytes, got {file.stat().st_size:,}")
        return file.read_bytes()
    except OSError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} can't be read: {error.strerror or error}") from None


@contextlib.contextmanager
def opened(content: bytes, name: str) -> Iterator["Image"]:
    """Open an image; damage raises a `DataError`, even inside the `with` block."""
    from PIL import Image, UnidentifiedImageError

    if not len(content):
        raise DataError(f"{name} must have content, got 0 bytes")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=[*FORMATS]) as picture:
            yield picture
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name} must have at most {MAX_PIXELS:,} pixels, got more than twice as many") from None
    except UnidentifiedImageError:
        rule = f"must be an image ({', '.join(FORMATS)}), got another format"
        is_other = Path(name.removesuffix(":")).suffix.lower() in OTHER_PICTURES
        raise DataError(f"{name} {rule}{': convert it to PNG' if is_other else ''}") from None
    except Exception as error:  # decoders fail with OSError, ValueError, struct.error, …
        if isinstance(error, OSError) and error.strerror:  # from the system, not from the decoder
            raise DataError(f"{name} can't be read: {error.strerror}") from None
        raise DataError(f"{name} is a damaged image: {printable(error) or type(error).__name__}") from error


MAX_PHOTO_BYTES = 1 << 29  # 80 million pixels of six bytes
MAX_PHOTO_SIDE = 20_000  # pixels: more than a panorama
MAX_PIXELS = 80_000_000  # more than a phone's usual photo
MAX_DECODED = 200_000_000  # bytes: 50 million pixels in color
BAND = 1 << 18  # pixels that are converted at once
DRAFT_SIDE = 1600  # pixels: a JPEG larger than twice this is decoded at 1/2, 1/4 or 1/8 of its size


def read_photo(source: str | os.PathLike[str] | bytes, *, color: bool = False) -> Bytes:
    """Return a photo, from a path or the content of a file, in grayscale, uint8 (H, W), or in color, (H, W, 3).

    The camera's orientation is applied. Transparent pixels become white, or black if the ink is light. 16-bit grayscale
    keeps its upper byte. Animations, several pages, and 32 bits per channel are rejected.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name, content = "the picture", bytes(source)
    else:
        name = str(source)
        content = content_of(Path(source), name, MAX_PHOTO_BYTES)
    with opened(content, name) as picture:
        width, height = picture.size
        if max(width, height) > MAX_PHOTO_SIDE or width * height > MAX_PIXELS:
            rule = f"at most {MAX_PHOTO_SIDE:,} pixels per side and {MAX_PIXELS:,} in total"
            raise DataError(f"{name} must have {rule}, got {width:,} × {height:,}")
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # MPO: a photo, followed by its preview
            raise DataError(f"{name} must be a single image, got {frames} frames or pages")
        if picture.mode in ("LAB", "I", "F"):
            rule = "grayscale, RGB, CMYK or palette, with 8 or 16 bits per channel"
            raise DataError(f"{name} must be {rule}, got mode {picture.mode}")
        picture.draft("RGB" if color else "L", (DRAFT_SIDE, DRAFT_SIDE))
        pixels = picture.width * picture.height
        if (size := pixels * (1 if picture.mode in ("1", "L", "P") else 4)) > MAX_DECODED:
            rule = f"at most {MAX_DECODED:,} bytes once decoded"
            raise DataError(f"{name} must have {rule}, got {size:,} ({width:,} × {height:,} pixels): make it smaller")
        if color and not picture.mode.startswith("I;16"):
            return _in_color(picture)
        gray = _grayscale(picture)
        return np.repeat(gray[..., None], 3, axis=2) if color else gray


def _in_color(picture: "Image") -> Bytes:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return np.array(picture.convert("RGB"), np.uint8)


def _grayscale(picture: "Image") -> Bytes:
    """Return a decoded picture in grayscale, converted in bands that take little memory    → uint8 (H, W)"""
    picture.load()
    rows = max(1, BAND // picture.width)
    bands = [slice(top, min(top + rows, picture.height)) for top in range(0, picture.height, rows)]

    def band(place: slice) -> "Image":
        return picture.crop((0, place.start, picture.width, place.stop))

    gray = np.empty((picture.height, picture.width), np.uint8)
    if not picture.mode.startswith("I;16") and picture.has_transparency_data:
        sums = [(int(weighted.sum()), int(alpha.sum())) for weighted, alpha in map(_weighted, map(band, bands))]
        ink_is_light = sum(light for light, _ in sums) * 2 > 255 * sum(opacity for _, opacity in sums)
        for place in bands:
            weighted, alpha = _weighted(band(place))
            gray[place] = (weighted + (0 if ink_is_light else 255) * (255 - alpha) + 127) // 255
    else:
        for place in bands:
            gray[place] = _opaque(band(place))
    return upright(gray, picture.getexif().get(ORIENTATION, 1))


def _weighted(picture: "Image") -> tuple[Any, Any]:
    """Return gray × alpha, and alpha, of a picture with transparency    → int64 (H, W)"""
    layers = np.asarray(picture.convert("RGBA").convert("LA"), np.int64)
    return layers[:, :, 0] * layers[:, :, 1], layers[:, :, 1]


def _opaque(picture: "Image") -> Bytes:
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture, np.uint16) >> 8).astype(np.uint8)
    return np.asarray(picture.convert("RGB").convert("L") if picture.mode == "P" else picture.convert("L"), np.uint8)


#: The tag of the camera's orientation.
ORIENTATION = 0x0112


def upright(gray: Bytes, orientation: int) -> Bytes:
    """Return a picture with the camera's orientation, 1 to 8, applied    (H, W) → (H, W) or (W, H)"""
    if orientation in (5, 6, 7, 8):
        gray = gray.T
    if orientation in (2, 3, 6, 7):
        gray = gray[:, ::-1]
    if orientation in (3, 4, 7, 8):
        gray = gray[::-1]
    return np.ascontiguousarray(gray)


MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"))
MAX_IMAGE_BYTES = 16 << 20
MAX_IMAGE_SIDE = 1024  # pixels
#: Maximum difference between the channels of a gray pixel, after JPEG compression.
GRAY_TOLERANCE = 24


def resized(image: Bytes, shape: tuple[int, ...]) -> Bytes:
    """Return an image with another size, and in gray or in color    uint8 (H, W) or (H, W, 3) → `shape`"""
    if image.shape == shape:
        return image
    from PIL import Image

    picture = Image.fromarray(image)
    if image.ndim != len(shape):
        picture = picture.convert("RGB" if len(shape) == 3 else "L")
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def has_colors(picture: "Image") -> bool:
    """Return True if a picture has colors, not only shades of gray."""
    if picture.mode in ("1", "L", "LA"):
        return False
    channels = np.asarray(picture.convert("RGB"), np.int16)
    return bool(np.abs(channels[..., :1] - channels[..., 1:]).max() > GRAY_TOLERANCE)


def pixels_of(picture: "Image", name: str, *, color: bool) -> Bytes:
    """Return an image of a data set, uint8 (H, W), or with `color` (H, W, 3)."""
    width, height = picture.size
    if max(picture.size) > MAX_IMAGE_SIDE:
        raise DataError(f"{name} must be at most {MAX_IMAGE_SIDE} pixels wide and high, got {width}×{height}")
    if picture.mode not in MODES:
        raise DataError(f"{name} must have 8 bits per channel, got mode {picture.mode}")
    if picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise DataError(f"{name} must have no transparent pixels; add a background first")
    return np.array(picture.convert("RGB" if color else "L"))
