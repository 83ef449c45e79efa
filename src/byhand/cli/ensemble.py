"""`byhand train --committee N`: an ensemble of networks from seeds of their own."""

import shlex
import sys
from typing import Any

from byhand.checks import integer
from byhand.cli import train_options
from byhand.cli.output import Console, load_data, load_data_of_run
from byhand.distributed.ensemble import EnsembleResult, resume_ensemble, train_ensemble
from byhand.errors import UsageError
from byhand.report import wilson
from byhand.text import percent
from byhand.training.runs import Run


def train(
    folder: str | None,
    count: int,
    preset: str,
    data: str | None,
    seed: int,
    options: dict[str, Any],
    console: Console,
    **settings: Any,
) -> EnsembleResult:
    """Train a new ensemble from the seeds `seed`, `seed + 1`, …."""
    jobs = jobs_of(options)
    digits = load_data(data, settings["offline"], console)
    _, recipe, images = train_options.untrained(preset, digits, seed, options | {"threads": None})
    return train_ensemble(
        folder,
        lambda seed: train_options.untrained(preset, digits, seed, options | {"threads": None})[0],
        images,
        recipe,
        seeds=range(seed, seed + count),
        test=digits.test,
        source=data,
        preset=preset,
        command=shlex.join(["byhand", *sys.argv[1:]]),
        jobs=jobs,
        on_message=console.info,
        **settings,
    )


def resume(
    run: Run, data: str | None, seed: int | None, options: dict[str, Any], console: Console, **settings: Any
) -> EnsembleResult:
    """Resume an ensemble; reject options that it can't change any more."""
    jobs = jobs_of(options)
    if not run.members:
        raise UsageError(f"{run.folder} is the run of one network: --committee goes with a new run")
    given = set(train_options.settings_given(options)) - {"threads"}
    if others := sorted(given) + (["seed"] if seed not in (None, run.config().get("seed")) else []):
        raise UsageError(f"--resume goes on with the committee's own settings; it can't change {', '.join(others)}")
    test = load_data_of_run(run.config(), {}, data, settings["offline"], console).test
    return resume_ensemble(run.folder, data=data, test=test, jobs=jobs, on_message=console.info, **settings)


def jobs_of(options: dict[str, Any]) -> int | None:
    """Return how many members to train at a time: for an ensemble, that is the meaning of --threads."""
    return None if options["threads"] is None else integer("threads", options["threads"], 1)


def summary(result: EnsembleResult) -> dict[str, Any]:
    """Return the result as plain values."""
    members, ensemble = result.run.members, result.ensemble
    values = {
        "run": str(result.run.folder),
        "committee": len(members),
        "data": result.run.config()["data_name"],
        "ending": "interrupted" if ensemble is None else "done",
        "seconds": round(result.seconds, 3),
    }
    if ensemble is None:
        return values
    test = ensemble.metadata["test"]
    return values | {
        "network": f"{len(members)} × {ensemble.members[0].architecture}",
        "seeds": ensemble.metadata["seeds"],
        "tested_on": test["images"],
        "members_test_accuracy": test["members"],
        "training_seconds": [round(member.records()[-1].seconds, 3) for member in members],
        "test_accuracy": test["accuracy"],
        "interval": wilson(round(test["accuracy"] * test["images"]), test["images"]),
    }


def headlines(result: dict[str, Any]) -> list[str]:
    """Return what was trained, and the accuracy of each member."""
    return [
        f"a committee, {result['network']} on {result['data']}, {result['seconds']:.1f} s",
        f"its members alone: {', '.join(percent(share) for share in result['members_test_accuracy'])}",
    ]
