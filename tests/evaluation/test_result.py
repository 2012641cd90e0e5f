import json
import math
from dataclasses import replace

import pytest

from opengait_ext.evaluation.result import DirectionResult, RetrievalResult


def direction(rank1=0.5, average_precision=0.25, dropped=("0004/ir/D2-T2",)):
    return DirectionResult(
        queries=12,
        gallery=1234,
        identities=4,
        dropped=list(dropped),
        ignored_pairs=56,
        cmc={1: rank1, 20: 1.0},
        mean_average_precision=average_precision,
        mean_inverse_negative_penalty=0.125,
    )


def result(**directions):
    return RetrievalResult(
        dataset="toy",
        split="test",
        metric="euclidean",
        parts=70,
        protocol={"name": "vcm", "ignore": "same_pid_camid"},
        directions=directions or {"infrared_to_visible": direction(), "b": direction(0.75, 0.75)},
    )


def test_the_mean_average_precision_is_the_mean_over_the_directions():
    assert result().mean_average_precision == 0.5


def test_the_mean_average_precision_is_not_a_number_if_one_direction_has_none():
    found = result(a=direction(), b=direction(average_precision=math.nan))
    assert math.isnan(found.mean_average_precision)


def test_the_text_is_an_aligned_table_in_percent_with_the_protocol():
    found = result()
    found.notes.update({"frames": 6, "checkpoint": "last"})
    assert str(found).splitlines() == [
        "toy, split test",
        "percent                 R1     R20    mAP   mINP  queries  gallery  dropped  ignored",
        "infrared to visible  50.00  100.00  25.00  12.50       12     1234        1       56",
        "b                    75.00  100.00  75.00  12.50       12     1234        1       56",
        "mean                 62.50  100.00  50.00  12.50",
        "protocol: vcm; camera rule: same_pid_camid; distance: euclidean, mean over 70 parts; "
        "frames: 6; checkpoint: last",
        "dropped: queries without a match in the gallery, in no score; ignored: pairs left out "
        "by the camera rule same_pid_camid",
    ]


def test_a_score_that_does_not_exist_is_a_dash_in_the_text_and_none_in_the_dictionary():
    found = result(a=direction(average_precision=math.nan))
    assert str(found).splitlines()[2].split()[:5] == ["a", "50.00", "100.00", "-", "12.50"]
    assert found.to_dict()["directions"]["a"]["mAP"] is None
    assert found.to_dict()["mean"]["mAP"] is None


def test_the_dictionary_holds_fractions_counts_and_dropped_queries():
    found = result().to_dict()
    assert found["directions"]["infrared_to_visible"] == {
        "R1": 0.5,
        "R20": 1.0,
        "mAP": 0.25,
        "mINP": 0.125,
        "queries": 12,
        "gallery": 1234,
        "identities": 4,
        "dropped_queries": 1,
        "dropped": ["0004/ir/D2-T2"],
        "ignored_pairs": 56,
    }
    assert found["mean"] == {"R1": 0.625, "R20": 1.0, "mAP": 0.5, "mINP": 0.125}
    assert found["protocol"] == {"name": "vcm", "ignore": "same_pid_camid"}


def test_the_dictionary_survives_strict_json_whatever_the_host_notes(tmp_path):
    found = result()
    found.notes.update({"path": tmp_path, "sizes": (1, 2), "none": None, "loss": math.inf})
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored == found.to_dict()
    assert stored["notes"] == {
        "path": str(tmp_path),
        "sizes": [1, 2],
        "none": None,
        "loss": None,
    }


def test_scalars_carry_the_tags_of_tensorboard():
    scalars = result().scalars()
    assert scalars["scalar/infrared_to_visible/mAP"] == 0.25
    assert scalars["scalar/b/R1"] == pytest.approx(0.75)
    assert len(scalars) == 8


def test_what_else_the_protocol_says_stands_in_the_legend():
    found = result()
    found.protocol.update({"min_frames": 12, "official_drop": 64, "tested": "all", "nothing": None})
    found.protocol.update({"trials": {"count": 10, "seed": 0}, "junk": ["-1"]})
    assert "; official drop: 64; tested: all; trials: count=10, seed=0; junk: -1; distance: " in (
        str(found)
    )
    assert "min" not in str(found).splitlines()[-2]


def test_d_prime_is_no_percentage_and_the_others_are():
    one = replace(direction(), further={"TAR@0.01": 0.5, "d_prime": 2.5})
    lines = str(result(a=one)).splitlines()
    assert lines[1].split()[5:7] == ["TAR@0.01", "d'"]
    assert lines[2].split()[5:7] == ["50.00", "2.50"]
    assert result(a=one).to_dict()["mean"]["d_prime"] == 2.5


def test_trials_intervals_and_misses_are_told_and_stored():
    one = replace(
        direction(),
        trials=10,
        spread={"R1": 0.01, "mAP": 0.02},
        intervals={"R1": (0.4, math.nan)},
        unmatched=["a/b/c"],
        pairs={"genuine": 3},
    )
    found = replace(result(a=one), confidence={"level": 0.95, "resamples": 7})
    text = str(found)
    assert "a, standard deviation over 10 trials: R1 1.00, mAP 2.00" in text
    assert "a, 95 % interval (7 resamples of the query identities): R1 40.00 to -" in text
    assert "a: 1 queries without a match count as zero" in text
    stored = found.to_dict()["directions"]["a"]
    assert stored["intervals"] == {"R1": [0.4, None]}
    assert (stored["trials"], stored["unmatched"], stored["pairs"]["genuine"]) == (10, ["a/b/c"], 3)
