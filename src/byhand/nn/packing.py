"""Packing: a dense layer whose products are computed in another form, for speed alone. The results are the same.

Three things make the product of a narrow layer over a large batch cheaper, and all of them change the form of W, which
is far smaller than the batch:

- *Padding.* A BLAS multiplies in tiles of 16 columns or so, and 45 columns can take longer than 48. W gets columns of
  zeros up to the next tile; the products of those columns are sliced off.
- *Columns that are left out.* A pixel that is 0 in every sample of the training set adds nothing to any sum, and its
  weights have the derivative 0. The inputs come without those columns, W without those rows.
- *The scale.* x / 255 · W is x · (W / 255): scaling W saves a pass over the pixels. dW is scaled in turn.

`byhand.training.plan` decides once, before the loop, where this pays; the step calls `forward` and `backward` as those
of any other layer.
"""

import numpy as np

from byhand.nn.arrays import Array, Cache
from byhand.nn.layers import Dense


class PackedDense:
    """A dense layer of which W is packed into a form that is cheaper to multiply by: see the module's text."""

    def __init__(self, layer: Dense, width: int, *, columns: Array | None = None, scale: float = 1.0) -> None:
        self.layer = layer
        self.width, self.scale = width, scale
        self.columns = np.arange(layer.inputs) if columns is None else columns
        self.inputs = len(self.columns)
        self.leaves_out = self.inputs < layer.inputs

    def out_size(self, in_size: int) -> int:
        """Return the number of outputs of a sample."""
        return self.layer.units

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        rows, units = self.inputs, self.layer.units
        cache.new("rows_of_W", rows, units)
        cache.new("W", rows, self.width)
        cache.new("wide_Z", N, self.width)
        cache.new("wide_dZ", N, self.width)
        cache.new("wide_dW", rows, self.width)
        for padded in (cache.W, cache.wide_dZ):
            padded[:, units:] = 0
        cache.new("Z", N, units)
        if cache.needs_dX:
            cache.new("dX", N, rows)
        cache.new("ones", N).fill(1)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = X W + b                                          X: (N, columns) → Z: (N, units)"""
        layer, units = self.layer, self.layer.units
        W = np.take(layer.W, self.columns, axis=0, out=cache.rows_of_W, mode="clip") if self.leaves_out else layer.W
        np.multiply(W, self.scale, out=cache.W[:, :units])
        cache.X = X
        wide_Z = np.matmul(X, cache.W, out=cache.wide_Z)
        return np.add(wide_Z[:, :units], layer.b, out=cache.Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ       dZ: (N, units) → dX: (N, columns)"""
        units = self.layer.units
        cache.wide_dZ[:, :units] = dZ = dout
        dW = np.matmul(cache.X.T, cache.wide_dZ, out=cache.wide_dW)[:, :units]
        if self.leaves_out:
            dW *= self.scale
            cache.dW[self.columns] = dW  # the other rows stay what they were in a new gradient: 0
        else:
            np.multiply(dW, self.scale, out=cache.dW)
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, cache.W[:, :units].T, out=cache.dX) if cache.needs_dX else None
