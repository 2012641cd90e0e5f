"""Distances and scores against those of the published evaluation."""

import numpy as np
from golden_values import reads

from opengait_ext.evaluation.distance import part_distance
from opengait_ext.evaluation.evaluators import CAMERA_RULES
from opengait_ext.evaluation.metrics import cmc_curve, score_queries

RULES = {"vcm": "same_pid_camid", "bupt": "none"}
RANKS = 20
CASES = ("tiny", "mid", "wide", "small_gallery", "ties_harmless")
TIES = "eval/ties_matter"


def check_scores(golden, case, results):
    """Compares both protocols' scores of a case with the arrays below ``results``."""
    distance, *names = (
        golden.array(f"{case}/{name}") for name in ("dist", "q_pids", "g_pids", "q_cams", "g_cams")
    )
    queries, gallery, query_cameras, gallery_cameras = names
    match = queries[:, None] == gallery
    same_camera = query_cameras[:, None] == gallery_cameras
    dropped = {}
    for protocol, rule in RULES.items():
        scores = score_queries(distance, match, CAMERA_RULES[rule](match, same_camera))
        curve = cmc_curve(scores.first_hit, min(RANKS, len(gallery)))
        golden.check(f"{results}/{protocol}_cmc", curve)
        golden.check(f"{results}/{protocol}_map", np.nanmean(scores.average_precision))
        dropped[protocol] = np.isnan(scores.first_hit).sum()
    return dropped


@reads(*(f"eval/{case}/*" for case in CASES))
def test_the_scores_of_both_protocols_are_the_published_ones(golden):
    for name in golden.names("eval/*/dist"):
        case = name.removesuffix("/dist")
        if case == TIES:
            continue
        dropped = check_scores(golden, case, case)
        for counted in golden.names(f"{case}/n_query_without_match_vcm"):
            golden.check(counted, dropped["vcm"])


@reads(f"{TIES}/dist", f"{TIES}/?_*", f"{TIES}/stable_sort/*")
def test_ties_stand_in_the_order_of_a_stable_sort(golden):
    check_scores(golden, TIES, f"{TIES}/stable_sort")


@reads("gait_dist/*")
def test_the_distance_is_the_mean_of_the_parts_distances(golden):
    queries, gallery = golden.tensor("gait_dist/x"), golden.tensor("gait_dist/y")
    added_in_float32 = queries.shape[2] * np.finfo(np.float32).eps / 2  # as theirs are
    distance = part_distance(queries, gallery)
    golden.check("gait_dist/out", distance, tolerance=added_in_float32)
    assert distance[3, 2] == 0  # one and the same
