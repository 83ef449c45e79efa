"""Benchmarks: how fast and how accurate byhand is, compared with the alternatives, measured in one run.

They are not part of the package, because they need PyTorch and JAX (the extra `bench`). From a checkout:

    python -m benchmarks mini-batches       one suite: a file in benchmarks/results, and a table on the screen
    python -m benchmarks tables             all stored results as tables in the README and docs/

`work.py` defines the work. Each contestant (`contestants.py`, `flat_numpy.py`, `jax_jit.py`) does it in a
process of its own; `rounds.py` gives them turns and computes the ratios. `suites.py` lists what is measured, with
`target.py`, `reading.py` and `memory.py`; `accuracy.py` and `robustness.py` are about accuracy. `results.py` stores a
suite's results with the machine's description, and `tables.py` turns them into Markdown. `versions.py`, `recipes.py`
and `scaling.py` are programs of their own.
"""
