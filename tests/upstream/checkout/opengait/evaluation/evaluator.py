"""Numbers from embeddings."""

import numpy


def spread(found, name, metric):
    """How far embeddings lie apart; enough to have an evaluator under some name."""
    return {f"scalar/{name}/{metric}": float(numpy.std(found["embeddings"]))}
