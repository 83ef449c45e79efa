"""Pictures in: reading, finding and keeping data sets.

`load` finds a data set by name or path and gives a pair of `Dataset`; one module reads each file format.
"""

from byhand.data.dataset import Dataset, Digits, Sample
from byhand.data.loading import load

__all__ = ["Dataset", "Digits", "Sample", "load"]
