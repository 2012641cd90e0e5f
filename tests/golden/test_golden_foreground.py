"""Which pixels are the body, and how pictures come to one shape, against the published ones."""

import torch
from golden_values import reads

from opengait_ext.layers.foreground import body_masks, closed, fit_to_width


@reads("edge/*")
def test_body_and_foreground_are_the_published_ones_in_every_bit(golden):
    first = torch.tensor(golden.array("edge/p0")).unsqueeze(1)  # [f, 1, h, w], float32
    body = body_masks(torch.cat([first, 1 - first], dim=1))
    golden.check("edge/body", body[:, 0], tolerance=0)
    golden.check("edge/foreground", closed(body)[:, 0], tolerance=0)


@reads("padding_resize/*")
def test_narrow_pictures_are_padded_and_wide_ones_cut_as_published(golden):
    frames, ratios = golden.tensor("padding_resize/x"), golden.tensor("padding_resize/ratios")
    golden.check("padding_resize/out_32x16", fit_to_width(frames, ratios, (32, 16)))
