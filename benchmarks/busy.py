"""A busy machine: processes by default and with one thread, beside loops that occupy the processors.

Processes take turns, and are measured by the clock and by their processor time: threads that wait for one another, or
for work, by spinning, occupy processors.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.rounds import Log, in_turn, ratios, spread
from byhand.data import load
from byhand.errors import UsageError
from byhand.threads import LIMITS

#: Numbers of busy loops.
LOADS = (0, 1, 2, 4)
DEFAULT = "default"
#: The settings: options of the command, and environment variables.
SETTINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    DEFAULT: ([], {}),
    "--threads 1": (["--threads", "1"], {}),
    "BYHAND_THREADS=1": ([], {"BYHAND_THREADS": "1"}),
    "OPENBLAS_NUM_THREADS=1": ([], {"OPENBLAS_NUM_THREADS": "1"}),
}
FIT = """
import byhand
data = byhand.load("mnist-5k", offline=True)
model = byhand.Model([784, 128, 10], seed=0)
byhand.fit(model, data.train, validation=0.1, seed=0, verbose=0)
print(model.accuracy(data.test))
"""
#: The arguments of Python. Only `byhand train` has the option `--threads`.
PROCESSES = {
    "byhand train": ["-m", "byhand", "train", "--data", "mnist-5k", "--offline", "--quiet"],
    "byhand predict": ["-m", "byhand", "predict", "digit.png"],
    "byhand.fit": ["-c", FIT],
}


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Run `count` processes that never wait, inside this block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def seconds(words: list[str], folder: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Run Python with these words; return the seconds, and the processor seconds of all its threads."""
    environment = {name: value for name, value in os.environ.items() if name not in LIMITS} | variables
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    status, usage = os.wait4(process.pid, 0)[1:]
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UsageError(f"{' '.join(words)} failed with exit status {process.returncode}")
    return taken, usage.ru_utime + usage.ru_stime


def measure(rounds: int, log: Log) -> list[dict[str, Any]]:
    """Measure each process in each setting beside each number of loops."""
    taken: dict[tuple[str, int], dict[str, list[tuple[float, float]]]] = {
        (name, load): {setting: [] for setting in SETTINGS if setting != "--threads 1" or "train" in words}
        for name, words in PROCESSES.items()
        for load in LOADS
    }
    with tempfile.TemporaryDirectory() as folder:
        write_digit(Path(folder) / "digit.png")
        for number in range(rounds):
            for (name, load), settings in taken.items():
                with busy_loops(load):
                    for setting in in_turn(list(settings), number):
                        options, variables = SETTINGS[setting]
                        settings[setting].append(seconds([*PROCESSES[name], *options], Path(folder), variables))
                log(f"  {name} beside {load} loops: {settings[DEFAULT][-1][0]:.2f} s by default")
    return [figures(name, load, settings) for (name, load), settings in taken.items()]


def figures(name: str, load: int, settings: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    """Return the seconds and processor seconds of each setting, and the ratio of the default to the best one."""
    clock = {setting: [pair[0] for pair in pairs] for setting, pairs in settings.items()}
    processor = {setting: [pair[1] for pair in pairs] for setting, pairs in settings.items()}
    best = min((setting for setting in clock if setting != DEFAULT), key=lambda name: spread(clock[name])["median"])
    return {
        "process": name,
        "busy_loops": load,
        "seconds": {setting: spread(values) for setting, values in clock.items()},
        "processor_seconds": {setting: spread(values) for setting, values in processor.items()},
        "best": best,
        "default_against_best": ratios(clock[DEFAULT], clock[best]),
    }


def write_digit(path: Path) -> None:
    """Write a test image as a picture."""
    from PIL import Image

    Image.fromarray(255 - load("mnist-5k", offline=True).test.images[0]).save(path)
