"""Write docs/cli.md: every command with its help, as the program prints it. A test holds the file to the program."""

from pathlib import Path

import click

from byhand.cli.group import COMMANDS, cli

EXIT_CODES = (
    "0 done",
    "1 a check or threshold failed",
    "2 wrong usage, a missing extra, or a place that can't be written",
    "3 data missing or damaged",
    "4 training diverged",
    "5 a model file that can't be used",
    "130 interrupted, checkpoint saved",
    "141 whoever read the output has gone",
)
PAGE = Path(__file__).parent.parent / "docs" / "cli.md"


def page() -> str:
    """The whole page."""
    parts = [
        "# The commands",
        "Made by `python tools/make_cli_docs.py` from the program itself.",
        f"Exit codes: {' · '.join(EXIT_CODES)}.",
    ]
    with click.Context(cli, info_name="byhand", **cli.context_settings) as context:
        parts.append(block(cli, context))
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            parts += section(command, name, context, 2)
    return "\n\n".join(parts) + "\n"


def section(command: click.Command, name: str, parent: click.Context, level: int) -> list[str]:
    """A command's heading and help, and those of the commands inside it."""
    with click.Context(command, info_name=name, parent=parent, **command.context_settings) as context:
        parts = [f"{'#' * level} {context.command_path}", block(command, context)]
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                inside = command.get_command(context, inner)
                assert inside is not None
                parts += section(inside, inner, context, level + 1)
    return parts


def block(command: click.Command, context: click.Context) -> str:
    context.max_content_width = context.terminal_width = 100
    return f"```\n{command.get_help(context)}\n```"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
