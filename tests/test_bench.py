"""What the benchmark tells beside times: how cost grows, and what was not measured."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_the_exponent_of_a_power_is_found_whatever_its_factor():
    from bench_growth import exponent

    sizes = [3, 6, 12]
    assert exponent(sizes, [0.2 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes, [7.0] * 3) == pytest.approx(0)


def test_the_exponent_of_three_doublings_is_half_the_logarithm_of_the_last_ratio():
    from bench_growth import exponent

    # By least squares the middle of three equal steps has no say.
    assert exponent([1, 2, 4], [1.0, 5.0, 8.0]) == pytest.approx(1.5)


def test_sizes_of_a_growth_double():
    from bench_growth import ROWS

    assert len(ROWS) > 5
    for row in ROWS:
        for sizes in (row.small, row.full):
            assert sizes == (sizes[0], 2 * sizes[0], 4 * sizes[0])


def test_rows_of_the_gpu_say_that_they_were_not_measured():
    from bench_gpu import ROWS, measured
    from bench_table import table

    results = [measured(row, "full", None) for row in ROWS]
    assert results
    assert all(result["measured"] is False for result in results)
    text = table(results, "full")
    for row in ROWS:
        line = next(line for line in text.splitlines() if line.startswith(row.name))
        assert line.endswith("not measured (no CUDA device)")


def test_a_row_of_the_gpu_that_fails_says_why():
    from bench_gpu import GpuRow, measured

    def fails(size, device, rounds):
        raise RuntimeError("out of memory\nand more")

    result = measured(GpuRow("GPU, a row", "another", fails), "small", torch.device("cpu"))
    assert (result["measured"], result["reason"]) == (False, "out of memory")


@pytest.mark.slow
def test_embeddings_of_the_gpu_are_measured_on_any_device():
    from bench_gpu import GpuRow, embeddings, measured
    from bench_table import table

    def few(size, device, rounds):
        return embeddings(size, device, rounds, tracklets=2, frames=1)

    result = measured(GpuRow("GPU, embedding", "plain", few), "small", torch.device("cpu"), 1)
    assert result["measured"], result
    assert result["difference"] <= result["difference_allowed"]
    assert result["embeddings/s"] == pytest.approx(2 / result["seconds"])
    assert "embeddings/s" in table([result], "small")


def test_a_row_of_which_nothing_is_wanted_shows_a_dash_and_its_rates():
    from bench_table import line

    result = {
        "row": "a", "against": "b", "ratio": 2.0, "ratio_wanted": 0, "seconds": 1.0,
        "seconds_plain": 2.0, "difference": 0.0, "difference_allowed": 0.0,
        "GFLOP/s": 150.0, "share": 0.75, "limit": "float32",
    }  # fmt: skip
    cells = line(result, "full")
    assert cells[3] == "-"
    assert cells[-2:] == ["150 GFLOP/s", "75% of float32"]
    assert line({**result, "ratio_wanted": 3}, "full")[3] == "3 x missed"


@pytest.mark.slow
def test_the_file_of_a_run_holds_growth_and_the_rows_of_the_gpu(monkeypatch, tmp_path, capsys):
    import bench
    import bench_gpu

    monkeypatch.setattr(bench_gpu, "cuda", lambda: None)
    limits = {"float32 GFLOP/s": 1.0, "bfloat16 GFLOP/s": 1.0, "copy GB/s": 1.0}
    monkeypatch.setattr(bench, "machine", lambda: limits)  # of no interest, and seconds
    path = tmp_path / "found.json"
    command = ["bench.py", "--size", "small", "--rounds", "1", "--threads", "1", "--json"]
    chosen = ["--rows", "GPU", "growth, triplet"]
    monkeypatch.setattr(sys, "argv", [*command, str(path), *chosen])
    assert bench.main() == 0
    written = json.loads(path.read_text())
    assert [result["measured"] for result in written["gpu"]] == [False, False]
    (growth,) = written["growth"]
    assert growth["sizes"] == [4, 8, 16]
    assert len(growth["seconds"]) == 3
    assert math.isfinite(growth["exponent"])
    assert "not measured (no CUDA device)" in capsys.readouterr().out

    monkeypatch.setattr(sys, "argv", [*command, str(path), "--no-growth", *chosen])
    assert bench.main() == 0
    assert json.loads(path.read_text())["growth"] == []
