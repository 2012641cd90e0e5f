"""The embedded host: training and testing of any model of this package on cpu, cuda or mps."""

from .session import run

__all__ = ["run"]
