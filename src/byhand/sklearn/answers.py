"""What a trained classifier says: labels, probabilities, and what it learned under scikit-learn's names.

`NetworkClassifier` is built on it; nothing here learns.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from byhand.model import Model
from byhand.model.inference import read
from byhand.nn.arrays import Array
from byhand.nn.losses import softmax


class Answers(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier with a trained network in `model_`, for the labels `classes_`."""

    model_: Model
    classes_: Array

    def predict(self, X: Any) -> Array:
        """The most likely label of each sample                     X: (N, D) → (N,)"""
        best = self._logits(X).argmax(axis=1)
        labels: Array = self.classes_[best]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """How likely each class is, in the order of classes_        X: (N, D) → (N, K)"""
        return softmax(self._logits(X))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of those, exact where they are tiny        X: (N, D) → (N, K)"""
        Z = self._logits(X)
        Z -= Z.max(axis=1, keepdims=True)
        Z -= np.log(np.exp(Z).sum(axis=1, keepdims=True))
        return Z

    def _logits(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32, np.uint8], reset=False)
        return read(self.model_.network, lambda rows, _: self._floats(X[rows]), len(X))

    def _floats(self, X: Array) -> Array:
        """Bytes divided, floats as they are, in the network's precision          (n, D) → (n, D)"""
        if X.dtype == np.uint8:
            return self.model_.preparation.floats(X, np.empty(X.shape, self.model_.network.dtype))
        return np.ascontiguousarray(X, self.model_.network.dtype)

    # ---- what was learned, under scikit-learn's names

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer that has any: (inputs, units), of a convolution (what a window sees, maps)."""
        return [layer.W for layer in self.model_.network.weighted]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each of those layers, (units,) or (maps,)."""
        return [layer.b for layer in self.model_.network.weighted]

    @property
    def n_layers_(self) -> int:
        """The number of layers, the inputs counted as one."""
        return len(self.model_.network.weighted) + 1
