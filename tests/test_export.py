"""Exports: every format gives the model's predictions."""

import base64
import copy
import io
import json
import re
import zlib

import numpy as np
import pytest
from click.testing import CliRunner

import byhand
import byhand.model
from byhand.cli.group import cli
from byhand.data import Dataset
from byhand.data.handwriting.deskew import deskew
from byhand.errors import UsageError
from byhand.export import as_html, as_npz, exact_probabilities, export, reference_arrays, rounded_to_half, sample_for
from byhand.model import Model
from byhand.model.preparation import Preparation
from byhand.nn.activations import ACTIVATIONS
from byhand.nn.convolution import Convolution
from byhand.nn.layers import Activation, BatchNorm, Dense, Dropout
from byhand.reference import l_layer
from helpers.needs import needs


@pytest.fixture(scope="module")
def shipped():
    return byhand.model.shipped_model()


@pytest.fixture(scope="module")
def digits():
    return byhand.load("mnist-5k").test


def wild(model: Model, seed: int = 0) -> Model:
    """Return the model with weights and statistics far from their initial values."""
    rng = np.random.default_rng(seed)
    network = model.network
    network.parameters[...] = rng.normal(0, 0.1, network.size)
    network.statistics[...] = rng.uniform(0.5, 2, len(network.statistics))
    return model


def embedded(page: bytes) -> dict:
    """Return the JSON embedded in the page."""
    found = re.search(rb'<script type="application/json" id="model">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_the_shipped_model_is_accurate_on_held_out_images(shipped, digits):
    assert shipped.architecture == "784-16@13×13-32@11×11-64@4×4-88-10"
    assert shipped.preparation == Preparation.standard(deskew=True)
    assert shipped.accuracy(digits) >= 0.985
    assert shipped.metadata["accuracy"]["mnist_test"] >= 0.993
    assert byhand.model.shipped_model() is not byhand.model.shipped_model()


@pytest.mark.full_mnist
def test_the_shipped_model_states_its_true_accuracy(shipped, full_mnist):
    assert round(shipped.accuracy(full_mnist.test), 4) == shipped.metadata["accuracy"]["mnist_test"]


def test_the_shipped_file_is_small_and_rounded_to_float16(shipped):
    from importlib import resources

    content = (resources.files("byhand.model") / byhand.model.model.SHIPPED).read_bytes()
    assert len(content) < 280_000
    parameters = shipped.network.parameters
    np.testing.assert_array_equal(parameters, parameters.astype(np.float16))


def test_the_page_is_one_small_file_without_requests(shipped, digits):
    page, about = as_html(shipped, digits)
    assert len(page) < 400_000
    assert about == "weights rounded to float16: on 1,000 images of mnist-5k no probability changes"
    outside = re.findall(rb"(?:https?:)?//[a-z][\w.-]+\.[a-z]{2,}", page)
    assert outside == [b"http://www.w3.org"] * len(outside)  # the namespace of SVG
    assert b"default-src 'none'" in page
    assert not re.search(rb"^(?:import|export) ", page, re.MULTILINE)


def test_a_page_with_rounded_weights_states_the_maximum_difference(digits):
    model = Model([784, 128, 10], seed=1)
    page, about = as_html(model, digits)
    assert len(page) < 300_000
    moved = float(re.search(r"no probability changes by more than ([\d.e-]+)", about)[1])
    rounded = rounded_to_half(model)
    apart = np.abs(model.probabilities(digits.images) - rounded.probabilities(digits.images)).max()
    assert moved == pytest.approx(apart, rel=0.06)
    assert 0 < moved < 1e-3


def test_the_page_has_the_weights_and_probabilities_computed_by_python(shipped, digits):
    content = embedded(as_html(shipped, digits)[0])
    packed = np.frombuffer(zlib.decompress(base64.b64decode(content["weights"])), np.uint8)
    weights = packed.reshape(2, -1).T.copy().view("<f2").astype(np.float32).ravel()
    named = dict(shipped.network.named())
    names = [f"{layer.index}.{name}" for layer in shipped.network.parametric_layers for name in "Wb"]
    expected = np.concatenate([named[name].ravel() for name in names])
    np.testing.assert_array_equal(weights, expected)
    pictures = np.frombuffer(zlib.decompress(base64.b64decode(content["test"]["pictures"])), np.uint8)
    pictures = pictures.reshape(-1, 28, 28)
    np.testing.assert_allclose(content["test"]["probabilities"], shipped.probabilities(pictures), atol=1e-5)
    assert sorted(set(shipped.predict(pictures))) == list(range(10))
    assert content["description"]["thresholds"] == list(shipped.thresholds)


def test_names_are_escaped_in_the_page(digits):
    evil = "</script><script>alert(1)</script><!--"
    model = Model([784, 10], classes=[evil, *"123456789"], metadata={"about": evil})
    page, _ = as_html(model, digits)
    assert page.count(b"</script>") == 2
    assert b"<script>" not in page
    assert embedded(page)["description"]["classes"][0] == evil


def test_weights_beyond_float16_are_rejected(digits):
    model = Model([784, 10])
    model.network.parameters[0] = 70_000
    with pytest.raises(UsageError, match="weights must be at most 65,504 for float16, got 7e\\+04"):
        as_html(model, digits)


def test_a_page_for_other_image_sizes_tests_itself_with_noise():
    model = wild(Model([12, 5, 3]))
    content = embedded(as_html(model, sample_for(model))[0])
    assert content["description"]["shape"] == [1, 12]
    assert len(content["test"]["probabilities"]) == 20


def test_a_page_of_convolutions_has_the_shape_of_the_images():
    model = wild(Model([Convolution(6, 9, 1, 2, size=3), Activation("relu"), Dense(16, 3)]))
    content = embedded(as_html(model, sample_for(model))[0])
    assert content["description"]["shape"] == [6, 9]
    assert [layer["kind"] for layer in content["description"]["architecture"]] == ["convolution", "activation", "dense"]


def test_exact_probabilities_are_those_of_the_model(shipped, digits):
    exact = exact_probabilities(shipped, digits.images[:50])
    np.testing.assert_allclose(exact, shipped.probabilities(digits.images[:50]), atol=1e-5)


def run_onnx(model: Model, images: np.ndarray) -> np.ndarray:
    onnxruntime = needs("onnxruntime")
    from byhand.export.onnx import graph_of

    session = onnxruntime.InferenceSession(graph_of(model).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"pictures": images.astype(np.float32)})[0]


ARCHITECTURES = {
    **{name: {"network": [784, 20, 10], "activation": name} for name in ACTIVATIONS},
    "batch norm and dropout": {"network": [784, 20, 15, 10], "batch_norm": True, "dropout": 0.3},
    "no hidden layer": {"network": [784, 10]},
    "convolutions": {"network": [784, 12, 10], "maps": [(3, 5, 3), (4, 3, 2)], "activation": "tanh"},
    "convolutions, batch norm and dropout": {"network": [784, 12, 10], "maps": [3, 4], "batch_norm": True}
    | {"dropout": 0.3},
    "odd": {
        "network": [BatchNorm(784), Dense(784, 9), Activation("tanh"), Activation("relu"), Dropout(), Dense(9, 10)]
    },
}
PREPARATIONS = [Preparation(), Preparation(divisor=256, deskew=True)]
PREPARATIONS += [Preparation.standard(), Preparation.standard(deskew=True)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_onnx_gives_the_models_probabilities(architecture, digits):
    for seed, preparation in enumerate(PREPARATIONS):
        settings = copy.deepcopy(ARCHITECTURES[architecture])  # a layer belongs to one network only
        model = wild(
            Model(
                settings["network"], preparation=preparation, **{k: v for k, v in settings.items() if k != "network"}
            ),
            seed,
        )
        np.testing.assert_allclose(
            run_onnx(model, digits.images[:60]), model.probabilities(digits.images[:60]), atol=1e-5
        )


def test_onnx_handles_convolutions_of_images_wider_than_high():
    """Uncovered pixels at two edges, several channels, and an empty batch."""
    wide = [Convolution(8, 10, 1, 2, size=3, stride=2), Activation("relu"), Convolution(3, 4, 2, 3, size=2, stride=1)]
    model = wild(Model([*wide, Dense(18, 4)], preparation=Preparation(deskew=True)))
    images = np.random.default_rng(1).integers(0, 256, (50, 8, 10), dtype=np.uint8)
    np.testing.assert_allclose(run_onnx(model, images), model.probabilities(images), atol=1e-5)
    assert run_onnx(model, images[:0]).shape == (0, 4)


def test_onnx_deskews_exactly(digits):
    """The network passes its pixels on: 6 × 6 images and 36 outputs, whose logarithms are the pixels."""
    model = Model([36, 36], preparation=Preparation(deskew=True))
    model.network.dense[0].W[...], model.network.dense[0].b[...] = np.eye(36, dtype=np.float32) * 20, 0
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (300, 6, 6), dtype=np.uint8)
    images[0] = 0
    images[1], images[1, 2, 5] = 0, 255
    images[2], images[2, 3] = 0, 90
    images[3], images[3, 2, :3], images[3, 3, 3:] = 0, 255, 255
    given = run_onnx(model, images)
    upright = deskew(images).reshape(-1, 36).astype(np.float64) / 255 * 20
    expected = np.exp(upright) / np.exp(upright).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(given, expected, rtol=2e-5)
    assert (deskew(images) != images).any()


def test_the_onnx_file_has_names_shapes_and_metadata(shipped, tmp_path):
    onnx = needs("onnx")
    about = export(shipped, tmp_path / "digits.onnx")
    assert re.fullmatch(
        r"onnxruntime: on 1,000 images of mnist-5k no probability differs by more than \d\.\de-0\d", about
    )
    model = onnx.load(tmp_path / "digits.onnx")
    assert model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    (given,), (answer,) = model.graph.input, model.graph.output
    dims = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert (given.name, dims, answer.name) == ("pictures", ["batch", 28, 28], "probabilities")
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[-5:] == ["LeakyRelu", "Gemm", "LeakyRelu", "Gemm", "Softmax"]
    texts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert set(texts) == {"classes", "preparation", "architecture", "card"}, "as docs/formats.md says"
    assert texts["classes"] == list("0123456789")
    assert texts["preparation"]["deskew"] is True
    assert texts["card"]["thresholds"] == list(shipped.thresholds)


def test_an_onnx_file_with_wrong_probabilities_is_not_written(shipped, tmp_path, monkeypatch):
    needs("onnxruntime")
    from byhand.export import onnx as exporter

    monkeypatch.setattr(exporter, "LIMIT", 0.1)  # the model's deskewing has a larger limit
    with pytest.raises(UsageError, match="onnxruntime must give the model's probabilities to 1e-05, got"):
        export(shipped, tmp_path / "digits.onnx")
    assert not (tmp_path / "digits.onnx").exists()


@pytest.fixture
def plain():
    return wild(Model([784, 128, 10], preparation=Preparation.standard(deskew=True)))


def test_npz_has_the_names_and_shapes_of_the_reference(plain, digits):
    content, about = as_npz(plain, digits)
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    shapes = {name: arrays[name].shape for name in ("W1", "b1", "W2", "b2")}
    assert shapes == {"W1": (128, 784), "b1": (128, 1), "W2": (10, 128), "b2": (10, 1)}
    assert arrays["activations"].tolist() == ["relu"]
    assert arrays["deskew"]
    assert "no probability differs by more than" in about


def test_npz_runs_with_the_reference_code(plain, digits):
    arrays = reference_arrays(plain)
    parameters = {name: arrays[name] for name in ("W1", "b1", "W2", "b2")}
    X = deskew(digits.images[:100]).reshape(100, -1).T / arrays["divisor"]
    HL, _ = l_layer.L_layer_forward(X, parameters)
    np.testing.assert_allclose(HL.T, plain.probabilities(digits.images[:100]), atol=1e-5)


def test_npz_folds_batch_norm_and_the_preparation_into_the_weights(digits):
    model = wild(Model([784, 20, 15, 10], batch_norm=True, dropout=0.3, preparation=Preparation.standard()))
    content, _ = as_npz(model, digits)
    with np.load(io.BytesIO(content)) as file:
        assert set(file) == {"W1", "b1", "W2", "b2", "W3", "b3", "activations", "classes", "divisor", "deskew"}


@pytest.mark.parametrize("layers", [[Dense(784, 9), Dense(9, 10)], [Dense(784, 10)]])
def test_npz_supports_layers_without_an_activation(layers, digits):
    assert reference_arrays(wild(Model(layers)))["activations"].tolist() == ["identity"] * (len(layers) - 1)
    as_npz(Model([Dense(layer.inputs, layer.units) for layer in layers]), digits)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Dense(784, 9), Activation("relu"), Activation("tanh"), Dense(9, 10)], r"Activation\('tanh'\): use onnx"),
        ([Dense(784, 9), Activation("relu"), BatchNorm(9), Dense(9, 10)], r"got BatchNorm\(9\): use onnx"),
        ([BatchNorm(784), Dense(784, 10)], r"got BatchNorm\(784\): use onnx"),
        ([Convolution(28, 28, 1, 2), Dense(288, 10)], r"got Convolution\(28, 28, 1, 2, .*\): use onnx"),
        ([Dense(784, 10), Activation("relu")], "npz supports no activation after the last layer, got relu: use onnx"),
    ],
)
def test_layers_that_npz_does_not_support_are_rejected(layers, message, digits):
    with pytest.raises(UsageError, match=message):
        as_npz(Model(layers), digits)


def test_the_suffix_selects_the_format(plain, tmp_path):
    export(plain, tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes()[:2] == b"PK"
    export(plain, tmp_path / "b.dat", to="npz")
    assert (tmp_path / "b.dat").read_bytes()[:2] == b"PK"
    with pytest.raises(UsageError, match="to must be one of html, onnx, npz, got 'dat'"):
        export(plain, tmp_path / "b.dat")


def test_the_command_exports_the_shipped_model(tmp_path):
    done = CliRunner().invoke(cli, ["export", "--output", str(tmp_path / "digits.html")], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'digits.html'}\n")
    assert "no probability changes" in done.stderr
    quiet = CliRunner().invoke(
        cli, ["export", "-q", "--to", "html", "-o", str(tmp_path / "x.html")], catch_exceptions=False
    )
    assert quiet.stderr == ""


def test_the_command_exports_next_to_the_model_of_a_run(tmp_path, digits):
    Model([784, 10], metadata={"data": {"name": "mnist-5k"}}).save(tmp_path / "run" / "model.safetensors")
    done = CliRunner().invoke(cli, ["export", str(tmp_path / "run"), "--to", "npz"], catch_exceptions=False)
    assert done.stdout == f"{tmp_path / 'run' / 'model.npz'}\n"


def test_the_command_needs_a_format():
    done = CliRunner().invoke(cli, ["export"])
    assert done.exit_code == 2
    assert "--to html, onnx or npz" in done.stderr


def test_without_a_name_existing_files_are_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, name in (("npz", "model.npz"), ("onnx", "model.onnx"), ("html", "digits.html")):
        for content in (tmp_path / "digits.npz", tmp_path / name):
            content.write_text("precious")
        done = CliRunner().invoke(cli, ["export", "--to", kind])
        assert isinstance(done.exception, UsageError)
        assert str(done.exception) == f"{name} already exists: use -o to overwrite it or to choose another name"
        assert (tmp_path / "digits.npz").read_text() == (tmp_path / name).read_text() == "precious"
    done = CliRunner().invoke(cli, ["export", "--to", "html", "-o", "digits.html"], catch_exceptions=False)
    assert done.stdout == "digits.html\n"
    assert (tmp_path / "digits.html").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-o foo", "foo must have an extension (.html, .onnx, .npz), unless `to` is given"),
        ("--to npz -o x.html", "to must match the extension, got 'npz' and x.html"),
        ("--to html -o -", "-o must be a file name, got -: stdout is for the path of the file"),
    ],
)
def test_a_name_that_does_not_match_the_format_is_rejected(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["export", *words.split()])
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == message
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_with_other_classes_gives_no_samples(tmp_path):
    letters = Dataset(np.zeros((2, 28, 28), np.uint8), np.array([0, 1]), classes=["a", "b"])
    model = Model([784, 2], classes=["a", "b"])
    assert "arrays" in export(model, tmp_path / "a.html", pictures=letters)
