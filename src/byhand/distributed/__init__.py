"""Several trainings at once, and one training on several machines, with the engines that people have.

`space`, `sweep`, `engines`: a hyperparameter search. Optuna suggests, joblib or Dask runs, a folder keeps everything.
`ensemble`: the same network from several seeds, each trained by a process of its own.
`mpi`: one training. Every rank computes its share of each batch, and an all-reduce sums the gradients.

Nothing here is a scheduler or a protocol, and each engine is imported when it is used.
"""

from byhand.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(("resume_ensemble", "train_ensemble"), "byhand.distributed.ensemble")
)
