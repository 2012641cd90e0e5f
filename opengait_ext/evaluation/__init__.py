"""Protocols of retrieval, their measures, and what comes out."""

from ..registry import Registry
from .evaluators import evaluate_cross_modality

EVALUATORS = Registry("evaluator", [evaluate_cross_modality])
