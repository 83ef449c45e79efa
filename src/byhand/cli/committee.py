"""`byhand train --committee N`: several networks from seeds of their own, which read together.

The committee's folder holds its members' runs and a `config.json` that says so. It is written when every member has
been begun, so a folder that has one can always be gone on with.
"""

import shlex
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from byhand.cli import train_options
from byhand.cli.output import Console, load_data, load_data_of_run
from byhand.data import Dataset
from byhand.distributed import committee
from byhand.errors import UsageError
from byhand.report import wilson
from byhand.text import percent
from byhand.threads import available
from byhand.training.loop import interruptible
from byhand.training.run import begin_run
from byhand.training.runs import Run, load_reader


def new(
    folder: str | None,
    count: int,
    preset: str,
    data: str | None,
    seed: int,
    options: dict[str, Any],
    offline: bool,
    console: Console,
    passed_on: Sequence[str],
) -> dict[str, Any]:
    """Begin all members, in the seeds' order, and train them."""
    check_jobs(options["threads"])
    digits, run = load_data(data, offline, console), Run.new(folder)
    for number in range(1, count + 1):
        own_seed = seed + number - 1
        model, recipe, images = train_options.untrained(preset, digits, own_seed, options | {"threads": 1})
        member = run.folder / f"member-{number}"
        begin_run(
            member,
            model,
            images,
            recipe,
            seed=own_seed,
            source=data,
            preset=preset,
            command=shlex.join(["byhand", *sys.argv[1:]]),
        )
    run.write_config(Run(run.folder / "member-1").config() | {"committee": count})
    console.info(f"a committee of {count}: {run.folder}")
    return carried_out(run, digits.test, console, jobs=options["threads"], options=passed_on)


def check_jobs(threads: int | None) -> None:
    """How many members at a time: one or more."""
    if threads is not None and threads < 1:
        raise UsageError(f"threads must be a positive integer, got {threads}")


def carried_out(
    run: Run, test: Dataset, console: Console, *, jobs: int | None, options: Sequence[str] = ()
) -> dict[str, Any]:
    """Train the members that are not over yet, `jobs` at a time; give what came of it."""
    began = time.perf_counter()
    members, config = run.members, run.config()
    jobs = available() if jobs is None else jobs
    stop = threading.Event()
    with interruptible(stop.set):
        over = committee.train_members(members, jobs=jobs, stop=stop, say=console.info, options=options)
    result: dict[str, Any] = {"run": str(run.folder), "committee": len(members), "data": config["data_name"]}
    if not over:
        return result | {"ending": "interrupted", "seconds": round(time.perf_counter() - began, 3)}
    reader = load_reader(run.folder)
    accuracy = reader.accuracy(test)
    cards = [member.model().metadata for member in members]
    alone = [card["test"]["accuracy"] for card in cards]
    card = {name: cards[0][name] for name in ("data", "preset", "recipe")}
    card["seeds"] = [card["seed"] for card in cards]
    card["test"] = {"name": test.name, "images": len(test), "accuracy": accuracy, "members": alone}
    run.write_config(config | {"card": card})
    return result | {
        "ending": "done",
        "network": f"{len(members)} × {members[0].model().architecture}",
        "seeds": card["seeds"],
        "tested_on": len(test),
        "members_test_accuracy": alone,
        "training_seconds": [round(member.records()[-1].seconds, 3) for member in members],
        "seconds": round(time.perf_counter() - began, 3),
        "test_accuracy": accuracy,
        "interval": wilson(round(accuracy * len(test)), len(test)),
    }


def again(
    folder: str,
    data: str | None,
    options: dict[str, Any],
    seed: int | None,
    offline: bool,
    console: Console,
    passed_on: Sequence[str],
) -> dict[str, Any]:
    """Go on with a committee that was stopped."""
    run = Run(Path(folder))
    check_jobs(options["threads"])
    if not run.members:
        raise UsageError(f"{folder} is the run of one network: --committee goes with a new run")
    given = {name: value for name, value in options.items() if value is not None and name != "threads"}
    if others := sorted(given) + (["seed"] if seed not in (None, run.config().get("seed")) else []):
        raise UsageError(f"--resume goes on with the committee's own settings; it can't change {', '.join(others)}")
    digits = load_data_of_run(run.config(), {}, data, offline, console)
    passed_on = [*passed_on, *(["--data", data] if data is not None else [])]
    return carried_out(run, digits.test, console, jobs=options["threads"], options=passed_on)


def show(result: dict[str, Any], console: Console) -> None:
    """The result on stdout, and on stderr what one might do next."""
    run = result["run"]
    if result["ending"] == "interrupted":
        console.info(f"interrupted; go on with:  byhand train --resume {shlex.quote(run)}")
        return
    low, high = result["interval"]
    click.echo(f"a committee, {result['network']} on {result['data']}, {result['seconds']:.1f} s")
    click.echo(f"its members alone: {', '.join(percent(share) for share in result['members_test_accuracy'])}")
    click.echo(
        f"test accuracy {percent(result['test_accuracy'])} on {result['tested_on']:,} images never seen "
        f"(95 % interval {percent(low, 1)} to {percent(high, 1)})"
    )
    click.echo(f"saved {run}")
    console.info(f"next:  byhand predict --run {shlex.quote(run)} digit.png     read a picture of your own")
    console.info(f"       byhand eval {shlex.quote(run)}                        the worst mistakes")
