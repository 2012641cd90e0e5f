"""Sequences, made up from random numbers."""

import torch


class Noise:
    """Six people, three sequences each, of frames that hang on nothing but the place."""

    label_list = [str(place // 3) for place in range(18)]
    types_list = ["rgb"] * 18
    views_list = [f"v{place % 3}" for place in range(18)]

    def __getitem__(self, place):
        draw = torch.Generator().manual_seed(place)
        return torch.rand(4, 3, 8, 8, generator=draw), int(self.label_list[place])
