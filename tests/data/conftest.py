"""Tiny prepared datasets."""

import numpy as np
import pytest
import simplejpeg

from opengait_ext.data.layout import FOLDERS, Partition, Tracklet, write_tracklet

MODALITIES = ("visible", "infrared")


def even_jpeg(brightness, height=24, width=12):
    """An even picture, so that its brightness survives compression and resizing."""
    return simplejpeg.encode_jpeg(np.full((height, width, 3), brightness, np.uint8), quality=95)


@pytest.fixture
def jpeg():
    """Makes JPEG files of one brightness: ``jpeg(brightness, height, width)``."""
    return even_jpeg


@pytest.fixture
def prepared(tmp_path):
    """Makes a dataset of ``{pid: (visible, infrared)}`` tracklets; gives its partition.

    Frame i of a tracklet has the brightness 10 * i.
    """

    def make(counts, frames=5, split="train", images=None):
        tracklets = []
        for pid, numbers in counts.items():
            for modality, number in zip(MODALITIES, numbers, strict=True):
                for row in range(number):
                    path = f"{pid}/{FOLDERS[modality]}/D{row + 1}-T{row}"
                    tracklets.append(Tracklet(path, pid, row + 1, modality, frames, split))
                    pictures = images or [even_jpeg(10 * index) for index in range(frames)]
                    write_tracklet(tmp_path / path, pictures)
        return Partition("Tiny", tracklets, {}, {}, {})

    return make
