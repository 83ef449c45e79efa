"""Programs in processes of their own."""

import subprocess
import sys


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
