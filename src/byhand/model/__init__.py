"""A model: a network with the preparation of its pictures, the names of its classes and its file.

`model` holds `Model` and runs its network, `preparation` turns images into floats, `file` reads and writes safetensors,
`reading` reads photos and drawings, and `ensemble` averages several models, or one model over shifted images.
"""

from byhand.model.model import Model, Reader, shipped_model
from byhand.model.reading import Reading, read, read_line

__all__ = ["Model", "Reader", "Reading", "read", "read_line", "shipped_model"]
