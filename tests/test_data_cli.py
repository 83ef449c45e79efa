"""`byhand data`: output and exit code of each command."""

import gzip
import json
import os
import struct

import numpy as np
import pytest

import byhand
from byhand.data import TrainTest, catalog
from byhand.data.formats import idx
from byhand.errors import DataMissingError
from helpers.data_files import arrays, csv_text, write_csv, write_idx, write_npz, write_pictures

X, y, X_TEST, Y_TEST = arrays()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BYHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    monkeypatch.setattr(catalog, "_download", lambda *_: pytest.fail("the network was touched"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    return path


@pytest.fixture
def run(type_in):
    """Run `byhand data …`: (exit code, lines on stdout, lines on stderr)."""

    def run_it(*arguments):
        code, out, err = type_in("data", *arguments)
        return code, out.splitlines(), err.splitlines()

    return run_it


@pytest.mark.parametrize("write", [write_idx, write_csv, write_npz, write_pictures])
def test_verify_describes_a_valid_data_set_in_one_line(run, folder, cache, write):
    path = write(folder)
    before = sorted(folder.rglob("*"))
    code, out, err = run("verify", path)
    assert (code, err) == (0, [])
    assert len(out) == 1
    assert out[0].startswith(f"{path}: m")
    assert out[0].endswith("images of 5×5, 10 classes; valid; its checksums match no known data set")
    assert sorted(folder.rglob("*")) == before
    assert not cache.exists()


def test_verify_recognizes_the_bundled_sample(run):
    assert run("verify", "mnist-5k") == (
        0,
        ["mnist-5k: mnist-5k, 4,000 + 1,000 images of 28×28, 10 classes; all checksums match"],
        [],
    )


def damaged_idx(folder):
    write_idx(folder)
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 28, 28)
    (folder / "train-images-idx3-ubyte").write_bytes(header + bytes(84))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx.dump(np.r_[y[:-1], 12]))
    (folder / "t10k-images-idx3-ubyte").write_bytes(gzip.compress(idx.dump(X_TEST))[:-9])
    (folder / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x09\x01" + bytes(20))
    return folder, [
        "t10k-images-idx3-ubyte: truncated gzip data",
        "t10k-labels-idx1-ubyte: labels must begin with 00 00 08 01, got 00 00 09 01",
        "train-images-idx3-ubyte: the header claims 2,147,483,648 × 28 × 28 bytes, the file has 84",
        "train-labels-idx1-ubyte: labels must be 0 to 9, got 12 at index 20",
    ]


def damaged_csv(folder):
    path = write_csv(folder)
    ragged = csv_text(X, y).splitlines()
    ragged[4] += b",0"
    path.write_bytes(b"\n".join(ragged))
    (folder / "mnist_test.csv").write_bytes(csv_text(X_TEST, Y_TEST).replace(b"\n1,", b"\none,", 1))
    return path, [
        "mnist_test.csv, line 2, column 1: a label must be a number, as the others are, got 'one'",
        "mnist_train.csv, line 5: must have 26 columns, got 27",
    ]


def cut_npz(folder):
    path = write_npz(folder)
    path.write_bytes(path.read_bytes()[:-40])
    return path, ["mnist.npz: damaged zip file: File is not a zip file"]


def damaged_pictures(folder):
    write_pictures(folder)
    for name in ("2/2.png", "7/7.png"):
        (folder / name).write_bytes(b"not a picture")
    words = "must be an image (PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM), got another format"
    return folder, [f"2/2.png: {words}", f"7/7.png: {words}"]


@pytest.mark.parametrize("make", [damaged_idx, damaged_csv, cut_npz, damaged_pictures])
def test_verify_gives_a_line_per_problem_and_exits_with_3(run, folder, cache, monkeypatch, make):
    monkeypatch.chdir(folder)
    path, problems = make(folder)
    before = sorted(folder.rglob("*"))
    code, out, err = run("verify", path)
    assert (code, err) == (3, [])
    assert sorted(out) == [f"{folder}/{line}" for line in problems]
    code, out, _ = run("verify", path, "--json")
    report = json.loads("\n".join(out))
    assert code == 3
    assert not report["ok"]
    assert sorted(report["problems"]) == [f"{folder}/{line}" for line in problems]
    assert sorted(folder.rglob("*")) == before
    assert not cache.exists()


def test_verify_rejects_a_missing_data_set(run, folder):
    for place in ("nowhere", "mnist", folder / "x"):
        code, out, err = run("verify", place)
        assert (code, out) == (3, [])
        assert err == [f"byhand: no data set or file named '{place}' on this machine"]
    code, out, err = run("verify", folder)
    assert code == 3
    assert out[0].startswith(f"{folder}: must contain a data set")


def test_verify_checks_byhand_data_by_its_name(run, folder, monkeypatch):
    write_idx(folder)
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    assert run("verify", "mnist") == (3, [f"{folder}: must have the checksums of mnist"], [])


def test_an_imported_data_set_is_listed_and_can_be_verified(run, folder, cache):
    path = write_csv(folder)
    code, out, err = run("import", path, "mine")
    line = f"mine, 21 + 10 images of 5×5, 10 classes: imported from {path}"
    assert (code, out) == (0, [line])
    assert err == ["imported as 'mine'"]
    assert run("import", path, "mine", "--quiet") == (0, [line], [])
    code, out, _ = run("list")
    assert code == 0
    assert [row.split()[0] for row in out] == [*catalog.CATALOG, "mine"]
    assert out[0] == "mnist          handwritten digits, 60,000 + 10,000: not downloaded; run `byhand data get mnist`"
    assert out[-1] == f"mine           imported: imported from {path}"
    code, out, _ = run("list", "--json")
    assert json.loads("\n".join(out))[-1] == {"name": "mine", "about": "imported", "where": f"imported from {path}"}
    assert run("verify", "mine")[0] == 0

    part = cache / "sets" / "mine" / "test-images.npy"
    stat, content = part.stat(), bytearray(part.read_bytes())
    content[-1] ^= 1
    part.write_bytes(bytes(content))
    os.utime(part, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # with unchanged size and time
    assert run("verify", "mine") == (
        3,
        [f"{part.parent}: the cached data set is damaged: the test set has a wrong checksum"],
        [],
    )


def test_import_replaces_another_data_set_only_with_force(run, folder, tmp_path):
    mine, other = write_csv(folder), tmp_path / "other.csv"
    other.write_bytes(csv_text(255 - X, y))
    assert run("import", mine, "my-set")[0] == 0
    assert run("import", mine, "my-set")[0] == 0  # an equal data set may be imported again
    code, out, err = run("import", other, "my-set")
    error = f"my-set exists already as a different data set (imported from {mine}); choose another name or use --force"
    assert (code, out, err) == (2, [], [f"byhand: {error}"])
    np.testing.assert_array_equal(byhand.load("my-set").train.images, X)
    assert run("import", other, "my-set", "--force")[0] == 0
    assert byhand.load("my-set").source == f"imported from {other} (no test set: 3 of 21 images held out)"


def test_import_replaces_a_damaged_data_set_without_force(run, folder, cache):
    path = write_csv(folder)
    run("import", path, "mine")
    (cache / "sets" / "mine" / "test-images.npy").unlink()
    assert run("import", path, "mine")[0] == 0
    assert len(byhand.load("mine").test) == 10


def test_a_wrong_byhand_data_is_reported_once_in_the_list(run, monkeypatch):
    assert ["same problem" in line for line in run("list")[1]] == [False] * 4
    monkeypatch.setenv("BYHAND_DATA", "/nope")
    _, out, _ = run("list")
    assert out[0].endswith(": BYHAND_DATA must be an existing folder or file, got /nope")
    assert "\n".join(out).count("/nope") == 1
    assert [line.rpartition(": ")[2] for line in out[1:]] == ["same problem", "same problem", "bundled"]


def test_the_default_name_of_an_import_is_that_of_its_file(run, folder):
    (folder / "My Digits (1).csv").write_bytes(csv_text(X, y))
    code, out, _ = run("import", folder / "My Digits (1).csv")
    assert code == 0
    assert out[0].startswith("my-digits-1, 18 + 3 images")


def test_get_prints_the_data_set_or_an_error(run, monkeypatch):
    code, out, _ = run("get", "mnist-5k", "--json")
    assert code == 0
    assert json.loads("\n".join(out))["train"] == 4000
    code, out, err = run("get", "kmnist", "--offline")
    assert (code, out) == (3, [])
    assert err[0].startswith("byhand: kmnist: must be in BYHAND_DATA or the cache when offline, it is in neither")
    assert run("get", "imagenet") == (
        2,
        [],
        ["byhand: NAME must be one of mnist, fashion-mnist, kmnist, mnist-5k, got 'imagenet'"],
    )


def test_get_shows_one_line_per_file_without_a_terminal(run, folder, cache, monkeypatch):
    write_idx(folder, pack=True)
    digits = TrainTest(*idx.read_folder(folder), "example")

    def fetch(entry, *, say, progress):
        say("downloading kmnist from example")
        for done in (5, 10):
            progress("file.gz", done, 10)
        return digits

    monkeypatch.setattr(catalog, "fetch", fetch)
    code, out, err = run("get", "kmnist")
    assert code == 0
    assert err == ["downloading kmnist from example", "file.gz: 10 bytes"]
    assert out[0].endswith(f"fetched into {cache / 'sets' / 'kmnist'}")
    assert run("get", "kmnist", "-q")[2] == []

    message = "kmnist: file.gz can't be downloaded; example: connection failed"

    def fail(*_, **__):
        raise DataMissingError(message)

    monkeypatch.setattr(catalog, "fetch", fail)
    assert run("get", "kmnist")[0] == 0  # from the cache
    assert run("get", "fashion-mnist") == (3, [], [f"byhand: {message}"])


def test_list_works_with_a_damaged_byhand_data(run, folder, monkeypatch):
    write_idx(folder)
    (folder / "train-images-idx3-ubyte").write_bytes(b"")
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    code, out, _ = run("list")
    assert code == 0
    assert "images must begin with 00 00 08 03, got nothing" in out[0]
    assert out[3].endswith(": bundled")
