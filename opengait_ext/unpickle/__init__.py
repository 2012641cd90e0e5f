"""Safe reading of pickles: plain values only, no class is instantiated, no function is called."""

from .arrays import NUMPY
from .machine import Machine, Makers
from .parts import BrokenPickleError, ForeignObjectError, Inert, Named, Source
from .values import as_key

__all__ = [
    "NUMPY",
    "BrokenPickleError",
    "ForeignObjectError",
    "Inert",
    "Machine",
    "Makers",
    "Named",
    "Source",
    "as_key",
]
