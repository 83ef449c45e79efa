"""The reference pages: the two networks of the texts, as plain functions with the names of the texts.

A page is for reading, the oracle in the tests of `byhand.nn`, and the answer key of the course.
Everything is float64 with one sample a column. `l_layer` is the network of any depth, `two_layer` the 784-10-10 one,
and `beyond` adds mini-batches and momentum. `rules` checks the arguments and holds the error messages.
"""
