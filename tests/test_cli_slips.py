"""Typing mistakes on the command line: each gets one line that says what to type."""

import shlex

import pytest
from PIL import Image

from byhand.model import Model

#: Commands of a student, each with a part of the answer.
STUDENT = {
    "chekc student.py": "Did you mean 'check'?",
    "check": "for example:  byhand check student.py",
    "check student": "did you mean student.py?",
    "check students.py": "did you mean student.py?",
    "student.py": "Did you mean 'byhand check student.py'?",
    "check student.py --timeout ten": "type --timeout 10",
    "course begin": "Did you mean 'start'?",
    "course chek": "Did you mean 'check'?",
    "course check": "`byhand course start` writes the notebooks",
    "course check student": "did you mean student.py?",
    "course next student.pi": "got student.pi (did you mean student.py?)",
    "course grade": "for example:  byhand course grade submissions",
    "course grade folder": "for example:  byhand course grade … --out marks.csv",
    "explain": "for example:  byhand explain runs/001",
    "explain runs/001 7": "did you mean --sample 7?",
    "explain runs/001 --digit 7": "Did you mean --sample?",
    "explain runs/001 --sample seven": "type --sample 7",
    "explain runs/001 --unit 17": "must be LAYER:UNIT, such as 1:17, got '17'",
    "explain digit.png": "give the folder of a run, such as runs/001",
    "explain digit.png runs/001": "the run is first: byhand explain runs/001 digit.png",
    "digit.png": "Did you mean 'byhand predict digit.png'?",
    "predict": "for example:  byhand predict digit.png",
    "predict my digit.png": "did you mean 'my digit.png'?",
    "predict digit": "did you mean digit.png?",
    "predict digit.jpg": "did you mean digit.png?",
    "predict “digit.png”": "type plain quotation marks: digit.png",
    r"predict 'C:\Users\me\digit.png'": "on this system, paths have / and no drive",
    r"predict 'folder\digit.png'": "did you mean folder/digit.png?",
    "predict phone": "found .heic, .pdf: convert them to PNG",
    "predict phone/IMG_1.HEIC": "convert it to PNG",
    "predict https://example.com/digit.png": "download it first",
    "predict --image digit.png": "as in  byhand predict digit.png",
    "predict '~/digits.png'": "/digits.png: file not found (did you mean ",
    "data mnist": "Did you mean 'byhand data get mnist'?",
    "data get minst": "did you mean mnist?",
    "data get": "for example:  byhand data get mnist",
    "play --port browser": "'browser' is not a valid integer",
}
#: Commands of a user who trains networks of all kinds.
TINKERER = {
    "train epochs=3": "type --epochs 3",
    "train mnist-5k lr=0.1": "type --lr 0.1",
    "train --epochs ten": "type --epochs 10",
    "train --epochs 1e1": "type --epochs 10",
    "train --epochs 1,000": "type --epochs 1000",
    "train --samples 1k": "type --samples 1000",
    "train --epochs": "as in  --epochs INTEGER",
    "train --epochs --lr 0.1": "as in  --epochs INTEGER",
    "train --lr=0,1": "type --learning-rate 0.1",
    "train --validation 20%": "type --validation 0.2",
    "train --dropout 50%": "type --dropout 0.5",
    "train --hidden 128 64": "type --hidden 128,64",
    "train --hidden '128 64'": "type 128,64",
    "train --hidden [128,64]": "type 128,64",
    "train --hidden 128x64": "type 128,64",
    "train --layers 784,128,10": "Did you mean --hidden 128,64, without the inputs and the classes?",
    "train --augment rotate=10 shift=2": "type --augment rotate=10,shift=2",
    "train --batch-norm true": "type --batch-norm",
    "train --deskew no": "type --no-deskew",
    "train --deskew=no": "type --no-deskew",
    "train --no-augment": "Did you mean --augment none?",
    "play --no-open": "Did you mean --no-browser?",
    "train --epoch 3": "Did you mean --epochs?",
    "train --batch_size 64": "type --batch-size",
    "train --n_epochs 3": "Did you mean --epochs?",
    "train -lr 0.1": "type --lr",
    "train -epochs=3": "type --epochs=3",
    "train —epochs 3": "type --epochs",
    "train -- --epochs 3": "remove it before --epochs",
    "--epochs 3 train": "as in  byhand train --epochs",
    "train --optimizer sgdm": "did you mean sgd?",
    "train --schedule cos": "did you mean cosine?",
    "train --preset quick": "is not one of 'digits', 'fast'",
    "train run/001": "did you mean runs/001?",
    "train runs/001": "did you mean --resume runs/001?",
    "train runs/001/model.safetensors": "did you mean --resume",
    "train --resume runs": "did you mean runs/001?",
    "train --resume runs/01": "did you mean runs/001?",
    "train --run runs/001": "name another",
    "train folder": "a subfolder of images for each class), found .png",
    "train digit.png": "did you mean byhand predict digit.png?",
    "train minst": "did you mean mnist?",
    "train mnist kmnist": "did you mean --data kmnist?",
    "train --gpu": "remove --gpu",
    "train folder --resize 20": "images of several sizes get the most common one; remove --resize",
    "train folder --classes a,b": "the classes are those of the labels; remove --classes",
    "info stopped": "has not saved yet: byhand train --resume stopped",
    "runs/001": "Did you mean 'byhand eval runs/001'?",
    "runs 001": "Did you mean 'byhand info runs/001'?",
    "eval": "for example:  byhand eval runs/001",
    "eval --run runs/001": "RUN has no option, as in  byhand eval runs/001",
    "eval runs": "did you mean runs/001?",
    "eval 001": "did you mean runs/001?",
    "eval mnist": "this is a data set, as in byhand train mnist",
    "eval digit.png": "give the folder of a run, such as runs/001",
    "eval runs/001 mnist": "did you mean --data mnist?",
    "eval runs/001 --threshold 95": "type --threshold 0.95",
    "predict runs/001 digit.png": "did you mean --run runs/001?",
    "predict --run digit.png digit.png": "give the folder of a run",
    "export runs/001 onnx": "did you mean --to onnx?",
    "export runs/001 --format onnx": "Did you mean --to?",
    "sweep space.toml": "did you mean --space space.toml?",
    "compare runs/001": "a comparison needs at least 2 runs, got 1",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run, images and a student's file."""
    place = tmp_path_factory.mktemp("slips")
    Model([784, 10]).save(place / "runs/001/model.safetensors")
    (place / "runs/001/config.json").write_text("{}")
    for name in ("phone", "folder", "stopped/state"):
        (place / name).mkdir(parents=True)
    for name in ("IMG_1.HEIC", "scan.pdf"):
        (place / "phone" / name).write_bytes(b"not a picture")
    for name in ("digit.png", "my digit.png", "folder/digit.png"):
        Image.new("L", (28, 28)).save(place / name)
    (place / "stopped/config.json").write_text("{}")
    for name in ("student.py", "stopped/state/a.safetensors"):
        (place / name).touch()
    return place


@pytest.fixture
def folder(type_in, place, monkeypatch):
    """Run a command in that folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(place)
    monkeypatch.delenv("BYHAND_DATA", raising=False)
    monkeypatch.setenv("HOME", str(place))
    return type_in


@pytest.mark.parametrize(("line", "answer"), [*STUDENT.items(), *TINKERER.items()])
def test_a_slip_gets_one_line_that_says_what_to_type(folder, line, answer):
    code, out, err = folder(*shlex.split(line))
    assert code in (2, 3, 5)
    assert out == ""
    assert (err[:8], err.count("\n")) == ("byhand: ", 2 if line == "predict my digit.png" else 1)
    assert answer in err


def test_a_tilde_that_the_shell_keeps_is_the_home_folder(folder):
    assert folder("info", "~/runs/001")[0] == 0
