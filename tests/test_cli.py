"""The command line: train, eval, predict, and the page of all commands."""

import importlib.util
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import byhand
from byhand.cli.group import COMMANDS, cli
from byhand.cli.start import configure_blas, is_amd_with_avx512
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run
from helpers import processes

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = ["--data", "mnist-5k", "--samples", 2000, "--epochs", 3, "--validation", 0.1, "--run", folder]
    processes.command("train", *words)
    return folder


def digit_picture(path, index=0):
    """Draw a bundled test digit, dark on light on a larger sheet; return its label."""
    sample = byhand.load("mnist-5k").test[index]
    sheet = np.full((200, 160), 255, np.uint8)
    large = np.asarray(Image.fromarray(sample.image).resize((84, 84), Image.Resampling.BICUBIC))
    sheet[30:114, 50:134] = 255 - large
    Image.fromarray(sheet).save(path)
    return sample.label


def test_train_reports_results_and_the_next_commands(run):
    code, out, err = run("train", "--offline", "--epochs", 2)
    assert code == 0
    assert "full MNIST not found (offline): using the bundled sample of 5,000 digits" in err
    assert re.search(r"epoch 1/2  loss \d\.\d{4}  accuracy \d+\.\d\d %  [\d,]+ images/s  0:0\d left", err)
    assert re.search(r"784-\d+-10 on mnist-5k: 2 epochs over 4,000 images, \d\.\d s of training", out)
    assert re.search(r"test accuracy \d\d\.\d\d % on 1,000 images \(95 % interval", out)
    assert "saved runs/001/model.safetensors" in out
    assert "byhand predict --run runs/001 digit.png" in err
    assert run("train", "--offline", "--epochs", 1, "-q")[1].count("runs/002") == 1


def test_a_pipe_gets_one_line_per_epoch_and_quiet_none(run):
    _, _, err = run("train", "--data", "mnist-5k", "--samples", 500, "--epochs", 3)
    assert len([line for line in err.splitlines() if line.startswith("epoch")]) == 3
    _, out, err = run("train", "--data", "mnist-5k", "--samples", 500, "--epochs", 1, "--quiet")
    assert err == ""
    assert "test accuracy" in out


def test_there_is_no_progress_when_nbgrader_executes(run, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert run("train", "--data", "mnist-5k", "--epochs", 1)[2] == ""


def test_train_gives_json(run):
    code, out, _ = run("train", "--data", "mnist-5k", "--epochs", 1, "--json", "--run", "here")
    result = json.loads(out)
    assert code == 0
    assert result["run"] == "here"
    assert result["epochs"] == 1
    assert result["interval"][0] < result["test_accuracy"] < result["interval"][1]
    assert {entry.name for entry in Path("here").iterdir()} >= {"config.json", "metrics.jsonl", "model.safetensors"}
    config = json.loads(Path("here/config.json").read_text())
    assert config["command"].startswith("byhand train --data mnist-5k")
    assert config["made_with"]["numpy"] == np.__version__


def test_every_option_is_stored_in_the_config(run):
    words = """train --data mnist-5k --hidden 24,12 --activation gelu --dropout 0.1 --batch-norm --init glorot
    --dtype float64 --no-deskew --scale 255 --epochs 1 --batch-size 64 --learning-rate 0.002 --optimizer adamw
    --weight-decay 0.05 --schedule cosine --label-smoothing 0.1 --clip 5
    --max-norm 4 --ema-decay 0.99
    --augment shift=1 --validation 100
    --patience 3 --record-every 1 --samples 500 --threads 1 --seed 7 --run r -q""".split()  # noqa: SIM905
    assert run(*words)[0] == 0
    config = json.loads(Path("r/config.json").read_text())
    recipe = config["recipe"]
    adamw = {"kind": "adamw", "weight_decay": 0.05, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    assert recipe["optimizer"] == adamw
    assert recipe["schedule"]["kind"] == "cosine"
    assert recipe["loss"] == {"kind": "cross_entropy", "smoothing": 0.1}
    plain = {"batch_size": 64, "learning_rate": 0.002, "clip": 5, "max_norm": 4, "average": 0.99, "validation": 100}
    assert {name: recipe[name] for name in plain} == plain
    assert config["samples"] == 500
    assert config["seed"] == 7
    assert config["preparation"] == {"divisor": 255, "mean": 0.0, "deviation": 1.0, "deskew": False}
    kinds = [layer["kind"] for layer in config["network"]]
    assert kinds == ["dense", "batch_norm", "activation", "dropout"] * 2 + ["dense"]
    assert config["network"][0]["init"] == "glorot"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("train --epochs 0", 2, "byhand: epochs must be a positive integer, got 0"),
        ("train --hidden 12,x", 2, "must be positive integers separated by commas, or none, got '12,x'"),
        ("train --learning-rate -1", 2, "byhand: learning_rate must be a positive number, got -1.0"),
        ("train --batch-size many", 2, "batch_size must be a positive integer or all, got 'many'"),
        ("train --dropout 1", 2, "dropout must be at least 0 and less than 1, got 1.0"),
        ("train --data nowhere", 3, "nowhere"),
        ("train --patience 2", 2, "patience needs validation data"),
        ("train --optimizer sgd --momentum 0.9", 2, "settings of sgd must be among weight_decay, got momentum"),
        ("train --loss mse --label-smoothing 0.1", 2, "label_smoothing needs the loss cross_entropy, got mse"),
        ("train --samples 0", 2, "samples must be positive, got 0"),
        ("train --resume nowhere", 5, "nowhere: no such run"),
        ("train --preset nothing", 2, "'nothing' is not one of 'digits'"),
        ("tarin", 2, "No such command 'tarin'"),
        ("eval", 2, "Missing argument 'RUN|MODEL'"),
        ("eval nowhere", 5, "byhand: nowhere: no such run: create one with byhand train"),
        ("predict", 2, "Missing argument"),
        ("predict nowhere.png", 3, "byhand: nowhere.png: file not found"),
    ],
)
def test_wrong_usage_gives_a_one_line_error(run, words, code, message):
    left, out, err = run(
        *words.split(), *(["--offline"] if words.startswith("train --") and "--data" not in words else [])
    )
    assert left == code
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_divergence_exits_with_4_and_a_suggestion(run):
    words = (
        "train --data mnist-5k --init two_layer --learning-rate 1e9 --optimizer sgd --schedule constant --hidden 64,64"
    )
    code, out, err = run(*words.split())
    assert (code, out) == (4, "")
    assert re.search(
        r"byhand: (loss|the gradient) became (NaN|infinite) at step \d+: .* Try --learning-rate 1e\+08\.", err
    )


@pytest.mark.slow
@pytest.mark.timing
def test_ctrl_c_saves_and_names_the_command_to_resume(tmp_path):
    command = [sys.executable, "-m", "byhand", "train", "--data", "mnist-5k", "--epochs", "100000", "--run", "r"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "byhand train --resume r" in err
    assert "saved r/model.safetensors" in out
    _, state = Checkpoints(Run(tmp_path / "r")).load()
    epochs = state["step"] // 32 + 1  # 32 steps each
    done = processes.byhand("train", "--resume", "r", "--epochs", epochs, "-q", cwd=tmp_path)
    assert done.returncode == 0
    assert "test accuracy" in done.stdout


@pytest.mark.slow
def test_a_terminal_gets_a_progress_bar(tmp_path):
    """A pseudo-terminal: the bar is drawn on stderr and removed; the lines of the epochs remain."""
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-m", "byhand", "train", "--data", "mnist-5k", "--epochs", "3"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=follower, stdout=subprocess.PIPE, env=environment)
    os.close(follower)
    seen = b""
    try:
        while chunk := os.read(leader, 65_536):
            seen += chunk
    except OSError:
        pass
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert b"epoch 3/3" in seen
    assert b"images/s" in seen
    assert b"\x1b[" in seen
    assert b"test accuracy" in out
    assert b"\x1b" not in out


def test_eval_prints_accuracy_and_confusion_matrix(run, trained):
    code, out, _ = run("eval", trained)
    assert code == 0
    assert re.match(r"accuracy \d\d\.\d\d % \(\d+ of 1,000; 95 % interval", out)
    assert "true \\ read as" in out
    assert "the worst of" in out


@pytest.mark.parametrize("words", ["eval run", "compare run run", "info run", "runs list ."])
def test_tables_fit_a_narrow_terminal(type_in, monkeypatch, trained, words):
    monkeypatch.chdir(trained.parent)
    monkeypatch.setenv("COLUMNS", "42")
    code, out, _ = type_in(*words.split())
    assert code == 0
    assert [line for line in out.splitlines() if len(line) > 42 and not line.startswith(("accuracy ", "run (1)"))] == []


def test_eval_gives_consistent_json(run, trained):
    _, out, _ = run("eval", trained, "--json")
    result = json.loads(out)
    confusion = np.array(result["confusion"])
    assert confusion.sum() == result["images"] == 1000
    assert confusion.trace() / 1000 == result["accuracy"]
    assert len(result["mistakes"]) == 1000 - confusion.trace()


def test_a_missed_threshold_exits_with_1(run, trained):
    assert run("eval", trained, "--threshold", 0.5)[0] == 0
    code, _, err = run("eval", trained, "--threshold", 0.9999)
    assert code == 1
    assert "accuracy must be at least 99.99 %, got" in err


def test_eval_of_a_damaged_model_exits_with_5(run, trained, tmp_path):
    damaged = bytearray((trained / "model.safetensors").read_bytes())
    damaged[-1000] ^= 1
    (tmp_path / "bad.safetensors").write_bytes(damaged)
    code, _, err = run("eval", tmp_path / "bad.safetensors")
    assert code == 5
    assert "bad.safetensors: damaged: the content does not match the checksum" in err


def test_predict_reads_a_drawing_with_the_shipped_model(run, tmp_path):
    label = digit_picture(tmp_path / "digit.png", 3)
    code, out, _ = run("predict", "digit.png")
    assert code == 0
    assert re.match(rf"digit\.png  {label}  \d+\.\d %   \(\d: ", out)


def test_predict_uses_the_model_of_a_run(run, trained, tmp_path):
    label = digit_picture(tmp_path / "digit.png", 5)
    _, out, _ = run("predict", "--run", trained, "digit.png", "--json", "--top", 2)
    (result,) = json.loads(out)
    assert result["digit"] == str(label)
    assert len(result["guesses"]) == 2


def test_predict_reads_a_folder_sorted_by_name(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for index in (2, 0, 1):
        digit_picture(folder / f"{index}.png", index)
    (folder / "notes.txt").write_text("not a picture")
    _, out, _ = run("predict", "mine", "--json")
    assert [Path(result["picture"]).name for result in json.loads(out)] == ["0.png", "1.png", "2.png"]


def test_predict_reads_numbers_from_a_pipe(run, monkeypatch):
    test = byhand.load("mnist-5k").test
    lines = [" ".join(map(str, test.images[i].ravel())) for i in range(3)]
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("\n".join([lines[0], "", lines[1].replace(" ", ","), "1 2 3", lines[2]]))
    )
    code, out, err = run("predict", "-")
    assert code == 3
    assert "line 4 must have 784 integers from 0 to 255, got 3" in err
    assert [line.split()[1] for line in out.splitlines()] == [str(label) for label in test.labels[:3]]


@pytest.mark.parametrize("ending", ["png", "jpg", "pgm"])
def test_predict_reads_the_bytes_of_an_image_file_from_a_pipe(run, monkeypatch, tmp_path, ending):
    label = digit_picture(tmp_path / f"a.{ending}")
    content = (tmp_path / f"a.{ending}").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    code, out, _ = run("predict", "-")
    assert (code, out[:4]) == (0, f"-  {label}")


def test_predict_names_a_damaged_image_file_from_a_pipe(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(b"\x89PNG\r\n\x1a\n0000"))))
    code, out, err = run("predict", "-")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1


def test_predict_shows_the_network_input(run, tmp_path):
    digit_picture(tmp_path / "digit.png")
    _, out, _ = run("predict", "digit.png", "--show-input")
    assert len(out.splitlines()) == 15
    assert "@" in out or "%" in out


def test_predict_segments_a_line_of_digits(run, tmp_path):
    test = byhand.load("mnist-5k").test
    chosen = [0, 100, 200, 300]
    row = np.concatenate([np.pad(test.images[i], ((10, 10), (8, 8))) for i in chosen], axis=1)
    Image.fromarray(255 - np.kron(row, np.ones((4, 4), np.uint8))).save(tmp_path / "note.png")
    code, out, _ = run("predict", "note.png", "--line")
    assert code == 0
    assert out.splitlines()[-1] == "".join(str(test.labels[i]) for i in chosen)


def test_unreadable_images_are_reported_and_the_others_read(run, tmp_path):
    label = digit_picture(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture at all")
    (tmp_path / "none.png").write_bytes(b"")
    Image.new("L", (40, 40), 255).save(tmp_path / "blank.png")
    code, out, err = run("predict", "bad.png", "none.png", "blank.png", "good.png")
    assert code == 3
    assert out.startswith(f"good.png  {label}")
    assert [name in err for name in ("bad.png", "none.png", "blank.png")] == [True] * 3
    assert "Traceback" not in err


def make_cli_docs():
    spec = importlib.util.spec_from_file_location("make_cli_docs", ROOT / "tools" / "make_cli_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_up_to_date():
    # Click before 8.5 writes COMMAND for an optional command.
    pages = [(ROOT / "docs" / "cli.md").read_text("utf-8"), make_cli_docs().page()]
    shown, made = (page.replace("[COMMAND]", "COMMAND") for page in pages)
    assert shown == made, "run python tools/make_cli_docs.py"


def every_command(command, name, context):
    inner = click.Context(command, info_name=name, parent=context)
    yield inner.command_path, command
    if isinstance(command, click.Group):
        for inside in command.list_commands(inner):
            yield from every_command(command.get_command(inner, inside), inside, inner)


def test_every_command_and_every_option_is_documented():
    for path, command in every_command(cli, "byhand", None):
        assert command.help, path
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.hidden or parameter.help, (
                f"{path} {parameter.name}"
            )


def test_each_command_is_in_the_help_with_its_line(run):
    code, out, _ = run("--help")
    assert code == 0
    for name, line in COMMANDS.items():
        assert name in out
        assert line.split()[0] in out


def test_the_help_loads_no_numpy_and_few_modules():
    """Measured: 120 to 130 modules, in 75 ms of processor time with Python's own start."""
    code = "import sys; sys.argv = ['byhand', '-h']\nfrom byhand.cli import main\ntry: main()\nexcept SystemExit: pass"
    done = processes.python("-c", f"{code}\nassert 'numpy' not in sys.modules\nprint(len(sys.modules))")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 160


def test_version(run):
    assert run("--version")[1].strip() == f"byhand, version {byhand.__version__}"


ZEN_5 = """\
processor	: 0
vendor_id	: AuthenticAMD
flags		: fpu avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl

processor	: 1
"""


@pytest.mark.parametrize(
    ("cpuinfo", "named"),
    [
        (ZEN_5, True),
        (ZEN_5.replace("AuthenticAMD", "GenuineIntel"), False),
        (ZEN_5.replace(" avx512vl", ""), False),
        ("", False),
        ("garbage", False),
    ],
)
def test_the_blas_kernel_is_chosen_only_for_amd_with_avx512(cpuinfo, named):
    assert is_amd_with_avx512(cpuinfo) is named


BLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT", "BYHAND_THREADS")


def configured(monkeypatch, **variables):
    """Return the variables of the BLAS after `configure_blas`, in a process that has not loaded NumPy."""
    with monkeypatch.context() as patch:
        for name in BLAS_VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.delitem(sys.modules, "numpy")
        configure_blas()
        return {name: os.environ[name] for name in BLAS_VARIABLES if name in os.environ}


def test_variables_of_the_blas_set_by_the_user_are_kept(monkeypatch):
    chosen = dict(zip(BLAS_VARIABLES, ("HASWELL", "3", "28", "1"), strict=True))
    assert configured(monkeypatch, **chosen) == chosen


def test_idle_blas_threads_of_commands_sleep_soon(monkeypatch):
    assert int(configured(monkeypatch)["OPENBLAS_THREAD_TIMEOUT"]) < 24


def test_the_cap_of_byhand_is_one_of_the_blas(monkeypatch):
    assert "OPENBLAS_NUM_THREADS" not in configured(monkeypatch)
    assert configured(monkeypatch, BYHAND_THREADS="1")["OPENBLAS_NUM_THREADS"] == "1"
