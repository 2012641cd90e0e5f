import pytest

from opengait_ext.evaluation import rerank_encoding, rerank_neighbors


@pytest.fixture
def small_blocks(monkeypatch):
    """Cuts even tiny inputs into several uneven blocks, and keeps few distances."""
    monkeypatch.setattr(rerank_neighbors, "TILE", 5)
    monkeypatch.setattr(rerank_neighbors, "KEPT", 3)
    monkeypatch.setattr(rerank_neighbors, "PAIR_ELEMENTS", 40)
    monkeypatch.setattr(rerank_encoding, "ELEMENTS", 64)
