"""Handwriting: how well a model reads pictures of digits and rows, from a folder or drawn from pen strokes.

A folder has pictures whose label is the name of their subfolder, or the part of the file name before `_` or `-`. A
label of several digits is a row. Each picture is read as by `byhand predict`, and single digits also as in tutorials:
inverted if the paper is bright, resized to 28 × 28.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import drawn
from benchmarks.rounds import Log
from byhand.data.formats.images import read_photo, resized
from byhand.data.handwriting import SIZE, normalize
from byhand.errors import DataError, UsageError
from byhand.model import Reader
from byhand.model.reading import read_line
from byhand.report import wilson

Bytes = NDArray[np.uint8]
Labelled = Iterable[tuple[str, Bytes]]
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
BINS = 15  # of the calibration error
SURE = 0.9  # probability


def pictures_of(folder: Path) -> Iterator[tuple[str, Bytes]]:
    """Yield the label and the gray levels of each picture of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UsageError(f"{folder}: must have pictures, named by their digits or in subfolders, got none")
    for path in paths:
        name = path.parent.name if path.parent.name.isdecimal() and path.parent != folder else path.stem
        label = re.split(r"[_\-. (]", name)[0]
        if not label.isdecimal():
            raise UsageError(f"{path}: the name must begin with the digits that are written, got {path.name!r}")
        yield label, read_photo(path)


def digits(reader: Reader, pictures: Labelled) -> dict[str, Any]:
    """Score pictures of one digit: accuracy and its interval, refused pictures, confusion, calibration."""
    labels, images, naive, total, refused = [], [], [], 0, 0
    for label, gray in pictures:
        total += 1
        naive.append((label, resized(255 - gray if np.median(gray) > 127 else gray, (SIZE, SIZE))))
        try:
            images.append(normalize(gray).image)
            labels.append(label)
        except DataError:
            refused += 1
    read, most = answers(reader, images)
    hits = np.array([a == b for a, b in zip(read, labels, strict=True)], bool)
    right, is_sure = int(hits.sum()), most > SURE
    mistakes = Counter(f"{label} → {answer}" for label, answer in zip(labels, read, strict=True) if label != answer)
    plainly, _ = answers(reader, [image for _, image in naive])
    return {
        "pictures": total,
        "right": right,
        "interval": list(wilson(right, total)),
        "refused": refused,
        "sure": int(is_sure.sum()),
        "sure_and_right": int((hits & is_sure).sum()),
        "calibration_error": calibration_error(most, hits),
        "confusion": dict(mistakes.most_common(10)),
        "naive_right": sum(answer == label for answer, (label, _) in zip(plainly, naive, strict=True)),
    }


def answers(reader: Reader, images: Sequence[Bytes]) -> tuple[list[str], NDArray[np.floating]]:
    """Return the most likely class of each image, and its probability."""
    if not images:
        return [], np.zeros(0)
    probabilities = reader.probabilities(np.array(images))
    return [reader.classes[k] for k in probabilities.argmax(axis=1)], probabilities.max(axis=1)


def calibration_error(probabilities: NDArray[np.floating], hits: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean of |probability − accuracy| over bins, weighted by their size."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    parts = [(bins == number) for number in range(BINS)]
    gaps = [part.mean() * abs(probabilities[part].mean() - hits[part].mean()) for part in parts if part.any()]
    return float(sum(gaps))


def rows(reader: Reader, pictures: Labelled) -> dict[str, Any]:
    """Score pictures of rows: whole numbers, and the number of digits found."""
    total = right = refused = length = 0
    for label, gray in pictures:
        total += 1
        try:
            text = "".join(reading.digit for reading in read_line(gray, reader))
        except DataError:
            refused += 1
            continue
        right += text == label
        length += len(text) == len(label)
    return {
        "pictures": total,
        "right": right,
        "interval": list(wilson(right, total)),
        "refused": refused,
        "right_length": length,
    }


def of_folder(reader: Reader, folder: Path) -> dict[str, Any]:
    """Score the pictures of a folder."""
    pictures = list(pictures_of(folder))
    single, several = ([p for p in pictures if (len(p[0]) > 1) is long] for long in (False, True))
    return {
        "digits": {folder.name: digits(reader, single)} if single else {},
        "rows": {folder.name: rows(reader, several)} if several else {},
    }


def of_strokes(reader: Reader, file: Path, count: int, log: Log) -> dict[str, Any]:
    """Score `count` drawn digits and a fifth as many rows of each kind, by the writers kept apart."""
    theirs = [digit for digit in drawn.read_pen_digits(file) if digit.writer in drawn.HELD_OUT]
    if not theirs:
        raise UsageError(f"{file}: must have digits of the writers {min(drawn.HELD_OUT)} to {max(drawn.HELD_OUT)}")
    figures: dict[str, Any] = {"digits": {}, "rows": {}, "no digit": {}}
    for seed, (name, kind) in enumerate(drawn.KINDS.items()):
        order = np.random.default_rng(seed).permutation(len(theirs))[:count]
        figures["digits"][name] = digits(reader, drawn.drawn([theirs[k] for k in order], kind, seed))
        log(f"{name}: {share(figures['digits'][name])}")
    for seed, (name, row) in enumerate(drawn.ROWS.items()):
        figures["rows"][name] = rows(reader, drawn.drawn_rows(theirs, row, max(1, count // 5), seed))
        log(f"row, {name}: {share(figures['rows'][name])}")
    figures["no digit"] = no_digits(reader, count)
    return figures


def no_digits(reader: Reader, count: int) -> dict[str, Any]:
    """Count the signs, letters and scribbles that are read as a digit with a high probability."""
    images = []
    for number in range(count):
        rng = np.random.default_rng([1, number])
        kind = drawn.KINDS["pad" if number % 2 else "scan"]
        try:
            images.append(normalize(kind(drawn.no_digit(rng), rng)).image)
        except DataError:
            continue
    _, most = answers(reader, images)
    return {"pictures": count, "refused": count - len(images), "called_a_digit": int((most > SURE).sum())}


def share(figures: Mapping[str, Any]) -> str:
    """`94.8 % (91.2–97.0) of 250`"""
    low, high, right = (100 * value for value in (*figures["interval"], figures["right"] / figures["pictures"]))
    return f"{right:.1f} % ({low:.1f}–{high:.1f}) of {figures['pictures']}"


def lines(figures: Mapping[str, Any]) -> Sequence[str]:
    """Return the figures as lines of text."""
    text = []
    for name, row in figures["digits"].items():
        naive = f"{100 * row['naive_right'] / row['pictures']:.1f} %"
        often = ", ".join(f"{pair} {n}×" for pair, n in list(row["confusion"].items())[:3])
        text.append(f"{name}: {share(row)}; refused {row['refused']}; resized only {naive}; {often or 'no mistake'}")
        if row["sure"]:
            right = f"{100 * row['sure_and_right'] / row['sure']:.1f} %"
            text.append(
                f"    over 90 % sure: {row['sure']}, right {right}; calibration error {row['calibration_error']:.3f}"
            )
    for name, row in figures["rows"].items():
        text.append(f"row, {name}: {share(row)}; right length {row['right_length']}; refused {row['refused']}")
    if none := figures.get("no digit"):
        text.append(f"no digit, but over 90 % sure of one: {none['called_a_digit']} of {none['pictures']}")
    return text
