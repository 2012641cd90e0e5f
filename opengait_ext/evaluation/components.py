"""The parts of the evaluation package that need torch, and the registry of evaluators."""

from ..registry import Registry
from .evaluators import evaluate_cross_modality
from .gait import evaluate_gait_views

__all__ = ["EVALUATORS", "evaluate_cross_modality", "evaluate_gait_views"]

EVALUATORS = Registry("evaluator", [evaluate_cross_modality, evaluate_gait_views])
