"""`python -m benchmarks`: how fast and how good, measured here. The suites are in `benchmarks`; each is a command."""

import importlib
from typing import Any

import click

#: Suites of speed live together; accuracy has a module of its own.
APART = {"accuracy": "Train the presets over several seeds; score the test set once.", "tables": "Write the tables."}
SPEED = {
    "full-batch": "One iteration over the whole data.",
    "mini-batches": "An epoch in mini-batches.",
    "target": "From nothing to 98 %: whole processes.",
    "reading": "Prediction of the test images.",
    "memory": "The most memory held.",
    "growth": "Time and memory up to a million images.",
    "startup": "How long it takes to start.",
}


class Suites(click.Group):
    """Each suite is imported when it is asked for, for the peers are heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*SPEED, *APART]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in APART:
            module = importlib.import_module(f"benchmarks.cli.{cmd_name}")
            command: click.Command = module.command
            return command
        if cmd_name in SPEED:
            from benchmarks.cli.speed import speed

            return speed(cmd_name, SPEED[cmd_name])
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Suites"):
            formatter.write_dl(list({**SPEED, **APART}.items()))


@click.group(cls=Suites, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> Any:
    """Measure byhand beside its peers, in turns, on this machine.

    Needs the extra `bench` and full MNIST. Nothing else should run meanwhile: a busy machine gives wide spreads.
    """


if __name__ == "__main__":
    command(prog_name="python -m benchmarks")
