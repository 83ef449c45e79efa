"""File formats: valid files, and the error for each broken rule."""

import gzip
import io
import os
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from PIL import Image

from byhand.data import formats, load
from byhand.data.dataset import COLORS_DROPPED, ON_FLOATS
from byhand.data.formats import arrays as array_files
from byhand.data.formats import csv, idx, image_sets
from byhand.errors import DataError, DataMissingError, MissingExtraError
from helpers.data_files import arrays, csv_text, old_pickle, write_csv, write_idx, write_npz, write_pictures
from helpers.needs import needs

X, y, X_TEST, Y_TEST = arrays()


def error(path, **keywords):
    """Return the message of the error that loading raises."""
    with pytest.raises(DataError) as caught:
        load(path, offline=True, **keywords)
    return str(caught.value)


def test_a_truncated_or_damaged_gzip_is_rejected(tmp_path):
    write_idx(tmp_path, pack=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 4, 12):
        path.write_bytes(whole[:cut])
        assert error(tmp_path) == f"{path}: truncated gzip data"
    path.write_bytes(whole[:-6] + b"\0\0" + whole[-4:])
    assert error(tmp_path).startswith(f"{path}: damaged gzip data: CRC check failed")


def test_a_decompression_bomb_is_stopped_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "CEILING", 1 << 20)
    blank = gzip.compress(bytes(5 << 20))
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(blank)
    assert error(path) == f"{path}: must have at most 1,048,576 bytes uncompressed, got more"
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(gzip.compress(csv_text(X, y) * 1000))
    assert error(path) == f"{path}: must have at most 1,048,576 bytes uncompressed, got more"
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, x_train=np.zeros((50_000, 5, 5), np.uint8), y_train=y, x_test=X_TEST, y_test=Y_TEST)
    assert error(path).startswith(f"{path}: must have at most 1,048,576 bytes uncompressed, claims 1,25")


def test_idx_files_are_read_as_dump_writes_them(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(idx.dump(X))
    assert path.read_bytes()[:16] == struct.pack(">BBBBIII", 0, 0, 8, 3, 21, 5, 5)
    assert (idx.read(path, 3) == X).all()
    path.write_bytes(gzip.compress(idx.dump(y)))
    assert (idx.read(path, 1) == y).all()


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("test", ["t10k", "test", "T10K"])
def test_idx_files_are_found_under_all_usual_names(tmp_path, separator, pack, test):
    write_idx(tmp_path, pack)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace("-idx", f"{separator}idx").replace("t10k", test))
    digits = load(tmp_path)
    assert (digits.train.images == X).all()
    assert (digits.test.labels == Y_TEST).all()
    assert digits.name == tmp_path.name
    one = next(tmp_path.glob("train*images*"))
    assert load(one).test.checksum == digits.test.checksum  # one of the files is enough to find the others


def test_a_gzipped_file_is_preferred_to_the_unpacked_one(tmp_path):
    write_idx(tmp_path, pack=True)
    (tmp_path / "train-images.idx3-ubyte").write_bytes(idx.dump(X[:3]))
    assert len(load(tmp_path).train) == len(X)


def test_the_folder_of_torchvision_is_read(tmp_path):
    inner = tmp_path / "MNIST" / "raw"
    inner.mkdir(parents=True)
    write_idx(inner)
    assert len(load(tmp_path).train) == len(X)


def test_a_header_of_two_billion_images_allocates_nothing(tmp_path):
    write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 28, 28)
    for content in (header + bytes(84), gzip.compress(header + bytes(84))):
        path.write_bytes(content)
        tracemalloc.start()
        words = error(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20  # blocks of 1 MiB, of which gzip holds two since Python 3.12
        assert words == f"{path}: the header claims 2,147,483,648 × 28 × 28 bytes, the file has 84"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train-images", b"", "images must begin with 00 00 08 03, got nothing"),
        ("train-images", b"\0\0\x08", "images must begin with 00 00 08 03, got 00 00 08"),
        ("train-images", idx.dump(y), "images must begin with 00 00 08 03, got 00 00 08 01"),
        ("train-labels", idx.dump(X), "labels must begin with 00 00 08 01, got 00 00 08 03"),
        ("train-images", b"<html>403</html>", "images must begin with 00 00 08 03, got 3c 68 74 6d"),
        ("train-images", idx.dump(X)[:10], "the header must have 16 bytes, got 10"),
        ("train-images", idx.dump(X)[:-1], "the header claims 21 × 5 × 5 bytes, the file has 524"),
        ("train-images", gzip.compress(idx.dump(X)[:-1]), "the header claims 21 × 5 × 5 bytes, the file has 524"),
        ("train-images", idx.dump(X) + b"\0", "the header claims 21 × 5 × 5 bytes, the file has 526"),
        ("train-labels", idx.dump(y[:-1]), "must have a label for each of 21 images, got 20"),
        ("train-labels", idx.dump(np.r_[y[:-1], 10]), r"labels must be 0 to 9, got 10 at index 20"),
    ],
)
def test_an_invalid_idx_file_is_rejected(tmp_path, name, content, words):
    write_idx(tmp_path)
    path = next(tmp_path.glob(f"{name}*"))
    path.write_bytes(content)
    assert re.fullmatch(f"{re.escape(str(path))}: {words}", error(tmp_path))


def test_images_without_labels_are_rejected(tmp_path):
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert error(tmp_path) == f"{tmp_path}: must contain images and labels, the test labels are missing"
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert len(load(tmp_path).test) == 3  # one in seven of the 21 is held out
    (tmp_path / "train-images-idx3-ubyte").unlink()
    assert error(tmp_path) == f"{tmp_path}: must contain images and labels, the train images are missing"


COLUMNS = "must have one column for the label and those of a square image"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text + b"\n\n  \n",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b",", b", "),
        lambda text: re.sub(rb"(\d+)", rb'"\1"', text),
        lambda text: re.sub(rb"(\d+)", rb"\1.0", text),
        lambda text: re.sub(rb"\b(\d)\b", rb"00\1", text),
        lambda text: text.replace(b"7,", b"7 ,", 1),
        gzip.compress,
    ],
)
@pytest.mark.parametrize("header", [False, True])
def test_csv_is_read_with_any_line_ending_quoting_and_padding(tmp_path, monkeypatch, header, change):
    path = tmp_path / "digits.csv"
    names = b"label" + b",p" * 25 + b"\n" if header else b""
    path.write_bytes(change(names + csv_text(X, y)))
    for block in (csv.BLOCK, 64, 7):
        monkeypatch.setattr(csv, "BLOCK", block)
        data = csv.read(path)
        assert (data.images == X).all()
        assert (data.labels == y).all()


def test_the_first_image_is_never_read_as_a_header(tmp_path):
    path = tmp_path / "digits.csv"
    path.write_bytes(csv_text(X, y).replace(b"0,", b"0x,", 1))
    # one invalid field is an error, not a header
    assert error(path) == f"{path}, line 1, column 1: a label must be a number, as the others are, got '0x'"
    small = np.arange(1, 5, dtype=np.uint8).reshape(1, 2, 2)
    path.write_bytes(csv_text(np.repeat(small, 8, axis=0), np.arange(8)))  # "0,1,2,3,4" could be column numbers
    assert len(csv.read(path)) == 8


def test_column_numbers_written_by_pandas_are_a_header(tmp_path):
    images = np.zeros((8, 28, 28), np.uint8)
    header = ",".join(map(str, range(785))).encode() + b"\n"
    path = tmp_path / "digits.csv"
    path.write_bytes(header + csv_text(images, y[:8]))
    assert csv.read(path).labels.tolist() == y[:8].tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines[:2], lines[2] + b",1", *lines[3:]], "line 3: must have 26 columns, got 27"),
        (lambda lines: [*lines[:2], b"", *lines[2:]], "line 3: must have 26 columns, got 1"),
        (lambda lines: [*lines[:4], b"x", *lines[5:]], "line 5: must have 26 columns, got 1"),
        (
            lambda lines: [*lines[:7], b"7,abc" + lines[7][lines[7].index(b",", 2) :], *lines[8:]],
            "line 8, column 2: a pixel must be an integer from 0 to 255, got 'abc'",
        ),
        *(
            (
                lambda lines, pixel=pixel: [*lines[:-1], re.sub(rb",\d+$", f",{pixel}".encode(), lines[-1])],
                f"line 21, column 26: a pixel must be an integer from 0 to 255, got '{pixel}'",
            )
            for pixel in ("256", "0.5", "nan", "1_0", "")
        ),
    ],
)
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("block", [csv.BLOCK, 100])
def test_a_csv_error_names_line_and_column(tmp_path, monkeypatch, change, words, header, block):
    monkeypatch.setattr(csv, "BLOCK", block)
    path = tmp_path / "digits.csv"
    lines = change(csv_text(X, y).splitlines())
    if header:
        lines = [b"label" + b",p" * 25, *lines]
        words = re.sub(r"line (\d+)", lambda match: f"line {int(match[1]) + 1}", words)
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert error(path) == f"{path}, {words}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ": must have at least one line of numbers, got none"),
        (b"\n\n", ": must have at least one line of numbers, got none"),
        (b"label" + b",p" * 25 + b"\n", ": must have at least one line of numbers, got none"),
        (
            b"5," * 24 + b"5\n",
            f", line 1: {COLUMNS}, got 25 columns, pixels without a label; for a table of numbers, {ON_FLOATS}",
        ),
        (b"hello\n", f", line 1: {COLUMNS}, got 1 column"),
        (b"<html>\n<body>", f", line 1: {COLUMNS}, got 1 column"),
        (b"1;2;3\n", f", line 1: {COLUMNS}, got 1 column"),
    ],
)
def test_a_csv_without_images_is_rejected(tmp_path, content, words):
    path = tmp_path / "digits.csv"
    path.write_bytes(content)
    assert error(path) == f"{path}{words}"


def test_an_endless_line_is_rejected_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(csv, "MAX_LINE", 1 << 20)
    path = tmp_path / "digits.csv.gz"
    path.write_bytes(gzip.compress(b"0," * (50 << 20)))
    assert error(path) == f"{path}: a line must have at most 1,048,576 bytes, got a longer one"


@pytest.mark.parametrize("given", ["mnist_train.csv", "mnist_test.csv", "."])
def test_csv_files_of_training_and_test_are_loaded_together(tmp_path, given):
    write_csv(tmp_path)
    digits = load(tmp_path / given)
    assert (digits.train.labels == y).all()
    assert (digits.test.images == X_TEST).all()
    both = load((tmp_path / "mnist_train.csv", str(tmp_path / "mnist_test.csv")))
    assert both.test.checksum == digits.test.checksum


def test_a_test_file_without_labels_as_on_kaggle_is_ignored(tmp_path):
    (tmp_path / "train.csv").write_bytes(csv_text(X, y, header=True))
    unlabelled = csv_text(X_TEST, Y_TEST, header=True).splitlines()
    (tmp_path / "test.csv").write_bytes(b"\n".join(line.split(b",", 1)[1] for line in unlabelled))
    digits = load(tmp_path)
    assert len(digits.train) == 18
    assert digits.source == f"{tmp_path / 'train.csv'} (no test set: 3 of 21 images held out)"
    again = load(tmp_path / "train.csv")
    assert again.train.checksum == digits.train.checksum  # the same images are held out


def test_two_unrelated_csv_files_are_rejected(tmp_path):
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_bytes(csv_text(X, y))
    assert error(tmp_path) == f"{tmp_path}: must contain one data set, found one.csv, two.csv; pass a file's path"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [False, True])
def test_the_old_pickle_has_bytes_divided_by_256(tmp_path, protocol, pack):
    flat = (X.reshape(21, -1).astype(np.float32) / np.float32(256), y)
    content = pickle.dumps((flat, (flat[0][:5], y[:5]), (flat[0][5:9], y[5:9])), protocol=protocol)
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(content) if pack else content)
    train, test = array_files.read_pickle(path)
    assert (train.images == np.r_[X, X[:5]]).all()
    assert (test.labels == y[5:9]).all()
    assert train.scale == test.scale == 256


def test_a_pickle_of_python_2_is_read(tmp_path):
    """Protocol 2 of cPickle: old module names, byte strings for the data, and a long for the number of rows."""
    image = bytes(range(16))
    floats = (np.frombuffer(image, np.uint8).astype("<f4") / np.float32(256)).tobytes()

    def array(code, shape, data):
        rows, columns = (
            struct.pack("<BB", 0x8A, 1) + bytes([shape[0]]),
            b"K" + bytes([shape[1]]) if shape[1:] else b"",
        )
        dims = rows + columns + (b"\x86" if columns else b"\x85")
        dtype = b"cnumpy\ndtype\n(U\x02" + code + b"K\0K\1tR(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
        text = b"T" + struct.pack("<i", len(data)) + data
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01" + dims + dtype + b"\x89"
            + text + b"tb"
        )  # fmt: skip

    pair = array(b"f4", (1, 16), floats) + array(b"i8", (1,), struct.pack("<q", 7)) + b"\x86"
    content = b"\x80\x02" + pair * 3 + b"\x87."
    assert pickle.loads(content, encoding="latin1")[0][1].tolist() == [7]  # Python reads it too
    path = tmp_path / "mnist.pkl"
    path.write_bytes(content)
    train, test = array_files.read_pickle(path)
    assert train.images.tobytes() == image * 2
    assert (test.labels.tolist(), test.classes) == ([0], ("7",))


class Runs:
    """An object of a hostile pickle: unpickling it calls a function with an argument."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [False, True])
def test_code_in_a_pickle_is_never_run(tmp_path, protocol, pack):
    mark = tmp_path / "it-ran"
    content = pickle.dumps(((Runs(os.mkdir, str(mark)), y), (X, y), (X, y)), protocol=protocol)
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(content) if pack else content)
    words = error(path)
    assert re.fullmatch(
        rf"{re.escape(str(path))}: the pickle must contain only arrays, found (posix|nt).mkdir; nothing was run", words
    )
    assert not mark.exists()
    pickle.loads(content)  # without protection the code is run
    assert mark.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (old_pickle()[:-1], "damaged pickle: pickle exhausted before seeing STOP"),
        (old_pickle()[:500], "damaged pickle: expected"),
        (b"\x80\x02.", "damaged pickle: unpickling stack underflow"),
        (pickle.dumps([1, 2]), "the pickle must contain one to three pairs (images, labels), found something else"),
        (pickle.dumps({"a": 1}), "the pickle must contain only arrays, found EMPTY_DICT; nothing was run"),
        (pickle.dumps(((X, y),) * 4), "the pickle must contain one to three pairs (images, labels)"),
        (pickle.dumps(((X, y[:-1]),)), "each image needs one label, got 21 images, 20 labels"),
        (pickle.dumps(((X / 1000, y),)), "floats from 0 to 1 must be whole bytes divided by 255 or 256"),
        (pickle.dumps(((X.astype(object), y),)), "damaged pickle: arrays must contain plain numbers"),
        (b"\x80\x02" + b"N" * 20_000 + b".", "the pickle must have at most 10,000 instructions, got more"),
        # a tuple that contains itself twice, 400 times: 2^400 elements to visit
        (b"\x80\x02)" + b"q\0h\0\x86" * 400 + b".", "the pickle must contain one to three pairs"),
        (b"\x80\x02]q\0h\0a.", "the pickle must contain one to three pairs"),
        (
            b"\x80\x02cnumpy\ndtype\n)" + b"q\0h\0\x86" * 400 + b"\x85R.",
            "damaged pickle: arrays must contain plain numbers, not <class 'tuple'>",
        ),
        (
            b"\x80\x02Nr\xff\xff\xff\x7f.",
            "damaged pickle: an index of the memo must be at most 10,000, got 2,147,483,647",
        ),
    ],
)
def test_an_invalid_pickle_is_rejected(tmp_path, content, words):
    path = tmp_path / "mnist.pkl"
    path.write_bytes(content)
    assert error(path).startswith(f"{path}: {words}")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            b"K\x0eK\x19\x86",  # (14, 25)
            b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86",
            "an array of (2147483647, 2147483647) float32 must have 18,446,744,056,529,682,436 bytes, got 1,400",
        ),
        (
            b"B" + struct.pack("<I", 14 * 25 * 4),
            b"B" + struct.pack("<I", 2**31 - 1),
            "damaged pickle: expected 2147483647 bytes in a bytes4, but only",
        ),
    ],
)
def test_a_pickle_that_claims_a_huge_array_allocates_nothing(tmp_path, old, new, words):
    content = old_pickle(3)
    assert content.count(old) == 1
    path = tmp_path / "mnist.pkl"
    path.write_bytes(content.replace(old, new))
    tracemalloc.start()
    message = error(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert message.startswith(f"{path}: {words}")


def zipped(**members):
    """Return a zip of .npy files, given as bytes or as arrays."""
    out = io.BytesIO()
    whole = {"x_train": X, "y_train": y, "x_test": X_TEST, "y_test": Y_TEST} | members
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in whole.items():
            if value is not None:
                archive.writestr(f"{name}.npy", value if isinstance(value, bytes) else npy(value))
    return out.getvalue()


def npy(values, allow_pickle=False):
    out = io.BytesIO()
    np.lib.format.write_array(out, values, allow_pickle=allow_pickle)
    return out.getvalue()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"y_test": None}, ": must contain x_train, y_train, x_test, y_test; missing: y_test"),
        ({"x_train": b"hello"}, ": x_train: invalid .npy header: "),
        ({"x_train": npy(X)[:-1]}, ": x_train: an array of (21, 5, 5) uint8 must have 525 bytes, got 524"),
        ({"x_train": npy(X) + b"0"}, ": x_train: an array of (21, 5, 5) uint8 must have 525 bytes, got 526"),
        ({"x_train": npy(X).replace(b"(21, 5, 5)", b"(-1, 5, 5)")}, ": x_train: the shape of an array must be at most"),
        ({"x_train": npy(X.astype(object), True)}, ": x_train: must contain plain numbers, got |O"),
        ({"y_train": y[:-1]}, ": train: each image needs one label, got 21 images, 20 labels"),
        ({"x_test": X_TEST[:, :4]}, ": both sets need images of one size, got (5, 5) and (4, 5)"),
    ],
)
def test_an_invalid_npz_is_rejected(tmp_path, members, words):
    path = tmp_path / "mnist.npz"
    path.write_bytes(zipped(**members))
    assert error(path).startswith(f"{path}{words}")


def test_an_npz_header_of_two_billion_images_allocates_nothing(tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(zipped(x_train=npy(X).replace(b"(21, 5, 5), }      ", b"(2147483648, 5, 5)}")))
    tracemalloc.start()
    words = error(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert words.startswith(f"{path}: x_train: an array of (2147483648, 5, 5) uint8 must have 53,687,091,200 bytes")


def test_npz_arrays_may_have_fortran_order_or_old_headers(tmp_path):
    path = tmp_path / "mnist.npz"
    old = npy(y).replace(b"(21,), }", b"(21L,),}")  # a long of Python 2
    path.write_bytes(zipped(x_train=np.asfortranarray(X)))
    assert (array_files.read_npz(path)[0].images == X).all()
    path.write_bytes(zipped(y_train=old))
    assert (array_files.read_npz(path)[0].labels == y).all()


def test_a_truncated_npz_is_rejected(tmp_path):
    path = write_npz(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    assert error(path) == f"{path}: damaged zip file: File is not a zip file"


def test_an_npz_whose_directory_claims_too_much_is_rejected(tmp_path):
    path = write_npz(tmp_path)
    content = bytearray(path.read_bytes())
    last = content.rindex(b"PK\x01\x02")
    content[last + 20 : last + 28] = struct.pack("<II", 50_000, 50_000)  # packed and unpacked size of y_test
    path.write_bytes(bytes(content))
    assert error(path).startswith(f"{path}: damaged zip file: ")  # Python 3.13 finds that the entries overlap


def test_a_folder_of_images_is_read(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "0" / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "empty").mkdir()
    train, test = image_sets.read_folder(tmp_path)
    assert test is None
    assert train.classes == tuple("0123456789")
    assert (train.images == X_TEST).all()


def test_folders_train_and_test_are_read(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        write_pictures(tmp_path / part)
    digits = load(tmp_path)
    assert len(digits.train) == len(digits.test) == 10
    (tmp_path / "test" / "9").rename(tmp_path / "test" / "nine")
    assert error(tmp_path) == f"{tmp_path}: the classes of test must be among those of train, got 'nine'"


def test_classes_are_folder_names_sorted_as_numbers(tmp_path):
    for i, name in enumerate(("10", "9", "b", "a")):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(X[i]).convert("RGB").save(tmp_path / name / f"{number}.png")
    digits = load(tmp_path)
    assert digits.classes == ("9", "10", "a", "b")
    assert sorted(np.r_[digits.train.labels, digits.test.labels]) == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("1/1.png", lambda p: p.write_bytes(b""), "must have content, got 0 bytes"),
        ("1/1.png", lambda p: p.write_bytes(p.read_bytes()[:55]), "is a damaged image: "),
        ("0/0.png", lambda p: Image.new("L", (2000, 5)).save(p), "must be at most 1024 pixels wide and high, got 2000"),
        ("1/1.png", lambda p: Image.new("I;16", (5, 5)).save(p), "must have 8 bits per channel, got mode I;16"),
        ("1/1.png", lambda p: Image.new("RGBA", (5, 5)).save(p), "must have no transparent pixels"),
    ],
)
def test_an_invalid_image_is_rejected(tmp_path, name, change, words):
    write_pictures(tmp_path)
    change(tmp_path / name)
    assert error(tmp_path).startswith(f"{tmp_path / name}: {words}")


def test_an_image_that_claims_a_huge_size_allocates_nothing(tmp_path):
    import zlib

    write_pictures(tmp_path)
    path = tmp_path / "0" / "0.png"
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    path.write_bytes(bytes(content))
    tracemalloc.start()
    assert error(tmp_path).startswith(f"{path}: must ")
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_formats_are_detected_by_content_under_any_name(tmp_path):
    path = tmp_path / "data"
    for write in (write_npz, lambda folder: folder / "x"):
        source = write(tmp_path)
        path.write_bytes(source.read_bytes() if source.exists() else old_pickle())
        assert (load(path).test.labels == Y_TEST).all()
    path.write_bytes(csv_text(X, y))
    assert len(load(path).train) == 18
    path.write_bytes(idx.dump(X))
    assert error(path) == f"{path}: an IDX file must have a name like train-images-idx3-ubyte, got data"


def test_a_single_image_or_an_empty_folder_is_rejected(tmp_path):
    write_pictures(tmp_path)
    path = tmp_path / "0" / "0.png"
    assert error(path) == f"{path}: must be a folder with a subfolder of images for each class, got a single image"
    (tmp_path / "empty").mkdir()
    assert error(tmp_path / "empty").startswith(f"{tmp_path / 'empty'}: must contain a data set (IDX, CSV, mnist.npz")


def test_a_missing_path_is_rejected(tmp_path):
    for path in (tmp_path / "nothing", str(tmp_path / "nothing"), "x" * 5000, "a\0b"):
        with pytest.raises(DataMissingError):
            load(path, offline=True)


def test_an_unknown_type_of_number_is_rejected(tmp_path):
    file = io.BytesIO()
    np.save(file, np.zeros(3, "<f4"))
    arrays = {"x_train": np.zeros((3, 4, 4), np.uint8), "y_train": np.zeros(3, np.uint8)}
    np.savez(tmp_path / "m.npz", **arrays, x_test=arrays["x_train"], y_test=np.zeros(3, "<f4"))
    content = (tmp_path / "m.npz").read_bytes()
    (tmp_path / "m.npz").write_bytes(content.replace(b"'<f4'", b"'<f1'"))
    with pytest.raises(DataError):
        load(tmp_path / "m.npz")


def test_a_text_referenced_many_times_is_converted_only_once(tmp_path):
    """Old pickles store an array's bytes as text, which many arrays can reference."""
    text = b"X" + (1_000_000).to_bytes(4, "little") + b"x" * 1_000_000 + b"q\0"
    encoded = b"c_codecs\nencode\nh\0X\6\0\0\0latin1\x86R"
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x80\2](" + text + 500 * encoded + b"e.")
    tracemalloc.start()
    with pytest.raises(DataError, match="must contain one to three pairs"):
        array_files.read_pickle(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


# ---- .npy files


@pytest.mark.parametrize(
    ("names", "test_names"),
    [
        ("X.npy y.npy", ""),
        ("images.npy labels.npy", ""),
        ("data.npy target.npy", ""),
        ("x_train.npy y_train.npy", ""),
        ("x_train.npy y_train.npy", "x_test.npy y_test.npy"),
        ("train_images.npy train_labels.npy", "test_images.npy test_labels.npy"),
        ("images_train.npy labels_train.npy", "images_test.npy labels_test.npy"),
    ],
)
def test_npy_files_are_paired_by_their_names(tmp_path, names, test_names):
    for name, array in zip((names + " " + test_names).split(), (X, y, X_TEST, Y_TEST), strict=False):
        np.save(tmp_path / name, array)
    np.save(tmp_path / "notes.npy", np.zeros(3))
    for path in (tmp_path, tmp_path / names.split()[0], tmp_path / (names + " " + test_names).split()[-1]):
        digits = load(path)
        assert digits.source.startswith(str(tmp_path / names.split()[0]))
        if test_names:
            assert (digits.train.images == X).all()
            assert (digits.test.images == X_TEST).all()
            assert (digits.test.labels == Y_TEST).all()
        else:
            assert (len(digits.train), len(digits.test)) == (18, 3)


def test_npy_labels_may_be_names(tmp_path):
    np.save(tmp_path / "X.npy", X[..., None] / 255)
    np.save(tmp_path / "y.npy", np.array(["fig", "pear"])[y % 2])
    assert load(tmp_path).classes == ("fig", "pear")


def test_npy_files_without_a_partner_are_rejected(tmp_path):
    np.save(tmp_path / "X.npy", X)
    assert error(tmp_path / "X.npy").startswith(f"{tmp_path / 'X.npy'}: the images need their labels in the same")
    assert "must contain a data set" in error(tmp_path)
    np.save(tmp_path / "y.npy", y[:5])
    assert "each image needs one label, got 21 images, 5 labels" in error(tmp_path)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "images.npy", X)
    np.save(tmp_path / "labels.npy", y)
    assert "must contain one data set" in error(tmp_path)
    assert len(load(tmp_path / "images.npy").train) == 18


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "invalid .npy header"),
        (b"\x93NUMPY\x01\x00\xff\xff", "invalid .npy header"),
        (np.array([{}], object), "must contain plain numbers, got |O"),
        (np.zeros(21, "U300000"), "must contain plain numbers, got <U300000"),
    ],
)
def test_a_damaged_npy_file_is_rejected(tmp_path, content, says):
    np.save(tmp_path / "X.npy", X)
    if isinstance(content, bytes):
        (tmp_path / "y.npy").write_bytes(content)
    else:
        np.save(tmp_path / "y.npy", content)
    assert error(tmp_path).startswith(f"{tmp_path / 'y.npy'}: {says}")


# ---- data frames of images, and parquet


def png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "png")
    return content.getvalue()


#: How an image is stored in a cell.
CELLS = {
    "dictionary": lambda image: {"bytes": png(image), "path": None},
    "bytes": png,
    "picture": Image.fromarray,
    "array": lambda image: image,
    "int64": lambda image: image.astype(int),
    "channel": lambda image: image[..., None],
    "lists": lambda image: image.tolist(),
    "nested": lambda image: np.array([*map(list, image), None], object)[:-1],
    "color array": lambda image: np.repeat(image[..., None], 3, axis=2),
    "floats": lambda image: image / 255,
}


def frame_of(images, labels, cell, names=("image", "label")):
    return needs("pandas").DataFrame({names[0]: [cell(image) for image in images], names[1]: labels})


@pytest.mark.parametrize("kind", CELLS)
def test_a_frame_has_its_images_in_one_column(kind):
    digits = load(frame_of(X, y, CELLS[kind]))
    assert digits.train.checksum == load((X, y)).train.checksum
    pair = load((frame_of(X, y, CELLS[kind]), frame_of(X_TEST, Y_TEST, CELLS[kind])))
    assert (pair.test.images == X_TEST).all()


def test_the_label_of_a_frame_with_images_may_have_any_name():
    classes = np.array(["shirt", "shoe"])[y % 2]
    assert load(frame_of(X, classes, png, ("img", "clothing"))).classes == ("shirt", "shoe")
    more = frame_of(X, classes, png, ("img", "clothing")).assign(color=1)
    with pytest.raises(DataError, match="the column of labels must be called label, got the columns img, clothing, co"):
        load(more)


def test_images_of_a_frame_are_scaled_and_read_as_gray():
    images = [*X[:20], np.zeros((9, 7), np.uint8)]
    train = load(
        frame_of(
            images,
            y,
            lambda image: Image.merge("RGB", [Image.fromarray(image)] * 2 + [Image.new("L", image.shape[::-1])]),
        )
    ).train
    assert train.shape == (5, 5)
    assert train.note == f"images of 2 sizes scaled to 5×5, {COLORS_DROPPED}"


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (lambda image: "a.png", "row 0: the image must be the content of an image file, a Pillow image or an array"),
        (lambda image: {"bytes": None, "path": "a.png"}, "row 0: the image must be the content of an image file"),
        (lambda image: b"no image", "row 0: the image must be an image"),
        (lambda image: png(image)[:45], "row 0: the image is a damaged image"),
        (lambda image: image - 1000.0, "pixels must be 0 to 255"),
    ],
)
def test_a_cell_without_an_image_is_rejected(cell, says):
    with pytest.raises(DataError, match=says):
        load(frame_of(X, y, cell))


def test_objects_that_convert_to_a_data_frame_are_read():
    class HuggingFace:
        def to_pandas(self):
            return frame_of(X, y, CELLS["dictionary"])

    assert load(HuggingFace()).train.checksum == load((X, y)).train.checksum
    assert len(load((HuggingFace(), HuggingFace())).test) == 21


def test_parquet_files_are_read_by_pandas(tmp_path, monkeypatch):
    pandas = needs("pandas")
    tables = {"train-00000-of-00001.parquet": (X, y), "test-00000-of-00001.parquet": (X_TEST, Y_TEST)}
    for name in tables:
        (tmp_path / name).write_bytes(b"PAR1")
    monkeypatch.setattr(pandas, "read_parquet", lambda path: frame_of(*tables[path.name], CELLS["dictionary"]))
    for path in (tmp_path, *(tmp_path / name for name in tables)):
        digits = load(path)
        assert (digits.train.images == X).all()
        assert (digits.test.images == X_TEST).all()
        assert digits.source == str(path) or path.name.startswith("test")


def test_parquet_that_can_not_be_read_is_rejected(tmp_path, monkeypatch):
    pandas = needs("pandas")
    (tmp_path / "a.parquet").write_bytes(b"PAR1")

    def read(failure):
        def fail(path):
            raise failure

        monkeypatch.setattr(pandas, "read_parquet", fail)

    read(OSError("no magic bytes"))
    assert error(tmp_path).endswith("a.parquet: damaged parquet file: no magic bytes")
    read(ImportError("no engine"))
    with pytest.raises(MissingExtraError, match=r"this needs pandas and pyarrow: pip install '\.\[pandas\]'"):
        load(tmp_path)
