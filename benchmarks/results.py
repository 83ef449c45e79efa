"""Results: one JSON file per suite, with a description of the machine and the versions of the packages."""

import importlib.metadata
import json
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import byhand
from byhand.errors import UsageError
from byhand.files import write_text
from byhand.threads import processors

Result = dict[str, Any]

#: Where the results are kept.
FOLDER = Path(__file__).resolve().parent / "results"


def write(folder: Path, suite: str, figures: Any, distributions: Iterable[str] = ()) -> Path:
    """Write a suite's measurements to `folder/suite.json`."""
    path = folder / f"{suite}.json"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"suite": suite, "machine": machine(distributions), "figures": rounded(figures)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def read(folder: Path, suite: str) -> Result | None:
    """Read a suite's results; None if there are none."""
    path = folder / f"{suite}.json"
    try:
        content: Result = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UsageError(f"{path} must hold a suite's results as JSON: {error}") from error
    return content


def rounded(value: Any) -> Any:
    """Round all floats to five significant digits: no measurement is more precise."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def machine(distributions: Iterable[str]) -> dict[str, Any]:
    """Describe this machine: processor, cores, versions, and the BLAS with its kernels. No host or user name."""
    from threadpoolctl import threadpool_info

    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return {
        "processor": processor(),
        "cores": len(processors()),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {"byhand": byhand.__version__, **{name: version(name) for name in ["numpy", *distributions]}},
        "blas": ", ".join(
            f"{info['internal_api']} {info['version']} {info.get('architecture', '')}".strip() for info in blas
        ),
    }


def processor() -> str:
    """Name of the processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version(distribution: str) -> str:
    """Version of an installed distribution, or a dash."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "–"
