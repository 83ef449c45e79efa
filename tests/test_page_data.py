"""Your data in a browser: a dropped folder, a chosen one, and a zip are read, described and trained on."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from helpers.browser import browser
from helpers.own_data import shapes
from helpers.watched_page import HANDS, opened, play, served

CLASSES = ("ring", "cross", "bar", "dot")
TRAIN = "Train a new network on these pictures"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Pictures of four classes, dark on light, of two sizes, with files that are no pictures."""
    path = tmp_path_factory.mktemp("own") / "my shapes"
    images, labels = shapes(30, 40, 40)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (path / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(255 - image)
        picture.resize((90, 90) if i % 4 == 0 else (40, 40)).convert("RGB").save(path / CLASSES[label] / f"ü {i}.png")
    (path / "notes.txt").write_text("x" * 5000)
    (path / ".DS_Store").write_text("x")
    (path / "bar" / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return path


def drop(page, *paths) -> None:
    """Drop files or folders onto the middle of the page, as from a file manager."""
    inspector = page.context.new_cdp_session(page.page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        inspector.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    inspector.detach()


def test_a_dropped_folder_is_described_and_its_network_reads_drawings(play, served, folder):
    drop(play, folder)
    play.page.get_by_role("button", name=TRAIN).wait_for()
    found = play.text("#data .found")
    assert "my shapes: 120 pictures in 4 classes" in found
    assert "40 × 40 pixels each" in found
    assert "images of 2 sizes scaled to 40×40" in found
    for name in CLASSES:
        assert f"{name}: 30" in found
    assert "2 files were left out" in found
    assert "notes.txt: no picture" in found
    assert "bar/damaged.png: must be an image" in found
    assert served.playground.digits.name == "mnist-5k"
    play.press(TRAIN)
    play.until("byhand.state.setup.data === 'my shapes' && byhand.state.status === 'training'")
    served.post("/api/control", action="play", pace="full", stop_at=12)
    play.until("byhand.state.status === 'paused' && byhand.reader?.version === byhand.state.version")
    assert served.playground.model.accuracy(served.playground.digits.test) > 0.7
    assert play.page.locator(".bars li").all_inner_texts()[0].startswith("bar")
    labels = play.page.locator(".labels button").all_text_contents()
    assert labels == sorted(CLASSES)
    # An example is read as it is: the page's probabilities are Python's.
    play.page.locator(".examples button").first.click()
    picture = np.array(play.page.evaluate("Array.from(byhand.draw.result.picture)"), np.uint8).reshape(1, 40, 40)
    got = play.page.evaluate("Array.from(byhand.draw.result.probabilities)")
    np.testing.assert_allclose(got, served.playground.model.probabilities(picture)[0], atol=1e-4)
    assert (served.playground.digits.test.images == picture).all(axis=(1, 2)).any()
    # The pad has the colors of the pictures: dark on light.
    play.press("Clear")
    play.draw(HANDS["upright"]["0"])
    picture = play.page.evaluate("Array.from(byhand.draw.result.picture)")
    assert len(picture) == 1600
    assert np.mean(picture) > 128
    play.tab("Teach")
    play.page.get_by_role("group", name="Add it to the training set as").get_by_role("button", name="ring").click()
    play.until("byhand.state.added === 1")
    play.until("byhand.state.status === 'paused'")
    play.press("Back to the trained network")
    play.until("byhand.state.digits.name === 'mnist-5k'")
    assert play.text("#model-line").startswith("This network has learned")
    play.until("byhand.draw.reader.classes.length === 10 && byhand.draw.pad.colors.ink === '#fff'")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_folder_and_a_zip_are_chosen(browser, served, folder, tmp_path, width):
    play = opened(browser, served, width=width)
    play.tab("Your data")
    play.page.locator("#data input[webkitdirectory]").set_input_files(folder)
    play.page.get_by_role("button", name=TRAIN).wait_for()
    assert "my shapes: 120 pictures in 4 classes" in play.text("#data .found")
    packed = tmp_path / "packed.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*.png"):
            archive.write(path, path.relative_to(folder.parent))
    play.page.locator("#data input[accept]").set_input_files(packed)
    play.page.get_by_role("heading", name="packed: 120 pictures in 4 classes").wait_for()
    assert play.page.evaluate("document.documentElement.scrollWidth") <= width
    play.press(TRAIN)
    play.until("byhand.state.setup.data === 'packed'")
    play.tab("Setup")
    options = play.page.evaluate("Array.from(byhand.setup.fields.data.input.options, ({ value }) => value)")
    assert [one for one in options if one != "mnist"] == ["mnist-5k", "packed"]  # the one before was replaced
    play.close()


def test_what_cannot_be_read_is_said_in_plain_words(play, tmp_path):
    words = "document.querySelector('#data .note[role=status]').textContent"
    play.tab("Your data")
    for name, content, message in (
        ("a.zip", b"rubbish", "a: the zip must be undamaged and not encrypted: "),
        ("b.csv", b"label,p0\n1,2\n", "b: must have at least 7 images"),
        ("c.pdf", b"x", "No pictures found: expected files such as .bmp, "),
    ):
        (tmp_path / name).write_bytes(content)
        drop(play, tmp_path / name)
        play.until(f"{words}.startsWith({message!r})")
        assert play.page.get_by_role("button", name=TRAIN).count() == 0
    play.page.evaluate("byhand.state.uploads.bytes = 1000")
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "a.png").write_bytes(bytes(3_000_000))
    drop(play, tmp_path / "big")
    play.until(f"{words}.startsWith('The pictures have 3 MB, at most 1 MB can be read here: byhand play --data')")
    play.troubles = [trouble for trouble in play.troubles if "400" not in trouble]
