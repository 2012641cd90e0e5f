"""Equal distances are equal: codes against whole numbers, and twins wherever they stand."""

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from evaluator_data import evaluate_cross_modality
from reference_loops import scores_of
from rerank_loops import PAPER, by_loops

from opengait_ext.evaluation import distance, ties
from opengait_ext.evaluation.distance import part_distance
from opengait_ext.evaluation.rerank import rerank_distances
from opengait_ext.gallery.exact import ExactSearch, paired_distance


def codes(seed, q, g, d, p, values=(-1, 1)):
    rng = np.random.default_rng(seed)
    return rng.choice(values, (q, d, p)), rng.choice(values, (g, d, p))


def sum_of_roots(numbers):
    """A sum of roots as whole multiples of roots of numbers without a square: equal if equal."""
    total = Counter()
    for number in numbers:
        if number:
            factor = max(a for a in range(1, math.isqrt(number) + 1) if number % a**2 == 0)
            total[number // factor**2] += factor
    return frozenset(total.items())


def exact_distances(query, gallery, metric):
    """What tells distances apart, [q][g], and their values."""
    told, values = [], []
    even = len({*(query**2).sum(1).flatten(), *(gallery**2).sum(1).flatten()}) == 1
    for x in query.astype(int):
        for y in gallery.astype(int):
            dots, of_x, of_y = (x * y).sum(0), (x * x).sum(0), (y * y).sum(0)
            if metric == "euclidean":
                squared = (of_x + of_y - 2 * dots).tolist()
                told.append(sum_of_roots(squared))
                values.append(sum(map(math.sqrt, squared)) / len(squared))
            else:  # the squares with their signs; of one length, their roots can be added
                fractions = [
                    Fraction(int(np.sign(dot)) * int(dot) ** 2, int(a) * int(b) or 1)
                    for dot, a, b in zip(dots, of_x, of_y, strict=True)
                ]
                told.append(int(dots.sum()) if even else tuple(fractions))
                cosines = [math.copysign(math.sqrt(abs(each)), each) for each in fractions]
                values.append(1 - sum(cosines) / len(cosines))
    return told, np.array(values)


def check(found, told, values):
    found = found.flatten().tolist()
    assert len(set(found)) == len(set(told))
    assert len(set(zip(found, told, strict=True))) == len(set(told))
    np.testing.assert_allclose(found, values, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("parts", [1, 2, 4, 7])
@pytest.mark.parametrize("seed", range(5))
def test_codes_have_as_many_distances_as_whole_numbers_give(metric, parts, seed):
    query, gallery = codes(seed, 30, 70, 16, parts)
    found = part_distance(query.astype(np.float32), gallery.astype(np.float32), metric)
    check(found, *exact_distances(query, gallery, metric))


@pytest.mark.parametrize("values", [(0, 1), (-1, 0, 1), (-3, -1, 2, 4)])
@pytest.mark.parametrize(("metric", "parts"), [("euclidean", 3), ("cosine", 1)])
def test_codes_of_several_lengths_have_as_many_distances_as_whole_numbers_give(
    values, metric, parts
):
    query, gallery = codes(7, 20, 50, 9, parts, values)
    query[3], gallery[5:7] = 0, 0
    found = part_distance(query.astype(np.float64), gallery.astype(np.float64), metric)
    check(found, *exact_distances(query, gallery, metric))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("unit", [0.25, 31**-0.5, 1e-4, 3.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_codes_in_another_unit_have_as_many_distances(metric, unit, dtype):
    query, gallery = codes(3, 20, 40, 31, 3)
    unit = float(torch.tensor(unit, dtype=dtype))
    told, values = exact_distances(query, gallery, metric)
    scaled = [torch.from_numpy(each * unit).to(dtype) for each in (query, gallery)]
    check(part_distance(*scaled, metric), told, values * (unit if metric == "euclidean" else 1))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("tile", "block", "held"), [(3, 1, 10**9), (7, 4, 10**9), (4, 5, 200)])
def test_distances_of_codes_do_not_depend_on_the_blocks(monkeypatch, metric, tile, block, held):
    query, gallery = (torch.from_numpy(each).float() for each in codes(1, 11, 22, 16, 4))
    whole = part_distance(query, gallery, metric)
    monkeypatch.setattr(ties, "_TILE", tile)
    monkeypatch.setattr(distance, "HELD", held)
    assert torch.equal(part_distance(query, gallery, metric, block), whole)
    assert torch.equal(part_distance(gallery, query, metric, block), whole.T)


def test_roots_of_large_whole_numbers_are_taken_without_a_table():
    query, gallery = codes(2, 9, 15, 3, 2, range(-900, 900))
    found = part_distance(query.astype(np.float32), gallery.astype(np.float32))
    check(found, *exact_distances(query, gallery, "euclidean"))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_embeddings_have_equal_distances_wherever_they_stand(metric, dtype):
    generator = torch.Generator().manual_seed(0)
    gallery = torch.randn(1025, 67, 3, generator=generator, dtype=torch.float64).to(dtype)
    query = torch.randn(3, 67, 3, generator=generator, dtype=torch.float64).to(dtype)
    places = [0, 17, 510, 511, 512, 1023, 1024]
    gallery[places] = gallery[511].clone()
    gallery[40:50, :, 1] = gallery[40, :, 1].clone()  # alike in one part alone
    for size in (1, 2, 3):
        found = part_distance(query, gallery, metric, size)
        assert (found[:, places] == found[:, :1]).all()
        assert len(set(found[0].tolist())) == 1025 - len(places) + 1


def test_scores_of_codes_are_those_of_whole_distances():
    query, gallery = codes(5, 40, 200, 16, 1)
    rng = np.random.default_rng(0)
    people = rng.integers(0, 12, 240)
    tracklets = [
        {"path": f"{pid}/{'ir' if at < 40 else 'rgb'}/D1-T{at}", "pid": str(pid), "camid": 1}
        for at, pid in enumerate(people)
    ]
    task = {"query": list(range(40)), "gallery": list(range(40, 240))}
    content = {
        "tracklets": tracklets,
        "tasks": {"test": {"infrared_to_visible": task}},
        "protocol": {"ignore": "none"},
    }
    names = np.array([each["path"].split("/") for each in tracklets])
    data = {key: names[:, at].tolist() for at, key in enumerate(("labels", "types", "views"))}
    data["embeddings"] = np.concatenate((query, gallery)).astype(np.float32)
    result = evaluate_cross_modality(data, "toy", partition=content)
    found = result.directions["infrared_to_visible"]
    rows = [
        scores_of((one != gallery).sum((1, 2)).tolist(), pid, people[40:], [False] * 200)
        for one, pid in zip(query, people[:40], strict=True)
    ]
    expected = [np.mean([first <= 1 for _, _, first in rows]), np.mean([ap for ap, _, _ in rows])]
    np.testing.assert_allclose([found.cmc[1], found.mean_average_precision], expected, atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_reranked_codes_equal_loops_over_whole_distances(small_blocks, metric):
    query, gallery = (torch.from_numpy(each).float() for each in codes(6, 13, 31, 16, 2))
    settings = {**PAPER, "k1": 5, "k2": 3}
    found = rerank_distances(query, gallery, settings, metric)
    expected = by_loops(query, gallery, 5, 3, 0.3, metric == "euclidean", metric=metric)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("queries", [2, 9])
def test_the_search_among_codes_gives_the_earlier_of_equal_rows(metric, queries):
    query, gallery = codes(8, queries, 300, 31, 4)
    hits = ExactSearch(gallery.astype(np.float32), np.arange(300), metric)(
        query.astype(np.float32), 7
    )
    for one, rows in zip(query, hits.rows, strict=True):
        _, values = exact_distances(one[None], gallery, metric)
        order = sorted(range(300), key=lambda at: (round(values[at], 9), at))
        assert rows.tolist() == order[:7]


def test_the_distance_of_a_pair_does_not_depend_on_the_order_of_its_parts():
    query, gallery = codes(9, 1, 60, 16, 5)
    values = paired_distance(query[0].astype(np.float32), gallery.astype(np.float32), "euclidean")
    order = [3, 1, 4, 0, 2]
    turned = gallery[:, :, order].astype(np.float32)
    again = paired_distance(query[0][:, order].astype(np.float32), turned, "euclidean")
    np.testing.assert_array_equal(values, again)
