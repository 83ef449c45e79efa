"""The data that a run was made on: what is written down of it, how it is found again, and what it may be judged by."""

from collections.abc import Mapping
from typing import Any

from byhand.cli.output import Console, load_data
from byhand.data import Dataset, Digits
from byhand.errors import DataError
from byhand.training.run import data_of

#: The pictures of the left one are among the training images of the right one.
TAKEN_FROM = {"mnist-5k": "mnist"}


def load_data_of(
    config: Mapping[str, Any], card: Mapping[str, Any], data: str | None, offline: bool, console: Console
) -> Digits:
    """The data set that was asked for, or else the one that the run was made on."""
    return load_data(data if data is not None else data_of(config, card), offline, console)


def load_data_here(config: Mapping[str, Any], card: Mapping[str, Any], console: Console) -> Digits:
    """The data set that a run was made on if it is on this machine, else whatever is: where any pictures will do."""
    name = data_of(config, card)
    try:
        return load_data(name, True, console)
    except DataError as error:
        if name is None:
            raise
        console.info(str(error))
        return load_data(None, True, console)


def warn_if_seen(who: str, card: Mapping[str, Any], images: Dataset, console: Console) -> None:
    """Say so where a model is judged by pictures that it was trained on under another name."""
    trained_on = card.get("data", {}).get("name")
    if trained_on is not None and TAKEN_FROM.get(images.name) == trained_on:
        console.info(
            f"watch out: {who} was trained on {trained_on}, and {images.name} is taken from its training images: "
            "these figures say nothing of pictures never seen"
        )
