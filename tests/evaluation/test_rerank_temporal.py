import pytest
import torch
from evaluator_data import evaluate_cross_modality
from rerank_loops import by_loops, crowd

from opengait_ext.errors import UserError
from opengait_ext.evaluation.distance import part_distance
from opengait_ext.evaluation.rerank import described, temporal_distances


def temporal_by_loops(pairs, k1, k2, share, weights):
    (query, gallery), (query_1, gallery_1), (query_2, gallery_2) = pairs
    total = weights[0] * part_distance(query, gallery)
    total += weights[1] * by_loops(query, gallery, k1, k2, share, False, True)
    total += weights[2] * by_loops(query_1, gallery_2, k1, k2, share, False, True)
    return total + weights[2] * by_loops(query_2, gallery_1, k1, k2, share, False, True)


@pytest.fixture
def three_samplings():
    query, gallery = crowd(9, 14, 27)
    generator = torch.Generator().manual_seed(1)
    pairs = [(query, gallery)]
    for _ in range(2):
        noise = torch.randn(41, 6, 3, generator=generator, dtype=torch.float64) / 3
        pairs.append((query + noise[:14], gallery + noise[14:]))
    return pairs


@pytest.mark.slow
def test_temporal_distances_equal_the_sum_of_the_loops(small_blocks, three_samplings):
    expected = temporal_by_loops(three_samplings, 5, 3, 0, (0.8, 0.2, 0.1))
    found = temporal_distances(*three_samplings)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    settings = {"type": "temporal", "k1": 7, "k2": 2, "lambda": 0.25}
    settings |= {"euclidean": 0, "all": 0.5, "halves": 0.3}
    expected = temporal_by_loops(three_samplings, 7, 2, 0.25, (0, 0.5, 0.3))
    found = temporal_distances(*three_samplings, settings)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_temporal_distances_leave_the_embeddings_as_they_are(three_samplings):
    copies = [(query.clone(), gallery.clone()) for query, gallery in three_samplings]
    temporal_distances(*three_samplings)
    for pair, copy in zip(three_samplings, copies, strict=True):
        assert torch.equal(pair[0], copy[0])
        assert torch.equal(pair[1], copy[1])


@pytest.mark.slow
@pytest.mark.parametrize("norm", [20, 160])
def test_the_root_of_the_published_code_has_nan_here_and_ours_has_none(norm):
    generator = torch.Generator().manual_seed(norm)
    all_frames = torch.randn(600, 256, 1, generator=generator)
    all_frames = torch.nn.functional.normalize(all_frames, dim=1) * norm
    all_frames[300:400] = all_frames[200:300]
    flat = all_frames[:, :, 0]
    norms = flat.square().sum(1)
    published = (norms[:, None] + norms - 2 * flat @ flat.t() + 1e-5).sqrt()
    assert published.isnan().any()  # or this test would show nothing
    pair = (all_frames[:300], all_frames[300:])
    found = temporal_distances(pair, pair, pair)
    assert found.isfinite().all()
    assert found.min() >= 0
    exact = temporal_distances(*[(pair[0].double(), pair[1].double())] * 3)
    # Where rounding decides between two that are equally near, a list may hold the other.
    assert ((found.double() - exact).abs() > 1e-3).double().mean() < 1e-2


def test_temporal_settings_and_shapes_are_checked(three_samplings):
    for key in ("euclidean", "all", "halves"):
        with pytest.raises(UserError, match=f"rerank.{key} is -1; expected a finite number"):
            described({"type": "temporal", key: -1})
    with pytest.raises(UserError, match="all 0; expected one above 0"):
        described({"type": "temporal", "euclidean": 0, "all": 0, "halves": 0})
    query, gallery = three_samplings[2]
    with pytest.raises(UserError, match="expected the same three times"):
        temporal_distances(*three_samplings[:2], (query[:-1], gallery))
    words = described({"type": "temporal"})
    assert words == (
        "temporal k-reciprocal (k1 5, k2 3, lambda 0; 0.8 distance + 0.2 all + 0.1 each way of "
        "halves)"
    )


def test_the_evaluation_ranks_by_the_temporal_distance(three_samplings):
    people = torch.arange(41) % 5
    paths = [("ir", f"D1-T{n}") if n < 14 else ("rgb", f"D2-T{n}") for n in range(41)]
    tracklets = [
        {"path": f"{int(pid)}/{kind}/{view}", "pid": str(int(pid)), "camid": 1 + (kind == "rgb")}
        for pid, (kind, view) in zip(people, paths, strict=True)
    ]
    task = {"query": [*range(14)], "gallery": [*range(14, 41)]}
    content = {
        "tracklets": tracklets,
        "tasks": {"test": {"infrared_to_visible": task}},
        "protocol": {"name": "toy", "ignore": "none", "min_frames": 1},
    }
    whole, first, second = (torch.cat(pair) for pair in three_samplings)
    data = {
        "embeddings": whole,
        "halves": (first, second),
        "labels": [tracklet["pid"] for tracklet in tracklets],
        "types": [kind for kind, _ in paths],
        "views": [view for _, view in paths],
    }
    settings = {"type": "temporal", "k1": 6}
    found = evaluate_cross_modality(data, "toy", partition=content, rerank=settings)
    distance = temporal_distances(*three_samplings, settings)
    precisions = []
    for row in range(14):
        order = sorted(range(27), key=lambda column: float(distance[row, column]))
        hits = [rank for rank, column in enumerate(order, 1) if people[14 + column] == people[row]]
        precisions.append(sum(n / rank for n, rank in enumerate(hits, 1)) / len(hits))
    scores = found.directions["infrared_to_visible"]
    assert scores.mean_average_precision == pytest.approx(sum(precisions) / 14)
    assert found.rerank["k1"] == 6
    del data["halves"]
    with pytest.raises(UserError, match="needs embeddings of both halves"):
        evaluate_cross_modality(data, "toy", partition=content, rerank=settings)
    data["halves"] = (first, second[:-1])
    with pytest.raises(UserError, match=r"second half \[40, 6, 3\] do not fit"):
        evaluate_cross_modality(data, "toy", partition=content, rerank=settings)
