"""Atomic writes: permissions, links, pipes, folders in the way and long names."""

import os
import re
import threading

import pytest

import byhand
from byhand import files
from byhand.files import append, make_folder, write_text


@pytest.mark.skipif(not hasattr(os, "fchmod"), reason="needs POSIX permissions")
def test_a_file_that_is_replaced_keeps_its_permissions_and_its_links(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    write_text(real, "one")
    real.chmod(0o600)
    link.symlink_to(real)
    write_text(link, "two")
    assert link.is_symlink()
    assert real.read_text() == "two"
    assert real.stat().st_mode & 0o777 == 0o600
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "new")
    write_text(dangling, "three")
    assert (tmp_path / "new").read_text() == "three"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_named_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", "content")
    reader.join(10)
    assert received == ["content"]
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_errors_name_the_target_and_not_the_temporary_file(tmp_path, monkeypatch):
    folder, file = tmp_path / "m", tmp_path / "m.safetensors"
    folder.mkdir()
    with pytest.raises(
        IsADirectoryError, match=rf"^\[Errno \d+\] is a folder, not a file: '{re.escape(str(folder))}'$"
    ):
        byhand.Model([6, 3], seed=0).save(folder)

    def refuse(source, target):
        raise PermissionError(13, "Permission denied", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError, match=rf"^\[Errno 13\] Permission denied: '{re.escape(str(file))}'$"):
        byhand.Model([6, 3], seed=0).save(file)
    assert list(tmp_path.iterdir()) == [folder]


def test_the_longest_file_name_can_be_written(tmp_path):
    name = "n" * 255
    write_text(tmp_path / name, "x")
    write_text(tmp_path / name, "y")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "y")]


def test_the_parents_of_new_folders_are_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files, "flush_folder", flushed.append)
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert sorted(flushed) == [tmp_path, tmp_path / "a"]


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    (tmp_path / "file").write_bytes(b"before")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            append(tmp_path / "file", b"longer than that")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"before"
    append(tmp_path / "file", b", after")
    assert (tmp_path / "file").read_bytes() == b"before, after"
