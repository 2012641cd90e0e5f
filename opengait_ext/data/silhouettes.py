"""Transforms of silhouettes as gait benchmarks publish them: uint8 ``[s, 1, h, w]`` in and out."""

import numpy as np
from torch import Tensor

from ..errors import UserError


class CutSides:
    """Crop the same number of columns from both sides.

    Published silhouettes are 64 x 64 with the body in the middle; OpenGait's models expect 44
    columns and crop them like this, which is ``columns: 10`` here.

    Args:
        columns: Columns to crop on each side, in pixels.

    Raises:
        UserError: If the number is negative or, in the call, if nothing would be left.
    """

    def __init__(self, columns: int) -> None:
        if columns < 0:
            raise UserError(f"CutSides: columns: expected 0 or more, found {columns}")
        self.columns = columns

    def __call__(self, frames: Tensor, modality: str, rng: np.random.Generator) -> Tensor:
        """Return ``[s, c, h, w - 2 columns]``."""
        width = frames.shape[-1]
        if width <= 2 * self.columns:
            raise UserError(
                f"CutSides: {self.columns} columns on either side of frames that are {width} wide "
                "leave nothing: lower columns"
            )
        return frames[..., self.columns : width - self.columns]
