import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from evaluator_data import data, evaluate, evaluate_cross_modality, partition

from opengait_ext.config import ConfigError, bind
from opengait_ext.evaluation import EVALUATORS


def test_infrared_to_visible_gives_the_numbers_worked_out_by_hand():
    found = evaluate().directions["infrared_to_visible"]
    # 0001 finds rank 1 and 3, 0002 finds rank 2, 0004 nothing.
    assert (found.queries, found.gallery, found.identities) == (3, 4, 3)
    assert found.dropped == ["0004/ir/D2-T2"]
    assert found.ignored_pairs == 0
    assert found.cmc == {1: 1 / 2, 5: 1.0, 10: 1.0, 20: 1.0}
    assert found.mean_average_precision == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert found.mean_inverse_negative_penalty == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_visible_to_infrared_swaps_the_roles():
    found = evaluate().directions["visible_to_infrared"]
    # 0001/D1 at 0 finds rank 1; 0001/D3 at 2 finds rank 2 (after 0002 at 3);
    # 0002/D4 at 1 finds rank 2 (after 0001 at 0); 0003 finds nothing.
    assert (found.queries, found.gallery, found.identities) == (4, 3, 3)
    assert found.dropped == ["0003/rgb/D2-T1"]
    assert found.cmc == {1: pytest.approx(1 / 3), 5: 1.0, 10: 1.0, 20: 1.0}
    assert found.mean_average_precision == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert found.mean_inverse_negative_penalty == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_same_pid_camid_leaves_out_the_same_camera_number_in_the_other_modality():
    result = evaluate(ignore="same_pid_camid")
    found = result.directions["infrared_to_visible"]
    # Without 0001/rgb/D1, query 0001/ir/D1 finds 0001/D3 at rank 2.
    assert found.ignored_pairs == 1
    assert found.cmc[1] == 0
    assert found.mean_average_precision == pytest.approx((1 / 2 + 1 / 2) / 2)
    found = result.directions["visible_to_infrared"]
    assert found.ignored_pairs == 1
    assert found.dropped == ["0001/rgb/D1-T1", "0003/rgb/D2-T1"]


def test_the_same_camera_number_of_another_identity_stays_in_the_gallery():
    content = partition("same_pid_camid")
    content["tracklets"][5]["camid"] = 1  # 0002, now in the camera of query 0001
    found = evaluate_cross_modality(data(), "toy", partition=content)
    assert found.directions["infrared_to_visible"].ignored_pairs == 1


@pytest.mark.parametrize("block_size", [1, 2, 3])
def test_blocks_of_any_size_give_the_result_of_one_block(block_size):
    expected = evaluate(ignore="same_pid_camid")
    assert evaluate(ignore="same_pid_camid", block_size=block_size) == expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_tensors_and_arrays_of_any_precision_give_one_result(dtype):
    content = data()
    content["embeddings"] = torch.from_numpy(content["embeddings"]).to(dtype)
    assert evaluate(content) == evaluate()
    content["embeddings"] = content["embeddings"].numpy()
    assert evaluate(content) == evaluate()


def test_the_order_of_the_embeddings_does_not_matter():
    assert evaluate(data(order=[6, 2, 0, 5, 1, 3, 4])) == evaluate()


def test_the_cosine_can_be_asked_for():
    content = data()
    content["embeddings"][:, 1] = 1  # so that the angle grows with the number
    found = evaluate(content, metric="cosine")
    assert found.metric == "cosine"
    assert found.directions["infrared_to_visible"].cmc[1] == 1 / 2


def test_the_ranks_asked_for_are_the_ranks_given():
    assert list(evaluate(ranks=(2, 3)).directions["infrared_to_visible"].cmc) == [2, 3]


def test_the_result_says_what_it_depends_on():
    found = evaluate(ignore="same_pid_camid")
    assert (found.dataset, found.split, found.metric, found.parts) == (
        "toy",
        "test",
        "euclidean",
        2,
    )
    assert found.protocol == {"name": "toy", "ignore": "same_pid_camid", "min_frames": 12}


def test_a_partition_may_be_a_file(tmp_path):
    path = tmp_path / "partition.json"
    path.write_text(json.dumps(partition()))
    for given in (path, str(path)):
        assert evaluate_cross_modality(data(), "toy", partition=given) == evaluate()


def test_a_partition_may_be_a_dataclass_with_the_same_fields():
    @dataclass
    class Partition:
        tracklets: list[Any] = field(default_factory=lambda: partition()["tracklets"])
        tasks: dict[str, Any] = field(default_factory=lambda: partition()["tasks"])
        protocol: dict[str, Any] = field(default_factory=lambda: partition()["protocol"])

    assert evaluate_cross_modality(data(), "toy", partition=Partition()) == evaluate()


def test_the_evaluator_is_listed_and_a_config_can_name_its_arguments():
    section = {"type": "evaluate_cross_modality", "metric": "cosine", "split": "test"}
    section |= {"ranks": [1, 5], "block_size": 64}
    given = ("embedded", "dataset")
    bound = bind(EVALUATORS, section, where="evaluator_cfg", given=given)
    assert bound.arguments == {key: value for key, value in section.items() if key != "type"}
    with pytest.raises(ConfigError, match="metric"):
        bind(EVALUATORS, section | {"metric": "euc"}, where="evaluator_cfg", given=given)


def test_confidence_adds_intervals_and_changes_no_score():
    plain, found = evaluate(), evaluate(confidence=200)
    for name, direction in found.directions.items():
        assert direction.scores() == plain.directions[name].scores()
        assert list(direction.intervals) == ["R1", "R5", "R10", "R20", "mAP", "mINP"]
        for score, (low, high) in direction.intervals.items():
            assert low <= direction.scores()[score] <= high
    assert found.confidence == {
        "level": 0.95,
        "resamples": 200,
        "seed": 0,
        "over": "query identities",
    }
    assert "95 % interval (200 resamples of the query identities): R1 0.00 to 100.00" in str(found)
    assert found == evaluate(confidence=200)


def test_true_accept_rates_come_with_d_prime_their_thresholds_and_the_camera_rule():
    found = evaluate(tar_at_far=(0.5,)).directions["infrared_to_visible"]
    # Genuine pairs at 0, 2, 2; impostors at 1, 7, 3, 1, 4, 9, 7, 8, 2: four are below 4.
    assert found.further["TAR@0.5"] == 1
    assert found.pairs["at"]["0.5"]["threshold"] == 4
    assert found.pairs["at"]["0.5"]["false_accept_rate"] == pytest.approx(4 / 9)
    assert (found.pairs["genuine"], found.pairs["impostor"]) == (3, 9)
    found = evaluate(ignore="same_pid_camid", tar_at_far=(0.5,))
    assert found.directions["infrared_to_visible"].pairs["genuine"] == 2
    assert list(found.mean_scores())[-2:] == ["TAR@0.5", "d_prime"]
    assert "TAR@0.5" in str(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_reranking_is_named_and_gives_the_ranking():
    found = evaluate(rerank={"type": "k_reciprocal", "k1": 2, "k2": 1, "lambda": 1.0})
    assert found.rerank["k1"] == 2
    assert "re-ranking: type=k_reciprocal, k1=2" in str(found)
    assert evaluate().to_dict()["rerank"] is None
    # With lambda 1 only the distances count, and these rank as without.
    for name, direction in evaluate().directions.items():
        assert found.directions[name].scores() == direction.scores()


def test_a_reranking_knows_only_the_gallery_that_was_drawn():
    content = partition()
    content["protocol"] = {"name": "drawn", "ignore": "none", "trials": {"count": 2}}
    rerank = {"type": "k_reciprocal", "k1": 2, "k2": 1, "lambda": 1.0}
    found = evaluate_cross_modality(data(), "toy", partition=content, rerank=rerank)
    plain = evaluate_cross_modality(data(), "toy", partition=content)
    assert found.mean_scores() == plain.mean_scores()
