"""Distributed training: hyperparameter search, ensembles, and data-parallel training over MPI."""

from byhand.lazy import lazy_names

__getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(("resume_ensemble", "train_ensemble"), "byhand.distributed.ensemble")
)
