"""The short form of training: `fit`, with the settings of a recipe as arguments.

history = fit(model, digits.train, epochs=10)                      train in memory
history = fit(model, digits.train, epochs=10, run="runs/007")      in a folder, which `resume` can continue
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from byhand.data import Dataset
from byhand.errors import UsageError, short_repr
from byhand.files import StrPath
from byhand.model import Model
from byhand.model.model import check_model
from byhand.nn.arrays import Array
from byhand.training.loop import Callback, Trainer, complete, interruptible
from byhand.training.progress import ProgressBar, is_interactive
from byhand.training.recipe import Recipe, RecipeSettings, adapted, check_settings, preset, with_min_steps
from byhand.training.records import History
from byhand.training.run import train_run
from byhand.training.setup import ClassWeights, Data, training_data, weights_of_classes, with_class_weights

#: Maximum root mean square of inputs that are given as floats.
MAX_ROOT_MEAN_SQUARE = 5.0


def fit(
    model: Model,
    data: Data | Array,
    labels: Array | None = None,
    *,
    recipe: Recipe | str | None = None,
    seed: int = 0,
    sample_weights: Array | None = None,
    class_weights: ClassWeights | None = None,
    validation_data: Data | None = None,
    callbacks: Sequence[Callback] = (),
    run: StrPath | bool = False,
    verbose: bool | None = None,
    **choices: Unpack[RecipeSettings],
) -> History:
    """Train a model until the end or Ctrl-C, and return the history of its epochs.

    data: a Dataset, or X and y as a pair or as two arguments. X: floats (N, in_size), or images uint8 (N, H, W);
    y: class numbers or names (N,), or one-hot (N, K)
    recipe: a Recipe or the name of a preset, by default digits; floats are not augmented, and few get more epochs
    choices: settings that replace those of the recipe: `fit(model, digits.train, epochs=10, validation=0.1)`
    class_weights: "balanced", {class: weight}, or one weight per class; they multiply the `sample_weights`
    validation_data: like `data`; replaces the held-out split of the recipe
    run: a folder, which `resume` can continue; True takes the next `runs/NNN`
    verbose: show a progress bar; by default in a terminal and in a notebook, but not if stderr is a file or a pipe
    """
    samples: Any = data if labels is None else (data, labels)
    check_settings(choices, fit.__kwdefaults__ or ())
    samples = training_data(check_model(model), samples)
    check_callbacks(callbacks)
    if is_interactive() if verbose is None else verbose:
        callbacks = with_progress(callbacks)
    name = recipe if isinstance(recipe, str) else None
    if not isinstance(samples, Dataset):
        check_scale(samples)
    if not isinstance(recipe, Recipe):
        chosen = preset(recipe or "digits")
        if isinstance(samples, Dataset):
            recipe = adapted(chosen, samples).recipe
        else:
            recipe = with_min_steps(chosen.recipe.replace(augment="none"), len(samples[0]))
    recipe = recipe.replace(**choices)
    settings: Any = {"seed": seed, "sample_weights": sample_weights, "validation_data": validation_data}
    if run:
        folder = None if run is True else run
        settings |= {"callbacks": callbacks, "preset": name, "class_weights": class_weights}
        return train_run(folder, model, samples, recipe, **settings).history
    if class_weights is not None:
        weights = weights_of_classes(class_weights, model, samples)
        settings["sample_weights"] = with_class_weights(sample_weights, weights, samples)
    with Trainer(model, samples, recipe, **settings) as trainer, interruptible(trainer.stop):
        history = complete(trainer, callbacks)
        if history.ending == "interrupted":
            trainer.load_final_weights()
        return history


def signature_with_settings(function: Callable[..., Any]) -> inspect.Signature:
    """Return a signature with the settings of a recipe by name, for `help` and for completion in notebooks."""
    signature = inspect.signature(function)
    settings = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=kind)
        for name, kind in RecipeSettings.__annotations__.items()
    ]
    return signature.replace(parameters=[*list(signature.parameters.values())[:-1], *settings])


fit.__signature__ = signature_with_settings(fit)  # type: ignore[attr-defined]


def check_callbacks(callbacks: object) -> None:
    """Reject callbacks that are not a list of objects with the methods of `Callback`."""
    given = callbacks if isinstance(callbacks, tuple | list) else [callbacks]
    odd = [one for one in given if not all(hasattr(one, name) for name in ("on_epoch", "on_end"))]
    if odd or given is not callbacks:
        rule = "a list of objects of a subclass of byhand.training.Callback"
        raise UsageError(f"callbacks must be {rule}, got {short_repr((odd or given)[0])}")


def with_progress(callbacks: Sequence[Callback]) -> Sequence[Callback]:
    """Return the callbacks with a progress bar, unless there is one."""
    return callbacks if any(isinstance(each, ProgressBar) for each in callbacks) else (*callbacks, ProgressBar())


def check_scale(data: tuple[Array, Array]) -> None:
    """Reject inputs that are far from 0, with which training fails: bytes, or columns that are not standardized."""
    X = np.asarray(data[0])
    root_mean_square = float(np.sqrt(np.mean(np.square(X, dtype=np.float64))))
    if root_mean_square > MAX_ROOT_MEAN_SQUARE:
        got = f"got {X.min():.4g} to {X.max():.4g}"
        raise UsageError(f"X must be of the order of 1, {got}: divide bytes by 255, or standardize each column")
