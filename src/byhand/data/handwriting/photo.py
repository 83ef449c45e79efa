"""Pictures from outside: a file or its bytes become grey bytes, or a clear refusal.

Files come from anywhere, so the size is read from the header and judged before anything is decoded, only a few plain
formats are tried, and whatever a decoder trips over is a `DataError`. `handwriting` takes the result.
"""

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from byhand.errors import DataError, DataMissingError

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".pnm", ".ppm")
)
LONGEST_SIDE = 20_000  # pixels: a panorama, not a trap
MOST_PIXELS = 80_000_000  # what a telephone gives unless it is told to give all its 108 or 200 million
ENOUGH = 1600  # pixels a side: a JPEG larger than twice this is decoded at half, a quarter or an eighth


def read_picture(source: str | os.PathLike[str] | bytes) -> Bytes:
    """The picture as it looks, in grey: uint8 (H, W), 0 black, 255 white.

    `source` is a path, or the file's own bytes. The camera's orientation is obeyed. What is transparent shows paper:
    white, or black where the ink is light. 16-bit grey keeps its upper byte. Moving pictures, several pages, and
    grey of 32 bits are refused.
    """
    from PIL import Image, UnidentifiedImageError

    name = "the picture" if isinstance(source, bytes | bytearray | memoryview) else str(source)
    try:
        opened = _openable(source, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is judged below, and named
            with Image.open(opened, formats=FORMATS) as picture:
                _refuse_from_header(picture, name)
                picture.draft("L", (ENOUGH, ENOUGH))
                return _grey(picture, name)
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{name} must have at most {MOST_PIXELS:,} pixels, got more than twice as many") from None
    except UnidentifiedImageError:
        raise DataError(f"{name} must be a picture ({', '.join(FORMATS)}), and it is none of these") from None
    except (
        Exception
    ) as error:  # decoders fail in many ways on damaged files: OSError, ValueError, SyntaxError, struct.error …
        if isinstance(error, OSError) and error.strerror:  # the system's own, not the decoder's
            raise DataError(f"{name} can't be read: {error.strerror}") from None
        raise DataError(f"{name} is a damaged picture: {error}") from error


def _openable(source: str | os.PathLike[str] | bytes, name: str) -> Path | io.BytesIO:
    """What Pillow can open, if there is something in it."""
    if isinstance(source, bytes | bytearray | memoryview):
        if not len(source):
            raise DataError(f"{name} must have content, got 0 bytes")
        return io.BytesIO(source)
    path = Path(source)
    if not path.exists():
        raise DataMissingError(f"no picture at {name}")
    if not path.is_file():
        raise DataError(f"{name} must be a picture file, and it is not a file")
    if path.stat().st_size == 0:
        raise DataError(f"{name} must have content, got 0 bytes")
    return path


def _refuse_from_header(picture: "Image", name: str) -> None:
    width, height = picture.size
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        rule = f"at most {LONGEST_SIDE:,} pixels a side and {MOST_PIXELS:,} in all"
        raise DataError(f"{name} must have {rule}, got {width:,} × {height:,}")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":  # a photograph with a preview behind it: the first is the picture
        raise DataError(f"{name} must be one still picture, got {frames} frames or pages")
    if picture.mode == "LAB":
        raise DataError(f"{name} must be grey, RGB, CMYK or with a palette, got LAB")
    if picture.mode in ("I", "F"):
        raise DataError(f"{name} must have 8 or 16 bits a channel, got 32 (mode {picture.mode})")


def _grey(picture: "Image", name: str) -> Bytes:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        return (np.asarray(picture, np.uint16) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        layers = np.asarray(picture.convert("RGBA").convert("LA"))
        grey, opaque = layers[:, :, 0].astype(np.int64), layers[:, :, 1].astype(np.int64)
        ink_is_light = int((grey * opaque).sum()) * 2 > 255 * int(opaque.sum())
        paper = 0 if ink_is_light else 255
        return ((grey * opaque + paper * (255 - opaque) + 127) // 255).astype(np.uint8)
    if picture.mode == "P":
        picture = picture.convert("RGB")
    return np.array(picture.convert("L"), np.uint8)
