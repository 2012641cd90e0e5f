import pytest
import torch
from rerank_loops import PAPER, crowd

from opengait_ext.errors import UserError
from opengait_ext.evaluation import rerank
from opengait_ext.evaluation.rerank import described, rerank_distances, temporal_distances


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_an_embedding_that_is_not_finite_is_named(monkeypatch, value):
    monkeypatch.setattr(rerank, "TILE", 3)
    query, gallery = crowd(8, 4, 6, dtype=torch.float32)
    gallery[4, 0, 0] = value
    with pytest.raises(UserError, match="gallery tracklet 4 .*expected finite numbers"):
        rerank_distances(query, gallery, PAPER)
    with pytest.raises(UserError, match="of query 4 "):
        rerank_distances(gallery, query, PAPER)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"type": "k_reciprocl"}, "rerank.type is 'k_reciprocl' - did you mean 'k_reciprocal'"),
        ({"type": None}, "expected one of: k_reciprocal, temporal"),
        ({"lamda": 0.3}, "rerank.lamda is unknown .* - did you mean 'lambda'"),
        ({"euclidean": 0.8}, "rerank.euclidean is unknown for the type k_reciprocal"),
        ({"k1": 0}, "rerank.k1 is 0; expected a whole number of at least 1"),
        ({"k1": True}, "rerank.k1 is True"),
        ({"k2": 2.5}, "rerank.k2 is 2.5; expected a whole number"),
        ({"lambda": 1.2}, "rerank.lambda is 1.2; expected a number from 0 to 1"),
        ({"lambda": float("nan")}, "rerank.lambda is nan"),
        ({"lambda": "0.3"}, "rerank.lambda is '0.3'"),
        ({"squared": 1}, "rerank.squared is 1; expected true or false"),
    ],
)
def test_wrong_settings_are_refused_with_key_value_and_what_was_expected(changed, message):
    settings = {**PAPER, **changed}
    with pytest.raises(UserError, match=message):
        described(settings)
    with pytest.raises(UserError, match=message):
        rerank_distances(*crowd(0, 3, 4), settings)


def test_settings_must_be_a_mapping():
    with pytest.raises(UserError, match="rerank is 'k_reciprocal'; expected a mapping"):
        described("k_reciprocal")


def test_settings_of_the_other_type_are_refused_with_what_to_do():
    query, gallery = crowd(0, 3, 4)
    with pytest.raises(UserError, match="call temporal_distances"):
        rerank_distances(query, gallery, {"type": "temporal"})
    with pytest.raises(UserError, match="expected temporal"):
        temporal_distances(*[(query, gallery)] * 3, PAPER)


def test_wrong_shapes_and_metrics_are_refused():
    query, gallery = crowd(0, 3, 4)
    with pytest.raises(UserError, match="no metric is called 'l1'"):
        rerank_distances(query, gallery, PAPER, "l1")
    for wrong in (gallery[:0], gallery[:, :2], gallery[:, :, 0]):
        with pytest.raises(UserError, match="expected \\[tracklets, embedding, parts\\]"):
            rerank_distances(query, wrong, PAPER)


def test_the_settings_in_words_name_every_number_and_choice():
    words = described(PAPER)
    assert words == (
        "k-reciprocal (k1 20, k2 6, lambda 0.3; Euclidean distances squared; more than 2/3 shared)"
    )
    assert described({"type": "k_reciprocal"}) == words
    others = [{"k1": 19}, {"k2": 5}, {"lambda": 0.25}, {"squared": False}, {"strict": False}]
    assert len({described({**PAPER, **other}) for other in others} | {words}) == 6
