"""`byhand check RUN`: the gradient check of a trained network. Called by `byhand.cli.check` where the path is a run."""

import sys
from pathlib import Path

import click

from byhand.cli.output import Console, load_any_data, show_json
from byhand.explain import check_gradients
from byhand.nn.gradcheck import GradCheck
from byhand.training.run import loss_of
from byhand.training.runs import Run, load_model


def is_run(path: Path) -> bool:
    """Whether this is a run's folder or a model's file."""
    return path.is_dir() or path.suffix == ".safetensors"


def check_run(path: Path, *, as_json: bool) -> None:
    """Check every gradient of the run's network, show a line a tensor, and leave with 1 if one is wrong."""
    model, config = load_model(path), Run.open(path).config()
    digits = load_any_data(config, model.metadata, Console(quiet=as_json))
    checked = check_gradients(model, digits.test, loss=loss_of(config, model.metadata))
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
