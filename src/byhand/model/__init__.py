"""A model: a network with the preparation of its pictures, the names of its classes and its file.

`model` holds `Model`, `preparation` turns images into floats, `inference` runs the network block by block, `file` reads
and writes safetensors, and `ensemble` averages several models, or one model over shifted images.
"""

from byhand.model.model import Model, Reader, shipped_model

__all__ = ["Model", "Reader", "shipped_model"]
