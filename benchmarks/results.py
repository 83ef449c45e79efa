"""Results: one JSON file a suite, with the machine and the versions it was made on, and nothing that names a person."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import facts
from byhand.errors import UsageError
from byhand.files import write_text

Result = dict[str, Any]


def write(folder: Path, suite: str, figures: Any, distributions: Iterable[str]) -> Path:
    """Keep what a suite measured."""
    path = folder / f"{suite}.json"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"suite": suite, "machine": facts(distributions), "figures": rounded(figures)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def read(folder: Path, suite: str) -> Result | None:
    """What was kept, or nothing."""
    path = folder / f"{suite}.json"
    try:
        content: Result = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{path} must hold a suite's results as JSON: {error}") from error
    return content


def rounded(value: Any) -> Any:
    """Floats to five digits: more was never measured."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
