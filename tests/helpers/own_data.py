"""Data sets that are not MNIST, made by the tests: shapes, patterns and tables in the formats of users.

`DATA_SETS` has a builder for each. `build(folder)` writes the data, and returns what `byhand.load` (and `--data`) takes
for it, with some of its own pictures as files where the form allows it: each file must be read as its class.
"""

import csv
import functools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle", "cross")


@dataclass
class OwnData:
    """A data set: its source for `load`, its classes in order, and some images as files with their classes.

    color: the argument of `load`
    """

    source: Any
    classes: tuple[str, ...]
    pictures: list[tuple[Path, str]] = field(default_factory=list)
    color: bool = False


def shape(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one shape, light on black, anywhere it fits: uint8 (H, W)."""
    scale = 4  # drawn larger and reduced, for smooth edges
    picture = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(picture)
    side = min(height, width) * scale
    radius = side * rng.uniform(0.25, 0.38)
    x, y = rng.uniform(radius, width * scale - radius), rng.uniform(radius, height * scale - radius)
    pen = max(scale, int(side * 0.08))
    match kind:
        case "circle":
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=255, width=pen)
        case "square":
            draw.rectangle((x - radius, y - radius, x + radius, y + radius), fill=255)
        case "triangle":
            corners = [(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)]
            draw.line([*corners, corners[0]], fill=255, width=pen, joint="curve")
        case "cross":
            draw.line((x - radius, y, x + radius, y), fill=255, width=pen)
            draw.line((x, y - radius, x, y + radius), fill=255, width=pen)
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


@functools.cache
def shapes(each: int, height: int = 28, width: int = 28, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return shapes uint8 (N, H, W) and their class numbers, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(SHAPES)), each))
    return np.stack([shape(SHAPES[k], height, width, rng) for k in labels]), labels


def folder_of_shapes(folder: Path, each: int = 8) -> Path:
    """Write pictures of shapes into a folder, one subfolder per class, and return it."""
    for i, (image, label) in enumerate(zip(*shapes(each), strict=True)):
        (folder / SHAPES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / SHAPES[label] / f"{i}.png")
    return folder


@functools.cache
def patterns(classes: int, each: int, height: int = 12, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy copies of one smooth random image for each class: uint8 (N, H, W), and the class numbers."""
    rng = np.random.default_rng(1)
    coarse = rng.uniform(0, 255, (classes, 4, 4)).astype(np.uint8)
    smooth = [Image.fromarray(one).resize((width, height), Image.Resampling.BICUBIC) for one in coarse]
    labels = rng.permutation(np.repeat(np.arange(classes), each))
    images = np.stack([np.asarray(one, float) for one in smooth])[labels] + rng.normal(
        0, 20, (len(labels), height, width)
    )
    return np.clip(images, 0, 255).astype(np.uint8), labels


def table(rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Return measurements of three kinds of things: float64 (N, 13) of very different scales, and the class numbers."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, rows)
    X = rng.normal(size=(3, 13))[labels] * 2 + rng.normal(size=(rows, 13))
    return X * np.logspace(-2, 3, 13) + np.linspace(-50, 500, 13), labels


def write_pictures(
    folder: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = SHAPES, ending: str = "png"
) -> list[tuple[Path, str]]:
    """Write one file per image, in a sub-folder for each class."""
    files = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / names[label] / f"{number:04}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        files.append((path, names[label]))
    return files


def write_csv(path: Path, images: np.ndarray, labels: list[Any], *, header: str | None, place: int) -> OwnData:
    """Write one row per image, with the label in column `place`, with or without a header."""
    rows = images.reshape(len(images), -1).tolist()
    place = place if place >= 0 else len(rows[0]) + 1 + place
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if header is not None:
            names = [f"pixel{number}" for number in range(len(rows[0]))]
            writer.writerow([*names[:place], header, *names[place:]])
        writer.writerows([*row[:place], label, *row[place:]] for row, label in zip(rows, labels, strict=True))
    return OwnData(path, classes_of(labels))


def classes_of(labels: Any) -> tuple[str, ...]:
    """Return the names of the classes in the order that byhand gives them: numbers as numbers, then by name."""
    return tuple(map(str, sorted(set(np.asarray(labels).tolist()))))


def in_npz(path: Path, X: np.ndarray, y: np.ndarray) -> OwnData:
    """Write Keras's four arrays, the last fifth as the test set."""
    cut = len(X) * 4 // 5
    np.savez(path, x_train=X[:cut], y_train=y[:cut], x_test=X[cut:], y_test=y[cut:])
    return OwnData(path, classes_of(y))


def in_folder(folder: Path, images: np.ndarray, labels: np.ndarray, names: tuple[str, ...] = SHAPES) -> OwnData:
    files = write_pictures(folder / "pictures", images, labels, names)
    return OwnData(folder / "pictures", tuple(sorted(names)), files[:40])


def in_parts(folder: Path, parts: dict[str, int]) -> OwnData:
    files = [write_pictures(folder / "parts" / name, *shapes(each, seed=len(name))) for name, each in parts.items()]
    return OwnData(folder / "parts", tuple(sorted(SHAPES)), files[-1][:40])


def mixed_sizes(folder: Path) -> OwnData:
    files = []
    for side in (24, 28, 40):
        files += write_pictures(folder / "mixed" / str(side), *shapes(50, side, side + 4, seed=side))
    moved = []
    for path, name in files:
        target = folder / "all" / name / f"{path.parts[-3]}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        moved.append((path.rename(target), name))
    return OwnData(folder / "all", tuple(sorted(SHAPES)), moved[::5])


def colored(height: int = 28, width: int = 28, each: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return shapes (N, H, W, 3) whose class is their color: red or green, of equal brightness in gray."""
    images, _ = shapes(each, height, width)
    labels = np.random.default_rng(3).integers(0, 2, len(images))
    colors = np.array([[255, 0, 0], [0, 130, 0]])[labels][:, None, None, :] * (images[..., None] / 255)
    return colors.astype(np.uint8), labels


def colors(folder: Path) -> OwnData:
    return in_folder(folder, *colored(), ("green", "red")[::-1])


def zipped(folder: Path) -> OwnData:
    own = in_folder(folder, *shapes(100))
    with zipfile.ZipFile(folder / "pictures.zip", "w") as archive:
        for path in sorted(own.source.rglob("*.png")):
            archive.write(path, path.relative_to(folder))
    return OwnData(folder / "pictures.zip", own.classes, own.pictures)


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    import byhand

    train = byhand.load("mnist-5k").train
    return train.images[:count], train.labels[:count]


DIGITS = tuple("0123456789")
FRUIT = np.array(["pear", "apple", "fig", "plum"])

#: Name → builder of the data set in an empty folder.
DATA_SETS: dict[str, Callable[[Path], OwnData]] = {
    # folders of pictures
    "shapes 28": lambda folder: in_folder(folder, *shapes(100)),
    "shapes dark on white": lambda folder: in_folder(folder, 255 - shapes(100)[0], shapes(100)[1]),
    "shapes 20": lambda folder: in_folder(folder, *shapes(100, 20, 20)),
    "shapes 40": lambda folder: in_folder(folder, *shapes(60, 40, 40)),
    "rectangles": lambda folder: in_folder(folder, *shapes(100, 16, 24)),
    "two classes": lambda folder: in_folder(folder, *patterns(2, 150, 28, 28), ("no", "yes")),
    "train and test folders": lambda folder: in_parts(folder, {"train": 80, "test": 20}),
    "train, val and test folders": lambda folder: in_parts(folder, {"train": 80, "val": 20, "test": 20}),
    "train and val folders": lambda folder: in_parts(folder, {"train": 80, "val": 20}),
    "mixed sizes": mixed_sizes,
    "colors": colors,
    "zip": zipped,
    "folder in color": lambda folder: in_color(colors(folder)),
    "rectangles in color": lambda folder: in_color(
        in_folder(folder, *colored(16, 24), ("green", "red")[::-1]),
    ),
    "digits in a folder": lambda folder: in_folder(folder, *digits(1000), DIGITS),
    "digits dark on white": lambda folder: in_folder(folder, 255 - digits(1000)[0], digits(1000)[1], DIGITS),
    # CSV
    "csv, label first": lambda folder: write_csv(folder / "a.csv", *listed(shapes(100)), header=None, place=0),
    "csv, label first, header": lambda folder: write_csv(
        folder / "a.csv", *listed(shapes(100)), header="label", place=0
    ),
    "csv, label last": lambda folder: write_csv(folder / "a.csv", *listed(shapes(100)), header=None, place=-1),
    "csv, label last, header": lambda folder: write_csv(
        folder / "a.csv", *listed(shapes(100)), header="class", place=-1
    ),
    "csv, target inside": lambda folder: write_csv(folder / "a.csv", *listed(shapes(100)), header="target", place=17),
    "csv, names": lambda folder: write_csv(folder / "a.csv", *listed(shapes(100), FRUIT), header="y", place=0),
    "csv, labels from 10": lambda folder: write_csv(
        folder / "a.csv", *listed(patterns(20, 30), np.arange(10, 30)), header="label", place=0
    ),
    "csv, rectangles": lambda folder: write_csv(
        folder / "a.csv", *listed(shapes(100, 16, 24)), header="label", place=0
    ),
    # arrays
    "100 classes": lambda folder: in_npz(folder / "a.npz", *patterns(100, 20)),
    "unbalanced": lambda folder: in_npz(folder / "a.npz", *unbalanced()),
    "npz, names": lambda folder: in_npz(folder / "a.npz", shapes(100)[0], FRUIT[shapes(100)[1]]),
    "npz, floats 0 to 1": lambda folder: in_npz(folder / "a.npz", shapes(100)[0] / 255, shapes(100)[1]),
    "npz, floats 0 to 16": lambda folder: in_npz(
        folder / "a.npz", shapes(100, 8, 8)[0] // 16 * 1.0, shapes(100, 8, 8)[1]
    ),
    "npz, floats 0 to 255": lambda folder: in_npz(
        folder / "a.npz", shapes(100)[0] + 0.25 * (shapes(100)[0] < 255), shapes(100)[1]
    ),
    "npz in color": lambda folder: in_color(in_npz(folder / "a.npz", *colored(12, 12))),
    "arrays in color, floats": lambda folder: in_color(OwnData((colored()[0] / 255, colored()[1]), DIGITS[:2])),
    "arrays, standardized": lambda folder: OwnData(standardized(shapes(100)), DIGITS[:4]),
    "a table": lambda folder: OwnData(table(), DIGITS[:3]),
}


def in_color(own: OwnData) -> OwnData:
    return replace(own, color=True)


def listed(samples: tuple[np.ndarray, np.ndarray], names: np.ndarray | None = None) -> tuple[np.ndarray, list[Any]]:
    images, labels = samples
    return images, (labels if names is None else names[labels]).tolist()


def unbalanced() -> tuple[np.ndarray, np.ndarray]:
    images, labels = patterns(3, 400)
    rng = np.random.default_rng(4)
    kept = rng.random(len(labels)) < np.array([1, 0.3, 0.05])[labels]
    return images[kept], labels[kept]


def standardized(samples: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = samples
    X = images.reshape(len(images), -1).astype(np.float32)
    return (X - X.mean()) / X.std(), labels
