"""The help of every option contains its standard term, which users of Keras and scikit-learn search for."""

import click

from byhand.cli.group import cli

#: The option, or command and option, and the term. A row of an option without its command is for all commands.
TABLE = """
--version             version
--debug               traceback
--quiet               suppress messages
--json                JSON
--html                HTML
--offline             offline
--data                data set
--color               color images
--seed                random seed
--config              configuration file
--split               test set or training set
--require-boundary    security boundary
--shifts              test-time augmentation
--timeout             time limit
--preset              preset
--hidden              hidden layer sizes
--maps                convolutional layers
--activation          activation function
--dropout             dropout rate
--batch-norm          batch normalization
--init                weight initialization
--dtype               floating-point precision
--deskew              deskewing
--scale               input scaling
--input               normalize handwriting
--epochs              number of epochs
--batch-size          mini-batch size
--learning-rate       learning rate
--optimizer           optimizer
--momentum            momentum coefficient
--nesterov            Nesterov momentum
--weight-decay        L2 penalty on the weights (weight decay)
--schedule            learning-rate schedule
--loss                loss function
--label-smoothing     label smoothing
--clip                gradient clipping
--max-norm            max-norm constraint
--ema-decay           exponential moving average (EMA)
--augment             data augmentation
--weak-augment        data augmentation
--validation          validation set
--patience            early stopping
--record-every        logging interval
--samples             training set size
--threads             number of threads
--checkpoint-every    checkpoints
train --run           folder of the run
train --resume        resume
train --committee     ensemble
train --class-weights class weights
eval --threshold      minimum accuracy
predict --run         model
predict --line        segmentation
predict --page        segmentation
predict --show-boxes  bounding box
predict --show-input  network input
predict --top         most probable classes
lr-find --lowest      learning rate
lr-find --highest     learning rate
lr-find --steps       range test
sweep --space         search space
sweep --trials        number of trials
sweep --jobs          parallel jobs
sweep --engine        backend
sweep --address       Dask scheduler
sweep --folder        folder of the sweep
sweep --resume        resume
explain --label       label
explain --sample      index of the sample
explain --batch       batch size
explain --unit        unit
explain --ask         quiz
explain --svg         animated
explain --pager       pager
export --to           format
export --output       output file
play --port           port
play --browser        browser
play --run            folder of the run
play --adapter        assignment
data import --force   overwrite
card --output         output file
runs delete --yes     confirmation
check --adapter       assignment
course grade --out    table of marks
course grade --checks custom checks
course grade --page   functions to grade
course grade --jobs   parallel
course grade --for    result of each student
course grade --again  again
course import --out   copy
course practice --mark grade
course import --force overwrite
"""
TERMS = {row[:22].strip(): row[22:].strip() for row in TABLE.strip().splitlines()}


def options(command, path=""):
    """Yield the path of each command with each of its visible options."""
    yield from ((path, one) for one in command.params if isinstance(one, click.Option) and not one.hidden)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from options(command.get_command(context, name), f"{path} {name}".strip())


def problems(found):
    """Yield a line for each option without a row, or without its term, and for each row without an option."""
    unused = set(TERMS)
    for path, one in found:
        name = next(name for name in one.opts if name.startswith("--"))
        row = next((row for row in (f"{path} {name}", name) if row in TERMS), None)
        unused.discard(row)
        if row is None:
            yield f"{path} {name}: no row"
        elif TERMS[row].lower() not in one.help.lower():
            yield f"{path} {name}: {TERMS[row]!r} is not in {one.help!r}"
    yield from (f"{row}: no such option" for row in sorted(unused))


def test_the_help_of_every_option_has_its_term():
    assert not list(problems(options(cli)))


def test_an_option_without_a_row_or_its_term_is_found():
    added = [
        ("train", click.Option(["--batch-size"], help="Images per step.")),
        ("train", click.Option(["--tempo"], help="Step size.")),
    ]
    assert list(problems([*options(cli), *added])) == [
        "train --batch-size: 'mini-batch size' is not in 'Images per step.'",
        "train --tempo: no row",
    ]
