"""The classifier for scikit-learn: byhand's network where pipelines, grids and cross-validation expect an estimator.

    NetworkClassifier(max_iter=20).fit(X, y).score(X_test, y_test)

Its parameters and attributes have the names of `sklearn.neural_network.MLPClassifier` wherever they mean the same, so
that changing the import is enough to try it. X and y come from scikit-learn's own checks and go, as floats and class
numbers, into a `byhand.training.Trainer`; nothing here computes a gradient.

X may be floats, taken as they are, or bytes (uint8), taken as pixels: byte / 255. A `sample_weight` of w is the same as
w copies of the sample in a batch, and 0 the same as leaving it out.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import column_or_1d, validate_data

from byhand.data import Dataset
from byhand.errors import UsageError
from byhand.model.model import Model, is_name
from byhand.nn.arrays import Array
from byhand.nn.stacks import Maps
from byhand.sklearn.answers import Answers
from byhand.sklearn.meaning import ACTIVATION_NAMES, Settling, check_parameters, recipe_for, with_weights
from byhand.training import EpochRecord, Trainer, train
from byhand.training.interrupt import interruptible
from byhand.training.samples import Data


class NetworkClassifier(Answers):
    """A network of dense layers, or of convolutions and dense layers, trained on the softmax cross-entropy.

    As in MLPClassifier
        hidden_layer_sizes, activation ("relu", "tanh", "logistic", "identity"), solver ("adam", "sgd"), alpha (the
        weight of the L2 penalty, of which each batch takes alpha / its samples), batch_size ("auto" is min(200, N)),
        learning_rate_init, max_iter, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum,
        early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change
    More
        activation "gelu", "leaky_relu"; solver "adamw" (its weight decay is alpha itself), "rmsprop"
        batch_size=None takes all samples as one batch
        learning_rate: "constant", or a schedule over the whole run: "one_cycle", "cosine", "step", "exponential";
            such a run goes to its end unless early_stopping ends it
        dropout: the share of hidden units silenced in training;  batch_norm: normalise before each activation
        maps: convolutions before the hidden layers, as (8, 16) or ((8, 3, 1), (16, 5, 2)): so many maps, the window's
            size and its step, 5 and 2 where they are left out; X must then be square pictures, row after row
        dtype: "float32" or "float64"; None computes in float64 where X is float64, in float32 for float32 and bytes
        threads: how many to use; None takes what the machine, or the environment of a joblib worker, allows
    Not here
        solver "lbfgs", learning_rate "invscaling" and "adaptive", shuffle=False, sparse X, several labels a sample

    After `fit`: classes_, model_ (a `byhand.Model`), coefs_, intercepts_, n_layers_, n_iter_ (epochs of the last call),
    loss_, best_loss_, loss_curve_ (the mean loss of each epoch, without the penalty) and, with early_stopping or X_val,
    validation_scores_, validation_loss_curve_, best_validation_score_. With early_stopping the weights are those of the
    best score.
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Iterable[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str | None = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        dropout: float = 0.0,
        batch_norm: bool = False,
        maps: Sequence[Maps] = (),
        dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.maps = maps
        self.dtype = dtype
        self.threads = threads

    # ---- learning

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train from the start (with warm_start: from where the last call ended) for up to max_iter epochs.

        X: (N, D);  y: (N,) labels of any kind;  sample_weight: (N,);  X_val, y_val: samples to score after each epoch,
        and to stop by in the place of a held-out part where early_stopping is on
        """
        check_parameters(self)
        if (X_val is None) != (y_val is None):
            raise UsageError(f"X_val and y_val must come together, got only {'X_val' if y_val is None else 'y_val'}")
        goes_on = self.warm_start and hasattr(self, "model_")
        X, labels = self._checked(X, y, reset=not goes_on)
        if not goes_on:
            self._begin(X, unique_labels(labels))
        elif not np.array_equal(unique_labels(labels), self.classes_):
            raise UsageError(
                f"warm_start needs the classes it had, {self.classes_.tolist()}, got {unique_labels(labels).tolist()}"
            )
        validation = None if X_val is None else self._numbered(*self._checked(X_val, y_val, reset=False))
        self._forget_steps()
        self._train(X, labels, sample_weight, epochs=self.max_iter, validation=validation)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one more epoch, on these samples; the first call must name all the `classes` there will be.

        X: (N, D);  y: (N,);  classes: (K,);  sample_weight: (N,)
        """
        check_parameters(self)
        if self.early_stopping:
            raise UsageError("partial_fit does not support early_stopping=True")
        if self.learning_rate != "constant":
            raise UsageError(f"partial_fit needs learning_rate='constant', got {self.learning_rate!r}")
        is_first = not hasattr(self, "model_")
        if is_first and classes is None:
            raise UsageError("classes must be passed on the first call to partial_fit")
        if not is_first and classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            known, got = self.classes_.tolist(), np.asarray(classes).tolist()
            raise UsageError(f"classes must be those of the first call, {known}, got {got}")
        X, labels = self._checked(X, y, reset=is_first)
        if is_first:
            self._begin(X, unique_labels(classes))
            self._forget_steps()
        self._train(X, labels, sample_weight, epochs=1)
        return self

    def _checked(self, X: Any, y: Any, *, reset: bool) -> tuple[Array, Array]:
        """X and y after scikit-learn's checks: floats or bytes (N, D), labels (N,)"""
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32, np.uint8], reset=reset)
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        return X, labels

    def _begin(self, X: Array, classes: Array) -> None:
        """A new network for these samples and classes, and empty curves."""
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if isinstance(sizes, Iterable) else [sizes]
        self.classes_ = classes
        names = [str(label) for label in classes]
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.model_ = Model(
            [X.shape[1], *hidden, len(classes)],
            seed=self._seed,
            classes=names if all(map(is_name, names)) else None,
            activation=ACTIVATION_NAMES.get(self.activation, self.activation),
            init="he" if self.activation in ("relu", "leaky_relu", "gelu") else "glorot",
            dropout=self.dropout,
            batch_norm=self.batch_norm,
            maps=self.maps,
            dtype=self.dtype or (np.float64 if X.dtype == np.float64 else np.float32),
        )
        self.out_activation_ = "softmax"
        self.loss_curve_: list[float] = []
        self.best_loss_: float | None = np.inf
        self.validation_scores_: list[float] | None = None
        self.validation_loss_curve_: list[float] | None = None
        self.best_validation_score_: float | None = None

    def _forget_steps(self) -> None:
        """The next epoch is the first, for the optimiser and for everything random."""
        self._epochs_run = 0
        self._optimizer_state: dict[str, Array] = {}

    def _train(
        self, X: Array, labels: Array, sample_weight: Any, *, epochs: int, validation: Data | None = None
    ) -> None:
        """Train for so many epochs, from where the last call ended, and stop when nothing improves."""
        X, labels, weights = with_weights(X, labels, sample_weight)
        recipe = recipe_for(self, len(X), weights, self._epochs_run + epochs, held_out=validation is None)
        trainer = Trainer(
            self.model_,
            self._numbered(X, labels),
            recipe,
            seed=self._seed,
            sample_weights=weights,
            validation_data=validation,
            start_epoch=self._epochs_run,
            optimizer_state=self._optimizer_state,
        )
        progress = Settling(self.tol, self.n_iter_no_change)
        with trainer, interruptible() as stop:
            self.n_iter_ = 0
            best = None
            for record in train(trainer, stop):
                self._note(record)
                value = record.validation_accuracy if self.early_stopping else -record.loss
                assert value is not None
                if progress.improves(value) and self.early_stopping:
                    best = (self.model_.network.parameters.copy(), self.model_.network.statistics.copy())
                if progress.is_over and (self.early_stopping or self.learning_rate == "constant"):
                    break
            else:
                if epochs > 1 and self.learning_rate == "constant":
                    self._warn(interrupted=stop.is_set())
            self._epochs_run = trainer.progress.step // trainer.batches_per_epoch
            self._optimizer_state = trainer.optimizer_state
        if best is not None:
            self.model_.network.parameters[...], self.model_.network.statistics[...] = best

    def _note(self, record: EpochRecord) -> None:
        """Keep what an epoch said, and show it where asked."""
        self.n_iter_ += 1
        self.loss_ = record.loss
        self.loss_curve_.append(record.loss)
        if record.validation_accuracy is not None and record.validation_loss is not None:
            self.validation_scores_ = [*(self.validation_scores_ or []), record.validation_accuracy]
            self.validation_loss_curve_ = [*(self.validation_loss_curve_ or []), record.validation_loss]
            self.best_validation_score_ = max(self.validation_scores_)
        self.best_loss_ = None if self.early_stopping else min(self.loss_curve_)
        if self.verbose:
            score = "" if record.validation_accuracy is None else f"  validation {record.validation_accuracy:.4f}"
            line = f"epoch {self.n_iter_}  loss {record.loss:.6f}  accuracy {record.accuracy:.4f}{score}"
            print(line, file=sys.stderr, flush=True)
            for warning in record.warnings:
                print(warning, file=sys.stderr, flush=True)

    def _warn(self, *, interrupted: bool) -> None:
        import warnings

        if interrupted:
            warnings.warn(f"training was interrupted after {self.n_iter_} epochs", stacklevel=4)
        else:
            text = f"training reached max_iter={self.max_iter} epochs and had not converged yet"
            warnings.warn(text, ConvergenceWarning, stacklevel=4)

    def _numbered(self, X: Array, labels: Array) -> Data:
        """Samples with class numbers in the place of labels; bytes stay bytes until their block is worked."""
        y = np.searchsorted(self.classes_, labels).clip(max=len(self.classes_) - 1)
        if (unknown := labels[self.classes_[y] != labels]).size:
            raise UsageError(
                f"y must hold labels among the classes {self.classes_.tolist()}, got {unknown.tolist()[0]!r}"
            )
        if X.dtype == np.uint8:
            return Dataset(X[:, None, :], y, classes=self.model_.classes, name="X")
        return X, y
