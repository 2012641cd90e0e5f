"""Models, one file per paper. To add one: a file, two lines here, a config, a test."""

from ..registry import Registry
from .agw import AGW
from .biggait import BigGait
from .dinogrl import DinoGRL
from .dinogrl_released import DinoGRLReleased

MODELS = Registry("model", [AGW, BigGait, DinoGRL, DinoGRLReleased])
