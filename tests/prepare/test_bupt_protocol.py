"""What is tested and how: the camera rule, and what the published sampler leaves out."""

from pathlib import Path

import numpy as np
import pytest
from bupt_tree import TRAINING, Walk, prepare_tree, walks_of, write_bupt_tree

from opengait_ext.data.layout import DIRECTIONS, FOLDERS, read_partition
from opengait_ext.errors import UserError
from opengait_ext.evaluation import EVALUATORS
from opengait_ext.upstream.evaluators import by_names

pytestmark = pytest.mark.slow


evaluate_cross_modality = by_names(EVALUATORS["evaluate_cross_modality"])


def prepared(folder, *options, walks=None):
    write_bupt_tree(folder / "raw", walks or walks_of(9))
    assert prepare_tree(folder / "raw", folder / "out", *options) == 0
    return read_partition(folder / "out" / "partition.json")


def table_of(partition, seed=0):
    """Embeddings that say who it is, but more loudly which camera it was."""
    rng = np.random.default_rng(seed)
    tracklets = [t for t in partition.tracklets if t.split == "test"]
    people = {pid: rng.normal(size=6) for pid in sorted({t.pid for t in tracklets})}
    cameras = rng.normal(size=(6, 6)) * 2
    rows = [people[t.pid] + cameras[t.camid] + 0.3 * rng.normal(size=6) for t in tracklets]
    return {
        "embeddings": np.array(rows, np.float32)[:, :, None],
        "labels": [t.pid for t in tracklets],
        "types": [FOLDERS[t.modality] for t in tracklets],
        "views": [t.view for t in tracklets],
    }


def by_hand(partition, table, direction, ignore):
    """Rank-1 and mAP of one direction, query by query."""
    paths = ["/".join(names) for names in zip(*(table[k] for k in ("labels", "types", "views")),
                                              strict=True)]  # fmt: skip
    place = {path: row for row, path in enumerate(paths)}
    task = partition.tasks["test"][direction]
    first, precision = [], []
    for position in task.query:
        query = partition.tracklets[position]
        gallery = [partition.tracklets[p] for p in task.gallery]
        if ignore:
            gallery = [g for g in gallery if (g.pid, g.camid) != (query.pid, query.camid)]
        mine = table["embeddings"][place[query.path], :, 0]
        gallery.sort(
            key=lambda g, mine=mine: np.linalg.norm(mine - table["embeddings"][place[g.path], :, 0])
        )
        hits = [rank for rank, g in enumerate(gallery, 1) if g.pid == query.pid]
        if hits:
            first.append(hits[0] == 1)
            precision.append(np.mean([n / rank for n, rank in enumerate(hits, 1)]))
    return np.mean(first), np.mean(precision)


def test_both_camera_rules_give_their_own_numbers_and_are_named(tmp_path):
    scores = {}
    for rule, name in (("none", "bupt_official"), ("same_pid_camid", "bupt_m3reid")):
        partition = prepared(tmp_path / rule, "--camera-rule", rule)
        table = table_of(partition)
        result = evaluate_cross_modality(table, "BUPTCampus", partition=partition)
        assert f"protocol: {name}; camera rule: {rule}" in str(result)
        for direction in DIRECTIONS:
            found = result.directions[direction]
            expected = by_hand(partition, table, direction, rule != "none")
            assert (found.cmc[1], found.mean_average_precision) == pytest.approx(expected)
            assert (found.ignored_pairs > 0) == (rule != "none")
            scores[rule, direction] = expected
    for direction in DIRECTIONS:
        assert scores["none", direction] != scores["same_pid_camid", direction]


def test_no_rule_is_the_default(tmp_path):
    protocol = {"name": "bupt_official", "ignore": "none", "min_frames": 1}
    assert prepared(tmp_path).protocol == protocol


def test_ranks_beyond_a_small_gallery_have_a_value(tmp_path):
    partition = prepared(tmp_path)
    result = evaluate_cross_modality(table_of(partition), "BUPTCampus", partition=partition)
    for direction in result.directions.values():
        assert direction.gallery < 20
        assert direction.cmc[20] == 1.0


def visible(partition, name):
    """Visible query or gallery tracklets that are tested, in their order."""
    direction = DIRECTIONS[1] if name == "query" else DIRECTIONS[0]
    return [partition.tracklets[p].path for p in getattr(partition.tasks["test"][direction], name)]


def test_the_official_drop_leaves_out_the_last_visible_tracklets_and_the_result_says_so(tmp_path):
    full = prepared(tmp_path / "full")
    part = prepared(tmp_path / "part", "--official-drop", "4")
    assert len(visible(full, "query")) == 5
    assert visible(part, "query") == visible(full, "query")[:4]
    assert len(visible(full, "gallery")) == 14
    assert visible(part, "gallery") == visible(full, "gallery")[:12]
    for ours, theirs in ((full, part), (part, full)):
        assert ours.tasks["test"][DIRECTIONS[0]].query == theirs.tasks["test"][DIRECTIONS[0]].query
        infrared = ours.tasks["test"][DIRECTIONS[1]].gallery
        assert infrared == theirs.tasks["test"][DIRECTIONS[1]].gallery
    assert part.protocol["official_drop"] == 4
    name = (
        "bupt_official, 4 of 5 visible query tracklets and 12 of 14 visible gallery tracklets "
        "tested"
    )
    assert part.protocol["name"] == name
    results = [
        evaluate_cross_modality(table_of(p), "BUPTCampus", partition=p) for p in (full, part)
    ]
    assert f"\nprotocol: {name}; camera rule: none" in str(results[1])
    assert "visible query tracklets" not in str(results[0])
    assert results[1].to_dict()["protocol"]["official_drop"] == 4
    counts = [
        [(r.directions[d].queries, r.directions[d].gallery) for d in DIRECTIONS] for r in results
    ]
    assert counts == [[(4, 14), (5, 16)], [(4, 12), (4, 16)]]
    for result, partition in zip(results, (full, part), strict=True):
        for direction in DIRECTIONS:
            expected = by_hand(partition, table_of(partition), direction, False)
            found = result.directions[direction]
            assert (found.cmc[1], found.mean_average_precision) == pytest.approx(expected)
    assert str(results[0].mean_scores()) != str(results[1].mean_scores())


def published_of(*counts):
    """Published data of so many visible and infrared queries, then gallery tracklets."""
    from opengait_ext.prepare.bupt.folders import Published
    from opengait_ext.prepare.bupt.lists import Row

    rows, places = [], []
    for number in counts:
        places.append([*range(len(rows), len(rows) + number)])
        modality = "visible" if len(places) % 2 else "infrared"
        rows += [Row(str(n), "W4", "1", modality, "test", ("x",)) for n in range(number)]
    query, gallery = places[0] + places[1], places[2] + places[3]
    return Published("", Path(), rows, [], query, gallery, "", "", [])


def test_the_official_drop_of_the_official_lists_leaves_the_published_numbers():
    from opengait_ext.prepare.bupt.partition import tested

    chosen, said = tested(published_of(540, 536, 2422, 2422), 64)
    assert (len(chosen["query"]), len(chosen["gallery"])) == (1048, 4790)
    assert said == (
        "512 of 540 visible query tracklets and 2,368 of 2,422 visible gallery tracklets tested"
    )
    assert chosen["query"] == [*range(512), *range(540, 1076)]


def test_whole_batches_lose_nothing():
    from opengait_ext.prepare.bupt.partition import tested

    chosen, _ = tested(published_of(128, 3, 64, 3), 64)
    assert (len(chosen["query"]), len(chosen["gallery"])) == (131, 67)


@pytest.mark.parametrize(
    ("counts", "name"), [((63, 3, 64, 3), "query"), ((64, 3, 1, 3), "gallery")]
)
def test_a_drop_that_leaves_nothing_is_refused(counts, name):
    from opengait_ext.prepare.bupt.partition import tested

    with pytest.raises(UserError, match=f"--official-drop 64: of .* visible {name} tracklets none"):
        tested(published_of(*counts), 64)


def test_a_drop_that_leaves_nothing_is_refused_before_anything_is_written(tmp_path, capsys):
    write_bupt_tree(tmp_path / "raw")
    assert prepare_tree(tmp_path / "raw", tmp_path / "out", "--official-drop") == 1
    expected = "--official-drop 64: of 4 visible query tracklets none would be left; a smaller"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_number_the_drop_is_that_of_the_published_batches(tmp_path):
    walks = [*TRAINING]
    for pid in range(3000, 3070):
        walks.append(Walk("query", pid, "LS3", 1, 1, ("RGB",)))
        walks.append(Walk("gallery", pid, "W4", 1, 1))
    walks.append(Walk("query", 3000, "G25", 1, 1, ("IR",)))
    partition = prepared(tmp_path, "--official-drop", walks=walks)
    assert (len(visible(partition, "query")), len(visible(partition, "gallery"))) == (64, 64)
    assert partition.protocol["official_drop"] == 64


def test_the_drop_counts_listed_tracklets_whether_or_not_they_are_long_enough(tmp_path):
    full = prepared(tmp_path / "full", "--min-frames", "2")
    part = prepared(tmp_path / "part", "--min-frames", "2", "--official-drop", "4")
    listed = visible(prepared(tmp_path / "listed"), "query")
    assert visible(part, "query") == [p for p in listed[:4] if p in visible(full, "query")]
    assert len(visible(part, "query")) < 4
