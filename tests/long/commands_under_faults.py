"""Commands whose system calls fail: each call that writes, once with each error and once with a kill (needs strace).

    python tests/long/commands_under_faults.py [train | play | ensemble | sweep | grade …] [--most 40] [--seed 0]

A process that has imported everything is forked, strace is attached, and the k-th call of its kind in a thread fails
with EIO, ENOSPC or EMFILE, or the process is killed there. Afterwards the work must be resumed or begun, and end with
the result of an undisturbed process; a finished result must still be there. `--most` limits the faults of a call.
"""

import argparse
import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BYHAND_THREADS"):
    os.environ[name] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

from byhand.cli import main as cli  # noqa: E402
from byhand.distributed.sweep import Folder  # noqa: E402
from byhand.errors import ByhandError  # noqa: E402
from byhand.training.runs import Run, holds_no_step  # noqa: E402
from helpers import killed_playground  # noqa: E402

CALLS = ("openat", "write", "fsync", "rename", "mkdir", "unlink", "ftruncate", "flock")
KINDS = ("error=EIO", "error=ENOSPC", "error=EMFILE", "signal=KILL")
#: Mark of an exception that no line of byhand reported.
ESCAPED = "escaped:"
HERE = Path(__file__).parents[1]
SMALL = ("--data", "mnist-5k", "--hidden", 8, "--epochs", 2, "--samples", 200, "--checkpoint-every", 0)
SPACE = '[fixed]\nepochs = 2\nhidden = "8"\nsamples = 300\n[search]\nlearning_rate = { low = 0.01, high = 0.1 }\n'


def command(*words: object) -> None:
    """Run a command in this process."""
    sys.argv = ["byhand", *map(str, words)]
    cli()


class Work:
    """A command: `do` begins or resumes it in a folder, and `result` returns what must be equal afterwards."""

    def do(self, folder: Path) -> None:
        raise NotImplementedError

    def result(self, folder: Path) -> object:
        """Return the finished result, or None if there is none."""
        raise NotImplementedError


class Train(Work):
    more: tuple[str, ...] = ()

    def do(self, folder: Path) -> None:
        if holds_no_step(folder):
            command("train", "--offline", "--quiet", *SMALL, *self.more, "--run", folder)
        else:
            command("train", "--offline", "--quiet", "--resume", folder)

    def result(self, folder: Path) -> object:
        path = folder / "model.safetensors"
        return Run(folder).model().network.parameters.tobytes() if path.exists() else None


class Ensemble(Train):
    more = ("--committee", "2")

    def result(self, folder: Path) -> object:
        if not Run(folder).config().get("card"):
            return None
        return [member.model().network.parameters.tobytes() for member in Run(folder).members]


class Sweep(Work):
    def do(self, folder: Path) -> None:
        (space := folder.with_name("space.toml")).write_text(SPACE)
        if (folder / "sweep.json").exists():
            command("sweep", "--quiet", "--offline", "--jobs", 1, "--resume", folder)
        else:
            words = ("--offline", "--data", "mnist-5k", "--trials", 2, "--jobs", 1)
            command("sweep", "--quiet", *words, "--space", space, "--folder", folder)

    def result(self, folder: Path) -> object:
        if not (folder / "sweep.html").exists():
            return None
        return [(trial.status, trial.values, trial.accuracy) for trial in Folder(folder).trials()]


class Grade(Work):
    def do(self, folder: Path) -> None:
        (submissions := folder.with_name("submissions")).mkdir(exist_ok=True)
        shutil.copy(HERE / "students" / "two_layer_as_published.py", submissions / "ada.py")
        folder.mkdir(exist_ok=True)
        command("course", "grade", submissions, "--quiet", "--out", folder / "marks.csv", "--jobs", 1)

    def result(self, folder: Path) -> object:
        path = folder / "marks.csv"
        return path.read_text() if path.exists() else None


class Play(Work):
    def do(self, folder: Path) -> None:
        killed_playground.play(folder)

    def result(self, folder: Path) -> object:
        if not folder.exists() or holds_no_step(folder):
            return None
        steps = killed_playground.check(folder)  # also of an unfinished training
        return "all steps" if steps == killed_playground.STEPS else None


WORKS = {"train": Train(), "play": Play(), "ensemble": Ensemble(), "sweep": Sweep(), "grade": Grade()}


def in_child(work: Callable[[], object], output: Path, options: Sequence[str] = ()) -> int:
    """Run `work` in a fork of this process, under strace with these options; return its status."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        with output.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        theirs.recv(1)
        code = 1
        try:
            work()
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        except ByhandError as error:
            code = error.exit_code
        except OSError as error:
            code = 2
            if error.filename is None:
                print(ESCAPED, traceback.format_exc())
        except BaseException:
            print(ESCAPED, traceback.format_exc())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(code)
    strace = attached(child, options) if options else None
    ours.send(b"g")
    status = os.waitpid(child, 0)[1]
    if strace is not None and strace.stderr is not None:
        strace.wait()  # its children may live longer
        strace.stderr.close()
    ours.close()
    theirs.close()
    return status


def attached(child: int, options: Sequence[str]) -> subprocess.Popen[str]:
    """Attach strace to a process and its threads, but not to the programs that it starts."""
    strace = subprocess.Popen(
        ["strace", "-f", "-b", "execve", *options, "-p", str(child)], stderr=subprocess.PIPE, text=True
    )
    assert strace.stderr is not None
    assert "attached" in strace.stderr.readline()
    return strace


def counts(work: Work, folder: Path) -> Counter[str]:
    """Do the work undisturbed; return how often a single thread makes each call."""
    log = folder / "strace"
    options = ["-o", str(log), "-e", f"trace={','.join(CALLS)}"]
    assert in_child(lambda: work.do(folder / "run"), folder / "output", options) == 0, (folder / "output").read_text()
    made = Counter(tuple(re.split(r"[ (]+", line)[:2]) for line in log.read_text(errors="replace").splitlines())
    most = Counter[str]()
    for (_, call), count in made.items():
        most[call] = max(most[call], count)
    return most


def one_fault(work: Work, folder: Path, call: str, kind: str, at: int, expected: object) -> tuple[str, str] | None:
    """Let one call fail; return the outcome and what was done afterwards, or None if there was no such call."""
    log, output = folder / "strace", folder / "output"
    options = ["-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:{kind}:when={at}"]
    run, label = folder / "run", f"{call} {kind} at {at}"
    status = in_child(lambda: work.do(run), output, options)
    trace, text = log.read_text(errors="replace"), output.read_text(errors="replace")
    if "(INJECTED)" not in trace and "SIGKILL" not in trace:
        return None
    left = work.result(run)
    assert left in (None, expected), f"{label}: a result that differs"
    assert status != 0 or left == expected, f"{label}: exit code 0 and no result"
    outcome = "killed" if os.WIFSIGNALED(status) else "survived" if status == 0 else "error in one line"
    if ESCAPED in text:
        outcome = "traceback"
        print(f"{label}: {text[text.index(ESCAPED) :].strip()}", flush=True)
    again = "begun" if not run.exists() or holds_no_step(run) else "resumed"
    assert in_child(lambda: work.do(run), output) == 0, f"{label}: then {output.read_text()}"
    assert work.result(run) == expected, f"{label}: another result after it was {again}"
    return outcome, again


def faults(name: str, most: int, rng: random.Random) -> Counter[tuple[str, str]]:
    """Draw faults of a command, and print a row per call; return the problems."""
    work, problems = WORKS[name], Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        whole = Path(home) / "whole"
        whole.mkdir()
        most_calls = counts(work, whole)
        expected = work.result(whole / "run")
        assert expected is not None
        for call in CALLS:
            tried, outcomes = 0, Counter[str]()
            draws = [(kind, at) for at in range(1, most_calls[call] + 1) for kind in KINDS]
            for kind, at in rng.sample(draws, min(most, len(draws))):
                (folder := Path(home) / f"{call}-{kind}-{at}").mkdir()
                try:
                    found = one_fault(work, folder, call, kind, at, expected)
                except AssertionError as error:
                    print(f"PROBLEM {name}: {error}", flush=True)
                    problems[name, call] += 1
                    continue
                if found is None:  # threads share the calls differently in each process
                    continue
                tried += 1
                outcomes.update(found)
                shutil.rmtree(folder, ignore_errors=True)
            row = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
            print(f"| {name} | {call} | {most_calls[call]} | {tried} | {row} |", flush=True)
        os.chdir("/")
    return problems


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*WORKS, []], default=[])
    parser.add_argument("--most", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    killed_playground.uninterrupted()
    print("| command | call | calls | faults | outcomes |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:  # imports must not fail later
        for name in {"train", *given.names} - {"sweep"}:
            with contextlib.suppress(SystemExit):
                WORKS[name].do(Path(folder) / name)
    import joblib.externals.loky  # noqa: F401
    import optuna  # noqa: F401

    import byhand.report.sweep  # noqa: F401

    problems = Counter[tuple[str, str]]()
    for name in given.names or WORKS:
        problems += faults(name, given.most, random.Random(given.seed))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
