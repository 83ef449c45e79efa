"""Other forms of a dense layer, for speed alone: they compute the same products in another way.

`byhand.training.plan` decides once, before the loop, where one of them pays; the step calls `forward` and `backward` as
those of any other layer. The results agree to rounding.

**Packed**, for narrow layers over large batches. Three things make their product cheaper, and all of them change the
form of W, which is far smaller than the batch:

- *Padding.* A BLAS multiplies in tiles of 16 columns or so, and 45 columns can take longer than 48. W gets columns of
  zeros up to the next tile; the products of those columns are sliced off.
- *Columns that are left out.* A pixel that is 0 in every sample of the training set adds nothing to any sum, and its
  weights have the derivative 0. The inputs come without those columns, W without those rows.
- *The scale.* x / 255 · W is x · (W / 255): scaling W saves a pass over the pixels. dW is scaled in turn.

**Split**, for small batches. Before it multiplies, a BLAS copies W into the order in which its kernel reads it, and for
32 samples the copy takes longer than the product. On processors with AVX-512, OpenBLAS has kernels for small matrices
(up to 10⁶ multiplications) that do without it. So the product is split into parts that are small enough: the rows of
W, and with them the inputs of a sample, in equal parts, whose products are added up.
"""

import numpy as np

from byhand.nn.arrays import Array, Cache
from byhand.nn.layers import Dense, Layer


class DenseForm(Layer):
    """Base class of the forms: it holds the layer whose parameters they use."""

    def __init__(self, layer: Dense, inputs: int) -> None:
        self.layer = layer
        self.inputs = inputs

    def out_size(self, in_size: int) -> int:
        return self.layer.units

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        cache.new("Z", N, self.layer.units)
        cache.new("ones", N).fill(1)
        if cache.needs_dX:
            cache.new("dX", N, self.inputs)


class PackedDense(DenseForm):
    """Z = X W + b, with W packed: padded to `width` columns, without the rows that `columns` leaves out, and scaled."""

    def __init__(self, layer: Dense, width: int, *, columns: Array | None = None, scale: float = 1.0) -> None:
        super().__init__(layer, layer.inputs if columns is None else len(columns))
        self.width, self.columns, self.scale = width, columns, scale

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        super().prepare(cache, N, in_size)
        units = self.layer.units
        cache.new("rows_of_W", self.inputs, units)
        cache.new("W", self.inputs, self.width)[:, units:] = 0
        cache.new("wide_Z", N, self.width)
        cache.new("wide_dZ", N, self.width)[:, units:] = 0
        cache.new("wide_dW", self.inputs, self.width)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = X W + b                                          X: (N, columns) → Z: (N, units)"""
        W, units = self.layer.W, self.layer.units
        if self.columns is not None:
            W = np.take(W, self.columns, axis=0, out=cache.rows_of_W, mode="clip")
        np.multiply(W, self.scale, out=cache.W[:, :units])
        cache.X = X
        wide_Z = np.matmul(X, cache.W, out=cache.wide_Z)
        return np.add(wide_Z[:, :units], self.layer.b, out=cache.Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dW = Xᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ       dZ: (N, units) → dX: (N, columns)"""
        units = self.layer.units
        cache.wide_dZ[:, :units] = dZ = dout
        dW = np.matmul(cache.X.T, cache.wide_dZ, out=cache.wide_dW)[:, :units]
        if self.columns is None:
            np.multiply(dW, self.scale, out=cache.dW)
        else:
            dW *= self.scale
            cache.dW[self.columns] = dW  # the gradient of the other rows is 0, as in a new vector
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, cache.W[:, :units].T, out=cache.dX) if cache.needs_dX else None


class SplitDense(DenseForm):
    """Z = X W + b, with the product split into `parts` of its rows of W: Z = Σ Xₚ Wₚ + b."""

    def __init__(self, layer: Dense, parts: int) -> None:
        super().__init__(layer, layer.inputs)
        self.parts, self.rows = parts, layer.inputs // parts

    def prepare(self, cache: Cache, N: int, in_size: int) -> None:
        super().prepare(cache, N, in_size)
        cache.new("products", self.parts, N, self.layer.units)
        cache.dW_parts = cache.dW.reshape(self.parts, self.rows, self.layer.units)

    def forward(self, X: Array, cache: Cache) -> Array:
        """Z = Σ Xₚ Wₚ + b                                      X: (N, inputs) → Z: (N, units)"""
        cache.X_parts = X.reshape(len(X), self.parts, self.rows).transpose(1, 0, 2)
        W_parts = self.layer.W.reshape(self.parts, self.rows, -1)
        products = np.matmul(cache.X_parts, W_parts, out=cache.products)
        Z: Array = np.add.reduce(products, axis=0, out=cache.Z)
        return np.add(Z, self.layer.b, out=Z)

    def backward(self, dout: Array, cache: Cache) -> Array | None:
        """dWₚ = Xₚᵀ dZ,  db = Σ dZ over the samples,  dX = dZ Wᵀ     dZ: (N, units) → dX: (N, inputs)"""
        dZ = dout
        np.matmul(cache.X_parts.transpose(0, 2, 1), dZ, out=cache.dW_parts)
        np.matmul(cache.ones, dZ, out=cache.db)
        return np.matmul(dZ, self.layer.W.T, out=cache.dX) if cache.needs_dX else None
