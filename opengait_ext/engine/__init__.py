"""The embedded host: trains and tests any model of this package on cpu, cuda or mps."""

from .session import run

__all__ = ["run"]
