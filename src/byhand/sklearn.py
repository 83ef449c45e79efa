"""scikit-learn estimators for pipelines, grid search and cross-validation. They need the extra `sklearn`.

    from byhand.sklearn import NetworkClassifier, NetworkRegressor
    NetworkClassifier(max_iter=20).fit(X, y).score(X_test, y_test)

They have the parameters and attributes of `sklearn.neural_network.MLPClassifier` and `MLPRegressor`, and more.
"""

import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from byhand.checks import integer, is_integer, is_number, number, positive
from byhand.data import Dataset
from byhand.errors import MissingExtraError, UsageError
from byhand.model.model import Model, forward_in_blocks, is_name
from byhand.nn.arrays import Array
from byhand.nn.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy, softmax
from byhand.nn.network import Maps
from byhand.nn.optimizers import Adam, AdamW, GradientDescent, Momentum, Optimizer, RMSprop
from byhand.nn.schedules import SCHEDULES
from byhand.text import did_you_mean
from byhand.training import EpochRecord, Recipe, Trainer, train
from byhand.training.loop import interruptible
from byhand.training.setup import Data

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets, unique_labels
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise MissingExtraError("scikit-learn 1.6 or later", "sklearn") from error

__all__ = ["NetworkClassifier", "NetworkRegressor"]

#: Names in Keras and byhand, and those here.
ELSEWHERE = {
    **dict.fromkeys(("epochs", "n_epochs"), "max_iter"),
    **dict.fromkeys(("hidden", "hidden_layers", "layers", "units"), "hidden_layer_sizes"),
    **dict.fromkeys(("lr", "learning_rate_", "eta"), "learning_rate_init"),
    **dict.fromkeys(("validation_split", "validation"), "validation_fraction"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    "optimizer": "solver",
    "patience": "n_iter_no_change",
    "weight_decay": "alpha",
}
SOLVERS = ("adam", "sgd", "adamw", "rmsprop")
#: Activations that have another name in scikit-learn.
ACTIVATION_NAMES = {"logistic": "sigmoid"}


@dataclass(eq=False, repr=False)  # the fields are the constructor's arguments; repr is scikit-learn's
class NetworkEstimator(BaseEstimator):  # type: ignore[misc]
    """Base class of the classifier and the regressor: a network of dense layers, with optional convolutions.

    X is floats, or bytes, which are divided by 255. A `sample_weight` of w counts as w copies of the sample.

    As in MLPClassifier and MLPRegressor
        hidden_layer_sizes, activation ("relu", "tanh", "logistic", "identity"), solver ("adam", "sgd"), alpha (the L2
        penalty: alpha / batch size), batch_size ("auto": min(200, N)), learning_rate_init, max_iter, random_state, tol,
        verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon,
        n_iter_no_change
    Additional
        activation: "gelu", "leaky_relu";  solver: "adamw" (with weight decay alpha), "rmsprop"
        batch_size: None puts all samples into one batch
        learning_rate: "constant", or a schedule over max_iter: "one_cycle", "cosine", "step", "exponential"; then only
            early_stopping ends the training before max_iter
        dropout: fraction of hidden units set to 0 in training;  batch_norm: batch normalization before activations
        maps: convolutions before the hidden layers, such as (8, 16) or ((8, 3, 1), (16, 5, 2)): maps, window size
            (default 5) and stride (default 2); the rows of X must be square images
        dtype: "float32" or "float64"; None: float64 if X is float64, otherwise float32
        threads: number of threads; None: one per processor, or what joblib allows
    Not available
        solver "lbfgs", learning_rate "invscaling" and "adaptive", shuffle=False, sparse X, multilabel y, loss "poisson"

    Attributes: model_ (a `byhand.Model`), coefs_, intercepts_, n_layers_, n_outputs_, n_iter_ (epochs of the last
    call), loss_, best_loss_, loss_curve_ (the mean loss of each epoch, without the penalty) and, with early_stopping or
    X_val, validation_scores_, validation_loss_curve_, best_validation_score_. With early_stopping, the best weights are
    kept.
    """

    hidden_layer_sizes: int | Iterable[int] = (100,)
    activation: str = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str | None = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    max_iter: int = 200
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: int = 10
    dropout: float = 0.0
    batch_norm: bool = False
    maps: Sequence[Maps] = ()
    dtype: str | None = None
    threads: int | None = None

    #: The loss function, its share in `loss_`, its gradient relative to scikit-learn's, and the output's activation.
    _loss: ClassVar[Loss]
    _loss_share: ClassVar[float] = 1.0
    _loss_scale: ClassVar[Any] = 1.0
    _out_activation: ClassVar[str]

    @property
    def _initial_weights(self) -> dict[str, Any]:
        """Settings of the network for its initial weights."""
        return {"init": "he" if self.activation in ("relu", "leaky_relu", "gelu") else "glorot"}

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train for up to max_iter epochs; with warm_start, from the weights of the last call.

        X: (N, D);  y: (N,), for regression also (N, K);  sample_weight: (N,)
        X_val, y_val: validation data, in place of the held-out split
        """
        self._check_parameters()
        if (X_val is None) != (y_val is None):
            raise UsageError(f"X_val and y_val go together, got only {'X_val' if y_val is None else 'y_val'}")
        continues = self.warm_start and hasattr(self, "model_")
        X, y = self._checked(X, y, reset=not continues)
        if continues:
            self._check_outputs(y)
        else:
            self._begin(X, self._outputs_of(y))
        validation = None if X_val is None else self._targets(*self._checked(X_val, y_val, reset=False))
        self._reset_steps()
        self._train(X, y, sample_weight, epochs=self.max_iter, validation=validation)
        return self

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        """Return X and y after scikit-learn's checks    X: floats or bytes (N, D)"""
        raise NotImplementedError

    def _outputs_of(self, y: Array) -> list[str]:
        """Set the attributes that depend on y, and return the names of the outputs."""
        raise NotImplementedError

    def _check_outputs(self, y: Array) -> None:
        """Reject a y that does not fit the outputs of the first call."""
        raise NotImplementedError

    def _targets(self, X: Array, y: Array) -> Data:
        """Return the training data."""
        raise NotImplementedError

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, begin: Callable[[Array], list[str]]) -> Self:
        """Train for one epoch; `begin` returns the names of the outputs on the first call."""
        self._check_parameters()
        if self.early_stopping:
            raise UsageError("partial_fit does not support early_stopping=True")
        if self.learning_rate != "constant":
            raise UsageError(f"partial_fit needs learning_rate='constant', got {self.learning_rate!r}")
        is_first = not hasattr(self, "model_")
        X, y = self._checked(X, y, reset=is_first)
        if is_first:
            self._begin(X, begin(y))
            self._reset_steps()
        self._train(X, y, sample_weight, epochs=1)
        return self

    def _check_parameters(self) -> None:
        """Check the parameters that have another name in byhand, or none."""
        for name, known in (("solver", SOLVERS), ("learning_rate", tuple(SCHEDULES))):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        number("alpha", self.alpha, 0)
        positive("learning_rate_init", self.learning_rate_init)
        integer("max_iter", self.max_iter, 1)
        integer("n_iter_no_change", self.n_iter_no_change, 1)
        for name in ("beta_1", "beta_2"):
            if not (is_number(value := getattr(self, name), 0) and value < 1):
                raise UsageError(f"{name} must be at least 0 and less than 1, got {value!r}")
        if not (is_number(value := self.validation_fraction) and 0 < value < 1):
            raise UsageError(f"validation_fraction must be greater than 0 and less than 1, got {value!r}")
        if not is_number(self.tol) and not (isinstance(self.tol, float) and np.isinf(self.tol)):
            raise UsageError(f"tol must be a number, got {self.tol!r}")
        if self.batch_size not in ("auto", None) and not is_integer(self.batch_size, 1):
            raise UsageError(f"batch_size must be a positive integer, 'auto' or None, got {self.batch_size!r}")

    def _begin(self, X: Array, names: list[str]) -> None:
        """Create the network, with an output per name, and empty curves."""
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if isinstance(sizes, Iterable) else [sizes]
        self.n_outputs_ = len(names)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.model_ = Model(
            [X.shape[1], *hidden, len(names)],
            seed=self._seed,
            classes=names if all(map(is_name, names)) else None,
            activation=ACTIVATION_NAMES.get(self.activation, self.activation),
            **self._initial_weights,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            maps=self.maps,
            dtype=self.dtype or (np.float64 if X.dtype == np.float64 else np.float32),
        )
        self.out_activation_ = self._out_activation
        self.loss_curve_: list[float] = []
        self.best_loss_: float | None = np.inf
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None
        self.best_validation_score_: float | None = None

    def _reset_steps(self) -> None:
        """Restart the random numbers and the optimizer's state at the first epoch."""
        self._epochs_run = 0
        self._optimizer_state: dict[str, Array] = {}

    def _train(self, X: Array, y: Array, sample_weight: Any, *, epochs: int, validation: Data | None = None) -> None:
        """Train for more epochs, until nothing improves."""
        X, y, weights = without_zero_weights(X, y, sample_weight)
        trainer = Trainer(
            self.model_,
            self._targets(X, y),
            self._recipe(len(X), weights, self._epochs_run + epochs, split=self.early_stopping and validation is None),
            seed=self._seed,
            sample_weights=weights,
            validation_data=validation,
            start_epoch=self._epochs_run,
            optimizer_state=self._optimizer_state,
        )
        self.n_iter_ = waited = 0
        best_value, best_weights = -np.inf, None
        with trainer, interruptible(trainer.stop):
            for record in train(trainer):
                score = self._score_of(record, trainer)
                self._record(record, score)
                value = score if self.early_stopping else -self.loss_
                assert value is not None
                waited = waited + 1 if value < best_value + self.tol else 0
                if value > best_value:
                    best_value = value
                    if self.early_stopping:
                        best_weights = (self.model_.network.parameters.copy(), self.model_.network.statistics.copy())
                if waited > self.n_iter_no_change and (self.early_stopping or self.learning_rate == "constant"):
                    break
            else:
                if epochs > 1 and self.learning_rate == "constant":
                    if trainer.is_stopped:
                        warnings.warn(f"training was interrupted after {self.n_iter_} epochs", stacklevel=3)
                    else:
                        text = f"training did not converge in max_iter={self.max_iter} epochs"
                        warnings.warn(text, ConvergenceWarning, stacklevel=3)
            self._epochs_run = trainer.progress.step // trainer.batches_per_epoch
            self._optimizer_state = trainer.optimizer_state
        if best_weights is not None:
            self.model_.network.parameters[...], self.model_.network.statistics[...] = best_weights

    def _recipe(self, samples: int, weights: Array | None, epochs: int, *, split: bool) -> Recipe:
        """Return the recipe; with `split`, some samples are held out."""
        validation = self.validation_fraction if split else 0.0
        batch = min(200, samples) if self.batch_size == "auto" else self.batch_size
        rows = min(samples if batch is None else int(batch), samples - round(validation * samples))
        mean_weight = 1.0 if weights is None else float(weights.mean())
        return Recipe(
            epochs=epochs,
            batch_size=None if batch is None else int(batch),
            learning_rate=self.learning_rate_init / (self._loss_scale if self.solver == "sgd" else 1),
            optimizer=self._optimizer(self.alpha * self._loss_scale / (max(rows, 1) * mean_weight)),
            schedule=SCHEDULES[self.learning_rate](),
            loss=self._loss,
            validation=validation,
            threads=self.threads,
        )

    def _optimizer(self, penalty: float) -> Optimizer:
        """Return the optimizer; `penalty` is the L2 penalty in the mean loss of a batch."""
        if self.solver == "sgd":
            if self.momentum == 0:
                return GradientDescent(weight_decay=penalty)
            return Momentum(weight_decay=penalty, momentum=self.momentum, nesterov=self.nesterovs_momentum)
        if self.solver == "rmsprop":
            return RMSprop(weight_decay=penalty, epsilon=self.epsilon * self._loss_scale)
        if self.solver == "adamw":
            return AdamW(
                weight_decay=self.alpha, beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon * self._loss_scale
            )
        return Adam(weight_decay=penalty, beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon * self._loss_scale)

    def _score_of(self, record: EpochRecord, trainer: Trainer) -> float | None:
        """Return the validation score of an epoch, or None without validation data."""
        return record.validation_accuracy

    def _record(self, record: EpochRecord, score: float | None) -> None:
        """Append an epoch to the curves, and print it if `verbose`."""
        self.n_iter_ += 1
        self.loss_ = record.loss * self._loss_share
        self.loss_curve_.append(self.loss_)
        if score is not None and record.validation_loss is not None:
            self.validation_scores_ = [*(self.validation_scores_ or []), score]
            validation_loss = record.validation_loss * self._loss_share
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or []), validation_loss]
            self.best_validation_score_ = max(self.validation_scores_)
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        if self.verbose:
            share = f"  accuracy {record.accuracy:.4f}" if self._out_activation == "softmax" else ""
            validation = "" if score is None else f"  validation {score:.4f}"
            line = f"epoch {self.n_iter_}  loss {self.loss_:.6f}{share}{validation}"
            print(line, *record.warnings, sep="\n", file=sys.stderr, flush=True)

    def _outputs(self, X: Any) -> Array:
        """Return the network's outputs    X: (N, D) → (N, K)"""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32, np.uint8], reset=False)
        return forward_in_blocks(self.model_.network, lambda rows, _: self._floats(X[rows]), len(X))

    def _floats(self, X: Array) -> Array:
        """Return inputs of the network: bytes / 255, or floats    (n, D) → (n, D)"""
        if X.dtype == np.uint8:
            return self.model_.preparation.to_floats(X, np.empty(X.shape, self.model_.network.dtype))
        return np.ascontiguousarray(X, self.model_.network.dtype)

    # ---- learned parameters, under scikit-learn's names

    @property
    def coefs_(self) -> list[Array]:
        """The weights of each layer: (inputs, units), or (window inputs, maps)."""
        return [layer.W for layer in self.model_.network.parametric_layers]

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer: (units,) or (maps,)."""
        return [layer.b for layer in self.model_.network.parametric_layers]

    @property
    def n_layers_(self) -> int:
        """The number of layers, including the input layer."""
        return len(self.model_.network.parametric_layers) + 1


_initialize = NetworkEstimator.__init__


@functools.wraps(_initialize)
def _checked_names(self: NetworkEstimator, *values: Any, **parameters: Any) -> None:
    """Reject unknown parameters with the name to type."""
    known = [field.name for field in fields(NetworkEstimator)]
    for name in parameters:
        if name not in known:
            hint = did_you_mean(name, known, ELSEWHERE)
            raise TypeError(f"{type(self).__name__} has no parameter {name!r}{hint}")
    _initialize(self, *values, **parameters)


NetworkEstimator.__init__ = _checked_names  # type: ignore[method-assign]


class NetworkClassifier(ClassifierMixin, NetworkEstimator):  # type: ignore[misc]
    """A network that minimizes the softmax cross-entropy.

    Its parameters and attributes are those of `NetworkEstimator`, and `classes_`.
    """

    _loss = SoftmaxCrossEntropy()
    _out_activation = "softmax"

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch. The first call needs all `classes`.

        X: (N, D);  y: (N,);  classes: (K,);  sample_weight: (N,)
        """
        if hasattr(self, "model_") and classes is not None:
            self._check_outputs(classes)

        def begin(_: Array) -> list[str]:
            if classes is None:
                raise UsageError("classes must be passed on the first call to partial_fit")
            return self._outputs_of(classes)

        return self._partial_fit(X, y, sample_weight, begin)

    def predict(self, X: Any) -> Array:
        """Return the most likely label of each sample    X: (N, D) → (N,)"""
        best = self._outputs(X).argmax(axis=1)
        labels: Array = self.classes_[best]
        return labels

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class    X: (N, D) → (N, K)"""
        return softmax(self._outputs(X))

    def predict_log_proba(self, X: Any) -> Array:
        """Return log-probabilities, also exact for tiny ones    X: (N, D) → (N, K)"""
        Z = self._outputs(X)
        Z -= Z.max(axis=1, keepdims=True)
        Z -= np.log(np.exp(Z).sum(axis=1, keepdims=True))
        return Z

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32, np.uint8], reset=reset)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        return X, labels

    def _outputs_of(self, y: Array) -> list[str]:
        self.classes_ = unique_labels(y)
        return [str(label) for label in self.classes_]

    def _check_outputs(self, y: Array) -> None:
        known, got = self.classes_.tolist(), unique_labels(y).tolist()
        if known != got:
            raise UsageError(f"classes must be those of the first call, {known}, got {got}")

    def _targets(self, X: Array, y: Array) -> Data:
        """Return the samples with class numbers; bytes are scaled later, in blocks."""
        numbers = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        if (unknown := y[self.classes_[numbers] != y]).size:
            raise UsageError(f"labels must be among the classes {self.classes_.tolist()}, got {unknown.tolist()[0]!r}")
        if X.dtype == np.uint8:
            return Dataset(X[:, None, :], numbers, classes=self.model_.classes, name="X")
        return X, numbers


class NetworkRegressor(RegressorMixin, NetworkEstimator):  # type: ignore[misc]
    """A network with linear outputs that minimizes half the mean squared error, as MLPRegressor does.

    Its parameters and attributes are those of `NetworkEstimator`. y has one target (N,) or several (N, K). The
    validation score is R²; of several targets, weighted by their variances.
    """

    _loss = MeanSquaredError()
    _loss_share = 0.5
    _out_activation = "identity"

    #: The first predictions are near 0; with those of a classifier, R² is lower on four data sets, by up to 0.13.
    _initial_weights: ClassVar[dict[str, Any]] = {"init": "glorot", "output_scale": 0.1}

    @property
    def _loss_scale(self) -> float:
        """The gradient of the mean over samples and outputs, relative to MLPRegressor's gradient."""
        return 2 / self.n_outputs_

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch    X: (N, D);  y: (N,) or (N, K);  sample_weight: (N,)"""
        return self._partial_fit(X, y, sample_weight, self._outputs_of)

    def predict(self, X: Any) -> Array:
        """Return the predicted values    X: (N, D) → (N,) or (N, K), as y in `fit`"""
        values = self._outputs(X)
        return values[:, 0] if self._is_single else values

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        kinds = [np.float64, np.float32, np.uint8]
        X, y = validate_data(self, X, y, dtype=kinds, reset=reset, multi_output=True, y_numeric=True)
        y = np.asarray(y)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _outputs_of(self, y: Array) -> list[str]:
        self._is_single = y.ndim == 1
        return [str(number) for number in range(1 if self._is_single else y.shape[1])]

    def _check_outputs(self, y: Array) -> None:
        if (got := 1 if y.ndim == 1 else y.shape[1]) != self.n_outputs_:
            raise UsageError(f"y must have the {self.n_outputs_} targets of the first call, got {got}")

    def _targets(self, X: Array, y: Array) -> Data:
        self._check_outputs(y)
        return self._floats(X), y.reshape(len(X), self.n_outputs_).astype(self.model_.network.dtype)

    def _score_of(self, record: EpochRecord, trainer: Trainer) -> float | None:
        targets = trainer.validation_labels
        if record.validation_loss is None or targets is None:
            return None
        variance = float(np.mean(np.var(targets, axis=0, dtype=np.float64)))
        return 1 - record.validation_loss / variance if variance > 0 else 0.0


def without_zero_weights(X: Array, labels: Array, sample_weight: Any) -> tuple[Array, Array, Array | None]:
    """Return the samples with a weight above 0, their labels and weights."""
    if sample_weight is None:
        return X, labels, None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(len(X), weights)
    if weights.shape != (len(X),):
        raise UsageError(f"sample_weight must have the shape ({len(X)},), got {weights.shape}")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise UsageError("sample_weight must be finite, at least 0 and not all zero")
    counts = weights > 0
    return (X, labels, weights) if counts.all() else (X[counts], labels[counts], weights[counts])
