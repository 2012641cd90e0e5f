"""The view matrix against loops, and the published protocols."""

import json

import numpy as np
import pytest
from evaluator_data import evaluate_gait_views

from opengait_ext.config import bind
from opengait_ext.evaluation import EVALUATORS
from opengait_ext.evaluation.evaluators import EvaluationError
from opengait_ext.evaluation.gait import GAIT_PROTOCOLS

CASIA = GAIT_PROTOCOLS["gait_casia_b"]


def toy(types, views=("000", "018", "036"), people=4, seed=0, missing=0.0):
    """One tracklet of each person, type and view, some of them missing."""
    rng = np.random.default_rng(seed)
    names = [
        (f"{person:03d}", kind, view)
        for person in range(people)
        for kind in types
        for view in views
        if rng.random() >= missing
    ]
    labels, kinds, seen = (list(column) for column in zip(*names, strict=True))
    embeddings = rng.random((len(names), 2, 3))
    return {"embeddings": embeddings, "labels": labels, "types": kinds, "views": seen}


def evaluate(data, protocol, **arguments):
    partition = {"TEST_SET": sorted(set(data["labels"])), "protocol": protocol}
    return evaluate_gait_views(data, "toy", partition=partition, **arguments)


def cell_by_loops(data, probe_types, gallery_types, probe_view, gallery_view, rank, substring):
    """Percent of the probes with their identity among the nearest of one view."""
    right, probes = 0, 0
    rows = list(zip(data["labels"], data["types"], data["views"], strict=True))
    for one, (pid, kind, view) in enumerate(rows):
        wanted = any(text in kind if substring else text == kind for text in probe_types)
        if not wanted or view != probe_view:
            continue
        near = []
        for other, (name, folder, where) in enumerate(rows):
            if folder in gallery_types and where == gallery_view:
                apart = data["embeddings"][one] - data["embeddings"][other]
                near.append((np.sqrt((apart**2).sum(0)).mean(), other, name))
        probes += 1
        right += pid in [name for _, _, name in sorted(near)[:rank]]
    return 100 * right / probes


CASIA_TYPES = [f"nm-0{number}" for number in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]
SUSTECH_TYPES = ["00-nm", "01-nm", "01-bg", "02-cl-ub", "03-cr-nt", "04-uf", "01-oc", "05-nm-nt"]
CCPG_TYPES = ["U0_D0_BG", "U0_D0", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3"]
SETS = {
    "gait_casia_b": (CASIA_TYPES, ("000", "018", "036")),
    "gait_oumvlp": (["00", "01"], ("000", "015")),
    "gait_sustech1k": (SUSTECH_TYPES, ("000", "000-far", "090")),
    "gait_ccpg": (CCPG_TYPES, ("01_a", "02_b", "03_b")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("decimals", [2, None])
def test_every_cell_equals_a_loop_over_probes_and_gallery(name, missing, decimals):
    types, views = SETS[name]
    data = toy(types, views, people=7, seed=5, missing=missing)
    protocol = {**GAIT_PROTOCOLS[name], "decimals": decimals}
    result = evaluate(data, protocol, block_size=5)
    if name == "gait_ccpg":
        data["views"] = [view.split("_")[0] for view in data["views"]]
        views = [view.split("_")[0] for view in views]
    for condition, probe in protocol["probe"].items():
        gallery = protocol["gallery"]
        gallery = gallery[condition] if isinstance(gallery, dict) else gallery
        found = result.conditions[condition]
        assert found.probe_views == found.gallery_views == sorted(views)
        for rank in protocol.get("ranks", [1]):
            expected = np.array(
                [
                    [
                        cell_by_loops(data, probe, gallery, row, column, rank,
                                      protocol["probe_types"] == "substring")
                        for column in found.gallery_views
                    ]
                    for row in found.probe_views
                ]
            )  # fmt: skip
            if decimals is not None:
                expected = expected.round(decimals)
            np.testing.assert_allclose(found.percent[rank], expected, rtol=1e-12)
            off = expected[~np.eye(len(expected), dtype=bool)].mean() / 100
            assert found.scores()[f"R{rank}"] == pytest.approx(off)
            assert found.mean(rank, True) == pytest.approx(expected.mean() / 100)


def test_rounding_each_cell_moves_the_mean():
    data = toy(["00", "01"], people=7, seed=1)
    data["embeddings"] = np.round(data["embeddings"], 1)
    protocol = GAIT_PROTOCOLS["gait_oumvlp"]
    rounded = evaluate(data, protocol)
    exact = evaluate(data, {**protocol, "decimals": None})
    cells = exact.conditions["NM"].percent[1]
    assert (cells != cells.round(2)).any()  # sevenths
    np.testing.assert_array_equal(rounded.conditions["NM"].percent[1], cells.round(2))
    assert rounded.mean_scores() != exact.mean_scores()


def test_a_probe_without_a_match_is_wrong_named_and_counted():
    data = toy(["00", "01"], people=3)
    keep = [
        (pid, kind) != ("001", "01")
        for pid, kind in zip(data["labels"], data["types"], strict=True)
    ]
    data = {key: [value for value, kept in zip(data[key], keep, strict=True) if kept]
            for key in data}  # fmt: skip
    data["embeddings"] = np.array([[[float(pid)]] for pid in data["labels"]])
    found = evaluate(data, GAIT_PROTOCOLS["gait_oumvlp"]).conditions["NM"]
    assert found.unmatched == [f"001/00/{view}" for view in ("000", "018", "036")]
    assert found.scores()["R1"] == pytest.approx(0.6667)  # 66.67 %, rounded
    assert (found.probes, found.gallery, found.identities) == (9, 6, 3)


def test_the_text_gives_the_mean_with_and_without_identical_views_and_the_protocol():
    result = evaluate(toy(CASIA_TYPES), CASIA)
    lines = str(result).splitlines()
    assert lines[1].split() == (
        ["percent", "R1", "R1", "identical", "in", "R1", "out", "probes", "gallery", "unmatched"]
    )
    assert [line.split()[0] for line in lines[2:5]] == ["NM", "BG", "CL"]
    assert lines[5].split() == ["NM,", "R1", "000", "018", "036"]
    assert lines[-2] == (
        "protocol: gait_casia_b; identical view: left out; probe types: exact; decimals: 2; "
        "distance: euclidean, mean over 3 parts"
    )


def test_the_dictionary_survives_strict_json():
    result = evaluate(toy(CASIA_TYPES), CASIA)
    stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    condition = stored["conditions"]["NM"]
    assert np.array(condition["percent"]["1"]).shape == (3, 3)
    assert condition["without_identical_view"] == {"R1": condition["R1"]}
    assert stored["mean"] == result.mean_scores()
    assert result.scalars()["scalar/NM/R1"] == condition["R1"]
    assert result.mean_average_precision == stored["mean"]["R1"]


def test_one_view_alone_has_no_mean_without_the_identical_view():
    result = evaluate(toy(["00", "01"], views=("000",)), GAIT_PROTOCOLS["gait_oumvlp"])
    assert np.isnan(result.mean_scores()["R1"])
    assert result.to_dict()["mean"]["R1"] is None
    assert not np.isnan(result.conditions["NM"].mean(1, True))


def test_the_evaluator_is_listed_and_a_config_can_name_its_arguments():
    section = {"type": "evaluate_gait_views", "metric": "cosine"}
    bound = bind(EVALUATORS, section, where="evaluator_cfg", given=("embedded", "dataset"))
    assert bound.arguments == {"metric": "cosine"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe": None}, r"probe: None; expected the types of the probes by condition"),
        ({"probe": {"NM": "nm-05"}}, r"expected the types of the probes by condition"),
        ({"gallery": {"NM": ["nm-01"]}}, r"expected the types of the gallery, a list or one for"),
        ({"probe_types": "regex"}, r"probe_types: 'regex'; expected exact or substring"),
        ({"decimals": 1.5}, r"decimals: 1.5; expected a number of decimals"),
        ({"ranks": [0]}, r"ranks: \[0\]; expected numbers from 1"),
        ({"gallery": ["nm-09"]}, r"NM has no gallery: expected types \['nm-09'\], found bg-01"),
    ],
)
def test_faults_of_the_protocol_are_named(change, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate(toy(CASIA_TYPES), {**CASIA, **change})


def test_an_identity_that_the_partition_does_not_list_is_named():
    data = toy(CASIA_TYPES)
    partition = {"TEST_SET": ["000", "001", "002"], "protocol": CASIA}
    with pytest.raises(EvaluationError, match=r"^30 embeddings .* TEST_SET .*: 003/nm-01/000, "):
        evaluate_gait_views(data, "toy", partition=partition)


def test_an_embedding_that_is_not_finite_is_named():
    data = toy(CASIA_TYPES)
    data["embeddings"][1, 0, 0] = np.nan
    with pytest.raises(EvaluationError, match=r"1 embeddings are not finite: 000/nm-01/018\."):
        evaluate(data, CASIA)


def tracklets_of(data, split="test"):
    names = zip(data["labels"], data["types"], data["views"], strict=True)
    return [{"path": "/".join(name), "pid": name[0], "split": split} for name in names]


def rows_of(data, keep):
    return {key: [value for value, kept in zip(data[key], keep, strict=True) if kept]
            for key in data}  # fmt: skip


def test_a_partition_with_tracklets_says_exactly_which_embeddings_there_must_be():
    data = toy(CASIA_TYPES)
    tracklets = tracklets_of(data)
    partition = {"tracklets": tracklets, "protocol": CASIA}
    found = evaluate_gait_views(data, "toy", partition=partition)
    assert found.mean_scores() == evaluate(data, CASIA).mean_scores()
    short = rows_of(data, [row not in (3, 4) for row in range(len(tracklets))])
    with pytest.raises(
        EvaluationError, match=r"2 of 120 tracklets .* \(test\): 000/nm-02/000, 000"
    ):
        evaluate_gait_views(short, "toy", partition=partition)
    tracklets[7]["split"] = "val"
    with pytest.raises(
        EvaluationError, match=r"1 .* not list in the split 'test': 000/nm-03/018\."
    ):
        evaluate_gait_views(data, "toy", partition=partition)


def test_another_split_leaves_conditions_out_that_it_has_no_probe_or_gallery_for():
    data = toy([kind for kind in CASIA_TYPES if not kind.startswith("cl")])
    partition = {"tracklets": tracklets_of(data, "val"), "protocol": CASIA}
    result = evaluate_gait_views(data, "toy", partition=partition, split="val")
    assert list(result.conditions) == ["NM", "BG"]
    data = toy(["nm-05", "bg-01"])
    partition = {"tracklets": tracklets_of(data, "val"), "protocol": CASIA}
    with pytest.raises(EvaluationError, match=r"'val' has no condition with a probe and a gallery"):
        evaluate_gait_views(data, "toy", partition=partition, split="val")


def test_the_gallery_can_be_chosen_by_parts_of_types_as_the_probes():
    data = toy(["00-nm", "00-nm-x", "01-nm", "01-bg"])
    protocol = {"probe": {"Bag": ["bg"]}, "gallery": ["00-nm"]}
    both = {**protocol, "probe_types": "substring", "gallery_types": "substring"}
    assert evaluate(data, both).conditions["Bag"].gallery == 24
    one = {**protocol, "probe_types": "substring"}
    assert evaluate(data, one).conditions["Bag"].gallery == 12


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_pooled_views_give_the_part_of_all_probes_found_among_the_first(missing):
    data = toy(["00", "01", "02"], ("a", "b"), people=9, seed=2, missing=missing)
    result = evaluate(data, GAIT_PROTOCOLS["gait_grew"], block_size=4)
    found = result.conditions["all"]
    assert found.probe_views == found.gallery_views == ["all"]
    pooled = {**data, "views": ["all"] * len(data["labels"])}
    for rank in (1, 5, 10, 20):
        expected = cell_by_loops(pooled, ["02"], ["01"], "all", "all", rank, False)
        assert found.scores()[f"R{rank}"] == pytest.approx(round(expected, 2) / 100)
    assert "pool views: True" in str(result)


def test_a_wrong_rule_for_the_types_of_the_gallery_is_named():
    with pytest.raises(EvaluationError, match=r"gallery_types: 'part'; expected exact or substr"):
        evaluate(toy(CASIA_TYPES), {**CASIA, "gallery_types": "part"})
