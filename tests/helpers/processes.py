"""Programs in processes of their own, and commands in this process."""

import subprocess
import sys

from click.testing import CliRunner, Result


def run(*command: object, check=False, **settings) -> subprocess.CompletedProcess:
    """Run a command; return the finished process with its output as text."""
    settings = {"capture_output": True, "text": True, "timeout": 300} | settings
    return subprocess.run([*map(str, command)], check=check, **settings)


def python(*words: object, **settings) -> subprocess.CompletedProcess:
    """Run Python with these arguments."""
    return run(sys.executable, *words, **settings)


def byhand(*words: object, **settings) -> subprocess.CompletedProcess:
    """Run the program `byhand`."""
    return python("-m", "byhand", *words, **settings)


def command(*words: object) -> Result:
    """Run a command of `byhand` in this process, which must succeed."""
    from byhand.cli.group import cli

    done = CliRunner().invoke(cli, [*map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done
