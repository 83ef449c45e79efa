"""The table of commands, and errors as one line on stderr with an exit status.

The module of a command is imported when that command runs, so that `byhand --help` is fast.
"""

import contextlib
import importlib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

import byhand
from byhand.cli import hints
from byhand.cli.start import INTERRUPTED, exit_on_interrupt
from byhand.errors import MAX_MESSAGE, ByhandError, StorageError, UsageError
from byhand.text import closest, printable

#: The exit status that a shell gives to a program ended by SIGPIPE.
BROKEN_PIPE = 141

#: Each command with its line in `byhand --help`.
COMMANDS = {
    "train": "Train a network and save it.",
    "eval": "Evaluate a model: accuracy, confusion matrix, errors.",
    "predict": "Predict the digits in images.",
    "compare": "Compare runs: results, settings, significance.",
    "runs": "List, rank and delete runs.",
    "info": "Show what a run is: data, settings, accuracy, files.",
    "card": "Write a model card in Markdown.",
    "lr-find": "Find a learning rate with a range test.",
    "sweep": "Run a hyperparameter search.",
    "explain": "Show one training step: every formula with its actual values.",
    "check": "Test a student's functions, or the gradients of a run.",
    "export": "Export a model as an HTML page, ONNX or NumPy arrays.",
    "play": "Open the playground: train a network in the browser.",
    "data": "List, download, verify and import data sets.",
    "course": "The course: notebooks, checks and grading.",
}
#: Commands of other programs.
SYNONYMS = {
    "fit": "train",
    "test": "eval",
    "score": "eval",
    "report": "eval",
    "infer": "predict",
    "classify": "predict",
    "serve": "play",
    "ui": "play",
    "gui": "play",
    "convert": "export",
    "tune": "sweep",
    "show": "info",
    "version": "--version",
    "ls": "list",
    "rm": "delete",
    "remove": "delete",
    "download": "get",
    "fetch": "get",
    "add": "import",
    "begin": "start",
    "init": "start",
    "learn": "train",
    "read": "predict",
    "recognize": "predict",
    "open": "play",
    "web": "play",
}
#: Options of other programs that select where to compute.
DEVICES = {"--device", "--cpu", "--gpu", "--cuda"}
#: The commands that are functions of `cli/runs.py`; each other one is the `command` of its own module.
OF_RUNS = {"eval": "eval_", "compare": "compare", "runs": "runs_", "info": "info", "card": "card"}


class CommandGroup(click.Group):
    """Commands in the order of their definition; `help` is `--help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command of that name, or suggest a similar name; check its words for mistakes."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = SYNONYMS.get(name.lower())
            if near not in (*known, "--version"):
                near = hints.command_for(name, str(ctx.info_name)) or closest(name.lower().replace("_", "-"), known)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near!r}?" if near else ""))
        _, command, words = found = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:
            hints.check_words(command, words)
        return found


class Program(CommandGroup):
    """The program: all commands of `COMMANDS`, imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remove `--debug`, which may be before or after the name of the command."""
        end = args.index("--") if "--" in args else len(args)
        if "--debug" in args[:end]:
            ctx.ensure_object(dict)["debug"] = True
            args = [*(arg for arg in args[:end] if arg != "--debug"), *args[end:]]
        return super().parse_args(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        with exit_on_interrupt():
            file = "runs" if cmd_name in OF_RUNS else cmd_name.replace("-", "_")
            module = importlib.import_module(f"byhand.cli.{file}")
        command: click.Command = getattr(module, OF_RUNS.get(cmd_name, "command"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and exit quietly on a closed pipe (SIGPIPE)."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python reports an error at its exit
            sys.exit(BROKEN_PIPE)
        return result


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(byhand.__version__, "-V", "--version", prog_name="byhand")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error. Allowed anywhere.")
def cli() -> None:
    """A handwriting-recognition neural network implemented from scratch in NumPy.

    Start with `byhand train`: it needs no arguments and no internet connection.
    """


def run() -> None:
    """Run the command in `sys.argv`, and exit with its status."""
    settings: dict[str, bool] = {}
    try:
        code = cli.main(prog_name="byhand", standalone_mode=False, obj=settings)
        sys.exit(code if isinstance(code, int) else 0)
    except click.NoSuchOption as error:
        if error.option_name.lower() in DEVICES:
            leave(f"byhand computes on the CPU, without a choice of device: remove {error.option_name}", 2, settings)
        leave(hints.one_line(error), error.exit_code, settings)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        leave(hints.one_line(error), error.exit_code, settings)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except ByhandError as error:
        leave(str(error), error.exit_code, settings)
    except MemoryError as error:
        leave(f"not enough memory: {error or 'use smaller settings'}", UsageError.exit_code, settings)
    except OSError as error:
        what = error.strerror or str(error) or type(error).__name__
        leave(f"{error.filename}: {what}" if error.filename else what, StorageError.exit_code, settings)


def leave(line: str, code: int, settings: dict[str, bool]) -> NoReturn:
    """Print the error in one line, after its traceback with `--debug`, and exit."""
    with contextlib.suppress(OSError):  # stderr is on a full disk
        if "debug" in settings:
            traceback.print_exc()
        click.echo(f"byhand: {printable(line, MAX_MESSAGE)}", err=True)
    sys.exit(code)
