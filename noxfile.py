"""Tasks of contributors: `nox -s fast` before each commit, `nox -s tests` before a pull request, `nox --list`.

The sessions use the environment that nox runs in, with the extra `dev`: nothing is installed, so they start at once.
"""

import sys

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["fast"]


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
    """Lint, and the first tier of the tests on two cores: about a minute. Arguments after `--` are pytest's."""
    lint(session)
    python(session, "pytest", "-q", "-n", "2", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Both tiers of the tests, on two cores: many minutes. Arguments after `--` are pytest's."""
    python(session, "pytest", "-n", "2", "-m", "slow or not slow", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated pages: the commands, and the tables of the stored results."""
    session.run(sys.executable, "tools/make_cli_docs.py")
    python(session, "benchmarks", "tables")
    python(session, "benchmarks.scaling")
