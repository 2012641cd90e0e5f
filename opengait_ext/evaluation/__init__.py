"""Protocols of retrieval, their measures, and what comes out."""

from ..registry import Registry
from .evaluators import evaluate_cross_modality
from .gait import evaluate_gait_views

EVALUATORS = Registry("evaluator", [evaluate_cross_modality, evaluate_gait_views])
