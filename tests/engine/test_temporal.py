import logging

import pytest
from engine_parts import CATALOG, make_config

from opengait_ext.engine import run


@pytest.mark.slow
def test_a_temporal_reranking_embeds_both_halves_of_each_tracklet_too(toy_root, work, caplog):
    run(make_config(toy_root), "both", "cpu", catalog=CATALOG)
    caplog.clear()
    rerank = {"type": "temporal", "k1": 2, "k2": 1}
    with caplog.at_level(logging.INFO):
        config = make_config(toy_root, {"evaluator_cfg.rerank": rerank})
        found = run(config, "test", "cpu", catalog=CATALOG)
    assert found["result"]["rerank"]["euclidean"] == 0.8
    assert caplog.text.count("test: 12/12") == 3
    assert "re-ranking: type=temporal, k1=2, k2=1" in caplog.text
