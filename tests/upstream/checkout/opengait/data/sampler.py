"""Which places of a dataset make a batch."""

import random


class Groups:
    """Some people and some sequences of each, for ever; ``batch_size`` is both numbers."""

    def __init__(self, noise, batch_shuffle, batch_size):
        self.labels = noise.label_list
        self.mixed = batch_shuffle
        self.people, self.each = batch_size

    def __iter__(self):
        while True:
            batch = []
            for person in random.sample(sorted(set(self.labels)), self.people):
                own = [place for place, label in enumerate(self.labels) if label == person]
                batch += random.sample(own, self.each)
            if self.mixed:
                random.shuffle(batch)
            yield batch


class InTurn:
    """One after the other; ``batch_size`` at a time."""

    def __init__(self, noise, batch_size):
        every = range(len(noise.label_list))
        self.batches = [list(every[start : start + batch_size]) for start in every[::batch_size]]

    def __iter__(self):
        return iter(self.batches)
