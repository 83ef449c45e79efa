"""A playground that trains, gets images and is killed; afterwards, its state must be that of its last checkpoint."""

import functools
import json
import os
import signal
import time
from pathlib import Path

import numpy as np

from byhand.errors import ByhandError
from byhand.play.playground import Playground
from byhand.play.storage import RunStorage, setup_of
from byhand.training.checkpoint import Checkpoints
from byhand.training.runs import Run, holds_no_step
from helpers.playground_server import a_playground

#: At most 40 after the restart: then a point of the curve is a step.
STEPS = 66
#: Steps before which an image is added. Another setup begins before the step `RESTART`, within the first epoch: later,
#: the training would stay as a run of its own.
ADDED, RESTART = (0, 9, 17, 30, 31, 52), 28

#: Training, step, checksum of the weights, labels, and curve.
State = tuple[int, int, str, str]


def train(playground: Playground, *, begun: int = 0, states: dict[tuple[int, int], State] | None = None) -> None:
    """Train to the end as a user does: with new images, and with another setup in between."""
    for step in range(begun, STEPS):
        if step == RESTART:
            playground.begin(a_playground(layers=(9,)).setup)
        for number in [number for number, at in enumerate(ADDED) if at == step and len(playground.added) <= number]:
            playground.add(np.full((28, 28), 20 * number, np.uint8), number)
        playground.step()
        if playground.storage and playground.storage.checkpoints:
            playground.storage.checkpoints.every = playground.storage.checkpoints._wait = 0
        if states is not None:
            states[step] = state_of(playground)


def state_of(playground: Playground) -> State:
    """Return the state without times; the images wait if they were added in this epoch."""
    state = playground.state()[1]
    for record in state["epochs"]:
        record["seconds"] = record["images_per_second"] = 0
    labels = [label for _, label in playground.added]
    weights = playground.model.network.parameters.tobytes().hex()
    return playground.setup.layers[0], playground.step_number, weights, json.dumps([labels, state])


@functools.cache
def uninterrupted() -> dict[int, State]:
    """Return the state after each step of an uninterrupted training."""
    states: dict[int, State] = {}
    playground = a_playground()
    train(playground, states=states)
    playground.close()
    return states


def play(folder: Path) -> None:
    """Begin or resume in the folder, and train to the end."""
    playground, begun = opened(folder)
    try:
        train(playground, begun=begun)
    finally:
        playground.close()


def opened(folder: Path) -> tuple[Playground, int]:
    """Return the playground of a folder, and the number of steps of the whole training that it has."""
    if holds_no_step(folder):
        playground = a_playground()
        playground.storage = RunStorage(folder=folder)
        return playground, 0
    run, started = Run(folder), a_playground()
    setup, checkpoints = setup_of(run), Checkpoints(run, every=0)
    checkpoints.lock()
    playground = Playground.resume(run, started.loaded, "a run", started.digits, setup, checkpoints)
    before = RESTART if playground.setup.layers == (9,) else 0
    return playground, before + playground.step_number


def check(folder: Path) -> int:
    """Check that the folder has the state of a step of the uninterrupted training; return the number of steps."""
    playground, steps = opened(folder)
    try:
        assert not steps or state_of(playground) == uninterrupted()[steps - 1], f"another state after {steps} steps"
    finally:
        playground.storage.close()
        if playground.trainer is not None:
            playground.trainer.close()
    return steps


def kills(folder: Path, wanted: int, *, longest: float = 1.5) -> dict[str, int]:
    """Kill playgrounds at random moments, and check the state after each kill; each ends with the same bits."""
    rng, struck, begun = np.random.default_rng(0), 0, 0
    uninterrupted()
    while struck < wanted:
        run, is_over = folder / str(begun), False
        while not is_over:
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    play(run)
                    code = 0
                except ByhandError as error:
                    print(error, flush=True)
                finally:
                    os._exit(code)
            if struck < wanted:
                time.sleep(rng.uniform(0, longest))
                os.kill(child, signal.SIGKILL)  # it may have ended, and is not waited for yet
            status = os.waitpid(child, 0)[1]
            assert status in (0, signal.SIGKILL), f"the playground ended with status {status}"
            is_over = status == 0
            struck += not is_over
            steps = check(run)
        assert steps == STEPS
        begun += 1
    return {"kills": struck, "trainings": begun, "lost": 0}
