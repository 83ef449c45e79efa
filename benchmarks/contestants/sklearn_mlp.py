"""scikit-learn's MLPClassifier: plain `fit`, on floats of 32 bits.

An epoch is one iteration of `fit`; with `warm_start` the next call goes on with the weights there are. Its L2 penalty,
early stopping and tolerance are turned off, for none of the others has them.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.contestants import Contestant
from benchmarks.work import Work


class Trainer(Contestant):
    """One classifier, fitted an epoch at a time."""

    def __init__(self, work: Work) -> None:
        self.X, self.y = work.floats()
        self.classifier = MLPClassifier(
            work.sizes[1:-1],
            solver=work.optimizer,
            alpha=0,
            batch_size=work.batch or work.images,
            learning_rate_init=work.rate,
            momentum=0,
            nesterovs_momentum=False,
            max_iter=1,
            warm_start=True,
            tol=0,
            n_iter_no_change=1_000_000,
            shuffle=False,
            random_state=0,
        )
        classes = np.arange(work.sizes[-1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a batch larger than these ten
            self.classifier.partial_fit(self.X[: len(classes)], classes, classes=classes)  # makes its arrays
        del self.classifier._optimizer
        for W, b, (W0, b0) in zip(self.classifier.coefs_, self.classifier.intercepts_, work.start, strict=True):
            W[...], b[...] = W0, b0
        self.whole = work.batch is None

    def epoch(self, number: int) -> float:
        return self.epochs(number, 1)

    def epochs(self, number: int, count: int) -> float:
        """Several at once: in one `fit`, which looks at the data once before it begins."""
        self.classifier.shuffle = number > 0 and not self.whole
        self.classifier.max_iter = count
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.classifier.fit(self.X, self.y)
        return float(self.classifier.loss_curve_[-1])
