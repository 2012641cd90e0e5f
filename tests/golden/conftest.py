"""Golden arrays: the small set in this folder, and the whole one where somebody has it."""

import pytest
from golden_values import SALT, Golden, small_set, whole_set


@pytest.fixture(params=["small_set", "whole_set"])
def golden(request):
    if request.param == "small_set":
        return Golden(small_set(), "public", cut=True)
    return Golden(whole_set(), SALT, cut=False)
