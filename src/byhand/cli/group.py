"""The commands by name, and what becomes of an error.

A command's module is imported only when that command runs, so `byhand --help` stays quick; `COMMANDS` holds the line
that `--help` shows for each. Errors that byhand raises on purpose become one line on stderr and an exit code.
"""

import importlib
import os
import sys
import traceback
from itertools import pairwise
from typing import Any, ClassVar, NoReturn

import click

import byhand
from byhand.cli import INTERRUPTED, leaving_at_once
from byhand.errors import ByhandError, StorageError, UsageError
from byhand.text import closest

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
    "course": "The course: the assignment from a blank notebook to a mark.",
}

#: Words in an option's metavar that say that it names a place.
PLACES = {"FILE", "RUN", "MODEL", "DIR", "FOLDER", "PATH"}


class LazyGroup(click.Group):
    """A group whose commands live in `byhand.cli.<name>` and are imported when first asked for."""

    package: ClassVar[str] = "byhand.cli"
    table: ClassVar[dict[str, str]] = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        with leaving_at_once():
            module = importlib.import_module(f"{self.package}.{self.module_of(cmd_name)}")
        command: click.Command = module.command
        return command

    def module_of(self, cmd_name: str) -> str:
        """`lr-find` → `lr_find`"""
        return cmd_name.replace("-", "_")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`byhand help train` is `byhand train --help`."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was meant; where there is none of that name, the one that it may be a slip of."""
        name = args[0]
        if name not in self.table and not name.startswith("-") and not ctx.resilient_parsing:
            near = closest(name.lower().replace("_", "-"), self.table)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near!r}?" if near else ""))
        found = super().resolve_command(ctx, args)
        if found[1] is not None and not ctx.resilient_parsing:
            refuse_empty_places(found[1], found[2])
        return found

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


def refuse_empty_places(command: click.Command, words: list[str]) -> None:
    """An empty word (`--html "$FORGOTTEN"`) names no place: to Python it would be the folder that one stands in."""
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if isinstance(command, click.Group):  # it looks at its own
        return
    for before, word in pairwise(["", *words]):
        if word != "" and not (word.startswith("--") and word.endswith("=") and len(word) > 3):
            continue
        name = word.removesuffix("=") or before
        option = next((known for known in command.params if name in known.opts), None)
        if isinstance(option, click.Option) and not option.is_flag:
            if names_a_place(option):
                raise UsageError(f"{name} must not be empty")
        elif word == "":
            raise UsageError("an argument must not be empty")


def names_a_place(parameter: click.Parameter) -> bool:
    """Whether its value is a file's or a folder's name."""
    return isinstance(parameter.type, click.Path) or not PLACES.isdisjoint((parameter.metavar or "").split("|"))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(byhand.__version__, prog_name="byhand")
@click.option(
    "--debug", is_flag=True, help="Show the whole traceback when something goes wrong; also after a command's name."
)
def cli(debug: bool) -> None:
    """A neural network written out by hand, in NumPy, that reads handwriting.

    Start with `byhand train`: it needs no network and no arguments.
    """


def run() -> None:
    """Run the command that was typed, and leave with the exit code that the outcome stands for."""
    debug = forget_debug()
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except ByhandError as error:
        leave(str(error), error.exit_code, debug)
    except MemoryError as error:
        leave(f"not enough memory: {error or 'ask for something smaller'}", UsageError.exit_code, debug)
    except OSError as error:
        what = error.strerror or str(error) or type(error).__name__
        leave(f"{error.filename}: {what}" if error.filename else what, StorageError.exit_code, debug)


def forget_debug() -> bool:
    """Whether `--debug` was typed, before the command or after it; the command itself needn't know the word."""
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    sys.argv[1:] = [word for word in words[:end] if word != "--debug"] + words[end:]
    return len(sys.argv) - 1 < len(words)


def leave(line: str, code: int, debug: bool) -> NoReturn:
    """Say what went wrong, in one line, and go."""
    if debug:
        traceback.print_exc()
    click.echo(f"byhand: {line}", err=True)
    sys.exit(code)
