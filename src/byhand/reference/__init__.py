"""The reference pages: the two networks of the texts, as plain functions under the names that the texts use.

A page is read, it is the oracle that `byhand.nn` is tested against, and it is the answer key of the course.
Everything is float64 with one sample a column. `l_layer` is the network of any depth, `two_layer` the 784-10-10 one;
`rules` holds what both refuse, and the words they use for it.
"""
