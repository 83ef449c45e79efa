"""The front door: one module a command, each thin (parse, call, show).

A command's module is imported only when that command runs, so `byhand --help` stays quick; `COMMANDS` holds the line
that `--help` shows for each. Errors that byhand raises on purpose become one line on stderr and an exit code.
"""

import importlib
import os
import sys
import traceback
from typing import Any, ClassVar, NoReturn

import click

import byhand
from byhand.cli import kernel
from byhand.errors import ByhandError, StorageError, UsageError

#: What a shell gives for a program that SIGPIPE ended.
BROKEN_PIPE = 141

COMMANDS = {
    "train": "Train a network and save it.",
    "eval": "How well a model reads, and where it fails.",
    "predict": "Read pictures of digits.",
    "compare": "Runs side by side.",
    "lr-find": "Which learning rate to take.",
    "sweep": "Many trainings: try settings, keep the best.",
    "explain": "One step of learning: every formula beside its real numbers.",
    "check": "Check a student's file or a run: which gradient is wrong, and likely why.",
    "export": "A trained model as one HTML page, ONNX, or plain arrays.",
    "play": "The playground: watch it learn, draw a digit.",
    "data": "List, get, verify and import data sets.",
    "bench": "How fast and how good, beside others, measured here.",
    "course": "The course: the assignment from a blank notebook to a mark.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `byhand.cli.<name>` and are imported when first asked for."""

    package: ClassVar[str] = "byhand.cli"
    table: ClassVar[dict[str, str]] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(f"{self.package}.{self.module_of(cmd_name)}")
        command: click.Command = module.command
        return command

    def module_of(self, cmd_name: str) -> str:
        """`lr-find` → `lr_find`"""
        return cmd_name.replace("-", "_")

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A reader that has had enough (`byhand data list | head -1`) ends it without a word."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its exit
            sys.exit(BROKEN_PIPE)
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the table: no command's module is imported to print the help."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(byhand.__version__, prog_name="byhand")
@click.option("--debug", is_flag=True, help="Show the whole traceback when something goes wrong.")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """A neural network written out by hand, in NumPy, that reads handwriting.

    Start with `byhand train`: it needs no network and no arguments.
    """
    ctx.obj = {"debug": debug}


def main() -> None:
    """Run the command line and leave with the exit code that the outcome stands for."""
    debug = "--debug" in sys.argv[1:]
    kernel.choose()
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except ByhandError as error:
        leave(str(error), error.exit_code, debug)
    except MemoryError as error:
        leave(f"not enough memory: {error or 'ask for something smaller'}", UsageError.exit_code, debug)
    except OSError as error:
        what = error.strerror or str(error) or type(error).__name__
        leave(f"{error.filename}: {what}" if error.filename else what, StorageError.exit_code, debug)


def leave(line: str, code: int, debug: bool) -> NoReturn:
    """Say what went wrong, in one line, and go."""
    if debug:
        traceback.print_exc()
    click.echo(f"byhand: {line}", err=True)
    sys.exit(code)
