"""The README's Python and commands are run, and everything that pages name exists."""

import re
from pathlib import Path

import click
import pytest

from byhand.cli.group import COMMANDS, cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("src/**/*.py")),
]


@pytest.mark.slow
def test_python_in_the_readme_gives_the_stated_accuracy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    (shown,) = re.findall(r"accuracy\(digits\.test\) +# (0\.\d+)", code)
    assert abs(names["model"].accuracy(names["digits"].test) - float(shown)) < 0.01


def test_commands_and_options_named_in_pages_exist():
    wrong, found = [], 0
    context = click.Context(cli, info_name="byhand")
    for page in PAGES:
        text = page.read_text("utf-8")
        named = re.findall(r"(?:`|^ {4}|bin/)byhand ([a-z][a-z-]*)(?=[ `\n])", text, re.MULTILINE)
        wrong += [f"{page}: {name} is no command" for name in named if name not in COMMANDS]
        for name, words in re.findall(r"(?:^|[`\s/])byhand ([a-z][a-z-]*)((?: [^\s`|>#\"]+)*)", text, re.MULTILINE):
            if name not in COMMANDS:
                continue
            found += 1
            command = cli.get_command(context, name)
            if isinstance(command, click.Group):
                command = command.commands.get(words.split()[0] if words else "", command)
            known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
            options = {word.partition("=")[0].rstrip(".,;:)'") for word in words.split() if word.startswith("--")}
            wrong += [f"{page}: {name} {option}" for option in sorted(options - known - {"--", "--help"})]
    assert not wrong, "\n".join(wrong)
    assert found > 50


def test_no_page_installs_byhand_from_an_index_without_it():
    wrong = [str(page) for page in PAGES if re.search(r"pip install '?byhand\b", page.read_text("utf-8"))]
    assert not wrong, "not published: use pip install '.[extra]', or the packages"


def test_links_in_the_readme_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def is_there(name):
    """True if `byhand.nn.layers.Dense` is a module, or a name in the module before it."""
    place, source = ROOT / "src" / "byhand", ROOT / "src" / "byhand" / "__init__.py"
    for part in name.split(".")[1:]:
        if (place / part).is_dir():
            place, source = place / part, place / part / "__init__.py"
        elif (place / f"{part}.py").exists():
            place, source = place / part, place / f"{part}.py"
        else:
            return bool(re.search(rf"\b{part}\b", source.read_text("utf-8")))
    return True


def test_modules_and_files_named_in_texts_exist():
    missing = []
    for page in PAGES:
        text = page.read_text("utf-8")
        modules = set(re.findall(r"(?<![\w./-])byhand(?:\.[A-Za-z]\w*)+", text.replace("byhand.css", "")))
        if page.suffix == ".md":  # mypy checks the imports of the modules
            imports = re.findall(r"from (byhand[\w.]*) import ([\w, ]+)", text)
            modules |= {f"{module}.{name}" for module, names in imports for name in names.split(", ")}
        missing += [f"{page}: {name}" for name in sorted(modules) if not is_there(name)]
        files = set(re.findall(r"(?<![\w./~-])(?:src|tests|docs|tools|benchmarks)/[\w./*-]*\w", text))
        missing += [f"{page}: {name}" for name in sorted(files) if not list(ROOT.glob(name))]
    assert not missing, "\n".join(missing)
