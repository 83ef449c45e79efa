"""Values of the training's small functions, at and beside each boundary: computed by hand, or by their definition."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from byhand import threads
from byhand.data import Dataset
from byhand.errors import ByhandError, DivergedError, ModelFileError, UsageError
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.losses import MeanSquaredError, SoftmaxCrossEntropy
from byhand.nn.optimizers import CHUNK, Adam, AdamW, GradientDescent, Momentum
from byhand.nn.schedules import Constant, OneCycle
from byhand.training import Recipe, checkpoint, fitting, lr_find, plan, progress, recipe, records, run, runs, setup
from byhand.training.batches import Batches, batch_of, check_same, part_of, prefetch
from byhand.training.loop import Trainer, train, update_ema
from byhand.training.plan import Plan, plan_for, shares_of
from byhand.training.recipe import PRESETS, changed_preparation, changed_recipe, with_min_steps
from byhand.training.records import EpochRecord, History, is_alike, wilson
from byhand.training.watchdog import Watchdog


def record(**changes):
    """Return a record of an epoch."""
    values = {"epoch": 3, "step": 11, "loss": 0.5, "accuracy": 0.75, "validation_loss": None, "dead": (0.0,)}
    values |= {"validation_accuracy": None, "rate": 0.1, "gradient_norm": 1.0, "images_per_second": 1200.0}
    return EpochRecord(**{**values, "seconds": 6.0, **changes})


def refused(function, *arguments, **settings):
    """Return the message of the error that a call raises, or its result if it raises none."""
    try:
        return function(*arguments, **settings)
    except (UsageError, ModelFileError, DivergedError) as error:
        return str(error)


# ---- recipes and presets


def test_a_recipe_has_the_documented_defaults():
    assert Recipe().config() == {
        "epochs": 10, "batch_size": 128, "learning_rate": 0.1,
        "optimizer": {"kind": "momentum", "weight_decay": 0.0, "momentum": 0.9, "nesterov": True},
        "schedule": {"kind": "one_cycle", **vars(OneCycle())},
        "loss": {"kind": "cross_entropy", "smoothing": 0.0},
        "augment": "none", "gentle": 0.0, "clip": None, "max_norm": None, "average": None,
        "validation": 0.0, "patience": None, "record_every": 1, "threads": None,
    }  # fmt: skip


LONG = {
    "epochs": 150, "batch_size": 256, "learning_rate": 0.001, "optimizer": AdamW(weight_decay=0.1),
    "schedule": OneCycle(warmup=0.1), "augment": "shift=1,rotate=12,scale=0.15,shear=0.15,elastic=1",
}  # fmt: skip
WHOLE = {"batch_size": None, "optimizer": GradientDescent(), "schedule": Constant()}
RECORD_NETWORK = {
    "maps": ((16, 3, 1), (32, 4, 2), (48, 3, 1), (64, 4, 2)), "activation": "leaky_relu", "dropout": 0.3,
    "output_scale": 0.1,
}  # fmt: skip
EXPECTED_PRESETS = {
    "digits": ({"epochs": 10, "augment": "default"}, (256,), {"output_scale": 0.1}, None, None),
    "fast": ({"epochs": 4}, (192,), {"output_scale": 0.1}, None, None),
    "best": (LONG, (800, 800), {"output_scale": 0.1}, None, None),
    "record": (LONG | {"epochs": 50, "weak_augment": 0.2}, (256,), RECORD_NETWORK, None, None),
    "l-layer": (
        WHOLE | {"epochs": 2000, "learning_rate": 0.0075, "record_every": 100}, (45,), {"init": "l_layer"}, 5000, 2
    ),
    "two-layer": (
        WHOLE | {"epochs": 500, "learning_rate": 0.1, "record_every": 10, "validation": 1000},
        (10,), {"init": "two_layer"}, None, None,
    ),
}  # fmt: skip


def test_the_presets_are_the_published_settings():
    found = {p.name: (p.recipe, p.hidden, p.network, p.samples, p.published_seed) for p in PRESETS.values()}
    assert found == {name: (Recipe(**values), *rest) for name, (values, *rest) in EXPECTED_PRESETS.items()}
    deskewed = [p.name for p in PRESETS.values() if p.preparation == Preparation.standard(deskew=True)]
    assert deskewed == ["digits", "fast", "best", "record"]
    assert [PRESETS[name].preparation.divisor for name in ("l-layer", "two-layer")] == [256, 255]


def test_the_published_seed_has_32_bits():
    chosen, classes = PRESETS["l-layer"], tuple("0123456789")
    assert isinstance(chosen.model(784, classes, seed=2**32 - 3), Model)
    assert refused(chosen.model, 784, classes, seed=2**32 - 2) == (
        "seed must be under 4,294,967,294 for l-layer, got 4,294,967,294"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 10**9}, None),
        ({"epochs": 10**9 + 1}, "epochs must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"record_every": 1}, None),
        ({"record_every": 0}, "record_every must be"),
        ({"learning_rate": 1e-9}, None),
        ({"learning_rate": 0}, "learning_rate must be"),
        ({"batch_size": 1}, None),
        ({"batch_size": 0}, "batch_size must be"),
        ({"patience": 0}, "patience must be"),
        ({"threads": 0}, "threads must be"),
        ({"clip": 0.5, "max_norm": 0.5}, None),
        ({"clip": 0}, "clip must be"),
        ({"max_norm": 0}, "max_norm must be"),
        ({"ema_decay": 0.001}, None),
        ({"ema_decay": 0}, "ema_decay must be greater than 0 and less than 1, got 0"),
        ({"ema_decay": 1}, "ema_decay must be greater than 0 and less than 1, got 1"),
        ({"weak_augment": 0}, None),
        ({"weak_augment": 1}, None),
        ({"weak_augment": 1.01}, "weak_augment must be a fraction of the epochs, 0 to 1, got 1.01"),
        ({"weak_augment": -0.01}, "weak_augment must be a fraction"),
        ({"validation": 0}, None),
        ({"validation": 0.99}, None),
        ({"validation": 1}, None),
        ({"validation": 2.0}, None),
        ({"validation": 1.5}, "validation must be a fraction less than 1 or a number of samples, got 1.5"),
        ({"validation": -1}, "validation must be a fraction less than 1"),
        ({"augment": 1}, "augment must be text such as 'none'"),
        ({"optimizer": "nadam"}, "optimizer"),
    ],
)
def test_each_setting_of_a_recipe_has_its_limits(settings, message):
    found = refused(Recipe, **settings)
    assert isinstance(found, Recipe) if message is None else message in found


@pytest.mark.parametrize(
    ("epochs", "weak", "first"), [(10, 0, 10), (10, 0.2, 8), (10, 0.21, 7), (100, 0.07, 93), (3, 1, 0), (50, 0.2, 40)]
)
def test_weak_augmentation_takes_a_share_of_the_epochs_rounded_up(epochs, weak, first):
    assert Recipe(epochs=epochs, weak_augment=weak).weak_from == first


@pytest.mark.parametrize(
    ("samples", "batch", "epochs"),
    [
        (6000, 10, 10),
        (600, 10, 10),
        (590, 10, 11),
        (1, 10, 600),
        (10, 10, 600),
        (11, 10, 300),
        (0, 10, 10),
        (5, None, 10),
    ],
)
def test_small_data_get_epochs_for_600_steps(samples, batch, epochs):
    assert with_min_steps(Recipe(epochs=10, batch_size=batch), samples).epochs == epochs


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"epochs": 3, "batch_size": "all"}, {"epochs": 3, "batch_size": None}),
        ({"batch_size": 1}, {"batch_size": 1}),
        ({"batch_size": "1"}, {"batch_size": 1}),
        ({"momentum": 0.5}, {"optimizer": Momentum(momentum=0.5, nesterov=True)}),
        ({"optimizer": "adam"}, {"optimizer": Adam()}),
        ({"optimizer": "adamw", "weight_decay": 0.3}, {"optimizer": AdamW(weight_decay=0.3)}),
        ({"schedule": "cosine"}, {"schedule": "cosine"}),
        ({"loss": "mse"}, {"loss": "mse"}),
        ({"label_smoothing": 0.1}, {"loss": SoftmaxCrossEntropy(0.1)}),
        ({"loss": "mse", "label_smoothing": 0.1}, "label_smoothing needs the loss cross_entropy, got mse"),
        ({"batch_size": "0"}, "batch_size must be a positive integer or all, got '0'"),
        ({"batch_size": "x"}, "batch_size must be a positive integer or all, got 'x'"),
    ],
)
def test_overrides_change_only_what_they_name(given, expected):
    assert refused(changed_recipe, Recipe(), given) == (Recipe(**expected) if isinstance(expected, dict) else expected)


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (recipe.sizes_of, "128,64", (128, 64)),
        (recipe.sizes_of, " none ", ()),
        (recipe.sizes_of, "", ()),
        (recipe.sizes_of, "1", (1,)),
        (recipe.sizes_of, "0", "separated by commas, or none, got '0'"),
        (recipe.sizes_of, "12x7", "got '12x7': type 12,7"),
        (recipe.sizes_of, "12 7", "got '12 7': type 12,7"),
        (recipe.sizes_of, "12.5 7", "got '12.5 7'"),
        (recipe.sizes_of, "-5", "got '-5'"),
        (recipe.maps_of, "32,64", (32, 64)),
        (recipe.maps_of, "16@3/1,32@4", ((16, 3, 1), (32, 4))),
        (recipe.maps_of, "none", ()),
        (recipe.maps_of, "999999", (999999,)),
        (recipe.maps_of, "1234567", "(maps@window/stride), got '1234567'"),
        (recipe.maps_of, "3@", "(maps@window/stride), got '3@'"),
    ],
)
def test_sizes_and_maps_are_parsed(parse, text, expected):
    found = refused(parse, text)
    assert found.endswith(expected) if isinstance(expected, str) else found == expected


def test_the_scale_option_sets_the_preparation():
    data = Dataset(np.full((4, 5, 6), 51, np.uint8), np.array([0, 1, 0, 1]), classes=("a", "b"), name="own")
    before = Preparation(divisor=255, deskew=True)
    assert changed_preparation(before, {}) == before
    assert changed_preparation(before, {"scale": 256}) == Preparation(divisor=256)
    assert changed_preparation(before, {"scale": "standard"}) == Preparation.standard()
    assert changed_preparation(before, {"scale": "standard"}, data) == Preparation.of(data.images)
    assert changed_preparation(before, {"deskew": False}) == Preparation(divisor=255)
    assert changed_preparation(before, {"input": "image"}, data).shape == data.shape
    assert changed_preparation(before, {"input": "floats"}).shape is None
    assert refused(changed_preparation, before, {"scale": 3}) == "scale must be one of 255, 256, standard, got '3'"


# ---- the plan


NO_CONVOLUTION = Model([784, 45, 10]).network
NORMALIZED = Model([784, 45, 10], batch_norm=True).network
WIDE = Model([784, 2000, 10]).network


@pytest.mark.parametrize(
    ("network", "batch", "settings", "expected"),
    [
        (NO_CONVOLUTION, 1999, {}, (1, 4, 1999)),  # 784 · 45 · 1,999 multiplications are more than 16 million
        (NO_CONVOLUTION, 453, {}, (1, 1, 453)),  # 15,981,840
        (NO_CONVOLUTION, 454, {}, (1, 4, 454)),  # 16,017,120
        (NO_CONVOLUTION, 454, {"samples": 19_559}, (1, 1, 454)),  # 19,559 · 35,785 parameters < 700 million
        (NO_CONVOLUTION, 454, {"samples": 19_562}, (1, 4, 454)),
        (NO_CONVOLUTION, 2000, {}, (2, 1, 1250)),
        (NO_CONVOLUTION, 2500, {}, (2, 1, 1250)),
        (NO_CONVOLUTION, 2501, {}, (3, 1, 1250)),
        (NO_CONVOLUTION, 60_000, {}, (4, 1, 1250)),
        (NO_CONVOLUTION, 60_000, {"busy": 1}, (3, 1, 1250)),
        (NO_CONVOLUTION, 1999, {"busy": 1}, (1, 3, 1999)),
        (NO_CONVOLUTION, 1999, {"busy": 4}, (1, 1, 1999)),
        (NORMALIZED, 60_000, {}, (1, 4, 60_000)),
        (WIDE, 10, {}, (1, 1, 10)),
        (WIDE, 11, {}, (1, 4, 11)),
    ],
)
def test_the_plan_depends_on_the_multiplications_of_a_batch(network, batch, settings, expected):
    assert plan_for(network, batch, 4, **settings) == Plan(*expected)


def test_convolutions_are_computed_in_blocks_on_all_threads():
    network = Model([784, 10], maps=(8,), shape=(28, 28)).network
    block = plan.max_block_size(network, 10_000)
    for batch, workers in ((block + 1, 2), (2 * block, 2), (2 * block + 1, 3), (9 * block, 4)):
        assert plan_for(network, batch, 4, busy=1) == Plan(workers, 1, block)
    assert plan_for(network, 1, 4).blas == 4  # one sample is no block, and has convolutions


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "width"),
    [
        (2000, 100, 10, 16), (1999, 100, 10, 10), (10_000, 100, 16, 16), (10_000, 100, 17, 32), (10_000, 100, 95, 96),
        (10_000, 100, 96, 96), (10_000, 100, 97, 97), (56, 784, 45, 45), (57, 784, 45, 48),
    ],
)  # fmt: skip
def test_products_of_two_million_multiplications_are_padded_to_sixteen_columns(rows, inner, columns, width):
    assert plan.padded_width(rows, inner, columns) == width


@pytest.mark.parametrize(
    ("rows", "inner", "columns", "parts"),
    [(10, 1000, 100, 1), (10, 1001, 100, 7), (10, 1200, 100, 3), (10, 1201, 100, 1201), (32, 784, 256, 28),
     (65, 1000, 100, 20), (65, 1001, 100, 1), (10, 4000, 100, 10)],
)  # fmt: skip
def test_small_products_are_split_into_parts_of_400_000(rows, inner, columns, parts, monkeypatch):
    monkeypatch.setattr(threads, "has_small_matrix_kernels", lambda: True)
    assert plan.parts_of(rows, inner, columns) == parts
    monkeypatch.setattr(threads, "has_small_matrix_kernels", lambda: False)
    assert plan.parts_of(rows, inner, columns) == 1


@pytest.mark.parametrize(
    ("count", "settings", "expected"),
    [
        (10, (1, 1, 10), [[(0, 10)]]),
        (10, (1, 1, 4), [[(0, 3), (3, 6), (6, 10)]]),
        (10, (2, 1, 4), [[(0, 2), (2, 5)], [(5, 7), (7, 10)]]),
        (8, (2, 1, 4), [[(0, 4)], [(4, 8)]]),
        (1, (2, 1, 4), [[(0, 0)], [(0, 1)]]),
        (0, (1, 1, 4), [[(0, 0)]]),
    ],
)
def test_a_batch_is_shared_in_blocks_of_almost_equal_size(count, settings, expected):
    assert [[(s.start, s.stop) for s in share] for share in shares_of(count, Plan(*settings))] == expected


@pytest.mark.parametrize(
    ("pixels", "changes", "expected"),
    [
        ([[0, 2, 3]], {}, [1, 2]),
        ([[0, 2, 0]], {}, [1]),
        ([[1, 2, 3]], {}, None),
        ([[0, 0, 0]], {}, None),
        ([[0, 2, 3]], {"max_norm": 1.0}, None),
        ([[0, 2, 3]], {"optimizer": AdamW()}, None),
        ([[0, 2, 3]], {"optimizer": AdamW(weight_decay=0)}, [1, 2]),
    ],
)
def test_pixels_that_are_always_zero_are_omitted_unless_weights_decay(pixels, changes, expected):
    network = Model([3, 2]).network
    form = plan.form_of(np.array(pixels, np.uint8), network, Recipe(**changes), Preparation(divisor=256))
    assert form.scale == 1 / 256
    assert (None if form.columns is None else form.columns.tolist()) == expected
    assert plan.form_of(np.array(pixels, float), network, Recipe(), Preparation()) is None
    assert plan.form_of(np.array(pixels, np.uint8), network, Recipe(augment="default"), Preparation()) is None
    assert plan.form_of(np.array(pixels, np.uint8), network, Recipe(), Preparation.standard()) is None


# ---- batches


class Rank:
    """One of three processes, whose sums are those of equal processes unless `others` are added."""

    size, neighbours, places = 3, 1, ["", "", ""]

    def __init__(self, rank, others=None):
        self.rank, self.others = rank, others

    def sum(self, vector):
        vector *= 3
        if self.others is not None:
            vector += self.others
        return vector


def test_three_processes_compute_all_rows_of_a_batch_once():
    rows = np.arange(40)
    weights = np.arange(8) / 4
    for index, expected in ((slice(5, 13), rows[5:13]), (rows[20:28], rows[20:28])):
        parts = [part_of(batch_of(rows[:, None], index, np.arange(8), weights), Rank(rank)) for rank in range(3)]
        assert np.concatenate([rows[part.index] for part in parts]).tolist() == expected.tolist()
        assert np.concatenate([part.labels for part in parts]).tolist() == list(range(8))
        assert np.concatenate([part.weights for part in parts]).tolist() == weights.tolist()
        assert [part.first for part in parts] == [0, 2, 5]
        assert {(part.count, part.total) for part in parts} == {(8, 7.0)}
    whole = batch_of(rows[:, None], slice(0, 8), np.arange(8))
    assert part_of(whole, None) is whole
    assert (whole.count, whole.total, whole.first, part_of(whole, Rank(1)).weights) == (8, 8.0, 0, None)


def test_processes_with_different_bytes_are_noticed():
    check_same(Rank(0), "data", b"some", b"thing")
    for others in ([1, 0], [0, 1], [1, 1]):
        with pytest.raises(ByhandError, match="every rank must have the same data; these differ"):
            check_same(Rank(0, np.array(others)), "data", b"something")


def batches_of(count, batch_size, **settings):
    recipe = Recipe(batch_size=batch_size, **{name: settings.pop(name) for name in ("augment",) if name in settings})
    images, index = np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4), settings.pop("index", np.arange(count))
    return Batches(images, np.arange(count), index, settings.pop("weights", None), recipe, 7, Preparation(), None)


@pytest.mark.parametrize(
    ("size", "lengths"), [(4, [4, 4, 2]), (5, [5, 5]), (10, [10]), (11, [10]), (None, [10]), (9, [9, 1])]
)
def test_an_epoch_has_each_sample_once_in_its_own_order(size, lengths):
    batches = batches_of(10, size, weights=np.arange(10) / 2)
    assert (batches.per_epoch, batches.is_whole) == (len(lengths), len(lengths) == 1)
    assert [len(batch.labels) for batch in batches.epoch(0)] == lengths
    orders = [np.concatenate([batch.labels for batch in batches.epoch(epoch)]) for epoch in range(2)]
    for epoch, order in enumerate(orders):
        expected = np.random.default_rng([7, 1, epoch]).permutation(10) if len(lengths) > 1 else np.arange(10)
        assert order.tolist() == expected.tolist() == batches.order(epoch).tolist()
        assert np.concatenate([batch.weights for batch in batches.epoch(epoch)]).tolist() == (order / 2).tolist()
    stream = batches.from_step(1)
    found = [next(stream).labels.tolist() for _ in range(2 * len(lengths))]
    whole = [batch.labels.tolist() for epoch in range(3) for batch in batches.epoch(epoch)]
    assert found == whole[1 : 1 + len(found)]


def test_augmented_batches_have_the_samples_of_plain_ones():
    for size, count in ((400, 1000), (1500, 1600), (1024, 2100)):  # two batches, one batch, one batch per block
        plain, augmented = batches_of(count, size), batches_of(count, size, augment="shift=1")
        for start in (0, 1):
            ours, others = list(augmented.epoch(2, start)), list(plain.epoch(2, start))
            assert [b.labels.tolist() for b in ours] == [b.labels.tolist() for b in others]
            assert [b.pixels[b.index].shape for b in ours] == [(len(b.labels), 16) for b in others]
        whole = np.concatenate([batch.pixels[batch.index] for batch in augmented.epoch(2)])
        later = np.concatenate([batch.pixels[batch.index] for batch in augmented.epoch(2, 1)])
        assert np.array_equal(whole[size:], later)


def test_all_samples_in_one_batch_are_contiguous():
    part = batches_of(6, None, index=np.array([1, 4]), weights=np.arange(6.0)).all_as_one()
    assert (part.labels.tolist(), part.weights.tolist(), part.index, part.total) == ([1, 4], [1, 4], slice(0, 2), 5.0)
    assert part.pixels[:, 0].tolist() == [16, 64]
    assert batches_of(6, None).all_as_one().labels.tolist() == list(range(6))
    assert "augment needs uint8 images, got float64" in refused(
        Batches, np.zeros((2, 4)), np.zeros(2), np.arange(2), None, Recipe(augment="default"), 0, Preparation(), None
    )


def test_prefetching_keeps_the_order_and_raises_errors_in_their_place():
    assert list(prefetch(lambda job: job * job, range(7))) == [0, 1, 4, 9, 16, 25, 36]
    assert list(prefetch(str, [])) == []
    taken = []
    results = prefetch(lambda job: 1 // (3 - job), (taken.append(job) or job for job in range(9)))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert taken == list(range(6))  # two blocks ahead of the one that is waited for


def test_without_threads_the_caller_computes_each_block(monkeypatch):
    def no_thread(*_values):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("byhand.training.batches.ThreadPoolExecutor.submit", no_thread)
    assert list(prefetch(str, range(5))) == ["0", "1", "2", "3", "4"]


# ---- records


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (950, 1000, 0.9347, 0.9619),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilsons_interval_has_the_published_values(right, count, low, high):
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("value", "like", "expected"),
    [
        (0, 0, True), (-1, 0, False), (2**63 - 1, 0, True), (2**63, 0, False), (1.0, 0, False), (True, 0, False),
        (1.0, 0.0, True), (math.inf, 0.0, True), (math.nan, 0.0, False), (1, 0.0, False), (False, True, True),
        (0, True, False), ([], [1], True), ((), [], False),
    ],
)  # fmt: skip
def test_a_value_of_a_state_has_the_type_of_the_run(value, like, expected):
    assert is_alike(value, like) is expected


PLAIN = record().to_json()


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({}, True), ({"epoch": 0}, True), ({"epoch": -1}, False), ({"step": 2**63 - 1}, True), ({"step": 2**63}, False),
        ({"loss": 1}, True), ({"loss": 2**63}, True), ({"loss": 2**63 + 1}, False), ({"loss": -(2**63)}, True),
        ({"loss": -(2**63) - 1}, False), ({"loss": "1"}, False), ({"dead": [0.5, "1"]}, False), ({"dead": None}, False),
        ({"validation_loss": 1.5}, True), ({"validation_loss": "1"}, False), ({"validation_accuracy": "1"}, False),
        ({"warnings": ["a"]}, True), ({"warnings": [1]}, False), ({"seconds": "1"}, False), ({"accuracy": None}, False),
        ({"images_per_second": "1"}, False), ({"rate": "1"}, False), ({"gradient_norm": "1"}, False), ({"x": 1}, False),
    ],
)  # fmt: skip
def test_a_record_is_read_only_with_the_right_types(changes, is_valid):
    found = refused(EpochRecord.from_json, json.loads(json.dumps(PLAIN)) | changes)
    assert isinstance(found, EpochRecord) if is_valid else found == records.RECORD_RULE


def test_the_history_shows_its_last_record():
    history = History([record(), record(epoch=4, validation_accuracy=0.7)], "interrupted")
    assert repr(History()) == "<History: no epochs, done>"
    assert repr(history) == "<History: 4 epochs, interrupted; loss 0.5000, accuracy 75.00%, validation 70.00%>"
    assert repr(History([record()])) == "<History: 3 epochs, done; loss 0.5000, accuracy 75.00%>"
    assert history._repr_html_() == (
        "<table><caption>interrupted</caption><tr><th>epoch</th><th>loss</th><th>accuracy</th><th>validation</th>"
        "<th>images/s</th></tr><tr><td>3</td><td>0.5000</td><td>75.00%</td><td></td><td>1,200</td></tr>"
        "<tr><td>4</td><td>0.5000</td><td>75.00%</td><td>70.00%</td><td>1,200</td></tr></table>"
    )
    assert (len(history), history["epoch"], history[-1].epoch, len(history[:1])) == (2, [3, 4], 4, 1)
    assert refused(history.column, "val_loss") == "no column 'val_loss' (did you mean validation_loss?)"
    assert refused(history.column, "test_loss") == "no column 'test_loss' (did you mean validation_loss?)"
    assert refused(history.column, "qqqq").startswith("no column 'qqqq': a record has epoch, step, loss,")
    with pytest.raises(AttributeError, match=r"no attribute 'losses' \(did you mean history\[\"loss\"\]\?\)"):
        history.losses  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute '_x'$"):
        history._x  # noqa: B018


def test_the_tested_accuracy_comes_with_its_interval():
    metadata = {"test": {"images": 1000, "accuracy": 0.95, "name": "x"}}
    assert records.tested(metadata) == {"tested_on": 1000, "test_accuracy": 0.95, "interval": wilson(950, 1000)}
    assert records.tested_lines(metadata) == ["test accuracy 95.00 % on 1,000 images (95 % interval 93.5 % to 96.2 %)"]
    for test in (
        None,
        {},
        {"images": 0, "accuracy": 0.5},
        {"images": 1, "accuracy": 1.01},
        {"images": 1, "accuracy": -0.1},
    ):
        assert records.tested({"test": test}) == {} == records.tested({})
    assert records.tested({"test": {"images": 1, "accuracy": 1}})["tested_on"] == 1
    assert records.tested_lines({}) == []


def state_of(trainer):
    arrays, plain = trainer.state()
    return {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(plain))


def small_trainer(epochs=4, **settings):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, 5)).astype(np.float32), rng.integers(0, 3, 24)
    data = settings.pop("data", (X, y))
    extra = {name: settings.pop(name) for name in ("max_records", "start_epoch", "sample_weights") if name in settings}
    choices = {"epochs": epochs, "batch_size": 10, "learning_rate": 0.1, "threads": 1} | settings
    return Trainer(Model([5, 4, 3], seed=1), data, Recipe(**choices), seed=3, **extra)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"step": 12}, None),
        ({"step": 13}, "step of the state must be at most 12, got 13"),
        ({"step": -1}, "step of the state must be an integer of at least 0, got '-1'"),
        ({"loss": "x" * 50}, f"loss of the state must be a number, got '{'x' * 40}'"),
        ({"finished": 1}, "finished of the state must be true or false, got '1'"),
        ({"records": 1}, "records of the state must be a list, got '1'"),
        ({"records": [1]}, "records of the state must be epoch records"),
        ({"records": [{}]}, "records of the state must be epoch records"),
        ({"start_lengths": [1.0]}, "start_lengths of the state must be 2 numbers, got [1.0]"),
        ({"start_lengths": [1.0, 2]}, "start_lengths of the state must be 2 numbers, got [1.0, 2]"),
        ({"start_lengths": [1.0, 2.0]}, None),
        ({"more": 1}, "the state must hold "),
    ],
)
def test_a_state_of_another_run_is_rejected(changes, message):
    with small_trainer() as trainer:
        arrays, plain = state_of(trainer)
        found = refused(trainer.restore, arrays, plain | changes)
        assert found is None if message is None else found.startswith(message)
        arrays["parameters"] = arrays["parameters"][1:]
        assert "its parameters is float32 (38,), here it is float32 (39,)" in refused(trainer.restore, arrays, plain)
        arrays["parameters"] = trainer.model.network.parameters.astype(np.float64)
        assert "its parameters is float64 (39,), here it is float32 (39,)" in refused(trainer.restore, arrays, plain)
        arrays["best"] = arrays["parameters"]
        assert "the state must be of this run: it has best, " in refused(trainer.restore, arrays, plain)


# ---- the watchdog


def watchdog(labels=(0, 0, 1, 1), rate=0.1, sizes=(2, 2)):
    return Watchdog(Model(list(sizes), seed=0).network, np.array(labels), rate)


@pytest.mark.parametrize(("rate", "advice"), [(0.1, "0.01"), (0.25, "0.03"), (1, "0.1"), (30, "3"), (1e-6, "1e-07")])
def test_the_advice_is_a_tenth_of_the_learning_rate(rate, advice):
    assert watchdog(rate=rate).advice == f"Try --learning-rate {advice}."


@pytest.mark.parametrize(
    ("labels", "share"),
    [((0, 0, 0, 1), 0.75), ((), 1.0), (((0.2, 0.8), (0.6, 0.4), (0.1, 0.9)), 0.7), (((0.2, 0.9),), 1.0),
     (((0.2, 0.8009),), 0.8009 / 1.0009), (((0.2, 0.802),), 1.0)],
)  # fmt: skip
def test_the_share_of_the_most_frequent_class_is_that_of_the_labels(labels, share):
    array = np.array(labels) if len(labels) else np.zeros(0, int)
    assert Watchdog(Model([2, 2]).network, array, 0.1).largest_share == pytest.approx(share)


@pytest.mark.parametrize(
    ("scales", "cause"),
    [
        ((1, 1), "the learning rate is 0.1 and no weights have grown: check for very large inputs"),
        ((2, 1), "the learning rate is 0.1 and no weights have grown: check for very large inputs"),
        ((1, 2.01), "with learning rate 0.1, the weights of layer 2 grew 2 times larger"),
        ((4000, 3), "with learning rate 0.1, the weights of layer 1 grew 4,000 times larger"),
        ((1, 2.0**29), "with learning rate 0.1, the weights of layer 2 grew 536,870,912 times larger"),
        ((1, 2e9), "with learning rate 0.1, the weights of layer 2 grew 2e+09 times larger"),
        ((math.inf, 3), "with learning rate 0.1, the weights of layer 1 became infinite"),
        ((5, math.nan), "with learning rate 0.1, the weights of layer 2 became infinite"),
    ],
)
def test_the_cause_of_divergence_is_the_layer_that_grew_most(scales, cause):
    watched = watchdog(sizes=(2, 3, 2))
    for layer in watched.network.parametric_layers:
        layer.W[...] = np.sign(layer.W)
    watched.start_lengths = watched.lengths()
    assert watched.start_lengths == pytest.approx([math.sqrt(6), math.sqrt(6)])
    for layer, scale in zip(watched.network.parametric_layers, scales, strict=True):
        layer.W *= scale
    assert watched.cause() == cause
    for value, became in ((math.nan, "NaN"), (math.inf, "infinite"), (np.array([1, -math.inf]), "infinite")):
        assert refused(watched.check, 7, {"a": None, "b": 1.0, "loss": value}) == (
            f"loss became {became} at step 7: {cause}. Try --learning-rate 0.01."
        )


def test_the_watchdog_warns_at_its_limits():
    def warned(*losses, accuracy=0.8, dead=(0.0,), labels=(0, 0, 1, 1)):
        watched = watchdog(labels)
        return [watched.with_warnings(record(loss=loss, accuracy=accuracy, dead=dead)).warnings for loss in losses][-1]

    assert warned(1.0, 1.5) == ()
    assert warned(1.0, 1.51) == ("the loss grows: it is 1.51, and was 1. Try --learning-rate 0.01.",)
    assert warned(1.0, 0.5, 0.76) == ("the loss grows: it is 0.76, and was 0.5. Try --learning-rate 0.01.",)
    assert warned(1.0, dead=(0.4, 0.49)) == ()
    assert warned(1.0, dead=(0.4, 0.5)) == (
        "50% of the units in layer 2 are dead (0 for every sample). Try --learning-rate 0.01.",
    )
    one_class = ("the network predicts one class for all samples: its accuracy is {:.1%}. Try --learning-rate 0.01.",)
    assert warned(1.0, accuracy=0.5) == warned(1.0, 1.0, accuracy=0.506) == ()
    for accuracy in (0.5, 0.504, 0.496):
        assert warned(1.0, 1.0, accuracy=accuracy) == (one_class[0].format(accuracy),)
    assert warned(1.0, 1.0, accuracy=1.0, labels=(0, 0, 0)) == ()
    watched = watchdog()
    watched.restore([record(loss=0.3, accuracy=0.5)])
    assert (watched.lowest_loss, watched.at_one_class) == (0.3, 1)
    watched.restore([])
    assert (watched.lowest_loss, watched.at_one_class) == (math.inf, 0)


# ---- progress


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (75, "1:15"), (59.4, "0:59"), (59.6, "1:00"), (3599, "59:59"), (3600, "1:00:00"), (7325, "2:02:05")],
)
def test_the_clock_has_hours_only_if_needed(seconds, text):
    assert progress.clock(seconds) == text


def test_the_line_of_an_epoch_shows_the_time_left():
    trainer = SimpleNamespace(
        batches=SimpleNamespace(is_whole=False), recipe=SimpleNamespace(epochs=10), total_steps=40
    )  # fmt: skip
    assert progress.epoch_line(trainer, record()) == (
        "epoch  3/10  loss 0.5000  accuracy 75.00 %  1,200 images/s  0:14 left"
    )
    with_validation = record(validation_accuracy=0.5)
    assert "accuracy 75.00 %  validation 50.00 %  1,200 images/s" in progress.epoch_line(trainer, with_validation)
    trainer.batches.is_whole = True
    assert progress.epoch_line(trainer, record()).startswith("iteration 11  loss 0.500000  accuracy")
    trainer.total_steps = 120
    assert progress.epoch_line(trainer, record()).startswith("iteration  11  loss")


class Bar:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *values: self.calls.append((name, *values))


def test_the_bar_is_updated_ten_times_a_second_and_closed_once(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown, bar = progress.ProgressBar(), Bar()
    shown.on_start(SimpleNamespace(total_steps=40))
    shown.bar = bar
    step = SimpleNamespace(step=4, images_per_second=1234.5)
    for later in (100.05, 100.0999, 100.11, 100.2, 100.22):
        now[0] = later
        shown.on_step(None, step)
    assert bar.calls == [("update", 5, "1,234 images/s")] * 2
    shown.on_message("one\x1b")
    assert bar.calls[-1][0] == "write"
    assert "\x1b" not in bar.calls[-1][1]
    shown.on_end(None, None)
    shown.on_end(None, None)
    assert bar.calls[3:] == [("close",)]
    shown.on_step(None, step)
    shown.on_message("two")
    assert capsys.readouterr() == ("", "two\n")


def test_a_notebook_shows_the_last_twelve_lines():
    bar = progress.NotebookBar.__new__(progress.NotebookBar)
    shown = []
    bar.total, bar.lines, bar.html, bar.handle = 9, [], str, SimpleNamespace(update=shown.append)
    for number in range(13):
        bar.write(f"<{number}>")
    lines = "\n".join(f"&lt;{number}&gt;" for number in range(1, 13))
    assert shown[-1] == f"<pre>{lines}</pre>"
    bar.update(4, "fast")
    assert shown[-1] == f'<pre>{lines}</pre><progress value="4" max="9"></progress> fast'
    bar.close()
    assert shown[-1] == f"<pre>{lines}</pre>"


# ---- the learning-rate range test


def sweep(losses, diverged_at=None):
    rates = tuple(10.0 ** (number - 8) for number in range(len(losses)))
    return lr_find.Sweep(rates, tuple(losses), tuple(losses), diverged_at)


def test_the_suggested_rate_is_between_steepest_fall_and_lowest_loss():
    fall = sweep([9, 9, 9, 9, 9, 9, 8, 4, 3, 2.9, 5])
    assert (fall.lowest, fall.steepest, fall.suggestion) == (9, 7, pytest.approx(1.0))  # √(0.1 · 10)
    assert sweep([9, 9, 9, 9, 9, 9, 8, 4, 3, 2.9, 5], 10).suggestion == pytest.approx(1.0)
    assert sweep([9, 9, 9, 9, 9, 9, 8, 4, 3, 2.9, 5], 8).suggestion == pytest.approx(0.25)
    assert sweep([9, 8, 7, 6, 5, 4, 3, 9]).suggestion is None  # the first five steps are ignored
    assert sweep([9, 8, 7, 6, 5, 4, 3, 2, 9]).steepest is not None
    found = sweep([9, 9, 9, 9, 9, 9, 8, 4, 3, 2.9, math.inf], 10).to_json()
    assert (found["suggestion"], found["steepest_rate"], found["lowest_loss_rate"]) == pytest.approx((1.0, 0.1, 10))
    assert (found["diverged_at"], found["diverged_rate"], found["losses"][-1]) == (10, 100.0, None)
    assert sweep([1.0]).to_json()["steepest_rate"] is None


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1, 1, 4], False), ([1, 1, 4.01], True), ([1, 0.95, 1.01], False), ([1, 0.91, 1.1], False),
        ([1, 0.89, 1.01], True), ([1, 0.89, 0.99], False), ([1, 0.2, 0.81], True), ([1, 0.2, 0.79], False),
    ],
)  # fmt: skip
def test_divergence_is_four_times_the_lowest_or_above_the_first(losses, expected):
    assert lr_find.has_diverged([float(loss) for loss in losses]) is expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 19}, "steps must be at least 20, got 19"),
        ({"lowest": 0}, "lowest must be positive and below highest, got 0 and 10.0"),
        ({"lowest": 2.0, "highest": 2.0}, "lowest must be positive and below highest, got 2.0 and 2.0"),
        ({"highest": math.inf}, "lowest must be positive and below highest, got 0.0001 and inf"),
    ],
)
def test_a_range_test_has_twenty_steps_or_more(settings, message):
    model, data = Model([2, 2], seed=0), (np.eye(2, dtype=np.float32), np.array([0, 1]))
    assert refused(lr_find.lr_find, model, data, **settings) == message


def test_a_range_test_averages_the_losses_of_its_steps():
    model, data = Model([2, 2], seed=0), (np.eye(2, dtype=np.float32), np.array([0, 1]))
    before = model.network.parameters.copy()
    found = lr_find.lr_find(model, data, steps=20)
    assert np.array_equal(model.network.parameters, before)
    assert (found.rates[0], found.rates[-1], len(found.rates)) == (pytest.approx(1e-4), pytest.approx(10), 20)
    for last in range(20):
        weights = 0.9 ** np.arange(last, -1, -1)
        assert found.smoothed[last] == pytest.approx(float(weights @ found.losses[: last + 1] / weights.sum()))
    assert found.diverged_at is None
    assert found.losses[0] == pytest.approx(SoftmaxCrossEntropy()(model.network.forward(data[0]), data[1])[0])


# ---- setup of the data


def model_of(inputs=4, outputs=2, **settings):
    return Model([inputs, outputs], seed=0, **settings)


X4 = np.zeros((3, 4), np.float32)
X4[0, 0] = 1
Y3 = np.array([0, 1, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("mnist", "data must be a Dataset or a pair (X, y), got 'mnist': use byhand.load('mnist').train"),
        (X4, ": pass the labels too, fit(model, X, y)"),
        (iter([1]), ": make two arrays of it, X and y"),
        ((X4,), ": make two arrays, X and y"),
        ((X4, Y3, Y3), ": pass weights as sample_weights"),
        ((X4[:, :3], Y3), "X must have the shape (N, 4) with N of at least 1, got (3, 3)"),
        ((X4.T, Y3), "X must have the shape (N, 4) with N of at least 1, got (4, 3): use X.T"),
        ((Y3, X4), ": X comes first, then y"),
        ((X4[:0], Y3[:0]), "X must have the shape (N, 4) with N of at least 1, got (0, 4)"),
        ((np.zeros((3, 3, 2, 2)), Y3), "the channels must be last, (N, H, W, 3), got (3, 3, 2, 2): use X.transpose"),
        ((np.zeros((3, 2, 2, 3)), Y3), ": colors need a model with 12 inputs"),
        ((X4, Y3[:2]), "y must have the shape (3,) or (3, 2), got (2,)"),
        ((X4, np.zeros((3, 3))), "y must have the shape (3,) or (3, 2), got (3, 3)"),
        ((X4.astype(complex), Y3), "X must be numbers, got complex128"),
        ((X4, np.array([0, 1, 2])), "labels must be integers 0 to 1, got 0 to 2"),
        ((X4, np.array([1, 2, 2])), "labels must be integers 0 to 1, got 1 to 2: use y - 1"),
        ((X4, np.array([-1, 0, 1])), "labels must be integers 0 to 1, got -1 to 1: number them with np.unique"),
        ((X4, np.array([0.5, 1, 1])), "labels must be integers 0 to 1, got float64: number them with np.unique"),
        ((X4, np.array([0.5, 1, math.nan])), "labels must be integers 0 to 1, got NaN: number them"),
        ((X4, np.array([[0, 1], [1, 0], [math.nan, 1]])), "y must be finite, got nan in row 2, column 0"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_used_are_rejected_with_what_to_type(data, message):
    assert message in refused(setup.training_data, model_of(), data)


def test_a_hint_is_given_only_where_it_helps():
    for X in (X4[:, :3], X4[:0], np.zeros((4, 3, 3))):
        assert refused(setup.training_data, model_of(), (X, Y3)).endswith(f"N of at least 1, got {X.shape}")


def test_arrays_become_training_data():
    X, y = setup.training_data(model_of(), (X4.reshape(3, 2, 2), np.array([[0.0], [1.0], [1.0]])))
    assert (X.shape, y.tolist()) == ((3, 4), [0, 1, 1])
    X, y = setup.training_data(Model([4, 1], seed=0), (X4, np.array([0.5, 1, 2])))
    assert y.shape == (3, 1)
    data = setup.training_data(model_of(), (np.ones((3, 4), np.uint8), Y3))
    assert isinstance(data, Dataset)
    assert data.name == "arrays"


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.array([[0, 1 / 255]]), Preparation()),
        (np.array([[0.0, 0.0]]), Preparation(divisor=1, input="floats")),
        (np.array([[0, 0.5 / 255]]), Preparation(divisor=1, input="floats")),
        (np.array([[1, 255.009 / 255]]), Preparation()),
        (np.array([[1, 255.02 / 255]]), Preparation(divisor=1, input="floats")),
        (np.array([[1, -0.02 / 255]]), Preparation(divisor=1, input="floats")),
        (np.array([[1, 3.009 / 255]]), Preparation()),
        (np.array([[1, 3.02 / 255]]), Preparation(divisor=1, input="floats")),
        (np.vstack([np.ones((1000, 1)), [[0.3]]]), Preparation()),  # only the first 1,000 rows are looked at
        (np.vstack([np.ones((999, 1)), [[0.3]]]), Preparation(divisor=1, input="floats")),
    ],
)
def test_floats_that_equal_prepared_bytes_keep_the_preparation(X, expected):
    assert setup.preparation_for(model_of(X.shape[1], preparation=Preparation()), (X, None)) == expected


def test_sample_weights_have_a_mean_of_one():
    assert setup.check_weights([1, 3], 2).tolist() == [0.5, 1.5]
    assert setup.check_weights(np.array([1e300, 3e300]), 2).tolist() == [0.5, 1.5]
    assert setup.check_weights([0, 5], 2).tolist() == [0.0, 2.0]
    for weights, message in (
        ([1], "sample_weights must have the shape (2,), got (1,)"),
        (["a", "b"], "sample_weights must be numbers, got <U1"),
        ([0, 0], "sample_weights must be finite, at least 0 and not all 0"),
        ([-1, 1], "sample_weights must be finite, at least 0 and not all 0"),
        ([1, math.inf], "sample_weights must be finite, at least 0 and not all 0"),
    ):
        assert refused(setup.check_weights, weights, 2) == message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("balanced", [5 / (3 * 1), 5 / (3 * 3), 5 / (3 * 1), 1.0]),
        ({1: 2.5}, [1, 2.5, 1, 1]),
        ({"d": 0, "a": 3}, [3, 1, 1, 0]),
        ({3: 1.5}, [1, 1, 1, 1.5]),
        ({4: 1}, "class_weights has no class 4: the classes are a b c d"),
        ({-1: 1}, "class_weights has no class -1: the classes are a b c d"),
        ([1, 2, 3, 4], [1, 2, 3, 4]),
        ([1, 2, 3], "class_weights must have one weight for each of 4 classes, got 3"),
        ([1, 2, 3, -1], "class_weights must be"),
        ("even", "class_weights must be 'balanced', a dictionary or one weight per class, got 'even'"),
        (3, "class_weights must be 'balanced', a dictionary or one weight per class, got"),
    ],
)
def test_class_weights_are_one_number_per_class(given, expected):
    data = (np.zeros((5, 4), np.float32), np.array([0, 1, 1, 1, 2]))
    found = refused(setup.weights_of_classes, given, model_of(outputs=4, classes="abcd"), data)
    assert found.startswith(expected) if isinstance(expected, str) else found == pytest.approx(expected)
    if not isinstance(expected, str):
        assert setup.with_class_weights(None, found, data) == pytest.approx(np.array(found)[[0, 1, 1, 1, 2]])
        weighted = setup.with_class_weights([1, 1, 1, 1, 6], found, data)
        assert weighted == pytest.approx(np.array(found)[[0, 1, 1, 1, 2]] * np.array([1, 1, 1, 1, 6]) / 2)


@pytest.mark.parametrize(
    ("validation", "count"), [(0, 0), (0.1, 2), (0.12, 2), (0.13, 3), (0.99, 20), (1, 1), (19, 19), (5.0, 5)]
)
def test_the_held_out_split_is_stratified(validation, count):
    labels = np.array([0] * 10 + [1] * 10)
    found = refused(setup.held_out, labels, validation, 2, 4)
    if count == 20:
        assert found == "validation must hold out some of the 20 samples, not all, got 0.99"
        return
    kept, held = found
    assert len(held) == count
    assert sorted([*kept, *held]) == list(range(20))
    assert abs(int((labels[held] == 0).sum()) - int((labels[held] == 1).sum())) <= 1
    assert held.tolist() == sorted(held.tolist())
    rows, rest = setup.held_out(np.eye(2)[labels], validation, 2, 4)
    assert (len(rows), len(rest)) == (20 - count, count)


def test_a_scale_far_from_one_is_rejected():
    assert fitting.check_scale((np.full((2, 2), 5.0), None)) is None
    assert refused(fitting.check_scale, (np.array([[5.01, -5.01]]), None)) == (
        "X must be of the order of 1, got -5.01 to 5.01: divide bytes by 255, or standardize each column"
    )


# ---- the loop


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4, 5]), (9, [1, 5])])
def test_the_first_and_the_last_epoch_are_recorded_and_one_in_some(every, epochs):
    with small_trainer(5, record_every=every) as trainer:
        found = list(train(trainer))
    assert [one.epoch for one in found] == epochs
    assert [one.step for one in found] == [3 * epoch - 1 for epoch in epochs]
    assert [one.rate for one in found] == [0.1 * OneCycle()(3 * epoch - 1, 15) for epoch in epochs]


def test_an_epochs_record_is_the_mean_over_its_samples():
    weights = np.linspace(0.5, 1.5, 24)
    with small_trainer(2, sample_weights=weights, max_records=1, validation=4) as trainer:
        for epoch in (1, 2):
            made = []
            while not made or not made[-1].ends_epoch:
                batch = trainer.batches.from_step(trainer.progress.step)
                made.append(trainer.step())
                assert made[-1].samples == len(next(batch).labels)
            totals = [batch.total for batch in trainer.batches.epoch(epoch - 1)]
            found = trainer.end_epoch()
            assert found.loss == pytest.approx(np.average([step.loss for step in made], weights=totals))
            right = sum(step.accuracy * step.samples for step in made)
            assert found.accuracy == pytest.approx(right / 20)
            assert found.gradient_norm == made[-1].gradient_norm > 0
            assert [step.gradient_norm is None for step in made] == [True, False]
            assert [(step.step, step.epoch) for step in made] == [(2 * epoch - 2, epoch), (2 * epoch - 1, epoch)]
            assert trainer.history()["epoch"] == [epoch]
            assert found.images_per_second == pytest.approx(20 / sum(s.samples / s.images_per_second for s in made))
            progress = trainer.progress
            assert (progress.loss, progress.weight, progress.norm, progress.samples, progress.correct) == (
                0,
                0,
                0,
                0,
                0,
            )


def test_early_stopping_waits_for_the_patience_and_keeps_the_best():
    with small_trainer(50, validation=6, patience=2, learning_rate=2.0, schedule="constant") as trainer:
        losses, weights = [], []
        for found in train(trainer):
            losses.append(found.validation_loss)
            weights.append(trainer.model.network.parameters.copy())
        history = trainer.history()
    best = int(np.argmin(losses))
    assert (history.ending, history.best_epoch, len(losses)) == ("stopped early", best + 1, best + 3)
    assert np.array_equal(trainer.model.network.parameters, weights[best])


def test_the_moving_average_follows_its_definition():
    rng = np.random.default_rng(0)
    for decay, number, expected in ((0.999, 0, 0.1), (0.999, 8, 0.5), (0.5, 80, 0.5), (0.99, 889, 890 / 899)):
        average, parameters = rng.normal(size=(2, 11))
        right = average + (1 - expected) * (parameters - average)
        update_ema(average, parameters, decay, number, np.empty(4))
        assert average == pytest.approx(right)


class Alone:
    """The only process of a group: it records the vectors that it sums."""

    rank, size, neighbours, places = 0, 1, 1, ("",)

    def __init__(self):
        self.sums = []

    def sum(self, vector):
        self.sums.append(vector.copy())
        return vector


def test_a_step_sums_gradient_loss_and_stop_requests_over_the_processes():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(24, 5)).astype(np.float32), rng.integers(0, 3, 24)
    shard, made = Alone(), []
    for one in (None, shard):
        recipe = Recipe(epochs=2, batch_size=10, threads=1, validation=4)
        with Trainer(Model([5, 4, 3], seed=1), data, recipe, seed=3, shard=one) as trainer:
            made.append([trainer.step() for _ in range(2)])
            made[-1].append(trainer.end_epoch().validation_loss)
            trainer.stop()
            assert trainer.is_stopped is (one is None)
            made[-1].append(trainer.step())
            assert trainer.is_stopped
    for ours, others in zip(*made, strict=True):
        assert ours == others if isinstance(ours, float) else ours[:6] == pytest.approx(others[:6])
    of_steps = [vector for vector in shard.sums if len(vector) == 39 + 3]
    assert [vector[-1] for vector in of_steps] == [0, 0, 1]
    assert [vector[-3] for vector in of_steps] == pytest.approx([made[1][k].loss for k in (0, 1, 3)])
    assert [vector[-2] for vector in of_steps] == pytest.approx([made[1][k].accuracy * 10 for k in (0, 1, 3)])
    assert all(np.abs(vector[:-3]).max() > 0 for vector in of_steps)


def test_processes_of_one_machine_share_its_processors():
    data = np.eye(5, dtype=np.float32), np.array([0, 1, 2, 0, 1])
    for neighbours, count in ((1, threads.available()), (10**6, 1)):
        shard = Alone()
        shard.neighbours = neighbours
        with Trainer(Model([5, 3], seed=1), data, Recipe(epochs=1), seed=3, shard=shard) as trainer:
            assert trainer.threads == count


def test_callbacks_are_a_list_of_objects_with_their_methods():
    model, data = Model([2, 2], seed=0), (np.eye(2, dtype=np.float32), np.array([0, 1]))
    for callbacks in ([3], progress.ProgressBar(), progress.ProgressBar):
        found = refused(fitting.fit, model, data, epochs=1, callbacks=callbacks)
        assert str(found).startswith(
            "callbacks must be a list of objects of a subclass of byhand.training.Callback, got"
        )
    seen = SimpleNamespace(
        on_start=print, on_step=lambda *_: None, on_epoch=lambda *_: None, on_end=lambda *_: None, on_message=print
    )
    assert fitting.check_callbacks((seen,)) is None
    bar = progress.ProgressBar()
    assert fitting.with_progress([bar]) == [bar]
    assert [type(one) for one in fitting.with_progress([seen])] == [SimpleNamespace, progress.ProgressBar]


def test_validation_data_are_checked_like_training_data():
    X, y = np.eye(5, dtype=np.float32), np.array([0, 1, 2, 0, 1])
    found = refused(Trainer, Model([5, 3], seed=1), (X, y), Recipe(), seed=0, validation_data=(X, np.full((5, 3), 0.5)))
    assert found == "each row of target must add up to 1, got 1.5 in row 0"


# ---- runs and checkpoints


def test_a_run_is_deleted_with_its_folder_unless_that_has_more(tmp_path):
    for other in (False, True):
        one = runs.Run(tmp_path / f"run-{other}")
        (one.folder / runs.STATE).mkdir(parents=True)
        for name in (runs.CONFIG, runs.METRICS, f"{runs.STATE}/{runs.SLOTS[0]}"):
            (one.folder / name).write_text("{}")
        if other:
            (one.folder / "notes.txt").write_text("mine")
        assert one.delete() is not other
        assert one.folder.exists() is other
        assert [path.name for path in one.folder.rglob("*")] == (["notes.txt"] if other else [])


def test_changed_settings_are_named_with_their_values():
    old = {"seed": 1, "recipe": {"clip": None, "schedule": {"kind": "é"}}, "empty": {}}
    new = {"seed": 2, "recipe": {"clip": 1.5, "schedule": {"kind": "é"}}, "more": [1]}
    assert checkpoint.differences(old, new) == [
        "seed was 1, is 2", "recipe.clip was null, is 1.5", "empty was {}, is not set", "more was not set, is [1]"
    ]  # fmt: skip
    assert checkpoint.flat(old)["recipe.schedule.kind"] == '"é"'
    assert "must be at least 0, got -1" in refused(checkpoint.Checkpoints, runs.Run("x"), every=-1)
    assert "must be at least 0, got nan" in refused(checkpoint.Checkpoints, runs.Run("x"), every=math.nan)


def test_a_checkpoint_is_read_back_after_it_is_written(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    arrays = {"parameters": np.arange(3.0)}
    saved = checkpoint.Checkpoint(arrays, {"step": 4}, {"seed": 1}, 7, ({"x": np.ones(2)}, {"y": 1}))
    checkpoint.write(path, saved)
    found = checkpoint.read(path)
    assert (found.plain, found.environment, found.number) == ({"step": 4}, {"seed": 1}, 7)
    assert found.arrays["parameters"].tolist() == [0, 1, 2]
    assert (found.extra[0]["x"].tolist(), found.extra[1]) == ([1, 1], {"y": 1})
    assert refused(checkpoint.write, path, dataclasses.replace(saved, plain={"step": -1})) is None
    assert refused(checkpoint.read, path) == f"{path}: step must be an integer of at least 0, got '-1'"
    checkpoint.write(path, dataclasses.replace(saved, arrays={"parameters": np.array([1, math.inf])}))
    assert refused(checkpoint.read, path) == f"{path}: all numbers of the state must be finite"
    real = checkpoint.modelfile.write_arrays
    monkeypatch.setattr(checkpoint.modelfile, "write_arrays", lambda *values: real(*values) + "0")
    assert refused(checkpoint.write, path, saved) == f"{path}: the content differs from what was written"


def test_the_reader_of_a_run_is_its_model_or_an_ensemble(tmp_path):
    one, model = runs.Run(tmp_path / "one"), Model([4, 2], seed=0, classes="ab")
    for each in (one, *(runs.Run(one.folder / f"member-{number}") for number in (1, 2))):
        each.folder.mkdir()
        model.save(each.model_path)
    one.write_config({"committee": 2})
    assert isinstance(one.reader(), Model)
    one.model_path.unlink()
    assert len(one.reader().models) == 2
    assert refused(one.model).startswith(f"{one.folder} is an ensemble of 2 networks: pass a member, such as ")
    one.members[1].model_path.unlink()
    assert refused(one.reader).startswith(f"{one.members[1].folder}: this member of the ensemble has no model yet: ")


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "001"), (["001"], "002"), (["9", "x7", "003"], "010"), (["999"], "1000"), (["1234567890", "5"], "006")],
)
def test_the_next_run_takes_the_next_number(names, expected, tmp_path):
    for name in names:
        (tmp_path / name).mkdir()
    assert runs.next_number(tmp_path) == expected
    assert runs.next_number(tmp_path / "missing") == "001"


def test_a_file_over_its_limit_is_not_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'{"seed": 1}')
    assert runs.read_object(path, runs.RunConfig, 11) == {"seed": 1}
    assert refused(runs.read_object, path, runs.RunConfig, 10) == f"{path}: must have at most 10 bytes, got 11"
    path.write_bytes(b"[" + b"1," * 50 + b"1]")
    assert f"must be a JSON object, got '[{'1,' * 19}1'" in refused(runs.read_object, path, runs.RunConfig)
    assert (runs.MAX_CONFIG_BYTES, runs.MAX_RECORDS_BYTES, runs.MAX_MEMBERS) == (1_000_000, 64_000_000, 1_000)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"data": "x"}, "x"), ({"data_name": "mnist"}, "mnist"), ({"data_name": "own"}, None), ({}, None),
        ({"data": None, "data_name": "mnist"}, "mnist"),
    ],
)  # fmt: skip
def test_the_data_of_a_run_are_named(seen, expected):
    assert run.data_of(seen) == expected
    assert run.data_of({}, {"data": {"name": "mnist"}}) == "mnist"


def test_the_colors_and_the_loss_of_a_run_are_in_its_config():
    assert run.color_of({"preparation": {"shape": [4, 4, 3]}}) is True
    assert run.color_of({"preparation": {"shape": [4, 4]}}) is run.color_of({"preparation": {}}) is False
    assert run.color_of({}) is False
    assert run.loss_of({}, {}) == SoftmaxCrossEntropy()
    assert run.loss_of({"recipe": {"loss": {"kind": "mse"}}}, {}) == MeanSquaredError()
    assert run.loss_of({}, {"recipe": {"loss": {"kind": "mse"}}}) == MeanSquaredError()


def test_the_summary_of_a_run_has_rounded_times():
    model = Model([4, 3, 2], seed=0)
    model.metadata = {"data": {"name": "own"}, "test": {"images": 10, "accuracy": 0.5, "name": "own"}}
    history = History([record(validation_accuracy=0.25)], "done")
    for steps, text in ((12, "3 epochs over 9 images, 1.5 s of training"), (3, "3 iterations over 9 images, 1.5 s")):
        result = run.RunResult(runs.Run(runs.Path("r")), model, history, 9, 3, steps, 0.5, 1.50049, 2.99951)
        assert text in result.text()
        plain = result.to_json()
        assert (plain["training_seconds"], plain["seconds"], plain["train_accuracy"]) == (1.5, 3.0, 0.75)
        assert (plain["validation_accuracy"], plain["tested_on"], plain["trained_on"]) == (0.25, 10, 9)
    empty = run.RunResult(runs.Run(runs.Path("r")), model, History([]), 9, 0, 0, None, 0.0, 0.0)
    assert empty.to_json()["train_accuracy"] is None


def test_the_chunks_of_the_average_cover_all_weights():
    assert CHUNK == 32_768
