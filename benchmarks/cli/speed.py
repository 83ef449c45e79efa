"""The suites of speed as commands: rounds in, a file of results out, and the table on the screen."""

import json
from pathlib import Path

import click

from benchmarks import results, tables
from benchmarks.suites import SUITES
from byhand.cli.output import Talk

RESULTS = Path("benchmarks/results")


def speed(name: str, about: str) -> click.Command:
    """The command of one suite."""

    @click.command(name, help=about, context_settings={"help_option_names": ["-h", "--help"]})
    @click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Turns of each contestant.")
    @click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        default=RESULTS,
        show_default=True,
        help="The folder where the results are kept.",
    )
    @click.option("--json", "as_json", is_flag=True, help="The figures as JSON instead of the table.")
    @click.option("--quiet", is_flag=True, help="No word about the rounds.")
    def command(rounds: int, out: Path, as_json: bool, quiet: bool) -> None:
        talk, suite = Talk(quiet), SUITES[name]
        path = results.write(out, name, suite.measure(rounds, talk.say), suite.distributions)
        result = results.read(out, name)
        assert result is not None
        if as_json:
            click.echo(json.dumps(result, ensure_ascii=False))
        else:
            click.echo(tables.TABLES[name](result["figures"]) + tables.made_on(result["machine"]))
        talk.say(f"kept in {path}")

    return command
