"""Tasks of contributors: `nox -s fast` before each commit, `nox -s tests` before a pull request, `nox --list`.

The sessions use the environment that nox runs in, with the extra `dev`: nothing is installed, so they start at once.
"""

import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["fast"]

FAST = ["tests/nn", "tests/test_reference_l_layer.py", "tests/test_reference_two_layer.py", "tests/test_training.py"]
FAST += ["tests/test_floors.py", "tests/test_names.py", "tests/test_checks.py", "tests/test_promises.py"]
#: Comparisons and whole runs that take seconds each.
LONGER = ["--ignore=tests/nn/test_agrees_with_torch.py"]
LONGER += ["--deselect=tests/test_reference_two_layer.py::test_the_run_ends_inside_its_band"]
LONGER += ["--deselect=tests/nn/test_gradcheck.py::test_a_slip_is_rejected"]


def python(session: nox.Session, *arguments: str) -> None:
    session.run(sys.executable, "-m", *arguments)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint, formatting and types."""
    python(session, "ruff", "check")
    python(session, "ruff", "format", "--check")
    python(session, "mypy")


@nox.session
def fast(session: nox.Session) -> None:
    """Lint, and quick tests of nn, the reference, training and the architecture: under a minute."""
    lint(session)
    python(session, "pytest", "-q", "-n", "2", "--durations=0", *LONGER, *FAST)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, on two cores; arguments after `--` are pytest's."""
    python(session, "pytest", "-n", "2", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated pages: the commands, and the tables of the stored results."""
    session.run(sys.executable, "tools/make_cli_docs.py")
    python(session, "benchmarks", "tables")
    python(session, "benchmarks.scaling")
