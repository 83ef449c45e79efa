"""A model: a network with the preparation of its pictures, the names of its classes and its file.

`model` holds `Model`, `preparation` turns images into floats, `inference` runs the network block by block, `file` reads
and writes safetensors, `ensemble` combines several models, and `shipped` loads the model that is installed with byhand.
"""

from byhand.model.model import Model

__all__ = ["Model"]
