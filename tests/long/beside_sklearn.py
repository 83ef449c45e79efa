"""NetworkClassifier compared with MLPClassifier: `python tests/long/beside_sklearn.py [rounds]`, 12 rounds by default.

Equal calls, images (the bundled sample) and seeds, one BLAS thread; the two take turns, with a new seed per round.
`more_right` is the mean difference of their accuracies with its standard error. Needs a quiet machine and the extra
`sklearn`. Results go to benchmarks/results/sklearn.json; `docs/ecosystem.md` quotes them.
"""

import json
import platform
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import byhand
from byhand.files import write_text
from byhand.sklearn import NetworkClassifier

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "sklearn.json"
CALLS: dict[str, dict[str, Any]] = {
    "all defaults": {},
    "hidden_layer_sizes=(128,), max_iter=20": {"hidden_layer_sizes": (128,), "max_iter": 20},
    "hidden_layer_sizes=(256, 128), max_iter=20": {"hidden_layer_sizes": (256, 128), "max_iter": 20},
}


def main(rounds: int) -> None:
    digits = byhand.load("mnist-5k", offline=True)
    X, X_test = (part.images.reshape(len(part), -1) / np.float32(255) for part in digits)
    found: dict[str, Any] = {
        "machine": platform.machine(), "numpy": np.__version__, "sklearn": sklearn.__version__,
        "trained_on": len(X), "tested_on": len(X_test), "rounds": rounds, "calls": {},
    }  # fmt: skip
    for call, settings in CALLS.items():
        seconds: dict[str, list[float]] = {}
        scores: dict[str, list[float]] = {}
        for seed in range(rounds):
            for kind in (MLPClassifier, NetworkClassifier):
                classifier = kind(random_state=seed, **settings)
                began = time.perf_counter()
                classifier.fit(X, digits.train.labels)
                seconds.setdefault(kind.__name__, []).append(time.perf_counter() - began)
                scores.setdefault(kind.__name__, []).append(classifier.score(X_test, digits.test.labels))
        ratios = sorted(a / b for a, b in zip(seconds["MLPClassifier"], seconds["NetworkClassifier"], strict=True))
        more = np.subtract(scores["NetworkClassifier"], scores["MLPClassifier"])
        found["calls"][call] = {
            "seconds": {name: round(median(taken), 3) for name, taken in seconds.items()},
            "accuracy": {name: round(float(np.mean(right)), 4) for name, right in scores.items()},
            "more_right": [round(float(value), 4) for value in (more.mean(), more.std(ddof=1) / np.sqrt(len(more)))],
            "times_faster": [round(ratio, 2) for ratio in (median(ratios), ratios[0], ratios[-1])],
        }
        print(call, json.dumps(found["calls"][call]), flush=True)
    write_text(RESULTS, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
