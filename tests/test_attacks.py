"""Attacks on `byhand course grade`, with the kernel's boundary and with it switched off, which shows what it stops.

The table of SECURITY.md has the numbers of these attacks.
"""

import csv
import json
import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest

import byhand
from byhand.course.grading import Submission, mark_file, read_checks, shown
from byhand.course.grading.results import safe
from byhand.course.sandbox.runner import missing_boundary
from helpers import processes, waiting
from helpers.attacks import ATTACKS, RELU, VALUES, hostile_files, of_a_value
from helpers.submissions import solution

pytestmark = pytest.mark.slow
if sys.platform != "linux":
    pytest.skip("the attacks call Linux's C library", allow_module_level=True)

PACKAGE = Path(byhand.__file__).parent
OFF = "import byhand.course.sandbox.boundary as one\none.confine = lambda *_: 'switched off by a test'\n"
IS_ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Servers that an attack may reach: the places and ports that the attacks use."""
    path = tmp_path_factory.mktemp("servers") / "unix"
    kinds = {
        "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        "unix": (socket.AF_UNIX, socket.SOCK_STREAM, str(path)),
        "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0byhand-{os.getpid()}"),
    }
    opened = {}
    for name, (family, kind, address) in kinds.items():
        opened[name] = socket.socket(family, kind)
        opened[name].bind(address)
        if kind is socket.SOCK_STREAM:
            opened[name].listen(100)
    ports = {name: opened[name].getsockname()[1] for name in ("tcp", "udp")}
    yield {**ports, "unix": path, "abstract": f"byhand-{os.getpid()}"}
    for one in opened.values():
        one.close()


def graded(folder, servers, attacks, *options, off=False):
    """Grade each attack with the command, in a world with things to steal and to break; return what each mark says."""
    handed_in, home, victims = (folder / name for name in ("in", "home", "victims"))
    for made in (handed_in, home, victims):
        made.mkdir()
    (handed_in / "other.py").write_text(f"# another student\n{solution()}")
    (home / ".key").write_text("private")
    (folder / "old.csv").write_text("student,points\n")
    (folder / "hidden.py").write_text("secret = 1\nrounds = 1\n")
    world = {
        **servers,
        "folder": handed_in,
        "home": home,
        "other": handed_in / "other.py",
        "marks": folder / "old.csv",
        "checks": folder / "hidden.py",
        "package": PACKAGE,
        "key": PACKAGE / "reference" / "l_layer.py",
    }
    for number, attack in enumerate(attacks):
        victim = victims / f"{number}.txt"
        victim.write_text("a victim")
        (handed_in / f"{number}.py").write_text(attack.source({**world, "victim": victim}))
    environment = {**os.environ, "HOME": str(home), "SECRET": "secret word"}
    if off:
        (folder / "off").mkdir()
        (folder / "off" / "sitecustomize.py").write_text(OFF)
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(folder / "off"), str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
        )
    command = (sys.executable, "-m", "byhand", "course", "grade", handed_in, "--out", folder / "marks.csv")
    ran = processes.run(*command, "--checks", folder / "hidden.py", "--jobs", 4, *options, env=environment, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    with (folder / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["other"]["points"] == "90", rows["other"]  # all of the assignment, none of the chapters after it
    return ran, rows


def record(folder, name):
    return folder / "marks" / "records" / f"{name}.json"


def succeeded(folder, number, attack):
    """Return True if the attack got what it wanted; `got` is a file, a part of an error, or the end of the grader."""
    if attack.got.startswith("file "):
        return (folder / "in" / attack.got.removeprefix("file ")).exists()
    if not record(folder, number).exists():
        return attack.got == "worker failed"
    items = json.loads(record(folder, number).read_text())["items"]
    words = " ".join(word for one in items if one["name"] == "relu" for word in one["words"])
    return f"GOT {attack.got}" in words


def can_succeed(attack):
    """Return True if the attack succeeds on this machine without the boundary."""
    owns = os.access(PACKAGE / "__init__.py", os.W_OK)
    return attack.stopped == "boundary" and {"": True, "root": IS_ROOT, "owner": owns}.get(attack.needs, False)


#: The attacks that succeed without the boundary: every third, or all of them with `BYHAND_ATTACKS=all`.
STRIDE = 1 if os.environ.get("BYHAND_ATTACKS") == "all" else 3
WITHOUT = [attack for attack in ATTACKS if attack.needs not in ("nothing", "luck")][::STRIDE]


@pytest.fixture(scope="module")
def with_the_boundary(servers, tmp_path_factory):
    if reason := missing_boundary():
        pytest.skip(f"no boundary here: {reason}")
    folder = tmp_path_factory.mktemp("with")
    return folder, *graded(folder, servers, ATTACKS, "--require-boundary")


@pytest.fixture(scope="module")
def without_the_boundary(servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("without")
    yield folder, *graded(folder, servers, WITHOUT, off=True)
    Path("/dev/shm/byhand-attack").unlink(missing_ok=True)


def test_no_attack_gets_through_the_boundary(with_the_boundary):
    folder, ran, rows = with_the_boundary
    assert "a boundary of the kernel" in ran.stderr
    time.sleep(1.5)  # a process that survives writes its file after one second
    assert [one.name for number, one in enumerate(ATTACKS) if succeeded(folder, number, one)] == []
    assert sorted(path.name for path in (folder / "in").iterdir()) == sorted(
        ["other.py", *(f"{number}.py" for number in range(len(ATTACKS)))]
    )
    assert {path.read_text() for path in (folder / "victims").iterdir()} == {"a victim"}
    forged = [rows[str(number)]["points"] for number, one in enumerate(ATTACKS) if one.kind == "forged results"]
    assert set(forged) == {"0"}
    marks = [json.loads(record(folder, number).read_text()) for number in range(len(ATTACKS))]
    assert {mark["sandbox"] for mark in marks} == {"a boundary of the kernel (Landlock and seccomp)"}


def test_without_the_boundary_its_attacks_succeed_and_no_others(without_the_boundary):
    folder, ran, rows = without_the_boundary
    assert "no security boundary: switched off by a test" in ran.stderr
    expected = [one.name for one in WITHOUT if can_succeed(one)]
    waiting.until((folder / "in" / "survived").exists)
    assert [one.name for number, one in enumerate(WITHOUT) if succeeded(folder, number, one)] == expected
    forged = [rows[str(number)]["points"] for number, one in enumerate(WITHOUT) if one.kind == "forged results"]
    assert set(forged) == {"0"}


def test_a_required_boundary_that_is_missing_stops_grading(servers, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(OFF)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "me.py").write_text(solution())
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    words = ("course", "grade", "in", "--out", "marks.csv", "--require-boundary")
    ran = processes.byhand(*words, env=environment, cwd=tmp_path)
    assert ran.returncode == 2
    assert "there is no boundary around the sandbox on this machine: switched off by a test" in ran.stderr
    assert not (tmp_path / "marks.csv").exists()


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_deceives_a_comparison_gets_no_points(name, tmp_path):
    (tmp_path / "me.py").write_text(of_a_value(name))
    mark = mark_file(Submission("me", tmp_path / "me.py"), read_checks())
    assert mark.points == 0


def test_hostile_files_are_marked_or_refused_and_leave_no_trace(tmp_path):
    handed_in, secret = tmp_path / "in", tmp_path / "secret.py"
    secret.write_text(f"{RELU}hidden_word = 1\n")
    handed_in.mkdir()
    files = hostile_files(secret, tmp_path)
    for name, (content, _, _) in files.items():
        (handed_in / name).parent.mkdir(exist_ok=True)
        if content == "pipe":
            os.mkfifo(handed_in / name)
        elif isinstance(content, Path):
            (handed_in / name).symlink_to(content)
        else:
            (handed_in / name).write_bytes(content() if callable(content) else content)
    ran = processes.byhand("course", "grade", handed_in, "--out", tmp_path / "marks.csv", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    with (tmp_path / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    records = [json.loads(one.read_text()) for one in sorted((tmp_path / "marks" / "records").iterdir())]
    said = {one["student"]: json.dumps(one, ensure_ascii=False) for one in records}
    points = {row["student"]: row["points"] for row in rows}
    for name, (content, words, expected) in files.items():
        first = name.partition("/")[0]
        student = shown(first if isinstance(content, Path) else first.removesuffix(Path(name).suffix))
        assert (points[safe(student)], words in said[student]) == (expected, True), said[student]
    assert len(rows) == len(files)
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for cell in row.values())
    assert not [*tmp_path.rglob("planted*")]
    printed = [ran.stdout, ran.stderr, (tmp_path / "marks.csv").read_text("utf-8-sig"), *map(repr, records)]
    assert not any(re.search(r"\\x1b|\\u00", repr(one).replace("\\\\", "")) for one in records)
    pages = [one.read_text("utf-8") for one in (tmp_path / "marks").rglob("*.html")]
    for text in (*printed, *pages):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]", text)
    assert not any("<script" in page or "<img" in page for page in pages)
    assert not any("hidden_word" in text for text in (*printed, *pages))
