import dataclasses
from typing import Literal

import pytest

from opengait_ext.schema import faults_of, with_dataclasses


@dataclasses.dataclass
class Vit:
    depth: int
    ratio: float = 4.0


def component(
    size: int,
    rate: float = 1.0,
    path: str | None = None,
    bins: list[int] | None = None,
    kind: Literal["max", "mean"] = "max",
    vit: Vit | None = None,
    flip: bool = False,
) -> None:
    """Stands for a component of a config file."""


def test_arguments_that_fit_have_no_faults():
    arguments = {"size": 3, "rate": 2, "path": None, "bins": [1, 2], "kind": "mean", "flip": True}
    assert faults_of(component, {**arguments, "vit": {"depth": 6}}) == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"size": 1.5}, "size: expected an integer, found 1.5"),
        ({"size": True}, "size: expected an integer, found True"),
        ({"size": 1, "rate": "fast"}, "rate: expected a number, found 'fast'"),
        ({"size": 1, "path": 3}, "path: expected text, found 3"),
        ({"size": 1, "bins": 3}, "bins: expected a list, found 3"),
        ({"size": 1, "bins": [1, "2"]}, "bins[1]: expected an integer, found '2'"),
        ({"size": 1, "flip": 1}, "flip: expected true or false, found 1"),
        (
            {"size": 1, "kind": "men"},
            "kind: expected one of max, mean, found 'men' - did you mean 'mean'?",
        ),
        ({"size": 1, "vit": 3}, "vit: expected keys and values, found 3"),
        ({"size": 1, "vit": {"depth": "x"}}, "vit: depth: expected an integer, found 'x'"),
        (
            {"size": 1, "vit": {"depth": 1, "ration": 2.0}},
            "vit: unknown key 'ration' - did you mean 'ratio'?",
        ),
        ({"size": 1, "sise": 2}, "unknown key 'sise' - did you mean 'size'?"),
        ({}, "missing key 'size'"),
    ],
)
def test_each_fault_is_named_with_what_was_expected_and_found(arguments, fault):
    assert faults_of(component, arguments) == [fault]


def test_all_faults_are_named_at_once():
    assert len(faults_of(component, {"sise": 2, "rate": "x", "zzz": 1})) == 4


def test_what_the_caller_supplies_may_not_stand_in_the_config():
    assert faults_of(component, {}, given=("size",)) == []
    assert faults_of(component, {"size": 2}, given=("size",))[0].startswith("unknown key 'size'")


def test_nested_mappings_become_the_dataclass_of_the_annotation():
    made = with_dataclasses(component, {"size": 1, "vit": {"depth": 6}})
    assert made == {"size": 1, "vit": Vit(depth=6)}
