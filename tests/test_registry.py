import pytest

from opengait_ext.registry import Registry


class AGW:
    pass


class DinoGRL:
    pass


MODELS = Registry("model", [AGW, DinoGRL])


def test_a_member_is_found_under_its_own_name():
    assert MODELS["AGW"] is AGW
    assert list(MODELS) == ["AGW", "DinoGRL"]
    assert "AGW" in MODELS
    assert "BigGait" not in MODELS


def test_an_unknown_name_suggests_the_nearest_and_lists_the_rest():
    with pytest.raises(KeyError) as error:
        MODELS["DinoGRl"]
    assert error.value.args[0] == (
        "no model is called 'DinoGRl' - did you mean 'DinoGRL'? (known: AGW, DinoGRL)"
    )


def test_a_name_like_no_other_gets_no_suggestion():
    with pytest.raises(KeyError, match="no model is called 'xyz' \\(known"):
        MODELS["xyz"]


def test_two_members_of_one_name_are_refused():
    with pytest.raises(ValueError, match="a model called 'AGW' is listed already"):
        Registry("model", [AGW, AGW])
