"""Which kernel the BLAS takes: a word to OpenBLAS before NumPy loads it.

OpenBLAS looks at the processor once, as it is loaded, and picks the kernels written for it. A processor younger than
the library falls back to what it surely has: on AMD's newest that is AVX2, although they have AVX-512, and every
product takes twice as long. OpenBLAS can be told by name, through the environment, and only before it is loaded; the
command line comes first, so it does. What the user has set is left alone. See docs/decisions/0004-blas-kernel.md.
"""

import os
import platform
import sys
from pathlib import Path

CHOICE = "OPENBLAS_CORETYPE"
#: What the kernels called SkylakeX use.
NEEDED = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "fma", "avx2"}
CPU = Path("/proc/cpuinfo")


def choose() -> None:
    """Name the AVX-512 kernels where the processor has AVX-512 and OpenBLAS would overlook it."""
    if CHOICE in os.environ or "numpy" in sys.modules or platform.machine() not in ("x86_64", "AMD64"):
        return
    try:
        text = CPU.read_text()
    except OSError:
        return
    if overlooked(text):
        os.environ[CHOICE] = "SKYLAKEX"


def overlooked(cpuinfo: str) -> bool:
    """Whether this is an AMD processor with AVX-512, from what Linux says of its first core."""
    facts: dict[str, str] = {}
    for line in cpuinfo.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    return facts.get("vendor_id") == "AuthenticAMD" and set(facts.get("flags", "").split()) >= NEEDED
