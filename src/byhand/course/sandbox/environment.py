"""The environment of the student's code: limits, access to files, and stand-ins for plotting packages.

The process may read the folders of Python and its packages, and read and write the folder that it starts in, but not
other submissions, hidden checks or marks. Limits can only be lowered. On every system, an audit hook names what is not
allowed. Code that calls the C library passes it by; on Linux, `boundary` stops it.
"""

import builtins
import contextlib
import importlib.abc
import importlib.machinery
import io
import opcode
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FORBIDDEN = (
    *("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn", "os.startfile"),
    *("os.system", "subprocess.Popen", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"),
)
READS = ("os.listdir", "os.scandir")
CHANGES = ("os.chmod", "os.chown", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.utime")
CHANGES_OF_TWO = ("os.link", "os.rename", "os.symlink")  # their first two arguments are paths
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = (  # no secrets are below these, even for root
    *("/usr", "/lib", "/lib64", "/nix/store", "/System", "/sys/devices/system", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/etc/ld.so.cache", "/etc/localtime"),
    *("/etc/mime.types", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/os-release"),
)

DRAWING = ("matplotlib", "pylab", "mpl_toolkits", "seaborn", "plotly", "IPython")
UNPACK = opcode.opmap["UNPACK_SEQUENCE"]


def close(memory: int, seconds: int) -> str:
    """Limit the process to `memory` bytes, `seconds` of CPU time and files of 16 MB, and make byhand unavailable.

    Return an empty text if a boundary of the kernel closes the process, otherwise the reason why there is none.
    """
    with contextlib.suppress(ImportError):
        import resource

        for what, limit in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, 16 * 2**20),
            (resource.RLIMIT_NOFILE, 64),  # deleted files that are still open take space too
            (resource.RLIMIT_CORE, 0),
        ):
            with contextlib.suppress(ValueError, OSError):  # not every system has each limit
                resource.setrlimit(what, (limit, limit))
    guard = _Guard()
    try:
        from byhand.course.sandbox.boundary import confine

        reason = confine(guard.folder, guard.readable, guard.package)
    except (ImportError, OSError, AttributeError) as error:
        reason = str(error)
    for name in [name for name in sys.modules if name.split(".")[0] == "byhand"]:
        del sys.modules[name]
    sys.addaudithook(guard.judge)
    return reason


class _Guard:
    """The audit hook, which raises an error on forbidden operations."""

    def __init__(self) -> None:
        self.package, self.folder = str(Path(__file__).resolve().parents[2]), os.path.realpath(os.curdir)
        roots = (self.folder, sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path), *SYSTEM)
        self.readable = {os.path.realpath(root) for root in (*roots, os.environ.get("SYSTEMROOT", self.folder))}
        self.readable.add(f"/proc/{os.getpid()}")

    def judge(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "import":
            if str(args[0]).split(".")[0] == "byhand":
                raise ImportError("byhand can't be imported while it checks this file")
        elif event == "open":
            if isinstance(args[2], int) and args[2] & WRITING:
                self._within(args[0], {self.folder, os.devnull}, "written")
            else:
                self._within(args[0], self.readable, "read")
        elif event in READS:
            self._within(args[0], self.readable, "read")
        elif event in CHANGES or event in CHANGES_OF_TWO:
            for path in args[: 2 if event in CHANGES_OF_TWO else 1]:
                self._within(path, {self.folder}, "changed")
        elif event in FORBIDDEN:
            raise PermissionError(f"{event} is not allowed while this file is checked")

    def _within(self, path: Any, roots: set[str], done: str) -> None:
        """Raise an error unless the path is below one of the roots and outside byhand."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        full = os.path.realpath(os.fsdecode(path))
        if _below(full, self.package) or not any(_below(full, root) for root in roots):
            raise PermissionError(f"{os.fsdecode(path)} can't be {done} while this file is checked")


def _below(path: str, root: str) -> bool:
    return (path + os.sep).startswith(root.rstrip(os.sep) + os.sep)


# ---- plotting


class Canvas:
    """A stand-in for any object of a plotting package: its attributes, entries and results are canvases again."""

    __array_ufunc__ = None  # so that NumPy's numbers use the operators below

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Canvas()

    def __call__(self, *_arguments: Any, **_keywords: Any) -> Any:
        return Canvas()

    def __iter__(self) -> Iterator[Any]:
        """Yield as many canvases as an assignment unpacks (`a, b, c = canvas`), or two in a loop."""
        frame = sys._getframe(1)
        here = frame.f_code.co_code[frame.f_lasti : frame.f_lasti + 2]
        return iter([Canvas() for _ in range(here[1] if here[0] == UNPACK else 2)])

    def __float__(self) -> float:
        return 0.0

    def __format__(self, _how: str) -> str:
        return ""

    def __lt__(self, _other: Any) -> bool:
        return False

    def __exit__(self, *_: object) -> None:
        pass

    __le__ = __gt__ = __ge__ = __lt__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = __call__
    __enter__ = __getitem__ = __setitem__ = __call__


class CanvasModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if self.__name__.endswith("pylab"):  # it also has NumPy's names
            if name == "__all__":
                return [*np.__all__, *np.random.__all__]
            for home in (np, np.random):
                if hasattr(home, name) and not name.startswith("__"):
                    return getattr(home, name)
        if name == "__all__":
            return []
        if name.startswith("__"):
            raise AttributeError(name)
        return _subplots if name == "subplots" else Canvas()


def _subplots(nrows: int = 1, ncols: int = 1, **_: Any) -> tuple[Any, Any]:
    """Return (figure, axes) like Matplotlib: a single canvas, or an array of them, which has a shape."""
    axes = np.empty((nrows, ncols), dtype=object)
    for where in np.ndindex(nrows, ncols):
        axes[where] = Canvas()
    return Canvas(), axes[0, 0] if axes.size == 1 else axes.squeeze()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".", 1)[0] in DRAWING:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return CanvasModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Make `from matplotlib import pyplot` find the module, not a canvas."""
        if module.__name__ == "matplotlib":
            module.__dict__["pyplot"] = importlib.import_module("matplotlib.pyplot")


def hide_drawing() -> None:
    """Replace the plotting packages, because plots are not checked and Matplotlib may not be installed."""
    sys.meta_path.insert(0, _Finder())


# ---- data files


def find_data() -> None:
    """Read a data file from the working folder if its path does not exist, such as `/kaggle/input/…/train.csv`."""

    def beside(path: Any) -> Any:
        if isinstance(path, str | os.PathLike) and not exists(path):
            name = os.path.basename(os.fspath(path))
            return name if exists(name) else path
        return path

    def opened(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
        return plain_open(beside(file) if mode.startswith("r") else file, mode, *arguments, **keywords)

    exists, is_file, plain_open = os.path.exists, os.path.isfile, open
    builtins.open = io.open = opened
    with contextlib.suppress(ImportError, AttributeError):  # np.loadtxt keeps the `open` of when NumPy was imported
        importlib.import_module("numpy.lib._datasource")._file_openers._file_openers[None] = opened
    os.path.exists = lambda path: exists(beside(path))
    os.path.isfile = lambda path: is_file(beside(path))
