"""The machine: what a figure was measured on, and what it could do at best."""

import importlib.metadata
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import byhand
from byhand.threads import processors

#: Large enough that a product of this size runs at the machine's full rate.
LARGE = 2048


def facts(distributions: Iterable[str] = ()) -> dict[str, Any]:
    """Processor, cores, versions, and the kernels that the BLAS took."""
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
    """Its name, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def version(distribution: str) -> str:
    """Of what is installed, or a dash."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "–"


def sgemm_rate(seconds: float = 0.25) -> float:
    """Floating-point operations a second in large products of float32, all threads: the best of several."""
    A = np.ones((LARGE, LARGE), np.float32)
    out = np.empty_like(A)
    best, until = float("inf"), time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        np.matmul(A, A, out=out)
        best = min(best, time.perf_counter() - began)
        if time.perf_counter() > until:
            return 2 * LARGE**3 / best


def copy_rate(size: int = 256_000_000, times: int = 5) -> float:
    """Bytes a second that one thread reads in a plain copy."""
    source, target = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - began)
    return size / best
