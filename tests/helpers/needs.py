"""Optional packages, programs and data: a test without them is skipped, or fails in the gate.

The gate sets BYHAND_REQUIRE: `dev` requires all but the libraries that byhand is compared with, `all` those too.
"""

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

#: Libraries that no extra for contributors installs.
COMPARED = {"torch", "onnx", "onnxruntime", "mpi4py"}


def missing(name: str, *, required: bool = True) -> NoReturn:
    """Skip the test or the file with the reason; in the gate, fail."""
    if required and os.environ.get("BYHAND_REQUIRE"):
        pytest.fail(f"BYHAND_REQUIRE is set, and this needs {name}", pytrace=False)
    pytest.skip(f"needs {name}", allow_module_level=True)


def needs(*packages: str) -> ModuleType:
    """Import optional packages, and return the first."""
    for name in packages:
        try:
            importlib.import_module(name)
        except ImportError:
            required = name not in COMPARED or os.environ.get("BYHAND_REQUIRE") == "all"
            missing(f"the package {name}", required=required)
    return importlib.import_module(packages[0])


def program(*names: str, required: bool = True) -> str:
    """Return the path of the first of these programs that is installed."""
    return next(filter(None, map(shutil.which, names)), None) or missing(f"the program {names[0]}", required=required)


def full_mnist_folder() -> Path:
    """Return the folder with the full MNIST. The gate requires it only where BYHAND_DATA is set."""
    folder = os.environ.get("BYHAND_DATA")
    if folder is None or not Path(folder).is_dir():
        missing("the full MNIST in the folder BYHAND_DATA", required=folder is not None)
    return Path(folder)
