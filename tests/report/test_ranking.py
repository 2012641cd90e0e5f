import numpy as np
import pytest
import toy_run

from opengait_ext.evaluation.faults import EvaluationError
from opengait_ext.evaluation.inputs import Embedded
from opengait_ext.evaluation.retrieval import Retrieval
from opengait_ext.report import analysis, ranking
from opengait_ext.report.tallies import Distances, nearest_of


def ranked(partition, embeddings, places=5, **changes):
    embedded = Embedded(embeddings, range(len(embeddings)), partition)
    return ranking.ranked(embedded, "test", "euclidean", places, **changes)


def slow_lists(partition, embeddings, direction, places):
    """The nearest of each query by a loop over pairs, the camera rule same_pid_camid."""
    tracklets, task = partition.tracklets, partition.tasks["test"][direction]
    lists = []
    for q in task.query:
        rows = []
        for order, g in enumerate(task.gallery):
            one, other = tracklets[q], tracklets[g]
            if (one.pid, one.camid) == (other.pid, other.camid):
                continue
            parts = [
                np.linalg.norm(embeddings[q, :, part].astype(float) - embeddings[g, :, part])
                for part in range(embeddings.shape[2])
            ]
            rows.append((float(np.mean(parts)), order, g))
        lists.append(sorted(rows)[:places])
    return lists


@pytest.mark.parametrize("name", ["infrared_to_visible", "visible_to_infrared"])
def test_rank_lists_equal_a_loop_over_all_pairs(name):
    partition = toy_run.partition_of()
    embeddings = toy_run.embeddings_of(partition)
    found = ranked(partition, embeddings)[name]
    wanted = slow_lists(partition, embeddings, name, 5)
    for nearest, distances, rows in zip(found.nearest, found.distances, wanted, strict=True):
        assert nearest.tolist() == [place for _, _, place in rows]
        np.testing.assert_allclose(distances, [distance for distance, _, _ in rows], rtol=1e-5)


def test_equal_distances_stand_in_the_order_of_the_gallery():
    values = np.array([2.0, 1.0, np.inf, 1.0, 1.0, 0.5])
    assert nearest_of(values, 3).tolist() == [5, 1, 3]
    assert nearest_of(values, 20).tolist() == [5, 1, 3, 4, 0]


@pytest.mark.parametrize(
    "rules",
    [
        {"ignore": "none"},
        {"ignore": "same_location", "locations": {"3": 2}},
        {"gallery_cameras": [1, 2]},
        {"junk": ["0003"]},
        {"ap": "trapezoid"},
        {"cmc": "distinct_identities"},
    ],
)
def test_the_scores_of_the_lists_are_those_of_the_evaluation(rules):
    partition = toy_run.partition_of(**rules)
    embeddings = toy_run.embeddings_of(partition)
    stored = toy_run.record_of(partition, embeddings)["result"]["directions"]
    for name, each in ranked(partition, embeddings).items():
        group = analysis.whole(each, name)
        assert group.rank1 == pytest.approx(stored[name]["R1"], abs=1e-6)
        assert group.precision == pytest.approx(stored[name]["mAP"], abs=1e-6)
        assert group.penalty == pytest.approx(stored[name]["mINP"], abs=1e-6)


def test_a_re_ranked_test_is_shown_re_ranked():
    partition = toy_run.partition_of()
    embeddings = toy_run.embeddings_of(partition)
    settings = {"type": "k_reciprocal", "k1": 4, "k2": 2, "lambda": 0.3}
    stored = toy_run.record_of(partition, embeddings, rerank=settings)["result"]
    for name, each in ranked(partition, embeddings, rerank=stored["rerank"]).items():
        assert analysis.whole(each, name).precision == pytest.approx(
            stored["directions"][name]["mAP"], abs=1e-6
        )


def test_distances_within_and_between_identities_equal_a_loop():
    partition = toy_run.partition_of()
    embeddings = toy_run.embeddings_of(partition)
    found = ranked(partition, embeddings, 100)["infrared_to_visible"]
    intra, inter = [], []
    for place, nearest, distances in zip(found.query, found.nearest, found.distances, strict=True):
        for other, distance in zip(nearest, distances, strict=True):
            same = partition.tracklets[place].pid == partition.tracklets[other].pid
            (intra if same else inter).append(distance)
    assert (found.intra.pairs, found.inter.pairs) == (len(intra), len(inter)) == (36, 270)
    assert found.intra.mean == pytest.approx(np.mean(intra))
    assert found.inter.mean == pytest.approx(np.mean(inter))
    shown = analysis.histogram(found.intra, found.inter)
    assert shown.intra.sum() == pytest.approx(1)
    assert shown.edges[0] <= min(intra + inter)
    assert shown.edges[-1] >= max(intra + inter)
    below = np.array(inter) < shown.edges[10]
    assert shown.inter[:10].sum() == pytest.approx(below.mean(), abs=2 / len(inter))


def test_the_largest_distance_is_in_the_last_bin():
    distances = Distances(2.0)
    distances.add(np.array([0.0, 2.0, 1.0]))
    assert distances.counts[[0, 2048, 4095]].tolist() == [1, 1, 1]
    assert distances.mean == 1.0


def test_matches_by_camera_equal_a_loop():
    partition = toy_run.partition_of()
    found = ranked(partition, toy_run.embeddings_of(partition))["visible_to_infrared"]
    cameras = found.cameras
    assert cameras.rows.tolist() == cameras.columns.tolist() == [1, 2, 3]
    assert cameras.matches.tolist() == [[0, 6, 6], [6, 0, 6], [6, 6, 0]]
    wanted = np.zeros((3, 3), int)
    for place, nearest in zip(found.query, found.nearest, strict=True):
        for other in nearest:
            one, two = partition.tracklets[place], partition.tracklets[other]
            if one.pid == two.pid:
                wanted[one.camid - 1, two.camid - 1] += 1
    assert cameras.found.tolist() == wanted.tolist()


def test_scores_by_camera_length_and_identity_average_to_the_whole():
    partition = toy_run.partition_of()
    found = ranked(partition, toy_run.embeddings_of(partition))["infrared_to_visible"]
    tracklets = partition.tracklets
    whole = analysis.whole(found, "all")
    for groups in (
        analysis.by_camera(found, tracklets),
        analysis.by_length(found, tracklets),
        analysis.hardest_identities(found, tracklets, 100),
    ):
        assert sum(group.queries for group in groups) == whole.queries == 18
        mean = sum(group.queries * group.precision for group in groups) / 18
        assert mean == pytest.approx(whole.precision)
    precisions = [each.precision for each in analysis.hardest_identities(found, tracklets, 3)]
    assert precisions == sorted(precisions)


def test_a_query_without_a_match_is_in_no_score():
    partition = toy_run.partition_of(ignore="none")
    task = partition.tasks["test"]["infrared_to_visible"]
    alone = [place for place in task.gallery if partition.tracklets[place].pid == "0002"]
    task.gallery[:] = [place for place in task.gallery if place not in alone]
    found = ranked(partition, toy_run.embeddings_of(partition))["infrared_to_visible"]
    assert analysis.whole(found, "all").queries == 15
    assert not any(
        group.name == "0002"
        for group in analysis.hardest_identities(found, partition.tracklets, 100)
    )


def test_a_split_without_queries_is_refused():
    partition = toy_run.partition_of()
    embeddings = toy_run.embeddings_of(partition)
    embedded = Embedded(embeddings, range(len(embeddings)), partition)
    with pytest.raises(EvaluationError, match="no task for the split 'val'"):
        ranking.ranked(embedded, "val", "euclidean")


def test_the_lists_of_a_drawn_and_swapped_gallery_are_those_of_its_first_trial():
    rules = {"trials": {"count": 3, "per_camera": 1}, "swapped": ["visible_to_infrared"]}
    partition = toy_run.partition_of(gallery_cameras=[1, 3], junk=["0003"], **rules)
    embeddings = toy_run.embeddings_of(partition)
    embedded = Embedded(embeddings, range(len(embeddings)), partition)
    retrieval = Retrieval(embedded, "test", "euclidean")
    for name, each in ranked(partition, embeddings).items():
        first = retrieval.directions[name].trials[0]
        assert each.query.tolist() == first.query.positions.tolist()
        assert each.gallery.tolist() == first.gallery.positions.tolist()
        offered = first.query if name == "visible_to_infrared" else first.gallery
        assert set(offered.camids.tolist()) == {1, 3}
        assert "0003" not in {*first.query.pids, *first.gallery.pids}
