"""Edge cases of the command line: nearly correct input, closed streams, and Ctrl-C during start-up."""

import io
import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from byhand.cli import check, course, hints
from byhand.cli.output import Console, show_json
from byhand.cli.start import replace_unencodable
from helpers.processes import python
from helpers.processes import run as run_command

BYHAND = [sys.executable, "-m", "byhand"]


def in_a_shell(line, cwd):
    """Run the line in a shell, with `byhand` as the program."""
    line = line.replace("byhand ", shlex.join(BYHAND) + " ")
    return run_command("sh", "-c", line, cwd=cwd)


TRAIN = "byhand train --offline --data mnist-5k --hidden 8 --epochs 1 --samples 200"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("line", ["byhand data list", pytest.param(TRAIN, marks=pytest.mark.slow)])
def test_closed_standard_streams_are_not_an_error(line, closed, tmp_path):
    done = in_a_shell(f"{line} {closed}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if closed == "<&-":
        assert "mnist-5k" in done.stdout


@pytest.mark.slow
def test_messages_are_never_written_into_an_output_file(tmp_path):
    """With stderr closed, the next opened file would get its number and receive the messages."""
    assert in_a_shell("byhand export -o x.html 2>&-", tmp_path).returncode == 0
    assert in_a_shell("byhand export -o y.html", tmp_path).returncode == 0
    assert (tmp_path / "x.html").read_bytes() == (tmp_path / "y.html").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.25])
@pytest.mark.timing
def test_ctrl_c_during_imports_exits_with_130(after, tmp_path):
    """The program reports when main is called, and then gets the signal."""
    code = "import sys; from byhand.cli import main; sys.argv = ['byhand', 'train', '--data', 'mnist-5k', '-q']\n"
    code += "print('here', flush=True); main()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(0.005 + after)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_importing_the_cli_loads_neither_click_nor_numpy():
    code = "import sys, byhand.cli; print('click' in sys.modules, 'numpy' in sys.modules)"
    assert python("-c", code).stdout == "False False\n"


def test_an_ignored_sigint_stays_ignored():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nfrom byhand.cli.start import exit_on_interrupt"
    code += "\nwith exit_on_interrupt(): signal.raise_signal(signal.SIGINT)\nprint('still here')"
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (0, "still here\n")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["eval", "runs/001", "--html", ""], "--html"),
        (["eval", "runs/001", "--html="], "--html"),
        (["eval", ""], "an argument"),
        (["train", "--run", ""], "--run"),
        (["train", "--data", ""], "--data"),
        (["train", "--resume="], "--resume"),
        (["predict", "--run", "", "a.png"], "--run"),
        (["predict", "a.png", ""], "an argument"),
        (["predict", "--json", ""], "an argument"),
        (["export", "-o", ""], "--output"),
        (["data", "verify", ""], "an argument"),
        (["course", "start", ""], "an argument"),
    ],
)
def test_an_empty_path_is_rejected(run, words, named):
    assert run(*words) == (2, "", f"byhand: {named} must not be empty\n")
    assert list(Path().iterdir()) == []


def test_an_empty_value_that_is_not_a_path_is_accepted(run):
    """`--hidden ""` is a network without hidden layers."""
    assert run("train", "--data", "mnist-5k", "--hidden", "", "--epochs", 1, "--samples", 200, "-q")[0] == 0


def test_the_commands_of_the_course_that_are_suggested_exist():
    assert set(hints.COURSE) < set(course.command.commands)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trian", "train"),
        ("predit", "predict"),
        ("evl", "eval"),
        ("lr_find", "lr-find"),
        ("lrfind", "lr-find"),
        ("Train", "train"),
        ("course nxt", "next"),
        ("test", "eval"),
        ("report", "eval"),
        ("version", "--version"),
        ("runs rm", "delete"),
        ("data download", "get"),
        ("next", "byhand course next"),
        ("start", "byhand course start"),
    ],
)
def test_a_misspelled_command_gets_a_suggestion(run, typed, meant):
    code, out, err = run(*typed.split())
    assert (code, out) == (2, "")
    assert f"No such command {typed.split()[-1]!r}. Did you mean {meant!r}?" in err


def test_help_is_a_command_too(run):
    assert run("help") == run("--help")
    assert run("help", "train") == run("train", "--help")
    assert run("course", "help") == run("course", "--help")
    assert run("help", "data", "list")[1].startswith("Usage: byhand data list")


@pytest.mark.parametrize(
    "words", ["--debug eval nowhere", "eval nowhere --debug", "eval --debug nowhere", "data verify nowhere --debug"]
)
def test_debug_is_accepted_before_and_after_the_command(run, words):
    assert "Traceback" in run(*words.split())[2]


def test_debug_after_two_dashes_is_a_file_name(run):
    assert run("predict", "--", "--debug") == (3, "", "byhand: --debug: file not found\n")


SMALL = ["--data", "mnist-5k", "--samples", 200, "--hidden", "8", "-q"]


def test_short_names_of_options_reach_the_run(run):
    words = ["-e", 1, "--bs", 50, "--lr", 0.02, "--wd", 0.001, "--val", 20, "-o", "r"]
    assert run("train", *SMALL, "--optimizer", "adamw", *words)[0] == 0
    recipe = json.loads(Path("r/config.json").read_text())["recipe"]
    assert [recipe[name] for name in ("epochs", "batch_size", "learning_rate", "validation")] == [1, 50, 0.02, 20]
    assert recipe["optimizer"]["weight_decay"] == 0.001


def test_choices_are_case_insensitive(run):
    assert run("train", *SMALL, "-e", 1, "--optimizer", "AdamW", "--activation", "ReLU", "-o", "r")[0] == 0
    assert json.loads(Path("r/config.json").read_text())["recipe"]["optimizer"]["kind"] == "adamw"


def test_choices_take_a_hyphen_for_an_underscore(run):
    assert run("train", *SMALL, "-e", 1, "--loss", "Cross-Entropy", "-o", "r")[0] == 0


def test_a_run_in_place_of_data_is_answered_with_resume(run):
    Path("r").mkdir()
    Path("r/config.json").write_text("{}")
    assert run("train", "r") == (2, "", "byhand: r is a run, not a data set: did you mean --resume r?\n")


@pytest.mark.parametrize(
    ("line", "found"),
    [("byhand ev", "plain,eval"), ("byhand train --opti", "plain,--optimizer"), ("byhand eval ru", "file,ru")],
)
def test_the_shell_completes_commands_options_and_files(run, monkeypatch, line, found):
    for name, value in (("_BYHAND_COMPLETE", "bash_complete"), ("COMP_WORDS", line)):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    assert found in run()[1].splitlines()


def test_version_has_a_short_name(run):
    assert run("-V") == run("--version")


@pytest.mark.parametrize(
    "words", [["train", "--device", "cuda"], ["eval", "--gpu", "r"], ["predict", "--cpu", "a.png"]]
)
def test_options_for_a_device_give_a_one_line_error(run, words):
    line = f"byhand: byhand computes on the CPU, without a choice of device: remove {words[1]}\n"
    assert run(*words) == (2, "", line)


def test_train_accepts_its_data_as_an_argument(run):
    assert run("train", "mnist-5k", *SMALL[2:], "-e", 1, "-o", "r")[0] == 0
    assert json.loads(Path("r/config.json").read_text())["data"] == "mnist-5k"


def test_data_given_twice_are_rejected(run):
    line = "byhand: give the data once: either 'mnist' or --data 'kmnist'\n"
    assert run("train", "mnist", "--data", "kmnist") == (2, "", line)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["train", "--epochs", 0], "epochs must be a positive integer, got 0"),
        (["train", "--hidden", "x"], "must be positive integers"),
        (["train", "kmnist", "--maps", "8@99"], "byhand: "),
        (["train", "mine.csv", "--lr", -1], "learning_rate must be a positive number, got -1.0"),
        (["train", "--run", "."], "the run's folder must be new or empty, got ."),
        (["lr-find", "--bs", 0], "batch_size must be a positive integer or all, got '0'"),
    ],
)
def test_options_are_checked_before_data_is_loaded(run, monkeypatch, words, rule):
    monkeypatch.setattr("byhand.data.load", lambda *_, **__: pytest.fail("data was loaded"))
    Path("mine.csv").write_text("")
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert rule in err


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437", "utf-8"])
def test_output_in_any_encoding_is_written(run, monkeypatch, encoding):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert run("lr-find", *SMALL, "--steps", 20)[0] == 0
    out.flush()
    assert ("│" if encoding in ("utf-8", "cp437") else "|") in out.buffer.getvalue().decode(encoding)


def test_characters_without_a_likeness_become_question_marks():
    replace_unencodable()
    assert "− ² é 猫 \udcff →".encode("ascii", errors="byhand") == b"- 2 e ? ? ->"


def test_json_escapes_what_the_encoding_lacks(run, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", out)
    show_json({"class": "猫"})
    out.flush()
    assert json.loads(out.buffer.getvalue()) == {"class": "猫"}


def test_a_config_file_sets_defaults_of_options(run):
    lines = ["data = 'mnist-5k'", "samples = 200", "lr = 0.02", "epochs = 2", "hidden = [12, 8]", "deskew = false"]
    Path("a.toml").write_text("\n".join([*lines, "batch-size = 50", "quiet = true"]))
    assert run("train", "--config", "a.toml", "-e", 1, "-o", "r")[::2] == (0, "")
    config = json.loads(Path("r/config.json").read_text())
    assert [config["recipe"][name] for name in ("learning_rate", "epochs", "batch_size")] == [0.02, 1, 50]
    assert [layer["units"] for layer in config["network"] if layer["kind"] == "dense"] == [12, 8, 10]
    assert config["preparation"]["deskew"] is False
    Path("b.toml").write_text("data = 'nowhere'")
    assert run("train", "mnist-5k", *SMALL[2:], "-e", 1, "--config", "b.toml")[0] == 0


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("epoch = 3", "a.toml: unknown option 'epoch' (did you mean epochs?)"),
        ("epochs", "a.toml: must be valid TOML: "),
        ("[train]\nepochs = 3", "a.toml: unknown option 'train'"),
        ("[hidden]\na = 3", "a.toml: hidden must be a number, a text, true, false or a list, got "),
        ("epochs = -1", "epochs must be a positive integer, got -1"),
        (None, "a.toml: No such file or directory"),
    ],
)
def test_a_wrong_config_file_is_answered_in_one_line(run, content, rule):
    if content is not None:
        Path("a.toml").write_text(content)
    code, out, err = run("train", "--config", "a.toml")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert rule in err


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")])
def test_check_has_no_colors_for_terminals_without_them(monkeypatch, name, value):
    shown = []
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(check, "_lines", lambda _: ["right"])
    monkeypatch.setattr(check.click, "echo", lambda _, color: shown.append(color))
    check.show(SimpleNamespace(ok=True), Console(quiet=False))
    assert shown == [None if value == "xterm" else False]
