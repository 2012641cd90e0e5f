import importlib.util
import math

import numpy as np
import pytest

from opengait_ext.gallery import Gallery, GalleryError, ModelMark, Record, candidates
from opengait_ext.gallery.searching import Searcher

needs_faiss = pytest.mark.skipif(
    importlib.util.find_spec("faiss") is None, reason="faiss-cpu is not installed: pip install it"
)
METHODS = ["exact", pytest.param("faiss", marks=needs_faiss)]


def slow_distance(x, y, metric):
    """The definition: a mean over the parts of Euclidean distances, or 1 minus that of cosines."""
    d, p = x.shape
    values = []
    for part in range(p):
        a, b = [float(v) for v in x[:, part]], [float(v) for v in y[:, part]]
        if metric == "euclidean":
            values.append(math.sqrt(sum((s - t) ** 2 for s, t in zip(a, b, strict=True))))
        else:
            dot = sum(s * t for s, t in zip(a, b, strict=True))
            lengths = math.hypot(*a) * math.hypot(*b)
            values.append(1 - (dot / lengths if lengths else 0))
    return sum(values) / p


def slow_search(queries, rows, k, metric):
    found = []
    for query in queries:
        pairs = [(round(slow_distance(query, row, metric), 5), n) for n, row in rows.items()]
        found.append([n for _, n in sorted(pairs)][:k])
    return found


def made(folder, embeddings, metric="euclidean", modalities=None, method="exact"):
    mark = ModelMark("c" * 64, embeddings.shape[1:], metric)
    gallery = Gallery.create(folder, mark)
    kinds = modalities or ["visible"] * len(embeddings)
    gallery.add(embeddings, [Record(f"t{n}", kind, str(n)) for n, kind in enumerate(kinds)], mark)
    return Gallery(folder, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_search_gives_what_a_loop_over_all_pairs_gives(tmp_path, method, metric, count):
    rng = np.random.default_rng(count)
    stored = rng.standard_normal((count, 5, 3)).astype(np.float32)
    queries = rng.standard_normal((4, 5, 3)).astype(np.float32)
    hits = Searcher(made(tmp_path / "g", stored, metric, method=method))(queries, 7)
    assert hits.rows.tolist() == slow_search(queries, dict(enumerate(stored)), 7, metric)
    for query, rows, distances in zip(queries, hits.rows, hits.distances, strict=True):
        expected = [slow_distance(query, stored[row], metric) for row in rows]
        np.testing.assert_allclose(distances, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_distances_the_earlier_row_comes_first(tmp_path, method):
    stored = np.repeat(np.random.default_rng(0).standard_normal((3, 4, 2)), 5, axis=0)
    gallery = made(tmp_path / "g", stored.astype(np.float32), method=method)
    hits = Searcher(gallery)(stored[:1].astype(np.float32), 5)
    assert hits.rows.tolist() == [[0, 1, 2, 3, 4]]
    assert hits.distances.tolist() == [[0.0] * 5]


@pytest.mark.parametrize("method", METHODS)
def test_only_the_asked_modality_is_searched(tmp_path, method):
    stored = np.random.default_rng(1).standard_normal((30, 4, 2)).astype(np.float32)
    kinds = ["visible", "infrared", "infrared"] * 10
    gallery = made(tmp_path / "g", stored, modalities=kinds, method=method)
    infrared = {n: row for n, row in enumerate(stored) if kinds[n] == "infrared"}
    hits = Searcher(gallery, "infrared")(stored[:6], 50)
    assert hits.rows.tolist() == slow_search(stored[:6], infrared, 50, "euclidean")
    assert hits.rows.shape == (6, 20)


def test_blocks_change_nothing(tmp_path, monkeypatch):
    from opengait_ext.gallery import exact

    stored = np.random.default_rng(2).standard_normal((50, 4, 2)).astype(np.float32)
    gallery = made(tmp_path / "g", stored)
    whole = Searcher(gallery)(stored, 6)
    monkeypatch.setattr(exact, "_BLOCK", 7)
    monkeypatch.setattr(exact, "_QUERIES", 11)
    cut = Searcher(gallery)(stored, 6)
    np.testing.assert_array_equal(whole.rows, cut.rows)
    np.testing.assert_array_equal(whole.distances, cut.distances)


def test_an_order_of_adding_changes_no_distance(tmp_path):
    rng = np.random.default_rng(3)
    stored = rng.standard_normal((25, 4, 2)).astype(np.float32)
    order = rng.permutation(25)
    first = Searcher(made(tmp_path / "a", stored))(stored[:5], 8)
    second = Searcher(made(tmp_path / "b", stored[order]))(stored[:5], 8)
    np.testing.assert_array_equal(order[second.rows], first.rows)
    np.testing.assert_array_equal(second.distances, first.distances)


def test_what_cannot_be_searched_is_refused(tmp_path):
    gallery = Gallery.create(tmp_path / "g", ModelMark("c" * 64, (4, 2), "euclidean"))
    query = np.ones((1, 4, 2), np.float32)
    with pytest.raises(GalleryError, match="there is no tracklet to search"):
        Searcher(gallery)(query, 1)
    gallery.add(query, [Record("t0", "visible")], gallery.mark)
    with pytest.raises(GalleryError, match=r"there is no infrared tracklet .*\(1 tracklets in"):
        Searcher(gallery, "infrared")(query, 1)
    with pytest.raises(GalleryError, match="query 0: 1 of 1 embeddings are not finite"):
        Searcher(gallery)(query * np.inf, 1)
    with pytest.raises(GalleryError, match=r"me: the embeddings are \[1, 4, 3\]"):
        Searcher(gallery)(np.ones((1, 4, 3)), 1, ["me"])
    with pytest.raises(GalleryError, match="to find is 0; expected 1 or more"):
        Searcher(gallery)(query, 0)


def test_a_missing_faiss_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    gallery = made(tmp_path / "g", np.ones((2, 4, 2), np.float32), method="faiss")
    with pytest.raises(GalleryError, match=r"faiss-cpu: pip install .*\[search\]"):
        Searcher(gallery)(np.ones((1, 4, 2)), 1)


def clustered(rng, count, width=16, parts=4):
    centers = rng.standard_normal((count // 5 + 1, width, parts))
    noise = 0.5 * rng.standard_normal((count, width, parts))
    return (centers[np.arange(count) // 5] + noise).astype(np.float32)


@pytest.mark.slow
@needs_faiss
def test_compressed_candidates_find_what_the_exact_search_finds(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "FLAT", 500)
    rng = np.random.default_rng(4)
    stored = clustered(rng, 3000)
    gallery = made(tmp_path / "g", stored, method="faiss")
    queries = stored[::50] + 0.3 * rng.standard_normal(stored[::50].shape).astype(np.float32)
    found = Searcher(gallery)(queries, 10)
    exact = Searcher(Gallery(gallery.folder, "exact"))(queries, 10)
    hits = [set(a) & set(b) for a, b in zip(found.rows, exact.rows, strict=True)]
    assert sum(map(len, hits)) / exact.rows.size >= 0.99
    searcher = candidates.CandidateSearch(gallery)
    assert searcher.recall >= 0.99
    assert searcher.candidates < 3000
    assert f"{searcher.candidates} candidates of 3000 ordered exactly; recall " in (
        searcher.described
    )


@pytest.mark.slow
@needs_faiss
def test_the_reported_recall_is_that_of_a_count(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "FLAT", 100)
    monkeypatch.setattr(candidates, "WANTED", 0.0)  # stay with the first number tried
    rng = np.random.default_rng(5)
    stored = rng.standard_normal((2000, 16, 4)).astype(np.float32)
    gallery = made(tmp_path / "g", stored, method="faiss")
    queries = rng.standard_normal((20, 16, 4)).astype(np.float32)
    searcher = candidates.CandidateSearch(gallery, sample=queries)
    exact = Searcher(Gallery(gallery.folder, "exact"))(queries, 10).rows
    found = searcher(queries, 10).rows
    counted = sum(row in found[q] for q in range(20) for row in exact[q]) / 200
    assert searcher.recall == pytest.approx(counted)
    assert counted < 1


@pytest.mark.slow
@needs_faiss
def test_the_kept_index_takes_in_what_is_appended_and_forgets_what_is_removed(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(candidates, "FLAT", 100)
    rng = np.random.default_rng(6)
    stored = clustered(rng, 400)
    gallery = made(tmp_path / "g", stored, method="faiss")
    Searcher(gallery)(stored[:1], 1)
    (kept,) = gallery.folder.glob("*.faiss")
    before = kept.read_bytes()
    new = clustered(rng, 3)
    gallery.add(new, [Record(f"n{n}", "visible", "new") for n in range(3)], gallery.mark)
    assert Searcher(gallery)(new, 1).rows.tolist() == [[400], [401], [402]]
    assert kept.read_bytes() != before
    gallery.remove("new")
    assert not list(gallery.folder.glob("candidates-*"))
    assert Searcher(gallery)(new, 1).rows.max() < 400
    damaged = next(iter(gallery.folder.glob("*.faiss")))
    damaged.write_bytes(b"nothing")
    assert Searcher(gallery)(stored[7:8], 1).rows.tolist() == [[7]]


@pytest.mark.slow
@needs_faiss
def test_auto_leaves_faiss_alone_where_it_would_miss_too_much(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("opengait_ext.gallery.searching.FLAT", 100)
    monkeypatch.setattr(candidates, "FLAT", 100)
    stored = np.random.default_rng(7).standard_normal((300, 16, 2)).astype(np.float32)
    gallery = made(tmp_path / "g", stored, method="auto")
    assert Searcher(gallery).described == "exact, all compared"
    assert "faiss is not used, it would miss too much" in caplog.text
    stored = clustered(np.random.default_rng(8), 3000)
    assert Searcher(made(tmp_path / "h", stored, method="auto")).described.startswith("faiss")
