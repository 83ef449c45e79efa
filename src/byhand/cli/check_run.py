"""`byhand check RUN`: the gradient check of a trained network. Called by `byhand.cli.check` where the path is a run."""

import sys
from pathlib import Path

import click

from byhand.cli.output import Console, show_json
from byhand.cli.run_data import load_data_here
from byhand.explain import check_gradients
from byhand.nn.gradcheck import GradCheck
from byhand.nn.losses import LOSSES
from byhand.training.runs import Run, load_model


def is_run(path: Path) -> bool:
    """Whether this is a run's folder or a model's file."""
    return path.is_dir() or path.suffix == ".safetensors"


def check_run(path: Path, *, as_json: bool) -> None:
    """Check every gradient of the run's network, show a line a tensor, and leave with 1 if one is wrong."""
    model, config = load_model(path), Run.open(path).config()
    recipe = config.get("recipe") or model.metadata.get("recipe") or {}
    settings = dict(recipe.get("loss") or {"kind": "cross_entropy"})
    digits = load_data_here(config, model.metadata, Console(quiet=as_json))
    checked = check_gradients(model, digits.test, loss=LOSSES[settings.pop("kind")](**settings))
    if as_json:
        show_json(as_plain(checked))
    else:
        click.echo(str(checked))
    if not checked:
        sys.exit(1)


def as_plain(checked: GradCheck) -> dict[str, object]:
    """The check for a machine."""
    return {
        "ok": bool(checked),
        "tolerance": checked.tolerance,
        "tensors": [
            {
                "name": one.name,
                "error": one.error,
                "place": list(one.place),
                "backward": one.analytic,
                "slope": one.numeric,
                "checked": one.checked,
                "kinks_skipped": one.kinks,
            }
            for one in checked.tensors
        ],
    }
