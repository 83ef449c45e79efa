"""Data that are not MNIST: trained on, evaluated, read back from their own files, and exported.

Each of the thirty data sets gives the same predictions everywhere, or one line with the unsupported feature.
"""

import io
import json
import math
import re
import subprocess
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import byhand
from byhand.cli.group import cli
from byhand.data import Dataset
from byhand.data.augment import Augmentation, augment
from byhand.data.formats.image_sets import Lenient, read_folder
from byhand.errors import DataError, UsageError
from byhand.export import export
from byhand.model import shipped_model
from byhand.model.ensemble import ShiftAveraged
from byhand.model.preparation import MNIST_MEAN, Preparation
from byhand.report import html_report
from byhand.training import preset
from byhand.training.recipe import adapted, with_overrides
from helpers.needs import needs, program
from helpers.own_data import DATA_SETS, FRUIT, colored, in_folder, patterns, shapes, standardized, table, write_csv

#: Forms that can't be loaded, and the reason given.
UNSUPPORTED = {
    "csv, rectangles": "must have one column for the label and those of a square image, got 385 columns; for a table",
    "npz, floats 0 to 255": "pixels from 0 to 255 must be integers, but some have a fraction; train the",
    "arrays, standardized": r"train the network on floats with `fit\(model, \(X, y\)\)`",
    "a table": r"train the network on floats with `fit\(model, \(X, y\)\)`",
}
#: Data sets of which something is changed or not used, and the note.
NOTES = {
    "mixed sizes": "images of 3 sizes scaled to 28×24",
    "colors": "colors read as gray (--color, or color=True in Python, keeps them)",
    "train, val and test folders": "val is not used",
    "train and val folders": "val is not used",
}


@pytest.fixture(params=DATA_SETS)
def own(request, tmp_path):
    return request.param, DATA_SETS[request.param](tmp_path)


def trained(digits, **settings):
    sizes = {"in_size": math.prod(digits.train.shape), "classes": digits.classes}
    model, recipe = with_overrides(preset("fast"), settings, **sizes, seed=0, data=digits.train)
    byhand.fit(model, digits.train, recipe=recipe.replace(epochs=min(recipe.epochs, 60)))
    return model


def test_the_classes_are_those_of_the_data(own):
    name, data = own
    if name in UNSUPPORTED:
        with pytest.raises(DataError, match=UNSUPPORTED[name]):
            byhand.load(data.source)
    else:
        digits = byhand.load(data.source, color=data.color)
        assert digits.classes == data.classes
        assert NOTES.get(name, "") == digits.train.note
        assert digits.train.note in digits.source


@pytest.mark.slow
def test_a_model_gives_the_same_predictions_from_files_and_exports(own, tmp_path):
    name, data = own
    if name in UNSUPPORTED:
        with pytest.raises(DataError, match=UNSUPPORTED[name]):
            byhand.load(data.source)
        return
    digits = byhand.load(data.source, color=data.color)
    model = trained(digits)
    if name != "colors":  # gray images of equal brightness cannot be distinguished
        assert model.accuracy(digits.test) > 0.8
    model.save(tmp_path / "m.safetensors")
    model = byhand.Model.load(tmp_path / "m.safetensors")
    images = digits.test.images
    expected = model.predict(images)
    # its own files
    files = [(path, label) for path, label in data.pictures if name != "digits in a folder"]
    predictions = [byhand.read(path, model).digit for path, _ in files]
    assert predictions == [model.classes[k] for k in model.predict(images_of(files, digits.train.shape))]
    # exports, used without byhand
    export(model, tmp_path / "m.npz", pictures=digits.test)
    np.testing.assert_array_equal(from_npz(tmp_path / "m.npz", model.preparation.pictures(images)), expected)
    if model.is_color:
        with pytest.raises(UsageError, match="html needs a model of gray images, got one of color pictures"):
            export(model, tmp_path / "m.html")
    else:
        export(model, tmp_path / "m.html", pictures=digits.test)
        assert np.mean(from_html(tmp_path / "m.html", images) == expected) > 0.99
    runtime = needs("onnxruntime")
    export(model, tmp_path / "m.onnx", pictures=digits.test)
    session = runtime.InferenceSession(tmp_path / "m.onnx")
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: images.astype(np.float32)})
    np.testing.assert_array_equal(probabilities.argmax(axis=1), expected)


def images_of(files, shape):
    """Return the images as Pillow reads and scales them."""
    pictures = (Image.open(path).convert("L" if len(shape) == 2 else "RGB") for path, _ in files)
    scaled = [np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR)) for picture in pictures]
    return np.array(scaled, np.uint8).reshape(-1, *shape)


def from_npz(path, images):
    with np.load(path) as file:
        H = images.reshape(len(images), -1).T / file["divisor"]
        count = sum(key.startswith("W") for key in file)
        for number in range(1, count + 1):
            H = file[f"W{number}"] @ H + file[f"b{number}"]
            H = np.maximum(H, 0) if number < count else H
    return H.argmax(axis=0)


PAGE = """
import { readFileSync } from "node:fs";
const [folder, page] = process.argv.slice(1);
const { Reader } = await import(`${folder}/reader.js`);
const { halves, inflated } = await import(`${folder}/unpack.js`);
const [, text] = readFileSync(page, "utf8").match(/id="model">(.*?)<[/]script>/s);
const content = JSON.parse(text);
const reader = new Reader(content.description, halves(await inflated(content.weights)));
const images = JSON.parse(readFileSync(0, "utf8"));
const best = images.map((bytes) => reader.read(Uint8Array.from(bytes)).probabilities);
console.log(JSON.stringify(best.map((row) => row.indexOf(Math.max(...row)))));
"""


def from_html(path, images):
    """Return the predictions of an exported page, computed by its JavaScript."""
    folder = Path(byhand.__file__).parent / "page"
    command = [program("node", required=False), "--input-type=module", "-e", PAGE, folder.as_uri(), str(path)]
    done = subprocess.run(
        command, input=json.dumps(images.reshape(len(images), -1).tolist()), capture_output=True, text=True, check=True
    )
    return np.array(json.loads(done.stdout))


#: Data sets that the defaults must learn: not gray images of equal brightness, and not those that can't be loaded.
LEARNABLE = [name for name in DATA_SETS if name not in {"colors", "csv, rectangles", "npz, floats 0 to 255"}]


def parts_of(data):
    """Return training and test data: data sets, or for floats pairs (X, y), standardized."""
    if not isinstance(data.source, tuple) or data.color:
        return tuple(byhand.load(data.source, color=data.color))
    X, y = data.source
    cut = len(X) * 4 // 5
    X = (X - X[:cut].mean(axis=0)) / (X[:cut].std(axis=0) + 1e-3)
    return (X[:cut], y[:cut]), (X[cut:], y[cut:])


def trained_with_defaults(data, seed):
    """Return the model of the default preset, and of floats one with 100 hidden units, with the history."""
    recipe = None
    if isinstance(data, Dataset):
        sizes = {"in_size": math.prod(data.shape), "classes": data.classes, "seed": seed, "data": data}
        model, recipe = with_overrides(preset("digits"), {}, **sizes)
    else:
        model = byhand.Model([data[0].shape[1], 100, int(data[1].max()) + 1], seed=seed)
    return model, byhand.fit(model, data, recipe=recipe, seed=seed)


def floats_of(data):
    """Return X and y for scikit-learn."""
    return (data.images.reshape(len(data), -1) / 255, data.labels) if isinstance(data, Dataset) else data


def learns_as_well_as_mlp_classifier(name, folder, enough=1.0):
    """Compare the mean test accuracies of three seeds; one is enough if the difference is at least `enough`."""
    classifier = needs("sklearn.neural_network").MLPClassifier
    train, test = parts_of(DATA_SETS[name](folder))
    ours, theirs = [], []
    for seed in range(3):
        model, history = trained_with_defaults(train, seed)
        assert not [line for record in history for line in record.warnings if "dead" in line]
        ours.append(model.accuracy(test))
        with warnings.catch_warnings(action="ignore"):
            theirs.append(classifier(random_state=seed).fit(*floats_of(train)).score(*floats_of(test)))
        if ours[0] >= theirs[0] + enough:
            break
    return np.mean(ours) > np.mean(theirs) - 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", LEARNABLE)
def test_the_defaults_learn_as_well_as_mlp_classifier(name, tmp_path):
    needs("sklearn")
    assert learns_as_well_as_mlp_classifier(name, tmp_path, enough=0)


def test_a_model_of_other_images_does_not_normalize_its_input(tmp_path):
    images, labels = shapes(30)
    model = byhand.Model([784, 16, 4], classes=("circle", "square", "triangle", "cross"))
    byhand.fit(model, Dataset(images, labels, classes=model.classes), epochs=20, augment="none")
    assert model.input == "image"
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    reading = byhand.read(tmp_path / "one.png", model)
    np.testing.assert_array_equal(reading.image, images[0])
    Image.fromarray(images[0]).resize((56, 56), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    assert byhand.read(tmp_path / "large.png", model).image.shape == (28, 28)
    with pytest.raises(DataError, match="reading a line needs a model of handwriting"):
        byhand.read_line(tmp_path / "one.png", model)


def test_handwriting_is_recognized_by_the_form_of_its_images():
    digits = byhand.load("mnist-5k").train
    assert digits.has_mnist_form
    assert not Dataset(255 - digits.images, digits.labels).has_mnist_form
    assert not Dataset(np.roll(digits.images, 4, axis=2), digits.labels).has_mnist_form
    assert not Dataset(*shapes(30), classes="abcd").has_mnist_form
    model = byhand.Model([784, 10])
    byhand.fit(model, digits[:200], epochs=1)
    assert model.preparation == Preparation()  # as in files of earlier versions
    assert model.input == "handwriting"


def test_presets_adapt_to_other_images():
    images, labels = patterns(3, 40)
    data = Dataset(images, labels, classes="abc")
    chosen = adapted(preset("digits"), data)
    assert (chosen.recipe.augment, chosen.preparation.deskew) == ("none", False)
    assert chosen.recipe.epochs == 600
    larger = Dataset(*patterns(3, 400), classes="abc")  # 10 steps an epoch: 60 epochs are 600 steps
    assert adapted(preset("digits"), larger).recipe.epochs == 60
    pixels = chosen.preparation(images, np.float64)
    assert abs(pixels.mean()) < 1e-6
    assert abs(pixels.std() - 1) < 1e-6
    digits = byhand.load("mnist-5k").train
    assert adapted(preset("digits"), digits) is preset("digits")
    sizes = {"in_size": 144, "classes": data.classes, "seed": 0, "data": data}
    model, recipe = with_overrides(preset("digits"), {"scale": "standard", "epochs": 3}, **sizes)
    assert (model.preparation.mean, recipe.epochs) == (chosen.preparation.mean, 3)
    assert chosen.preparation.mean != MNIST_MEAN
    assert with_overrides(preset("digits"), {"input": "image"}, **sizes)[0].preparation.shape == (12, 12)


def test_a_network_trained_on_floats_predicts_floats_and_rejects_images():
    X, y = standardized(shapes(100))
    model = byhand.Model([784, 32, 4], seed=0)
    byhand.fit(model, (X, y), epochs=40)
    assert model.input == "floats"
    assert np.mean(model.predict(X) == y) > 0.9
    assert model.predict(X[0]).shape == (1,)
    with pytest.raises(UsageError, match=r"the model was trained on floats: pass floats \(N, 784\), scaled as in"):
        model.predict(shapes(1)[0])
    with pytest.raises(UsageError, match="the model was trained on floats"):
        model.accuracy(Dataset(*shapes(3), classes="0123"))
    with pytest.raises(DataError, match=r"the model was trained on floats, not on images: use model.predict\(X\)"):
        byhand.read(shapes(1)[0][0], model)


def test_training_on_prepared_bytes_keeps_the_preparation():
    digits = byhand.load("mnist-5k").train[:300]
    for preparation in (Preparation(), Preparation.standard(deskew=True), Preparation(divisor=256)):
        model = byhand.Model([784, 10], preparation=preparation)
        byhand.fit(model, (preparation(digits.images), digits.labels), epochs=2)
        assert model.preparation == preparation


def test_exports_of_a_network_trained_on_floats_take_floats(tmp_path):
    X, y = standardized(shapes(60))
    model = byhand.Model([784, 16, 4], seed=0)
    byhand.fit(model, (X, y), epochs=20)
    expected = model.predict(X)
    with pytest.raises(UsageError, match="html needs a model of images"):
        export(model, tmp_path / "m.html")
    export(model, tmp_path / "m.npz")
    assert np.mean(from_npz(tmp_path / "m.npz", X) == expected) > 0.99
    runtime = needs("onnxruntime")
    export(model, tmp_path / "m.onnx")
    (probabilities,) = runtime.InferenceSession(tmp_path / "m.onnx").run(None, {"inputs": X})
    assert np.mean(probabilities.argmax(axis=1) == expected) > 0.99


def test_inputs_that_are_not_scaled_are_rejected():
    model = byhand.Model([784, 4])
    images, labels = shapes(10)
    X = images.reshape(len(images), -1).astype(np.float32)
    with pytest.raises(UsageError, match="X must be of the order of 1, got 0 to 255: divide bytes by 255, or standard"):
        byhand.fit(model, (X, labels))
    with pytest.raises(UsageError, match="standardize each column"):
        byhand.fit(byhand.Model([13, 3]), table())
    byhand.fit(model, (X / 255, labels), epochs=1)


@pytest.mark.parametrize(
    "pixels",
    [
        lambda images: images.astype(np.int64),
        lambda images: images.tolist(),
        lambda images: images / 255,
        lambda images: images.astype(np.float32) / 255,
        lambda images: images.reshape(len(images), -1) / 255,
    ],
)
def test_pixels_of_other_types_are_read_if_they_can_only_be_bytes(pixels):
    images = byhand.load("mnist-5k").test.images[:20]
    model = shipped_model()
    np.testing.assert_array_equal(model.logits(pixels(images)), model.logits(images))
    np.testing.assert_array_equal(model.predict(images[0]), model.predict(images[:1]))


def test_booleans_are_black_and_white():
    model = shipped_model()
    bits = byhand.load("mnist-5k").test.images[:5] > 127
    np.testing.assert_array_equal(model.logits(bits), model.logits(bits.astype(np.uint8) * 255))


def test_pixels_of_16_levels_are_scaled_as_in_training_or_rejected():
    model = shipped_model()
    images = byhand.load("mnist-5k").test.images[:5] // 16
    for pixels in (images.astype(np.int64), images.astype(float)):
        with pytest.raises(UsageError, match=r"got .*64 up to 15: for pixels from 0 to 16, use np.rint\(images"):
            model.predict(pixels)
        assert model.predict(np.rint(pixels * 255 / 16)).shape == (5,)
    X = np.linspace(0, 16, 640).reshape(10, 64)  # like scikit-learn's `load_digits`, with which ReLUs die
    with pytest.raises(UsageError, match="X must be of the order of 1, got 0 to 16: divide bytes by 255, or"):
        byhand.fit(byhand.Model([64, 10]), (X, np.arange(10)), epochs=1)


@pytest.mark.parametrize("pixels", [np.full((1, 28, 28), 0.3), np.full((1, 28, 28), 300.0), np.ones((1, 28, 28), int)])
def test_pixels_that_could_mean_several_things_are_rejected(pixels):
    with pytest.raises(UsageError, match="images must be bytes 0–255"):
        shipped_model().predict(pixels)


@pytest.mark.parametrize("place", [0, -1, 5])
@pytest.mark.parametrize("header", ["label", "Class", '"target"', "y"])
def test_csv_labels_are_in_the_column_that_the_header_names(tmp_path, place, header):
    images, labels = shapes(5, 6, 6)
    data = write_csv(tmp_path / "a.csv", images, FRUIT[labels].tolist(), header=header, place=place)
    loaded = byhand.data.formats.csv.read(data.source)
    assert loaded.classes == ("apple", "fig", "pear", "plum")
    assert [loaded.classes[k] for k in loaded.labels] == FRUIT[labels].tolist()
    np.testing.assert_array_equal(loaded.images, images)


@pytest.mark.parametrize("names", [("X", "y"), ("images", "labels"), ("data", "target"), ("x_train", "y_train")])
def test_an_npz_file_of_one_pair_has_a_test_set_held_out(tmp_path, names):
    images, labels = shapes(10, 6, 6)
    np.savez(tmp_path / "a.npz", **{names[0]: images, names[1]: FRUIT[labels]})
    digits = byhand.load(tmp_path / "a.npz")
    assert (len(digits.train), len(digits.test), digits.classes[0]) == (34, 6, "apple")


def test_csv_labels_that_could_be_in_two_columns_are_rejected(tmp_path):
    bits = (shapes(5, 6, 6)[0] > 127).astype(np.uint8)
    bits[:, -1, -1] = np.arange(len(bits)) % 2
    data = write_csv(tmp_path / "a.csv", bits, (np.arange(len(bits)) % 3).tolist(), header=None, place=0)
    with pytest.raises(DataError, match="the first and the last column could both hold the labels: name it `label`"):
        byhand.load(data.source)


def test_a_column_of_pixels_is_not_taken_for_labels(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    data = write_csv(tmp_path / "a.csv", images, [0] * 40, header=None, place=0)
    with pytest.raises(DataError, match=r"no column of labels found: the first column is constant .*; name it `label`"):
        byhand.load(data.source)


@pytest.mark.parametrize("labels", [[7] * 40, ["fig"] * 40])
def test_labels_of_a_single_class_are_rejected(labels):
    with pytest.raises(
        DataError, match=re.escape(f"there must be at least two classes, but all labels are '{labels[0]}'")
    ):
        byhand.load((shapes(10)[0], labels))


def test_labels_that_are_measurements_are_rejected():
    images = patterns(2, 150)[0]
    with pytest.raises(DataError, match="labels must be classes, got 300 values for 300 images"):
        byhand.load((images, np.arange(300)))


def test_a_missing_label_is_rejected():
    with pytest.raises(DataError, match="every label must have a value, 1 label have none"):
        byhand.load((shapes(1)[0], ["a", "b", "a", None]))


def test_numbers_as_text_are_sorted_as_numbers():
    images = patterns(12, 10)[0]
    names = [str(number) for number in np.arange(120) % 12]
    assert byhand.load((images, names)).classes == tuple(map(str, range(12)))


def test_training_and_test_set_have_the_classes_of_both():
    images, labels = shapes(30)
    digits = byhand.load(((images, labels), (images[:8], np.array([0, 3, 9, 9, 0, 3, 9, 9]))))
    assert digits.classes == ("0", "1", "2", "3", "9")
    assert digits.test.labels.tolist() == [0, 3, 4, 4, 0, 3, 4, 4]


def test_the_file_of_a_model_of_handwriting_has_no_new_keys(tmp_path):
    byhand.Model([784, 10]).save(tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert set(json.loads(header["__metadata__"]["preparation"])) == {"divisor", "mean", "deviation", "deskew"}


def zip_of(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="png")
    return file.getvalue()


def test_only_images_of_a_zip_are_unpacked_and_none_outside(tmp_path):
    images, labels = shapes(5)
    members = {
        f"data/{'ab'[k % 2]}/{i}.png": png(image) for i, (image, k) in enumerate(zip(images, labels, strict=True))
    }
    hostile = {"../a/evil.png": png(images[0]), "/a/evil.png": png(images[0]), "data/a/run.py": b"import os"}
    path = zip_of(tmp_path / "p.zip", members | hostile | {"__MACOSX/a/1.png": b"x"})
    digits = byhand.load(path)
    assert (digits.classes, len(digits.train) + len(digits.test)) == (("a", "b"), 20)
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"PK\x03\x04 damaged", "the zip must be undamaged"), (None, "must have a subfolder of images for each class")],
)
def test_a_zip_without_images_is_one_error(tmp_path, content, message):
    path = zip_of(tmp_path / "p.zip", {"readme.txt": b"nothing"})
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        byhand.load(path)


def test_a_lenient_reader_takes_photos_of_any_form(tmp_path):
    """Large, transparent, turned, with 16 bits: they are shrunk, and what is damaged is left out."""
    dark = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    dark.paste((0, 0, 0, 255), (0, 0, 150, 200))
    turned = Image.new("L", (2000, 3000), 255)
    turned.getexif()[0x0112] = 6
    pictures = {"a/0.png": dark, "a/1.jpg": turned, "b/0.png": Image.new("I;16", (90, 60), 65535)}
    for name, picture in pictures.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture.save(tmp_path / name, exif=picture.getexif())
    (tmp_path / "b" / "1.png").write_bytes(b"\x89PNG")
    lenient = Lenient(side=30, most=4)
    train, test = read_folder(tmp_path, lenient=lenient)
    assert (train.images.shape, train.labels.tolist(), test) == ((3, 20, 30), [0, 0, 1], None)
    assert train.images[0, :, :14].max() == 0
    assert train.images[0, :, 16:].min() == 255
    (reason,) = lenient.left_out
    assert reason.startswith("b/1.png: must be an image (PNG, ")
    with pytest.raises(DataError, match="must have at most 3 pictures, got 4"):
        read_folder(tmp_path, lenient=Lenient(side=30, most=3))


# ---- color


@pytest.fixture(scope="module")
def color_model():
    images, labels = colored(8, 8)
    model = byhand.Model([192, 16, 2], classes=("red", "green"), maps=((4, 3, 1),), shape=(8, 8, 3))
    byhand.fit(model, Dataset(images, labels, classes=model.classes), epochs=12, augment="none", verbose=False)
    return model


def test_a_convolution_learns_colors_and_reads_color_files(color_model, tmp_path):
    images, labels = colored(8, 8)
    assert color_model.network.layers[0].channels == 3
    assert (color_model.image_shape, color_model.is_color, color_model.input) == ((8, 8, 3), True, "image")
    np.testing.assert_array_equal(color_model.predict(images), labels)
    np.testing.assert_array_equal(color_model.predict(images[0]), labels[:1])
    np.testing.assert_array_equal(color_model.predict(images / 255), labels)
    color_model.save(tmp_path / "m.safetensors")
    Image.fromarray(images[0]).resize((16, 16), Image.Resampling.NEAREST).save(tmp_path / "one.png")
    reading = byhand.read(tmp_path / "one.png", byhand.Model.load(tmp_path / "m.safetensors"))
    assert (reading.digit, reading.image.shape) == (color_model.classes[labels[0]], (8, 8, 3))
    assert len(reading.drawing().splitlines()) == 4
    assert byhand.read(images[0, :, :, 0], color_model).image.shape == (8, 8, 3)
    with pytest.raises(UsageError, match="data must have the model's classes red, green, got r, g"):
        color_model.evaluate(Dataset(images, labels, classes=("r", "g")))
    evaluation = color_model.evaluate(Dataset(images, labels, classes=("0", "1")))
    assert "<html" in html_report(evaluation, color_model)
    assert byhand.explain_step(color_model, images[0], 0).steps
    assert ShiftAveraged(color_model).predict(images).shape == labels.shape


def test_images_of_other_shapes_are_rejected_by_a_color_model(color_model):
    images, _ = colored(8, 8)
    for wrong in (images.transpose(0, 3, 1, 2), images.reshape(len(images), 8, 24), images[..., :1]):
        with pytest.raises(UsageError, match=r"images must be \(N, 8, 8, 3\) with 192 pixels each, got"):
            color_model.predict(wrong)
    with pytest.raises(UsageError, match="html needs a model of gray images"):
        export(color_model, "m.html")


def test_colors_are_augmented_alike():
    images, _ = colored(12, 12, 2)
    options = {"seed": 0, "epoch": 0, "spec": Augmentation(rotate=20, elastic=1)}
    distorted = augment(np.repeat(images[..., :1], 3, axis=3), np.arange(len(images)), **options)
    np.testing.assert_array_equal(distorted[..., 0], distorted[..., 2])
    np.testing.assert_array_equal(distorted[..., 0], augment(images[..., 0], np.arange(len(images)), **options))


def test_gray_and_misplaced_channels_are_rejected_as_colors():
    images, labels = shapes(10, 8, 8)
    with pytest.raises(UsageError, match="color needs pictures with three channels, got gray images"):
        byhand.load((images, labels), color=True)
    channels_first = np.repeat(images[:, None], 3, axis=1)
    with pytest.raises(DataError, match=r"the channels must be last, .* use X.transpose\(0, 2, 3, 1\)"):
        byhand.load((channels_first, labels))
    with pytest.raises(UsageError, match="deskew needs gray images, got images in color"):
        Preparation(deskew=True, shape=(8, 8, 3))
    gray = byhand.load((np.repeat(images[..., None], 3, axis=3), labels))
    assert gray.train.shape == (8, 8)
    assert gray.train.note.startswith("colors read as gray")


def test_the_command_line_trains_resumes_and_predicts_in_color(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = in_folder(tmp_path, *colored(8, 8, 12), ("red", "green"))
    run = CliRunner().invoke
    options = ["--color", "--hidden", "8", "--epochs", "2", "-q", "--run", "r"]
    assert "192-8-2" in run(cli, ["train", str(own.source), *options], catch_exceptions=False).stdout
    assert "3 iterations" in run(cli, ["train", "--resume", "r", "--epochs", "3", "-q"], catch_exceptions=False).stdout
    assert run(cli, ["eval", "r", "-q"], catch_exceptions=False).stdout.startswith("accuracy")
    assert run(cli, ["predict", "--run", "r", str(own.pictures[0][0])], catch_exceptions=False).exit_code == 0
    gray = run(
        cli, ["train", str(own.source), "--hidden", "8", "--epochs", "1", "--run", "gray"], catch_exceptions=False
    )
    assert "64-8-2" in gray.stdout
    assert gray.stderr.count("colors read as gray (--color, or color=True in Python, keeps them)") == 1
    refused = run(cli, ["play", "r", "--no-browser"])
    assert refused.exception.args == ("r: the playground needs a model of gray images, got one of color pictures",)
