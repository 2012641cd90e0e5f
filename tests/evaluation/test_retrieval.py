"""One retrieval: what a protocol leaves, and the distances of its trials."""

import numpy as np
import pytest
from evaluator_data import TRACKLETS, data, partition

from opengait_ext.data.layout import Partition, Task, Tracklet
from opengait_ext.evaluation import evaluate_cross_modality
from opengait_ext.evaluation.faults import EvaluationError
from opengait_ext.evaluation.inputs import Embedded
from opengait_ext.evaluation.retrieval import Retrieval


def content(**protocol):
    fields = partition()
    tasks = {name: Task(**task) for name, task in fields["tasks"]["test"].items()}
    tracklets = [Tracklet(**each) for each in fields["tracklets"]]
    rules = {"name": "toy", "ignore": "same_pid_camid", **protocol}
    return Partition("toy", tracklets, {"test": tasks}, rules)


def embedded(order=None, **protocol):
    order = list(range(len(TRACKLETS)) if order is None else order)
    return Embedded(data(order)["embeddings"], order, content(**protocol))


@pytest.mark.parametrize("block_size", [1, 3, 100])
@pytest.mark.parametrize("swapped", [[], ["infrared_to_visible"]])
def test_the_trials_of_a_direction_have_the_distances_that_each_has_alone(block_size, swapped):
    drawn = {"trials": {"count": 3, "per_camera": 1}, "swapped": swapped, "gallery_cameras": [1, 3]}
    for direction in Retrieval(embedded(**drawn)).directions.values():
        parts = [[] for _ in direction.trials]
        for number, block in direction.blocks(block_size):
            parts[number].append(block)
        for trial, blocks in zip(direction.trials, parts, strict=True):
            assert [block.start for block in blocks] == list(
                np.cumsum([0, *(len(block.distance) for block in blocks[:-1])])
            )
            (alone,) = trial.blocks(100)
            for name in ("distance", "match", "ignore"):
                joined = np.concatenate([getattr(block, name) for block in blocks])
                np.testing.assert_allclose(joined, getattr(alone, name), atol=1e-6)


def test_matches_and_what_is_left_out_are_those_of_a_loop_over_pairs():
    fields = content()
    for name, direction in Retrieval(embedded()).directions.items():
        task = fields.tasks["test"][name]
        assert direction.query.positions.tolist() == task.query
        (block,) = direction.trials[0].blocks(100)
        for row, query in enumerate(task.query):
            for column, other in enumerate(task.gallery):
                one, two = fields.tracklets[query], fields.tracklets[other]
                assert block.match[row, column] == (one.pid == two.pid)
                same = (one.pid, one.camid) == (two.pid, two.camid)
                assert block.ignore[row, column] == same


def test_the_order_of_the_embeddings_is_told_by_their_positions():
    expected = evaluate_cross_modality(embedded(), "toy")
    assert evaluate_cross_modality(embedded([6, 2, 0, 5, 1, 3, 4]), "toy") == expected


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 1, 2, 3, 4, 5], r"embeddings \[7, 3, 2\] of 6 tracklets; expected"),
        ([0, 1, 2, 3, 4, 5, 7], r"from 0 to 7; expected 0 to 6"),
        ([0, 1, 2, 3, 4, 5, -1], r"from -1 to 5; expected 0 to 6"),
        ([0, 1, 2, 3, 4, 5, 5], r"1 tracklets have more than one embedding: 0002/rgb/D4-T1\."),
    ],
)
def test_positions_that_are_not_those_of_the_embeddings_are_refused(positions, message):
    with pytest.raises(EvaluationError, match=message):
        Embedded(data()["embeddings"], positions, content())


def test_a_temporal_re_ranking_without_halves_is_refused():
    with pytest.raises(EvaluationError, match="needs embeddings of both halves"):
        Retrieval(embedded(), rerank={"type": "temporal"})
