"""Transforms, looked up in this module."""

import sys

import torchvision.transforms
from utils import get_valid_args

assert torchvision.transforms


class BaseSilCuttingTransform:
    def __call__(self, frames):
        return frames / 255.0


def get_transform(section):
    if isinstance(section, list):
        return [get_transform(entry) for entry in section]
    transform = getattr(sys.modules[__name__], section["type"])
    return transform(**get_valid_args(transform, section))
