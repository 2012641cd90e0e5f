import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from opengait_ext.evaluation import distance
from opengait_ext.evaluation.distance import distance_blocks, largest_temporary, part_distance


def embeddings(seed, n, d=3, p=5, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, p, generator=generator, dtype=torch.float64).to(dtype)


def euclidean_by_loops(query, gallery):
    rows = []
    for x in query.tolist():
        row = []
        for y in gallery.tolist():
            parts = range(len(x[0]))
            row.append(
                sum(
                    sum((a[part] - b[part]) ** 2 for a, b in zip(x, y, strict=True)) ** 0.5
                    for part in parts
                )
                / len(x[0])
            )
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def cosine_by_loops(query, gallery):
    rows = []
    for x in query:
        row = []
        for y in gallery:
            cosines = [
                float((a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()))
                for a, b in zip(x.T, y.T, strict=True)
            ]
            row.append(1 - sum(cosines) / len(cosines))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


REFERENCES = {"euclidean": euclidean_by_loops, "cosine": cosine_by_loops}


@pytest.fixture
def small_tiles(monkeypatch):
    """Cuts even tiny galleries into several tiles, uneven at the end."""
    monkeypatch.setattr(distance, "TILE", 3)
    monkeypatch.setattr(distance, "PAIR_ELEMENTS", 4)


def test_a_hand_computed_distance_is_the_mean_over_the_parts():
    query = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])  # parts (0, 0) and (1, 0)
    gallery = torch.tensor([[[3.0, 0.0], [4.0, 1.0]], [[0.0, 2.0], [0.0, 0.0]]])
    expected = [[(5 + 2**0.5) / 2, (0 + 1) / 2]]
    np.testing.assert_allclose(part_distance(query, gallery), expected, rtol=1e-6)
    expected = [[1 - (0 + 0) / 2, 1 - (0 + 1) / 2]]
    np.testing.assert_allclose(part_distance(query, gallery, "cosine"), expected, rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_distances_equal_a_loop_over_tracklets_and_parts(small_tiles, metric, dtype, tolerance):
    query, gallery = embeddings(0, 4, dtype=dtype), embeddings(1, 7, dtype=dtype)
    found = part_distance(query, gallery, metric)
    assert found.dtype == dtype
    torch.testing.assert_close(
        found.double(), REFERENCES[metric](query, gallery), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_blocks_of_any_size_give_the_distances_of_one_block(small_tiles, metric):
    query, gallery = embeddings(2, 7), embeddings(3, 8)
    whole = part_distance(query, gallery, metric, block_size=100)
    for size in (1, 3, 7):
        blocks = list(distance_blocks(query, gallery, metric, block_size=size))
        assert [start for start, _ in blocks] == list(range(0, 7, size))
        torch.testing.assert_close(torch.cat([block for _, block in blocks]), whole)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_arrays_even_read_only_and_tensors_give_the_same_distances(metric):
    query, gallery = embeddings(4, 3, dtype=torch.float32), embeddings(5, 6, dtype=torch.float32)
    array = query.numpy().copy()
    array.flags.writeable = False
    found = part_distance(array, gallery.numpy(), metric)
    assert torch.equal(found, part_distance(query, gallery, metric))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_half_precision_is_computed_in_float32(metric):
    query, gallery = embeddings(6, 3, dtype=torch.float16), embeddings(7, 6, dtype=torch.bfloat16)
    found = part_distance(query, gallery, metric)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, part_distance(query.float(), gallery.float(), metric))


def test_autocast_around_it_does_not_lower_the_precision():
    query, gallery = embeddings(8, 3, dtype=torch.float32), embeddings(9, 6, dtype=torch.float32)
    for metric in ("euclidean", "cosine"):
        expected = part_distance(query, gallery, metric)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(part_distance(query, gallery, metric), expected)


def test_one_input_of_float64_makes_the_distances_float64():
    query, gallery = embeddings(10, 3), embeddings(11, 6, dtype=torch.float32)
    torch.testing.assert_close(
        part_distance(query, gallery), euclidean_by_loops(query, gallery), rtol=1e-12, atol=1e-12
    )


def test_equal_embeddings_far_from_the_origin_have_the_distance_zero(small_tiles):
    gallery = embeddings(12, 9, dtype=torch.float32) + 1000
    assert part_distance(gallery, gallery).diagonal().tolist() == [0] * 9


def test_small_distances_in_float32_keep_three_digits(small_tiles):
    gallery = embeddings(13, 9, dtype=torch.float32) + 100
    query = gallery[:4] + 1e-3 * embeddings(14, 4, dtype=torch.float32)
    torch.testing.assert_close(
        part_distance(query, gallery).double(),
        euclidean_by_loops(query, gallery),
        rtol=1e-3,
        atol=0,
    )


def test_a_network_that_gives_one_answer_for_all_has_only_zero_distances():
    same = torch.full((40, 3, 5), 0.1)
    assert part_distance(same, same).count_nonzero() == 0


def test_a_zero_vector_has_the_cosine_zero_with_everything():
    gallery = embeddings(15, 2)
    found = part_distance(torch.zeros(1, 3, 5, dtype=torch.float64), gallery, "cosine")
    assert found.tolist() == [[1, 1]]


def test_no_gradient_is_kept():
    query = embeddings(16, 2).requires_grad_()
    assert not part_distance(query, query).requires_grad


class LargestTensor(TorchDispatchMode):
    """Notes the most elements of any tensor that an operation gives (views included)."""

    elements = 0

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        found = operation(*arguments, **(named or {}))
        for tensor in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return found


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_memory_depends_on_the_block_and_not_on_the_number_of_queries(monkeypatch, metric):
    monkeypatch.setattr(distance, "PAIR_ELEMENTS", 64)
    gallery, largest = embeddings(18, 60), []
    for queries in (40, 400):
        query = torch.cat([gallery, embeddings(17, queries)])
        with LargestTensor() as seen:
            for _ in distance_blocks(query, gallery, metric, block_size=20):
                pass
        largest.append(seen.elements)
    inputs = (60 + 400) * 3 * 5  # what came in is passed on as a view
    assert max(largest) <= max(largest_temporary(20, 60, 3, 5), inputs)
    assert max(largest) < 400 * 60  # not even all distances, let alone those of all parts


def test_an_unknown_metric_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no metric is called 'euc' \(known: euclidean, cosine\)"):
        part_distance(embeddings(0, 2), embeddings(0, 2), "euc")


def test_a_block_without_a_query_is_refused():
    with pytest.raises(ValueError, match="block_size is 0; expected at least 1 query"):
        part_distance(embeddings(0, 2), embeddings(0, 2), block_size=0)


def test_embeddings_of_the_wrong_form_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"query embeddings have the shape \[2, 3\]; expected"):
        part_distance(torch.zeros(2, 3), embeddings(0, 2))
    with pytest.raises(ValueError, match=r"gallery embeddings have the shape \[0, 3, 5\]"):
        part_distance(embeddings(0, 2), embeddings(0, 0))


def test_query_and_gallery_of_different_models_are_refused():
    with pytest.raises(ValueError, match=r"\[embedding, parts\]: \[3, 5\] and \[3, 4\]"):
        part_distance(embeddings(0, 2), embeddings(0, 2, p=4))


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("held", [1, 40, 100, 200])
def test_a_large_gallery_in_pieces_gives_the_distances_of_one_copy(monkeypatch, metric, held):
    query, gallery = embeddings(20, 11), embeddings(21, 17)
    whole = part_distance(query, gallery, metric)
    monkeypatch.setattr(distance, "HELD", held)
    blocks = list(distance_blocks(query, gallery, metric, block_size=2))
    assert [start for start, _ in blocks] == list(range(0, 11, 2))
    torch.testing.assert_close(torch.cat([block for _, block in blocks]), whole)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_chosen_embeddings_give_the_distances_of_their_copy(metric):
    every, rows = embeddings(22, 30), [torch.tensor([4, 1, 9]), torch.tensor([8, 8, 2, 29])]
    query, gallery = (distance.Chosen(every, which) for which in rows)
    found = part_distance(query, gallery, metric, block_size=2)
    assert torch.equal(found, part_distance(every[rows[0]], every[rows[1]], metric, block_size=2))
