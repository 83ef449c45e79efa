"""More than one training at once, and one training on more than one machine; on the engines that people have.

`space`, `work`, `engines`, `sweep`: many trainings. Optuna chooses, joblib or Dask runs, one folder holds it all.
`mpi`: one training. Every rank works its share of each batch, and one sum makes the gradients one.

Nothing here is a scheduler or a protocol; what is here is thin, and imports its engine when it is used.
"""
