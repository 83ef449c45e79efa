"""The data around a student's functions: a little of it to read, and a look at the scale of the pixels that came of it.

Programs of both texts read a file at their top and divide the pixels there. `data_files` puts small files of the same
form, and no meaning, where the student's process starts; functions that lean on the size of the whole data
(`m, n = data.shape`) then run, and are seen to lean on it. `verdicts` judges the arrays under the names of the texts.
"""

import csv
import gzip
import io
import pickle
import re
from collections.abc import Mapping, Sequence

import numpy as np

from byhand.course.check.mistakes import MISTAKES
from byhand.course.check.verdicts import Evidence, Verdict

NAMES = ("X_train", "X_dev", "X_test", "train_set_x", "test_set_x")
ROWS = 1200  # a thousand for the dev set, and some to train on


def data_files(cells: Sequence[str]) -> dict[str, bytes]:
    """Small files under the names that the program mentions; CSV has a header, unless it is called after MNIST."""
    text = "\n".join(cells)
    rng = np.random.default_rng(0)
    files = {}
    if "mnist.pkl" in text:
        pairs = tuple((rng.random((n, 784), np.float32), rng.integers(10, size=n)) for n in (60, 20, 20))
        files["mnist.pkl.gz"] = gzip.compress(pickle.dumps(pairs), 1)
    for name in set(re.findall(r"[\"'/]([\w-]+\.csv)\b", text)):
        rows = np.zeros((ROWS, 785), int)
        rows[:, 0], rows[:, 300:400] = rng.integers(10, size=ROWS), rng.integers(256, size=(ROWS, 100))
        page = io.StringIO()
        writer = csv.writer(page)
        if not name.startswith("mnist"):
            writer.writerow(["label", *(f"pixel{k}" for k in range(784))])
        writer.writerows(rows.tolist())
        files[name] = page.getvalue().encode()
    return files


def verdicts(largest: Mapping[str, float]) -> list[Verdict]:
    """One for each array of pixels, by the largest number in it, whose scale is not 0 to 1; right ones get none."""
    found = []
    for name, value in largest.items():
        mistake = "pixels not scaled" if value > 1 else "pixels scaled twice" if 0 < value < 1 / 64 else ""
        if mistake:
            evidence = Evidence(f"{name}.max()", value, 1.0)
            found.append(Verdict(name, "wrong", f"{name}: {MISTAKES[mistake]}", (mistake,), evidence))
    return found
