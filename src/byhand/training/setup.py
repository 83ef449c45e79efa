"""Setup: what a run needs before its first step, checked and made once.

The data are checked and split, the plan is chosen, and the gradient vectors and passes are made. Nothing of this is
decided again in a step.
"""

from dataclasses import replace

import numpy as np

from byhand import checks
from byhand.data.augment import Augmentation
from byhand.errors import UsageError
from byhand.model.model import Model, check_model
from byhand.nn.arrays import Array, aligned
from byhand.nn.backprop import Pass
from byhand.threads import available
from byhand.training.batches import Batches, Inputs, batch_of, part_of
from byhand.training.evaluation import PROBE_SIZE
from byhand.training.parallel import Member, Team
from byhand.training.plan import form_of, layers_for, plan_for, unscaled
from byhand.training.recipe import Recipe
from byhand.training.samples import Data, check_weights, held_out, pictures_of, prepared_rows, validation_batch
from byhand.training.shard import Shard, check_same, summed


class Setup:
    """The parts of one run."""

    def __init__(
        self,
        model: Model,
        data: Data,
        recipe: Recipe,
        seed: int,
        sample_weights: Array | None,
        validation_data: Data | None,
        shard: Shard | None,
    ) -> None:
        self.model, self.recipe, self.seed, self.shard = model, recipe, checks.seed(seed), shard
        self.network = check_model(model).network
        self._split(data, sample_weights, validation_data)
        if shard is not None:
            settings = repr((self.network.config(), recipe.replace(threads=None).config(), self.seed))
            check_same(shard, "network, recipe and seed", settings.encode(), self.network.parameters.tobytes())
            check_same(shard, "data", self.batches.labels.tobytes())
        self._choose_plan()
        #: The gradient of a step, followed by the loss, the number of correct answers and the stop flag: what the
        #: processes of a shared run sum in one all-reduce.
        self.message = (shard.vector if shard is not None else aligned)(self.network.size + 3, self.network.dtype)
        self.gradient = self.message[: self.network.size]

    def _split(self, data: Data, sample_weights: Array | None, validation_data: Data | None) -> None:
        """Check the data, and divide them into those to train on, to validate with and to probe."""
        model, recipe = self.model, self.recipe
        augmentation = Augmentation.parse(recipe.augment)
        pictures, labels = pictures_of(model, data, prepared=not augmentation)
        recipe.loss.check(labels)
        weights = check_weights(sample_weights, len(labels))
        fraction = recipe.validation if validation_data is None else 0  # given validation data replace the split
        kept, held = held_out(labels, fraction, len(model.classes), self.seed)
        if weights is not None and not weights[kept].any():
            raise UsageError("sample_weights must not leave nothing to train on: they weigh only what is held out")
        self.batches = Batches(
            pictures,
            labels,
            index=kept,
            weights=weights,
            batch_size=recipe.batch_size,
            seed=self.seed,
            augmentation=augmentation,
            weak_from=recipe.weak_from,
            preparation=model.preparation,
            shard=self.shard,
        )
        self.trained_labels = labels[kept]
        raw = bool(augmentation)
        self.validation = validation_batch(model, pictures, labels, weights, held, validation_data, raw=raw)
        if self.validation is not None:
            recipe.loss.check(self.validation.labels)
        elif recipe.patience is not None:
            raise UsageError("patience needs a validation split to watch, got validation 0")
        probed = kept[:: max(1, len(kept) // PROBE_SIZE)][:PROBE_SIZE]
        self.probe = batch_of(prepared_rows(model, pictures, probed, raw=raw), slice(0, len(probed)), labels[probed])

    def _choose_plan(self) -> None:
        """Choose how a step is executed, and the form that the layers and a whole-data batch have in it."""
        processes, neighbours = (self.shard.size, self.shard.neighbours) if self.shard else (1, 1)
        self.threads = self.recipe.threads or max(1, available() // neighbours)
        self.rows = -(-self.batches.batch_size // processes)
        self.plan = plan_for(self.network, self.rows, self.threads, busy=1 if self.batches.augmentation else 0)
        self.form = None
        if self.batches.is_whole and not self.batches.augmentation:
            whole = self.batches.all_as_one()
            self.form = form_of(whole.pixels, self.network, self.recipe, self.model.preparation)
            if self.form is not None and self.form.columns is not None:
                whole = replace(whole, pixels=np.take(whole.pixels, self.form.columns, axis=1))
            self.batches.whole = part_of(whole, self.shard)
        self.layers = layers_for(self.network, min(self.rows, self.plan.block), self.form)

    def new_pass(self, gradient: Array | None = None) -> Pass:
        """Return a pass for the blocks of the plan."""
        return Pass(self.network, gradient=gradient, layers=self.layers, sum_over_processes=summed(self.shard))

    def inputs(self) -> Inputs:
        """Return what turns the batches' pixels into inputs."""
        to_floats = self.model.preparation.to_floats if self.form is None else unscaled
        return Inputs(to_floats, self.network.dtype)

    def plain_inputs(self) -> Inputs:
        """Return what turns pixels into inputs outside training."""
        return Inputs(self.model.preparation.to_floats, self.network.dtype)

    def team(self) -> Team | None:
        """Return what takes a batch in blocks, if that is the plan."""
        if self.plan.workers == 1 and self.plan.block >= self.rows:
            return None
        totals = [self.gradient]
        totals += [aligned(self.network.size, self.network.dtype) for _ in range(self.plan.workers - 1)]
        members = [Member(self.new_pass(), self.inputs(), total, self.recipe.loss) for total in totals]
        return Team(members, self.plan)
