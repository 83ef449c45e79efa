"""Attacks on the grader: each is a student's `relu`, which tells what it got in the error that it raises.

An attack is the body of a function that returns what it got, or raises an error. `stopped` says by what: "boundary" is
the kernel's, without which the attack succeeds; "everywhere" are the limits, the audit hook, and the design. Most
attacks call the C library, which no audit hook sees. `hostile_files` are attacks by names, archives and notebooks.
"""

import io
import json
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

#: Before each attack: the C library, and files and processes that an attacker knows or guesses.
TOOLS = """
import ctypes, os, struct, sys, threading, time
import numpy as np
libc = ctypes.CDLL(None, use_errno=True)
parent, me = os.getppid(), os.getpid()
def read(path):
    descriptor = libc.open(os.fsencode(path), 0)
    buffer = ctypes.create_string_buffer(100_000)
    size = libc.read(descriptor, buffer, 100_000) if descriptor >= 0 else -1
    return buffer.raw[:size].decode("latin-1") if size >= 0 else ""
def write(path, flags=0o1):
    return libc.open(os.fsencode(path), flags, 0o600) >= 0
def address(family, content):
    return struct.pack("=H", family) + content
def connected(family, kind, content, send=False):
    descriptor = libc.socket(family, kind, 0)
    if descriptor < 0:
        return False
    if send:
        return libc.sendto(descriptor, b"x", 1, 0x20000000 * (kind == 1), content, len(content)) > 0
    return libc.connect(descriptor, content, len(content)) == 0
"""


@dataclass(frozen=True)
class Attack:
    """One attack; `got` is what it returns if it succeeds, or the file that it makes."""

    kind: str
    name: str
    stopped: str  # "boundary" or "everywhere"
    lines: str
    got: str = "True"
    needs: str = (
        ""  # "root", "owner" of the packages, "luck", or "nothing" if it must not be tried without the boundary
    )

    def source(self, world):
        """Return the submission; `world` has the places and ports that the attack uses."""
        text = re.sub(r"<(\w+)>", lambda found: str(world[found[1]]), self.lines)
        body = "".join(f"        {line}\n" for line in f"{TOOLS}\n{text}".split("\n"))
        got = "    result = attack()\n    if result: raise ValueError(f'GOT {result!r}'[:300])\n"
        value = "Z, Z" if self.kind == "forged results" else "np.maximum(0, Z), Z"
        return f"import numpy as np\ndef relu(Z):\n    def attack():\n{body}{got}    return {value}\n"


def _attacks(kind, text):
    """Return the attacks of a table: name | stopped | got | needs, then the lines."""
    for block in text.strip().split("\n\n"):
        head, _, lines = block.partition("\n")
        name, stopped, got, needs = (part.strip() for part in head.split("|"))
        yield Attack(kind, name, stopped, lines, got or "True", needs)


READ = r"""
import the answer key | everywhere | |
import byhand.reference.l_layer; return True

open the answer key in Python | everywhere | |
return bool(open("<key>").read())

read the answer key in C | boundary | |
return "def relu" in read("<key>")

loosen the audit hook through the garbage collector | boundary | |
import gc
for one in gc.get_objects():
    if type(one).__name__ == "_Guard":
        one.readable.add("/")
return "another" in open("<other>").read()

read another submission | boundary | |
return "another" in read("<other>")

read the marks | boundary | |
return "student" in read("<marks>")

read the hidden checks | boundary | |
return "secret" in read("<checks>")

read a file of the home folder | boundary | |
return "private" in read("<home>/.key")

list the folder of the submissions | boundary | |
libc.opendir.restype = ctypes.c_void_p
return bool(libc.opendir(b"<folder>"))

read through /proc/self/root | boundary | |
return "another" in read("/proc/self/root<other>")

read through a symbolic link | boundary | |
libc.symlink(b"<other>", b"link")
return "another" in read("link")

read through a hard link | boundary | |
libc.link(b"<other>", b"link")
return "another" in read("link")

read through a rename into the folder | boundary | |
libc.rename(b"<victim>", b"mine")
return "victim" in read("mine")

read a secret in the environment | everywhere | |
return "secret word" in repr(os.environ) + read("/proc/self/environ")

read the environment of the grader | boundary | |
return "secret word" in read(f"/proc/{parent}/environ")

read the memory of the grader, process_vm_readv | boundary | |
start = int(read(f"/proc/{parent}/maps").split("-")[0] or "400000", 16)
here = ctypes.create_string_buffer(16)
part = lambda place: struct.pack("QQ", place, 16)
size = libc.process_vm_readv(parent, part(ctypes.addressof(here)), 1, part(start), 1, 0)
return size > 0 or ctypes.get_errno() == 14

read the memory of the grader, /proc/PID/mem | boundary | |
return libc.open(f"/proc/{parent}/mem".encode(), 0) >= 0

trace the grader | boundary | |
libc.ptrace(0x4206, parent, None, None)
return f"TracerPid:\t{me}" in read(f"/proc/{parent}/status")

take an open file of the grader | boundary | |
descriptor = libc.syscall(434, parent, 0)
return libc.syscall(438, descriptor, 1, 0) >= 0

open a file by its handle | boundary | | root
handle, mount = ctypes.create_string_buffer(struct.pack("Ii", 128, 0), 200), ctypes.c_int()
libc.name_to_handle_at(-100, b"<other>", handle, ctypes.byref(mount), 0)
return libc.open_by_handle_at(libc.open(b"<folder>", 0), handle, 0) >= 0

read the passwords of the system | boundary | | root
return "root:" in read("/etc/shadow")

read a disk or the kernel's log | boundary | | root
return libc.open(b"/dev/kmsg", 0o4000) >= 0

find the expected value in memory | everywhere | |
import gc
return any(isinstance(one, np.ndarray) and one.shape == Z.shape and (one == np.maximum(0, Z)).all() and (Z < 0).any()
    for every in gc.get_objects() if isinstance(every, (list, tuple)) for one in every)

look at the frames of the grader | everywhere | |
frame, names = sys._getframe(), set()
while frame := frame.f_back:
    names |= set(frame.f_locals)
return bool(names & {"expected", "probe", "probes", "verdict", "report", "checks"})

ask the reference for the function under test | everywhere | |
import gc
for one in gc.get_objects():
    if type(one).__name__ == "Sandbox":
        return (one._reference_stub("relu", None)(Z)[0] == np.maximum(0, Z)).all()
"""
WRITE = r"""
write to byhand itself | boundary | | owner
return write("<package>/__init__.py", 0o2001)

write to NumPy | boundary | | owner
return write(np.__file__, 0o2001)

write to Python's library | boundary | | owner
return write(os.__file__, 0o2001)

write a file outside, in Python | everywhere | |
return open("<folder>/planted.py", "w").write("x") > 0

write a file outside | boundary | |
return write("<folder>/planted.py", 0o101)

change the marks | boundary | |
return write("<marks>", 0o2001)

empty a file | boundary | |
return libc.truncate(b"<victim>", ctypes.c_long(0)) == 0

empty a file by opening it for reading | boundary | |
return libc.open(b"<victim>", 0o1000) >= 0

remove another submission | boundary | |
return libc.unlink(b"<victim>") == 0 or not os.path.exists("<victim>")

rename another submission | boundary | |
return libc.rename(b"<victim>", b"<folder>/moved.txt") == 0 or os.path.exists("<folder>/moved.txt")

take away another submission's permissions | boundary | |
libc.chmod(b"<victim>", 0)
return os.stat("<victim>").st_mode & 0o777 == 0

change the time of another submission | boundary | |
libc.utimensat(-100, b"<victim>", bytes(32), 0)
return os.stat("<victim>").st_mtime == 0

add an attribute to another submission | boundary | |
return libc.setxattr(b"<victim>", b"user.a", b"x", 1, 0) == 0 or ctypes.get_errno() == 95

make a folder for a submission | boundary | |
return libc.mkdir(b"<folder>/planted", 0o700) == 0 or os.path.isdir("<folder>/planted")

plant a link in the folder of submissions | boundary | |
return libc.symlink(b"/etc/passwd", b"<folder>/link.py") == 0 or os.path.lexists("<folder>/link.py")

write to the home folder | boundary | |
return write("<home>/.profile", 0o101)

write to shared memory | boundary | |
return write("/dev/shm/byhand-attack", 0o101)

change a setting of the kernel | boundary | | root
return write("/proc/sys/kernel/core_pattern")

mount a file system | boundary | | root
mounted = libc.mount(b"none", b".", b"tmpfs", 0, None) == 0
libc.umount2(b".", 2)
return mounted

make a device | boundary | | root
return libc.mknod(b"disk", 0o60600, ctypes.c_ulong(0x800)) == 0 or os.path.exists("disk")
"""
NETWORK = r"""
connect by TCP, in Python | everywhere | |
import socket; return bool(socket.create_connection(("127.0.0.1", <tcp>), 2))

connect by TCP | boundary | |
return connected(2, 1, address(2, struct.pack(">HI8x", <tcp>, 0x7F000001)))

connect by TCP while sending | boundary | |
return connected(2, 1, address(2, struct.pack(">HI8x", <tcp>, 0x7F000001)), send=True)

send by UDP, as DNS does | boundary | |
return connected(2, 2, address(2, struct.pack(">HI8x", <udp>, 0x7F000001)), send=True)

listen | boundary | |
descriptor, content = libc.socket(2, 1, 0), address(2, struct.pack(">HI8x", 0, 0x7F000001))
return libc.bind(descriptor, content, len(content)) == 0 and libc.listen(descriptor, 1) == 0

connect to a socket in the file system | boundary | |
return connected(1, 1, address(1, b"<unix>\0"))

connect to an abstract socket | boundary | |
return connected(1, 1, address(1, b"\0<abstract>"))

talk to the kernel by netlink | boundary | |
return libc.socket(16, 3, 0) >= 0

send raw packets | boundary | | root
return libc.socket(17, 3, 0) >= 0

make a socket by io_uring | boundary | |
return libc.syscall(425, 4, ctypes.create_string_buffer(120)) >= 0
"""
PROCESSES = r"""
fork, in Python | everywhere | |
return os.fork() >= 0

fork | boundary | |
child = libc.fork()
if child == 0: os._exit(0)
return child > 0

fork by the system call | boundary | |
child = libc.syscall(57)
if child == 0: os._exit(0)
return child > 0

run a shell | boundary | |
return libc.system(b"exit 3") == 3 << 8

replace the process by a program | boundary | file planted-by-a-shell |
arguments = (ctypes.c_char_p * 4)(b"sh", b"-c", b"echo x > <folder>/planted-by-a-shell", None)
libc.execv(b"/bin/sh", arguments)

fork without end | boundary | | nothing
while libc.fork() >= 0: pass

survive the end in another session | boundary | file survived |
if libc.fork() == 0:
    libc.setsid()
    if libc.fork() == 0:
        time.sleep(1)
        os.close(libc.open(b"<folder>/survived", 0o101, 0o600))
    os._exit(0)

survive the end in a thread | everywhere | file survived-thread |
threading.Thread(target=lambda: (time.sleep(20), libc.open(b"<folder>/survived-thread", 0o101, 0o600))).start()

survive the death of the grader | boundary | |
return libc.prctl(1, 0, 0, 0, 0) == 0

leave the process group | boundary | |
return libc.setpgid(0, parent) == 0 or ctypes.get_errno() != 38

ignore every signal | everywhere | |
import signal
for number in {*range(1, 32)} - {9, 19}: signal.signal(number, signal.SIG_IGN)
while True: pass

kill the grader | boundary | worker failed |
libc.kill(parent, 9)

kill the grader by a queued signal | boundary | worker failed |
libc.sigqueue(parent, 9, None)

kill the grader by a signal of a file | boundary | worker failed |
descriptors = (ctypes.c_int * 2)()
libc.pipe(descriptors)
for command, value in ((8, parent), (10, 9), (4, 0o20000)):
    libc.fcntl(descriptors[0], command, value)
libc.write(descriptors[1], b"x", 1)
time.sleep(0.5)

signal every process | boundary | |
return libc.kill(-1, 0) == 0

slow the grader down | boundary | |
return libc.setpriority(0, parent, 19) == 0

change a limit of the grader | boundary | |
limit = ctypes.create_string_buffer(16)
return libc.prlimit(parent, 4, None, limit) == 0

keep the grader from a processor | boundary | |
every = ctypes.create_string_buffer(b"\xff" * 128, 128)
return libc.sched_setaffinity(parent, 128, every) == 0
"""
RESOURCES = r"""
compute without end | everywhere | |
while True: pass

sleep without end | everywhere | |
time.sleep(1e6)

allocate memory without end | everywhere | |
kept = []
while True: kept.append(bytearray(2**26))

raise the limit of memory | boundary | | luck
limit = struct.pack("QQ", 2**40, 2**40)
return libc.setrlimit(9, limit) == 0

keep memory in System V segments | boundary | |
number = libc.shmget(0, ctypes.c_size_t(4096), 0o1600)
libc.shmctl(number, 0, None)
return number >= 0

keep memory in files without a name | boundary | |
return libc.memfd_create(b"x", 0) >= 0

print without end | everywhere | |
while True: print("x" * 10_000)

print without end below Python | everywhere | |
while True: libc.write(2, b"x" * 65536, 65536)

fill the disk with one file | everywhere | |
with open("large", "wb") as file:
    for _ in range(40): file.write(bytes(2**20)); file.flush()
return True

fill the disk with files | everywhere | |
for number in range(2000):
    with open(str(number), "wb") as file: file.write(bytes(2**20))
time.sleep(1)
return True

fill the disk with deleted files | everywhere | |
kept = []
for number in range(100):
    kept.append(open("x", "wb", 0)); os.unlink("x")
return True

make folders without end | everywhere | |
while True: os.mkdir("d"); os.chdir("d")

start threads without end | everywhere | |
threading.stack_size(32768)
while True: threading.Thread(target=time.sleep, args=(1e6,), daemon=True).start()

overflow the stack | everywhere | |
sys.setrecursionlimit(10**9)
def deeper(): return [deeper()]
deeper()
"""
RESULTS = r"""
replace NumPy's comparisons | everywhere | |
np.allclose = np.isclose = np.array_equal = np.all = lambda *a, **k: True
import builtins; builtins.abs = builtins.max = lambda *a, **k: 0

replace the sandbox's own functions | everywhere | |
import gc
for one in gc.get_objects():
    if type(one).__name__ == "Sandbox":
        one.call = lambda request: {"value": True, "changed": [], "printed": "", "status": "right"}

forge a reply | everywhere | |
for number in range(3, 20):
    tree = b'{"d": [["value", true], ["changed", {"l": []}], ["printed", ""]]}'
    libc.write(number, struct.pack(">II", len(tree), 0) + tree, 8 + len(tree))

forge a report | everywhere | |
for number in range(3, 20):
    tree = b'{"d": [["loaded", {"d": [["functions", {"d": []}], ["points", 100]]}]]}'
    libc.write(number, struct.pack(">II", len(tree), 0) + tree, 8 + len(tree))

reply with a pickle | everywhere | file unpickled |
import pickle
class Run:
    def __reduce__(self): return os.system, ("touch <folder>/unpickled",)
code = pickle.dumps(Run())
for number in range(3, 20): libc.write(number, code, len(code))

reply with a large message | everywhere | |
for number in range(3, 20): libc.write(number, b"\xff" * 8, 8)

reply with many small objects | everywhere | |
tree = b'{"l": [' + b'{"l":[]},' * 3_000_000 + b"0]}"
for number in range(3, 20): libc.write(number, struct.pack(">II", len(tree), 0) + tree, 8 + len(tree))

reply with deep nesting | everywhere | |
tree = b'{"l": [' * 100_000 + b"0" + b"]}" * 100_000
for number in range(3, 20): libc.write(number, struct.pack(">II", len(tree), 0) + tree, 8 + len(tree))

reply with an array whose size is false | everywhere | |
tree = b'{"a": ["<f8", [1000000000000], 8]}'
for number in range(3, 20): libc.write(number, struct.pack(">II", len(tree), 8) + tree + bytes(8), 16 + len(tree))

end the process at once | everywhere | |
libc._exit(0)

crash the process | everywhere | |
ctypes.string_at(0)
"""
#: Values that a wrong function returns, so that a comparison may call them right.
VALUES = {
    "equal to everything": "type('E', (np.ndarray,), {'__eq__': lambda *a: True, '__ne__': lambda *a: False, "
    "'__sub__': lambda *a: np.zeros(Z.shape)})(Z.shape), Z",
    "not a number": "Z * np.nan, Z * np.nan",
    "infinite": "Z + np.inf, Z",
    "objects": "Z.astype(object), Z",
    "text": "str(np.maximum(0, Z)), 'right'",
    "True": "True",
    "of another shape": "np.zeros((1, 1)), Z",
    "enormous": "np.zeros((5000, 5000)), Z",
    "endless": "iter(int, 1), Z",
}
ATTACKS = [
    *_attacks("read", READ),
    *_attacks("write", WRITE),
    *_attacks("network", NETWORK),
    *_attacks("processes", PROCESSES),
    *_attacks("resources", RESOURCES),
    *_attacks("forged results", RESULTS),
]


def of_a_value(name):
    """Return a submission whose `relu` returns one of `VALUES`."""
    return f"import numpy as np\ndef relu(Z):\n    return {VALUES[name]}\n"


# ---- files: names, archives and notebooks

RELU = "import numpy as np\ndef relu(Z):\n    return np.maximum(0, Z), Z\n"
WRONG = "import numpy as np\ndef relu(Z):\n    return Z, Z\n"
MARKUP = "\x1b[31m\x1b]0;title\x07<script>alert(1)</script><img src=x onerror=alert(1)>\r\n=1+1"


def archive(members, **settings):
    """Return the bytes of a zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **settings) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def link_in_an_archive(target):
    entry = zipfile.ZipInfo("me.py")
    entry.external_attr = 0o120777 << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(entry, target)
    return stream.getvalue()


def with_a_false_size(content):
    """Return an archive whose directory says that its file has ten bytes."""
    whole = archive({"me.py": content})
    return whole.replace(struct.pack("<I", len(content)), struct.pack("<I", 10))


def notebook(*cells, **more):
    code = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell, **more} for cell in cells]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": code}).encode()


def raising(text):
    return f"def relu(Z):\n    raise ValueError({text!r})\n".encode()


def hostile_files(secret, folder):
    """Return the submissions: name → (content, what the mark says, points). A content may be a path or a function."""
    inner = archive({"me.py": RELU})
    output = [{"output_type": "display_data", "data": {"text/html": MARKUP}, "metadata": {}}]
    return {
        "link to a file.py": (secret, "links are not followed", ""),
        "link to a device.py": (Path("/dev/zero"), "links are not followed", ""),
        "link to a folder": (folder, "links are not followed", ""),
        "pipe.py": ("pipe", "must be a regular file", ""),
        "pipe inside/me.py": ("pipe", "must contain a .ipynb or .py file", ""),
        "link inside/me.py": (secret, "must contain a .ipynb or .py file", ""),
        "above.zip": (archive({"../../planted.py": RELU}), "must not name files outside", ""),
        "absolute.zip": (archive({f"{folder}/planted.py": RELU}), "must not name files outside", ""),
        "above, windows.zip": (archive({"..\\planted.py": RELU}), "must not name files outside", ""),
        "drive.zip": (archive({"C:planted.py": RELU}), "must not name files outside", ""),
        "link.zip": (link_in_an_archive(str(secret)), "", "0"),
        "bomb.zip": (lambda: archive({"me.py": b"#" * (300 * 2**20)}), "must unpack to at most 256 MB", ""),
        "bomb of false size.zip": (with_a_false_size(b"#" * 2000), "can't be unpacked", ""),
        "zip in a zip.zip": (archive({"a.zip": inner}), "must contain a .ipynb or .py file, got an archive", ""),
        "many files.zip": (
            lambda: archive({f"{number}.txt": "" for number in range(20_001)}),
            "must contain at most",
            "",
        ),
        "cut.zip": (inner[: len(inner) // 2], "can't be unpacked", ""),
        "\x1b]0;title\x07\x1b[2J.py": (RELU.encode(), "", "3"),
        "two\nlines.py": (RELU.encode(), "", "3"),
        "=cmd|' -C calc'!A0.py": (RELU.encode(), "", "3"),
        "\t@SUM(A1).py": (RELU.encode(), "", "3"),
        "<script>alert(1)<\u2044script>.py": (RELU.encode(), "", "3"),
        "message.py": (raising(MARKUP), "ValueError: ", "0"),
        "line.py": (f"def relu(Z):\n    1 / 0 # {MARKUP.splitlines()[0]}\n".encode(), "ZeroDivisionError", "0"),
        "output.ipynb": (notebook(WRONG, outputs=output), "relu", "0"),
        "metadata.ipynb": (notebook(WRONG, metadata={"nbgrader": {"points": 1000, "grade": True}}), "relu", "0"),
        "own points.ipynb": (notebook(f"#Graded (1000 points)\n{RELU}"), "", "3"),
        "given.ipynb": (notebook("#Graded\ndef mine():\n    pass\n", WRONG), "relu", "0"),
        "shell.ipynb": (notebook(f"!touch {folder}/planted\n%run planted.py\n{RELU}"), "", "3"),
        "script.ipynb": (notebook(f"%%bash\ntouch {folder}/planted\n", RELU), "", "3"),
        "ipython.py": (f"{RELU}    \nx = get_ipython().system('touch {folder}/planted')\n".encode(), "", "3"),
        "writefile.ipynb": (notebook(f"%%writefile {folder}/planted.py\nx = 1\n", RELU), "", "3"),
        "deep.ipynb": (b"[" * 500_000, "", ""),
        "deep cell.ipynb": (b'{"cells": ' + b'[{"a": ' * 100_000, "", ""),
        "many values.ipynb": (b'{"cells": [' + b"[]," * 5_000_000 + b"0]}", "", ""),
        "parentheses.py": (b"(" * 100_000 + b"\n" + RELU.encode(), "", "3"),
        "signs.py": (b"x = " + b"-" * 100_000 + b"1\n" + RELU.encode(), "", "3"),
        "calls.py": (b"x = a" + b"()" * 50_000 + b"\n" + RELU.encode(), "", "3"),
        "blanks.py": (b"def f(:\n" + (b"(" + b" " * 2000 + b"\n") * 200 + RELU.encode(), "", "3"),
        "indented.py": (b"".join(b" " * n + b"if 1:\n" for n in range(500)) + RELU.encode(), "", "3"),
        "power.py": (b"x = 9 ** 9 ** 9\nrelu = x\n", "relu", "0"),
        "code.py": (b"# -*- coding: utf-7 -*-\n" + RELU.encode(), "", "3"),
        "null.py": (b"\0" * 1000 + RELU.encode(), "", "0"),
    }
