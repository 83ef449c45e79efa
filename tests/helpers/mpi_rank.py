"""Program of each rank in `test_mpi`: 100 steps of training, with the ranks compared bit by bit after each.

mpiexec -n 2 python mpi_rank.py OUT.npz '{"optimizer": {"kind": "sgd"}, …}'
"""

import json
import sys
import zlib

import numpy as np

import byhand
from byhand.distributed import mpi
from byhand.model import Model
from byhand.nn.optimizers import optimizer_named
from byhand.training import Recipe, Trainer, steps

out, settings = sys.argv[1], json.loads(sys.argv[2])
shard = mpi.communicator()
images = byhand.load("mnist-5k", offline=True).train[: settings.get("samples", 1001)]
model = Model([784, 32, 16, 10], seed=0, **{"dtype": "float64", **settings.get("network", {})})
recipe = Recipe(
    epochs=25, optimizer=optimizer_named(**settings.pop("optimizer")), validation=0.1, threads=1, **settings["recipe"]
)
weights = np.random.default_rng(0).uniform(0.1, 2, len(images)) if settings.get("weights") else None
with mpi.aborting(shard), Trainer(model, images, recipe, seed=0, sample_weights=weights, shard=shard) as session:
    for taken, record in enumerate(steps(session), start=1):
        if shard is not None:
            sums = shard.world.allgather(zlib.crc32(model.network.parameters.tobytes()))
            assert len(set(sums)) == 1, f"step {record.step}: the ranks differ"
        if taken == 100:
            break
    if shard is None or shard.rank == 0:
        arrays, _ = session.state()
        records = session.progress.records
        curves = [[r.loss, r.accuracy, r.validation_loss, r.validation_accuracy, r.gradient_norm] for r in records]
        places = [] if shard is None else [shard.neighbours, shard.size]
        np.savez(out, curves=curves, places=places, **arrays)
