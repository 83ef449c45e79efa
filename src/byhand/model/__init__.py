"""Models: a network with its preparation and class names, ensembles, and the model file.

`preparation` converts images to floats, `file` is the file format, and `reading` reads photos and drawings.
"""

from byhand.model.model import Model, Reader, shipped_model
from byhand.model.reading import Reading, read, read_line, read_page

__all__ = ["Model", "Reader", "Reading", "read", "read_line", "read_page", "shipped_model"]
