"""Starting up: how much longer than an empty Python `byhand --help` and `import byhand` take."""

import subprocess
import sys
import time
from typing import Any

from benchmarks.rounds import Say, spread

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import byhand": ["-c", "import byhand"],
    "byhand --help": ["-m", "byhand", "--help"],
}


def measure(rounds: int, say: Say) -> dict[str, Any]:
    """Milliseconds of each in turns, and what is over an empty Python."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(max(rounds, 5)):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append(1e3 * (time.perf_counter() - began))
    empty = times["python -c pass"]
    result = {
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "more_than_empty": {
            name: spread([a - b for a, b in zip(values, empty, strict=True)]) for name, values in times.items()
        },
    }
    say(f"  byhand --help: {result['more_than_empty']['byhand --help']['median']:.0f} ms more than an empty Python")
    return result
