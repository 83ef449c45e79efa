"""Model files: exact round trips, version 1 is always read, and untrusted content is validated."""

import json
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from byhand.errors import ModelFileError, UsageError
from byhand.model import Model
from byhand.model import file as modelfile
from byhand.model.preparation import Preparation
from byhand.nn.network import layers_from_config
from byhand.nn.optimizers import Adam
from byhand.training import Recipe, Trainer, fit
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run
from helpers import model_file_mutations, processes, small_run
from helpers.model_file_mutations import packed, sealed, unpacked

GOLDEN = Path(__file__).parent / "golden" / "model-version-1.safetensors"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    small_run.model().save(path)
    return path


def refused(path, message):
    with pytest.raises(ModelFileError, match=message) as caught:
        Model.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert caught.value.exit_code == 5


def with_header(path, change, *, seal=True):
    """Write the file again with a changed header."""
    header, body = unpacked(path.read_bytes())
    header = change(header) or header
    path.write_bytes(sealed(header, body) if seal else packed(header, body))


def with_text(path, name, value, *, raw=False):
    with_header(path, lambda header: header["__metadata__"].update({name: value if raw else json.dumps(value)}))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_is_restored_exactly(tmp_path, dtype):
    model = small_run.model(dtype=dtype)
    model.metadata["note"] = "größer"
    model.save(tmp_path / "m")
    loaded = Model.load(tmp_path / "m")
    assert loaded.network.config() == model.network.config()
    assert loaded.network.dtype == np.dtype(dtype)
    assert loaded.network.parameters.tobytes() == model.network.parameters.tobytes()
    assert loaded.network.statistics.tobytes() == model.network.statistics.tobytes()
    assert (loaded.classes, loaded.metadata, loaded.preparation) == (model.classes, model.metadata, model.preparation)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_a_file_of_version_1_is_read():
    """The file was written by the first version; it is never made again."""
    model = Model.load(GOLDEN)
    wanted = json.loads(GOLDEN.with_suffix(".json").read_text("utf-8"))
    images = (np.arange(256) * (np.arange(256) % 29 + 7) % 251).astype(np.uint8).reshape(4, 8, 8)
    np.testing.assert_allclose(model.logits(images), wanted["logits"], atol=2e-5)
    assert model.classes == ("null", "eins", "größer")
    assert model.preparation == Preparation(divisor=256, mean=0.25, deviation=0.5, deskew=True)
    assert model.metadata["note"] == "format version 1"
    assert [layer.kind for layer in model.network.layers].count("dense") == 7


def test_any_safetensors_reader_can_read_a_model(path):
    from safetensors.numpy import load_file

    tensors = load_file(path)
    assert tensors["0.W"].shape == (64, 12)
    assert set(tensors) == {"0.W", "0.b", "1.gamma", "1.beta", "1.mean", "1.variance", "4.W", "4.b"}


@pytest.mark.parametrize("place", [0, 3, 9, 60, 400, -1, -700])
def test_a_flipped_bit_is_detected(path, place):
    content = bytearray(path.read_bytes())
    content[place] ^= 2
    path.write_bytes(content)
    refused(path, "damaged|not a safetensors file|not a byhand model|lacks")


def test_a_truncated_file_is_rejected(path):
    content = path.read_bytes()
    for length in [*range(12), *range(12, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        refused(path, "not a safetensors file")


def test_a_file_with_trailing_bytes_is_rejected(path):
    path.write_bytes(path.read_bytes() + b"\0")
    refused(path, "not a safetensors file, or a damaged one")


def test_damage_to_an_array_is_detected_by_the_checksum(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    refused(path, "damaged: the content does not match the checksum")


def test_other_files_are_rejected_with_the_reason(tmp_path):
    from safetensors.numpy import save

    path = tmp_path / "x"
    for content, message in [
        (b"", "not a safetensors file: its header must fit its 0 bytes"),
        (b"PK\x03\x04 a zip", "its header must fit its 10 bytes"),
        (save({"a": np.zeros(3, np.float32)}), "a safetensors file, but not a byhand model"),
    ]:
        path.write_bytes(content)
        refused(path, message)
    with pytest.raises(ModelFileError, match="no such model file"):
        Model.load(tmp_path)


def test_a_checkpoint_is_not_read_as_a_model(tmp_path):
    refused(model_file_mutations.write_checkpoint(tmp_path), "a safetensors file, but not a byhand model")


def test_a_later_version_is_rejected(path):
    with_text(path, "version", 2)
    refused(path, "format version must be at most 1 for this byhand, got 2")


def convolution(**changes):
    return {"kind": "convolution", "height": 8, "width": 8, "channels": 1, "maps": 4, "size": 5} | changes


@pytest.mark.parametrize("name", ["architecture", "preparation", "classes", "card"])
def test_missing_metadata_are_named(path, name):
    with_header(path, lambda header: header["__metadata__"].pop(name) and None)
    refused(path, f"{name} must be a")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("architecture", {}, "architecture must be a list, got '{}'"),
        ("architecture", [{"kind": "attention"}], "a layer's kind must be one of .*, got 'attention'"),
        ("architecture", [], "at least one Dense|must match the architecture"),
        ("architecture", [{"kind": "dense", "inputs": 10**9, "units": 10**9}], "must match the architecture"),
        ("architecture", [{"kind": "convolution", "height": 8, "width": 8}], "channels of convolution must be given"),
        ("architecture", [convolution(maps=10**12)], "must match the architecture"),
        ("architecture", [convolution(height=10**9, width=10**9)], "must have at most 4,194,304 inputs"),
        ("architecture", [convolution(size=1, stride=8), convolution(channels=10**6)], "at most 4,194,304 inputs"),
        ("architecture", [convolution(size=9)], "the window must fit the image of 8 × 8, got a size of 9"),
        ("architecture", [convolution(stride=0.5)], "stride must be a positive integer, got 0.5"),
        ("architecture", [{"kind": "dropout", "rate": "0.5"}], "not supported between|dropout"),
        ("architecture", "x", "architecture must be a list"),
        ("classes", ["a", "b", "c"], "classes must name the network's 4 outputs, got 3"),
        ("classes", ["a", "b", "c", "\x1b[2J\x1b[H"], r"classes must be names of at most 200 characters, got '\\x1b"),
        ("classes", ["a", "b", "c", "two\nlines"], r"classes must be names of at most 200 characters, got 'two\\n"),
        ("classes", ["a", "b", "c", "x" * 201], "classes must be names of at most 200 characters"),
        ("classes", ["a", "b", "c", 4], "classes must be names of at most 200 characters, got 4"),
        ("preparation", {"divisor": 0}, "divisor must be a number from 1 to 65536, got 0"),
        ("preparation", {"divisor": 10**400}, "divisor must be a number from 1 to 65536, got 1000"),
        ("preparation", {"deviation": 1e-300}, "deviation must be a number from 1e-06 to 1e.06"),
        ("preparation", {"mean": float("nan")}, "mean must be a number from -1e.06 to 1e.06, got nan"),
        ("preparation", {"deskew": "yes"}, "deskew must be True or False, got 'yes'"),
        ("preparation", {"code": "import os"}, "preparation.code is not a key: the keys are divisor, mean"),
        ("version", "1", "version must be a int, got"),
    ],
)
def test_invalid_metadata_are_rejected(path, name, value, message):
    with_text(path, name, value)
    refused(path, message)


def test_metadata_that_are_not_json_are_rejected(path):
    with_text(path, "card", "{'a': 1}", raw=True)
    refused(path, "card must be JSON, got \"{'a': 1}\"")


@pytest.mark.parametrize("name", ["architecture", "preparation", "classes", "card"])
def test_the_depth_of_json_is_limited(path, name):
    with_text(path, name, "[" * 100_000 + "]" * 100_000, raw=True)
    refused(path, "JSON must be nested at most 20 deep")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_rejected(path, number):
    header, body = unpacked(path.read_bytes())
    path.write_bytes(sealed(header, np.float32(number).tobytes() + body[4:]))
    refused(path, "parameters must be finite")


def test_names_of_tensors_are_not_paths(path, tmp_path):
    """A tensor's name is never used as a path."""
    before = sorted(tmp_path.parent.rglob("*"))
    with_header(path, lambda header: header.update({"../../0.W": header.pop("0.W")}))
    refused(path, "tensors must match the architecture")
    assert sorted(tmp_path.parent.rglob("*")) == before


def test_settings_of_the_initialization_do_not_change_loaded_weights(path):
    """Settings of the initialization are in the file and are not used when weights are loaded."""
    with_header(path, lambda header: set_scale(header, 1e300))
    assert np.isfinite(Model.load(path).network.parameters).all()


def set_scale(header, scale):
    layers = json.loads(header["__metadata__"]["architecture"])
    layers[0]["scale"] = scale
    header["__metadata__"]["architecture"] = json.dumps(layers)


def test_a_header_of_impossible_length_is_rejected(path):
    content = path.read_bytes()
    for length in (len(content), 2**40, 2**63, 2**64 - 1):
        path.write_bytes(struct.pack("<Q", length) + content[8:])
        refused(path, f"its header must fit its {len(content):,} bytes, got {length:,}")
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 30))
        file.truncate(1 << 31)
    refused(path, "its header must fit its 2,147,483,648 bytes, got 1,073,741,824")


def test_huge_sizes_in_the_header_take_no_memory(path):
    original = path.read_bytes()
    huge = [{"kind": "dense", "inputs": 64, "units": 10**7}, {"kind": "dense", "inputs": 10**7, "units": 4}]
    tracemalloc.start()
    try:
        with_text(path, "architecture", huge)
        refused(path, "tensors must match the architecture")
        for shape in ([2**62, 2**62], [2**40], [64, 12, 2**30]):
            path.write_bytes(original)
            with_header(path, lambda header, shape=shape: header["0.W"].update(shape=shape), seal=False)
            refused(path, "not a safetensors file, or a damaged one")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_file_larger_than_the_limit_is_not_read(path):
    """A sparse file can claim a terabyte without using disk blocks."""
    header = {"__metadata__": {"format": '"byhand model"'}}
    header["0.W"] = {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}
    with path.open("wb") as file:
        file.write(packed(header, b""))
        file.truncate(file.tell() + 2**40)
    refused(path, "must have at most 8,589,934,592 bytes, got 1,099,511,")


def test_a_huge_architecture_takes_no_memory():
    config = [{"kind": "dense", "inputs": 10**6, "units": 10**6}]
    with pytest.raises(UsageError, match="a network must fit the memory of"):
        Model(layers_from_config(config))


WATCHED = """
import sys
from byhand.model import Model
Model.load(sys.argv[1])                  # imports are done before the hook
kinds = ("exec", "compile", "import", "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen")
sys.addaudithook(lambda event, arguments: print(event, arguments) if event in kinds else None)
Model.load(sys.argv[1])
print("read")
eval("1")
"""


def test_reading_runs_no_code(path):
    """An audit hook reports anything that is unpickled, compiled, imported or run."""
    output = processes.python("-c", WATCHED, path, check=True).stdout.splitlines()
    assert output[0] == "read"
    assert [line.split()[0] for line in output[1:]] == ["compile", "exec"]  # the hook works


@pytest.mark.parametrize("numbers", [range(60), pytest.param(range(60, 600), marks=pytest.mark.slow)], ids=repr)
@pytest.mark.parametrize("name", ["model", "checkpoint"])
@pytest.mark.timing
def test_mutated_files_are_read_or_rejected(name, numbers, tmp_path):
    found = model_file_mutations.outcomes(name, tmp_path, numbers)
    assert found["read"] > len(numbers) / 30
    assert found["refused"] > len(numbers) / 2


def test_the_checksum_covers_every_text_and_every_array(path):
    assert modelfile.read(path).tensors["0.W"].shape == (64, 12)
    header, body = unpacked(path.read_bytes())
    for name in header["__metadata__"]:
        if name not in ("checksum", "format", "version"):
            changed = json.loads(json.dumps(header))
            changed["__metadata__"][name] += " "
            path.write_bytes(packed(changed, body))
            refused(path, "damaged: the content does not match the checksum")


def tiny(**settings):
    return Model([6, 5, 3], seed=0, **settings)


def test_a_model_that_could_not_be_read_is_not_written(tmp_path):
    path = tmp_path / "m.safetensors"
    tiny().save(path)
    before = path.read_bytes()
    broken = tiny()
    broken.network.parameters[3] = np.nan
    deep = tiny(metadata={"a": {}})
    inner = deep.metadata["a"]
    for _ in range(30):
        inner["a"] = {}
        inner = inner["a"]
    for bad in (broken, deep, tiny(metadata={"a": "x" * 5_000_000})):
        with pytest.raises(ModelFileError):
            bad.save(path)
        assert path.read_bytes() == before


def test_metadata_that_are_not_plain_values_are_rejected(tmp_path):
    for card, got in (
        ({"x": object()}, "got an object"),
        ({"x": np.zeros(3)}, "got an array float64"),
        ({(1, 2): 3}, "keys must"),
    ):
        with pytest.raises(UsageError, match=f"^card must be plain values: {got}"):
            tiny(metadata=card).save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_numpy_can_be_saved(tmp_path):
    made = tiny(output_scale=np.float32(0.5), metadata={"share": np.float32(0.25), "count": np.int64(7)})
    data = (np.random.default_rng(0).random((60, 6)).astype(np.float32), np.arange(60) % 3)
    recipe = Recipe(
        epochs=np.int64(1),
        batch_size=np.int32(20),
        learning_rate=np.float32(0.5),
        validation=np.float64(0.5),
        optimizer=Adam(beta1=np.float32(0.5)),
    )
    fit(made, data, recipe=recipe)
    made.save(tmp_path / "m.safetensors")
    assert Model.load(tmp_path / "m.safetensors").metadata == {"share": 0.25, "count": 7}
    assert json.loads(json.dumps(recipe.config()))["epochs"] == 1
    with Trainer(made, data, recipe, seed=0) as session, Checkpoints(Run(tmp_path / "r")) as checkpoints:
        checkpoints.save(session, force=True)
