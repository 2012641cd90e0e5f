"""Changes of a sequence's array."""


class Shade:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, frames):
        return frames * self.factor
