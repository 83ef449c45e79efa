"""What the README shows is run: its Python, and the commands whose words it gives. What any page names is there."""

import re
from pathlib import Path

import click

from byhand.cli.group import COMMANDS, cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text("utf-8")


def test_the_readmes_python_runs_and_gives_the_accuracy_it_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    (shown,) = re.findall(r"accuracy\(digits\.test\) +# (0\.\d+)", code)
    assert abs(names["model"].accuracy(names["digits"].test) - float(shown)) < 0.01


def test_every_command_in_the_readme_exists_and_takes_those_options():
    lines = re.findall(r"^    \.venv/bin/byhand (.*?)(?:  +#.*)?$", TEXT, re.MULTILINE)
    assert len(lines) > 5
    with click.Context(cli, info_name="byhand") as context:
        for line in lines:
            name, *rest = line.split()
            assert name in COMMANDS, line
            known = {flag for option in cli.get_command(context, name).params for flag in option.opts}
            for word in rest:
                assert not word.startswith("--") or word in known, line


def test_every_page_and_picture_that_the_readme_points_to_is_there():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("src/**/*.py")),
]


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


def test_modules_and_files_that_the_pages_and_docstrings_name_are_there():
    missing = []
    for page in PAGES:
        text = page.read_text("utf-8")
        modules = set(re.findall(r"(?<![\w./-])byhand(?:\.[A-Za-z]\w*)+", text.replace("byhand.css", "")))
        missing += [f"{page}: {name}" for name in sorted(modules) if not is_there(name)]
        files = set(re.findall(r"(?<![\w./~-])(?:src|tests|docs|tools|benchmarks)/[\w./*-]*\w", text))
        missing += [f"{page}: {name}" for name in sorted(files) if not list(ROOT.glob(name))]
    assert not missing, "\n".join(missing)
