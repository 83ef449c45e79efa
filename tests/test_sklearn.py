"""The classifier and the regressor fulfill scikit-learn's contract and their own additional promises."""

import copy
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import byhand
from byhand.errors import UsageError
from helpers.needs import needs
from helpers.processes import python

needs("sklearn", "pandas")

import joblib
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from byhand.sklearn import NetworkClassifier, NetworkRegressor

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


ESTIMATORS = [
    NetworkClassifier(),
    NetworkClassifier((8,), "tanh", solver="sgd", max_iter=60),
    NetworkRegressor(),
    NetworkRegressor((8,), "tanh", solver="sgd", learning_rate_init=0.01),
]


@parametrize_with_checks(ESTIMATORS)
def test_every_check_of_scikit_learn_passes(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def test_the_array_api_check_passes():
    """scikit-learn skips this check unless SciPy's array API was enabled before its import."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from byhand.sklearn import NetworkClassifier\n"
        "results = check_estimator(NetworkClassifier(), on_skip=None)\n"
        "print({r['status'] for r in results if r['check_name'].startswith('check_array_api')})"
    )
    assert python("-c", code, env=os.environ | {"SCIPY_ARRAY_API": "1"}).stdout.strip() == "{'passed'}"


def test_the_checks_find_a_planted_mistake():
    class Forgetful(NetworkClassifier):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y)

    results = check_estimator(Forgetful(max_iter=20), on_skip=None, on_fail=None)
    failed = {result["check_name"] for result in results if result["status"] == "failed"}
    assert "check_sample_weight_equivalence_on_dense_data" in failed


@pytest.fixture(scope="module")
def blobs():
    return make_classification(400, 20, n_informative=8, n_classes=3, class_sep=2, random_state=0)


@pytest.fixture(scope="module")
def digits():
    train, test = byhand.load("mnist-5k")
    return flat(train[:1000], test[:500])


def flat(train, test):
    """Return images as rows of bytes: X, y, X_test, y_test."""
    parts = [(part.images.reshape(len(part), -1), part.labels) for part in (train, test)]
    return *parts[0], *parts[1]


def quick(**settings):
    return NetworkClassifier(**({"hidden_layer_sizes": 16, "random_state": 0, "tol": 0, "max_iter": 3} | settings))


@pytest.fixture(autouse=True)
def unsettled():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def test_pipelines_grid_search_and_cross_validation_work_with_two_jobs(blobs):
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=20, learning_rate_init=0.01))
    assert cross_val_score(clone(pipeline), *blobs, cv=2, n_jobs=2).mean() > 0.7
    grid = GridSearchCV(pipeline, {"networkclassifier__hidden_layer_sizes": [(4,), (32, 16)]}, cv=2).fit(*blobs)
    assert grid.best_params_ == {"networkclassifier__hidden_layer_sizes": (32, 16)}


def test_cross_validation_scores_do_not_depend_on_the_number_of_jobs(blobs):
    one, two = (cross_val_score(quick(), *blobs, cv=2, n_jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("through", ["joblib", "pickle", "deepcopy"])
def test_a_copy_predicts_and_learns_like_the_original(blobs, tmp_path, through):
    X, y = blobs
    original = quick(batch_norm=True).fit(X, y)
    if through == "joblib":
        joblib.dump(original, tmp_path / "c.joblib")
        twin = joblib.load(tmp_path / "c.joblib")
    else:
        twin = pickle.loads(pickle.dumps(original)) if through == "pickle" else copy.deepcopy(original)
    np.testing.assert_array_equal(twin.predict_proba(X), original.predict_proba(X))
    before = original.predict_proba(X)
    np.testing.assert_array_equal(twin.partial_fit(X, y).predict_proba(X), original.partial_fit(X, y).predict_proba(X))
    assert np.abs(original.predict_proba(X) - before).max() > 1e-4
    assert np.shares_memory(twin.coefs_[0], twin.model_.network.parameters)


def test_labels_may_be_strings_and_x_a_data_frame(blobs):
    X, y = blobs
    words = np.array(["ant", "bee", "cat"])[y]
    frame = pd.DataFrame(X).rename(columns=str)
    model = quick().fit(frame, words)
    assert list(model.classes_) == ["ant", "bee", "cat"] == list(model.model_.classes)
    np.testing.assert_array_equal(model.predict(frame), model.classes_[quick().fit(X, y).predict(X)])
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame.rename(columns={"0": "other"}))


def test_bytes_give_the_same_results_as_floats_from_0_to_1(digits):
    X, y, X_test, _ = digits
    from_bytes = quick().fit(X, y)
    floats = np.float32(1) * X / np.float32(255)
    from_floats = quick().fit(floats, y)
    assert from_bytes.model_.network.dtype == np.float32
    np.testing.assert_array_equal(from_bytes.coefs_[0], from_floats.coefs_[0])
    np.testing.assert_array_equal(
        from_bytes.predict_proba(X_test), from_bytes.predict_proba(np.float32(1) * X_test / np.float32(255))
    )
    np.testing.assert_array_equal(from_bytes.model_.predict(X_test), from_bytes.predict(X_test))


def test_convolutional_layers_precede_the_hidden_layers(digits):
    X, y, X_test, y_test = digits
    settings = {"hidden_layer_sizes": (12,), "learning_rate_init": 0.01, "max_iter": 10}
    one = clone(quick(maps=((4, 3, 2), 6), **settings)).fit(X, y)
    assert one.model_.network.architecture == "784-4@13×13-6@5×5-12-10"
    assert [W.shape for W in one.coefs_] == [(9, 4), (100, 6), (150, 12), (12, 10)]
    assert [b.shape for b in one.intercepts_] == [(4,), (6,), (12,), (10,)]
    assert one.n_layers_ == 5
    assert one.score(X_test, y_test) > 0.7


def test_the_precision_is_that_of_x_unless_given(blobs):
    X, y = blobs
    assert quick().fit(X, y).predict_proba(X).dtype == np.float64
    assert quick().fit(X.astype(np.float32), y).predict_proba(X).dtype == np.float32
    assert quick(dtype="float32").fit(X, y).predict_proba(X).dtype == np.float32


def test_accuracy_is_not_below_that_of_mlp_classifier():
    """Three seeds on the bundled sample; six such runs scatter by half a percentage point."""
    X, y, X_test, y_test = flat(*byhand.load("mnist-5k"))
    X, X_test = X / np.float32(255), X_test / np.float32(255)
    scores = {
        kind: [kind(max_iter=12, random_state=seed).fit(X, y).score(X_test, y_test) for seed in range(3)]
        for kind in (MLPClassifier, NetworkClassifier)
    }
    assert np.mean(scores[NetworkClassifier]) >= np.mean(scores[MLPClassifier]) - 0.005
    assert np.mean(scores[NetworkClassifier]) > 0.9


@pytest.mark.parametrize(("their_kind", "kind"), [(MLPClassifier, NetworkClassifier), (MLPRegressor, NetworkRegressor)])
def test_names_and_defaults_are_those_of_scikit_learn(their_kind, kind):
    theirs, ours = their_kind().get_params(), kind().get_params()
    assert set(theirs) - set(ours) - {"loss"} == {"max_fun", "power_t", "shuffle"}
    assert set(ours) - set(theirs) == {"dropout", "batch_norm", "maps", "dtype", "threads"}
    assert {name: ours[name] for name in ours if name in theirs} == {
        name: theirs[name] for name in theirs if name in ours
    }


@pytest.mark.parametrize(
    "settings", [{"solver": "adam"}, {"solver": "sgd"}, {"solver": "sgd", "nesterovs_momentum": False}]
)
def test_one_step_equals_that_of_mlp_classifier(settings):
    """Equal initial weights, penalty and full batch give equal results (Adam's ε has another place)."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.integers(0, 3, 60)
    settings = {"hidden_layer_sizes": 7, "alpha": 0.5, "max_iter": 1, "random_state": 0, "warm_start": True, **settings}
    ours, theirs = NetworkClassifier(**settings).fit(X, y), MLPClassifier(**settings).fit(X, y)
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        other[...] = mine
    ours.fit(X, y)
    theirs.fit(X, y)
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4 if settings["solver"] == "adam" else 1e-9, atol=1e-12)


def test_repeated_partial_fit_equals_fit(blobs):
    X, y = blobs
    for extra in ({}, {"solver": "sgd", "dropout": 0.2, "batch_norm": True}):
        whole = quick(max_iter=4, batch_size=150, **extra).fit(X, y)
        parts = quick(batch_size=150, **extra)
        for _ in range(4):
            parts.partial_fit(X, y, classes=[0, 1, 2])
        np.testing.assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
        assert parts.loss_curve_ == whole.loss_curve_


def test_warm_start_continues_and_plain_fit_starts_anew(blobs):
    X, y = blobs
    warm = quick(warm_start=True).fit(X, y)
    first = warm.loss_
    assert warm.fit(X, y).loss_ < first
    assert len(warm.loss_curve_) == 6
    assert warm.n_iter_ == 3
    cold = quick().fit(X, y)
    assert cold.fit(X, y).loss_curve_ == warm.loss_curve_[:3]


def test_sample_weights_equal_copies_and_zero_equals_absence(blobs):
    X, y = blobs
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    weighted = quick(batch_size=None, max_iter=30).fit(X, y, sample_weight=weights)
    repeated = quick(batch_size=None, max_iter=30).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6, atol=1e-9)
    mostly_nothing = np.where(np.arange(len(y)) < 5, 1.0, 0.0)
    assert np.isfinite(quick(batch_size=2).fit(X, y, sample_weight=mostly_nothing).loss_)


def test_early_stopping_keeps_the_best_weights_and_both_curves(blobs):
    X, y = blobs
    model = quick(early_stopping=True, max_iter=200, n_iter_no_change=3, learning_rate_init=0.05).fit(X, y)
    assert model.n_iter_ < 200
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    given = quick(early_stopping=True, max_iter=60, n_iter_no_change=3, learning_rate_init=0.05)
    given.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert given.score(X[300:], y[300:]) == given.best_validation_score_


def test_a_validation_set_gives_curves_without_stopping(blobs):
    X, y = blobs
    model = quick().fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert len(model.validation_scores_) == 3
    assert model.validation_scores_[-1] == pytest.approx(model.score(X[300:], y[300:]))
    assert quick().fit(X, y).validation_scores_ is None


def test_missing_convergence_gives_a_warning_unless_a_schedule_ends(blobs):
    X, y = blobs
    with pytest.warns(ConvergenceWarning, match="training did not converge in max_iter=3 epochs"):
        quick().fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert quick(learning_rate="one_cycle", tol=10.0, max_iter=20, n_iter_no_change=1).fit(X, y).n_iter_ == 20
    assert quick(tol=10.0, max_iter=20, n_iter_no_change=1).fit(X, y).n_iter_ == 3


def test_progress_goes_to_stderr_only_if_verbose(blobs, capsys):
    quick().fit(*blobs)
    assert capsys.readouterr() == ("", "")
    quick(verbose=True, early_stopping=True).fit(*blobs)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("epoch 1  loss ")
    assert "validation 0." in err.splitlines()[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "lbfgs"}, "solver must be one of adam, sgd, adamw, rmsprop, got 'lbfgs'"),
        ({"learning_rate": "adaptive"}, "learning_rate must be one of constant, step, .* got 'adaptive'"),
        ({"alpha": -1}, "alpha must be a number of at least 0, got -1"),
        ({"learning_rate_init": 0}, "learning_rate_init must be a positive number, got 0"),
        ({"max_iter": 0}, "max_iter must be a positive integer, got 0"),
        ({"n_iter_no_change": 1.5}, "n_iter_no_change must be a positive integer, got 1.5"),
        ({"batch_size": "all"}, "batch_size must be a positive integer, 'auto' or None, got 'all'"),
        ({"batch_size": 0}, "batch_size must be a positive integer, 'auto' or None, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a positive integer, 'auto' or None, got 1.5"),
        ({"batch_size": True}, "batch_size must be a positive integer, 'auto' or None, got True"),
        ({"alpha": "x"}, "alpha must be a number of at least 0, got 'x'"),
        ({"learning_rate_init": "x"}, "learning_rate_init must be a positive number, got 'x'"),
        ({"tol": None}, "tol must be a number, got None"),
        ({"validation_fraction": "x"}, "validation_fraction must be greater than 0 and less than 1, got 'x'"),
        ({"beta_1": 1}, "beta_1 must be at least 0 and less than 1, got 1"),
        ({"dtype": "single precision"}, "dtype must be float32 or float64, got 'single precision'"),
        ({"dropout": "x"}, "dropout must be at least 0 and less than 1, got 'x'"),
        ({"learning_rate": ["cosine"]}, r"learning_rate must be one of constant, step, .* got \['cosine'\]"),
        (
            {"early_stopping": True, "validation_fraction": 1.0},
            "validation_fraction must be greater than 0 and less than 1, got 1.0",
        ),
        ({"activation": "swish"}, "activation must be one of relu, .* got 'swish'"),
        ({"hidden_layer_sizes": (8, 0)}, r"sizes must be two or more positive integers, got \[20, 8, 0, 3\]"),
        ({"momentum": 1.0, "solver": "sgd"}, "momentum must be at least 0 and less than 1, got 1.0"),
        ({"dropout": 1.0}, "dropout must be at least 0 and less than 1, got 1.0"),
        ({"maps": (4,)}, "maps need a square image, got 20 pixels"),
        ({"maps": 4}, "maps must be a list, such as .* got 4"),
    ],
)
def test_an_invalid_setting_is_rejected_by_name(blobs, settings, message):
    with pytest.raises(UsageError, match=message):
        quick(**settings).fit(*blobs)


def test_invalid_calls_are_rejected(blobs):
    X, y = blobs
    with pytest.raises(UsageError, match="classes must be passed on the first call"):
        quick().partial_fit(X, y)
    with pytest.raises(UsageError, match="partial_fit does not support early_stopping"):
        quick(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(UsageError, match="partial_fit needs learning_rate='constant', got 'cosine'"):
        quick(learning_rate="cosine").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(UsageError, match=r"labels must be among the classes \[0, 1\], got 2"):
        quick().partial_fit(X, y, classes=[0, 1])
    with pytest.raises(UsageError, match=r"those of the first call, \[0, 1, 2\], got \[0, 1, 2, 3\]"):
        quick().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(UsageError, match=r"classes must be those of the first call, \[0, 1, 2\], got \[0, 1\]"):
        quick(warm_start=True).fit(X, y).fit(X[y < 2], y[y < 2])
    with pytest.raises(UsageError, match="X_val and y_val go together, got only X_val"):
        quick().fit(X, y, X_val=X)
    with pytest.raises(UsageError, match=r"sample_weight must have the shape \(400,\), got \(3,\)"):
        quick().fit(X, y, sample_weight=[1, 2, 3])
    with pytest.raises(NotFittedError):
        quick().predict(X)


def test_without_scikit_learn_the_message_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None\nimport byhand.sklearn"
    assert (
        python("-c", code)
        .stderr.splitlines()[-1]
        .endswith(
            "MissingExtraError: this needs scikit-learn 1.6 or later: pip install '.[sklearn]' in byhand's folder"
        )
    )


def test_the_documentation_has_the_measured_figures():
    """Accuracy is not significantly lower over twelve seeds, and every call is faster."""
    results = ROOT / "benchmarks" / "results" / "sklearn.json"
    if not results.exists():
        pytest.skip("the results are not in benchmarks/results")
    page = (ROOT / "docs" / "ecosystem.md").read_text("utf-8")
    for call, found in json.loads(results.read_text("utf-8"))["calls"].items():
        row = next(line for line in page.splitlines() if line.strip("| `").startswith(call))
        for name in ("MLPClassifier", "NetworkClassifier"):
            assert f"| {found['seconds'][name]:.2f} s, {100 * found['accuracy'][name]:.2f} % |" in row
        difference, error = found["more_right"]
        assert f"{100 * difference:+.2f} ± {100 * error:.2f} %" in row
        assert difference + 2 * error > 0
        assert found["times_faster"][0] > 1


def test_labels_may_be_any_strings():
    classifier = NetworkClassifier(hidden_layer_sizes=(4,), max_iter=1)
    X = np.random.default_rng(0).random((60, 6))
    labels = np.array(["a\nb", "x" * 300, "c"])[np.arange(60) % 3]
    assert set(classifier.fit(X, labels).predict(X)) <= set(labels)


# ---- regression


@pytest.fixture(scope="module")
def measurements():
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X), (y - y.mean()) / y.std()


@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_one_step_of_the_regressor_equals_that_of_mlp_regressor(solver, targets):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.normal(size=(60, targets))
    y = y[:, 0] if targets == 1 else y
    settings = {
        "hidden_layer_sizes": 7,
        "alpha": 0.5,
        "max_iter": 1,
        "warm_start": True,
        "solver": solver,
        "epsilon": 1e-14,
    }
    ours, theirs = (kind(random_state=0, **settings).fit(X, y) for kind in (NetworkRegressor, MLPRegressor))
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        other[...] = mine
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-12)
    error = 0.5 * np.mean((ours.predict(X) - y) ** 2)
    ours.fit(X, y)
    theirs.fit(X, y)
    assert ours.loss_ == pytest.approx(error)  # before the step, without the penalty
    for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-9, atol=1e-12)


def test_the_regressor_predicts_not_worse_than_mlp_regressor(measurements):
    X, y = measurements
    scores = {
        kind: [kind(random_state=seed, max_iter=60).fit(X[:300], y[:300]).score(X[300:], y[300:]) for seed in range(3)]
        for kind in (MLPRegressor, NetworkRegressor)
    }
    assert np.mean(scores[NetworkRegressor]) >= np.mean(scores[MLPRegressor])
    assert np.mean(scores[NetworkRegressor]) > 0.4


def test_the_regressor_stops_early_with_the_best_weights(measurements):
    X, y = measurements
    model = NetworkRegressor(early_stopping=True, random_state=0, learning_rate_init=0.01, max_iter=300)
    model.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    assert model.n_iter_ < 300
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.score(X[300:], y[300:]) == pytest.approx(model.best_validation_score_)
    assert NetworkRegressor(early_stopping=True, max_iter=3).fit(X, y).best_validation_score_ is not None


def test_a_pickled_regressor_predicts_and_learns_like_the_original(measurements):
    X, y = measurements
    original = NetworkRegressor(random_state=0, max_iter=3).fit(X, np.c_[y, -y])
    twin = pickle.loads(pickle.dumps(original))
    assert original.predict(X).shape == (len(X), 2)
    np.testing.assert_array_equal(twin.predict(X), original.predict(X))
    np.testing.assert_array_equal(
        twin.partial_fit(X, np.c_[y, -y]).predict(X), original.partial_fit(X, np.c_[y, -y]).predict(X)
    )
    with pytest.raises(UsageError, match="y must have the 2 targets of the first call, got 1"):
        original.partial_fit(X, y)


def test_the_regressor_takes_frames_bytes_and_weights(measurements, digits):
    X, y = measurements
    frame = pd.DataFrame(X).rename(columns=str)
    model = NetworkRegressor(random_state=0, max_iter=3).fit(frame, pd.Series(y))
    np.testing.assert_array_equal(
        model.predict(frame), NetworkRegressor(random_state=0, max_iter=3).fit(X, y).predict(X)
    )
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    settings = {"random_state": 0, "batch_size": None, "max_iter": 30}
    weighted = NetworkRegressor(**settings).fit(X, y, sample_weight=weights)
    repeated = NetworkRegressor(**settings).fit(X.repeat(weights, axis=0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-9)
    images, labels, _, _ = digits
    size = NetworkRegressor(random_state=0, max_iter=10).fit(images, labels / 9)
    assert size.score(images, labels / 9) > 0.5
