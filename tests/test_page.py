"""The page's files without a browser: golden vectors, tests in Node.js, and the bundled script."""

import re
import runpy
from pathlib import Path

import pytest

from byhand.page import EXPORT, FILES, IMPORT, bundled, source
from helpers.needs import program
from helpers.processes import run

ROOT = Path(__file__).resolve().parents[1]


def test_the_golden_vectors_are_up_to_date():
    assert runpy.run_path(str(ROOT / "tools" / "make_page_golden.py"))["main"](check=True) == 0


@pytest.mark.slow
def test_tests_of_the_page_pass_in_node():
    files = sorted(str(path) for path in (ROOT / "tests" / "page").glob("*.test.mjs"))
    done = run(program("node", required=False), "--test", *files, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_the_bundled_script_has_no_imports_and_is_valid(tmp_path):
    script = bundled("export.js")
    assert not re.search(r"^\s*(?:import|export)\b", script, re.MULTILINE)
    (tmp_path / "bundled.mjs").write_text(script, "utf-8")
    done = run(program("node", required=False), "--check", tmp_path / "bundled.mjs")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js") and "/" not in name])
def test_modules_use_the_form_of_import_that_can_be_bundled(name):
    text = source(name)
    imports = re.findall(r"^import\b.*", text, re.MULTILINE)
    own = [line for line in imports if '"./panels/' not in line]
    assert len(IMPORT.findall(text)) >= len(own)
    assert len(EXPORT.findall(text)) == len(re.findall(r"^export\b", text, re.MULTILINE))


def test_bundled_modules_follow_their_imports():
    script = bundled("export.js")
    made = [match[1] for match in re.finditer(r"^const (\w+_js) = \(\(\) => \{$", script, re.MULTILINE)]
    assert made[-1] == "export_js"
    assert len(made) == len(set(made))
    for use in re.finditer(r"^const \{ [\w, ]+ \} = (\w+_js);$", script, re.MULTILINE):
        before = script[: use.start()]
        assert f"const {use[1]} = (() => {{" in before
