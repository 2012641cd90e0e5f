import copy

import numpy as np
import pytest
from evaluator_data import data, evaluate, evaluate_cross_modality, partition

from opengait_ext.evaluation.evaluators import EvaluationError


def test_a_partition_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "broken.json").write_text("{")
    for name in ("missing.json", "broken.json"):
        with pytest.raises(EvaluationError, match=rf"{name}: cannot be read as a partition"):
            evaluate_cross_modality(data(), "toy", partition=str(tmp_path / name))
    with pytest.raises(EvaluationError, match=r"evaluator_cfg.partition, which is empty: cannot"):
        evaluate_cross_modality(data(), "toy")


def test_a_file_that_is_no_partition_is_refused(tmp_path):
    path = tmp_path / "partition.json"
    for text in ('{"TRAIN_SET": []}', "[]"):
        path.write_text(text)
        with pytest.raises(EvaluationError, match=r"partition.json: there is no 'tracklets' in it"):
            evaluate_cross_modality(data(), "toy", partition=path)


def test_an_unknown_camera_rule_is_named_with_the_known_ones():
    with pytest.raises(EvaluationError, match=r"'sysu'.*\(known: same_pid_camid, none, "):
        evaluate(ignore="sysu")


def test_a_split_without_tasks_is_named_with_those_that_have_some():
    with pytest.raises(EvaluationError, match=r"no task for the split 'val' \(it has: test\)"):
        evaluate(split="val")


@pytest.mark.parametrize("positions", [[], [0, 7], [-1]])
def test_a_task_with_positions_out_of_the_list_is_refused(positions):
    content = partition()
    content["tasks"]["test"]["visible_to_infrared"]["gallery"] = positions
    with pytest.raises(
        EvaluationError,
        match=r"\(test, visible_to_infrared, gallery\): expected positions from 0 to 6",
    ):
        evaluate_cross_modality(data(), "toy", partition=content)


def test_a_missing_embedding_is_named():
    with pytest.raises(
        EvaluationError,
        match=r"1 of 4 tracklets have no embedding \(test, infrared_to_visible, gallery\): "
        r"0002/rgb/D4-T1\. The loader",
    ):
        evaluate(data(order=[0, 1, 2, 3, 4, 6]))


def test_embeddings_of_unknown_tracklets_are_named_up_to_five():
    content = data()
    content["types"] = ["ir"] * 7
    content["views"] = [f"D9-T{place}" for place in range(7)]
    with pytest.raises(
        EvaluationError, match=r"^7 embeddings are of tracklets .*: 0001/ir/D9-T0, .* and 2 more\."
    ):
        evaluate(content)


def test_a_tracklet_with_two_embeddings_is_named():
    with pytest.raises(
        EvaluationError, match=r"1 tracklets have more than one embedding: 0002/ir/D2-T1\."
    ):
        evaluate(data(order=[0, 1, 1, 2, 3, 4, 5, 6]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_embeddings_that_are_not_finite_are_named(value):
    content = data()
    content["embeddings"][2, 1, 1] = value
    with pytest.raises(
        EvaluationError, match=r"1 embeddings are not finite: 0004/ir/D2-T2\. Look at the losses"
    ):
        evaluate(content)


def test_a_model_without_embeddings_is_told_so():
    content = data()
    del content["embeddings"]
    with pytest.raises(
        EvaluationError, match=r"no 'embeddings' \(there are: labels, types, views\); a model gives"
    ):
        evaluate(content)


def test_embeddings_and_names_of_different_number_are_refused():
    content = data()
    content["labels"].append("0009")
    with pytest.raises(EvaluationError, match=r"embeddings \[7, 3, 2\] with \[8, 7, 7\] labels"):
        evaluate(content)
    content = copy.deepcopy(data())
    content["embeddings"] = content["embeddings"][:, :, 0]
    with pytest.raises(EvaluationError, match=r"embeddings \[7, 3\] with"):
        evaluate(content)


@pytest.mark.parametrize("ranks", [(), (0, 1)])
def test_ranks_below_one_are_refused(ranks):
    with pytest.raises(EvaluationError, match="expected numbers from 1"):
        evaluate(ranks=ranks)


def test_faults_of_metric_and_block_size_are_those_of_the_distance():
    with pytest.raises(ValueError, match="no metric is called 'euc'"):
        evaluate(metric="euc")
    with pytest.raises(ValueError, match="block_size is 0"):
        evaluate(block_size=0)


def test_embeddings_in_a_list_may_not_differ_in_size():
    content = data()
    expected = evaluate(content)
    content["embeddings"] = list(content["embeddings"])
    assert evaluate(content) == expected
    content["embeddings"][4] = content["embeddings"][4][:, :1]
    with pytest.raises(
        EvaluationError,
        match=r"1 embeddings have another size than the first, 0001/ir/D1-T1 \[3, 2\]: "
        r"0001/rgb/D3-T2 \[3, 1\]\. All must come from one model",
    ):
        evaluate(content)


@pytest.mark.parametrize("key", ["pid", "camid"])
def test_a_tracklet_without_identity_or_camera_is_named(key):
    content = partition()
    del content["tracklets"][5][key]
    with pytest.raises(EvaluationError, match=r"1 tracklets have no identity .*0002/rgb/D4-T1"):
        evaluate_cross_modality(data(), "toy", partition=content)


def test_faults_of_the_further_arguments_are_named():
    with pytest.raises(EvaluationError, match="confidence is -1; expected a number of resamples"):
        evaluate(confidence=-1)
    with pytest.raises(EvaluationError, match=r"tar_at_far is \[2\]; expected rates"):
        evaluate(tar_at_far=(2,))
