import csv
import io
import json
import statistics
import subprocess
import sys

import pytest
import toy_run

from opengait_ext.cli import main
from opengait_ext.report.comparison import compare
from opengait_ext.report.published import FILE
from opengait_ext.report.records import RecordError, find_records, read_record


def change(content, place, value):
    """Sets content["a"]["b"] for the place a.b."""
    *above, last = place.split(".")
    for key in above:
        content = content[key]
    content[last] = value


@pytest.fixture
def runs(tmp_path):
    """Writes a record by name and seed, with changes by their place in it; gives the file."""
    partition = toy_run.partition_of()

    def make(name, seed=0, **changes):
        embeddings = toy_run.embeddings_of(partition, seed=seed)
        content = toy_run.record_of(partition, embeddings, seed=seed, save_name=name)
        for place, value in changes.items():
            change(content, place, value)
        path = tmp_path / "output" / name / "test" / "metrics.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(content))
        return path

    return make


def tables(*paths, strict=False):
    return compare([read_record(path) for path in paths], strict)


def test_seeds_of_one_config_become_a_row_with_mean_and_sample_deviation(runs):
    paths = [runs(f"s{seed}", seed) for seed in (0, 1, 2)]
    (found,) = tables(*paths)
    (row,) = found.rows
    assert (row.model, row.config, row.seeds) == ("Tiny", "s0, s1, s2", [0, 1, 2])
    for (direction, score), cell in row.cells.items():
        values = [
            json.loads(path.read_text())["result"]["directions"][direction][score] for path in paths
        ]
        assert cell.mean == pytest.approx(statistics.fmean(values))
        assert cell.spread == pytest.approx(statistics.stdev(values))
    assert len(row.cells) == 12


def test_one_run_has_no_spread(runs, capsys):
    path = runs("one")
    value = json.loads(path.read_text())["result"]["directions"]["infrared_to_visible"]["mAP"]
    assert main(["table", str(path)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Tiny"))
    assert "±" not in line
    assert line.split()[2] == "1"
    assert f"{100 * value:.1f}" in line.split()


def test_configs_that_differ_are_rows_of_their_own_and_say_in_what(runs):
    paths = [runs("a", 0), runs("b", 1, **{"config.trainer_cfg.total_iter": 20})]
    (found,) = tables(*paths)
    assert [(row.model, row.seeds) for row in found.rows] == [("Tiny [1]", [0]), ("Tiny [2]", [1])]
    assert any("trainer_cfg.total_iter: 10 -> 20" in note for note in found.notes)


def test_checkpoints_of_different_iterations_are_not_averaged(runs):
    (found,) = tables(runs("a", 0), runs("b", 1, iteration=5))
    assert len(found.rows) == 2
    assert any("iteration: 10 -> 5" in note for note in found.notes)


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        ("result.protocol", {"name": "other", "ignore": "same_pid_camid"}, "protocol"),
        ("result.protocol", {"name": "toy", "ignore": "none"}, "camera rule"),
        ("result.metric", "cosine", "distance"),
        ("result.split", "val", "split"),
        ("result.dataset", "Else", "dataset"),
        ("data.source.digest", "e" * 64, "data digest"),
        ("result.notes.frames", "6 per tracklet (first_in_run)", "frames"),
        ("result.rerank", {"type": "k_reciprocal", "k1": 20}, "re-ranking"),
    ],
)
def test_what_was_measured_in_another_way_never_stands_in_one_column(
    runs, place, value, name, capsys
):
    paths = [runs("a", 0), runs("b", 1, **{place: value})]
    found = tables(*paths)
    assert [[row.seeds for row in table.rows] for table in found] == [[[0]], [[1]]]
    assert main(["table", *map(str, paths)]) == 0
    assert f"because the runs differ in {name}" in capsys.readouterr().out
    with pytest.raises(RecordError, match=f"differ in {name}"):
        tables(*paths, strict=True)


def test_a_copy_of_a_run_counts_once(runs):
    path = runs("a", 0)
    copy = path.parent / "copy.json"
    copy.write_text(path.read_text())
    (found,) = tables(path, copy)
    assert found.rows[0].seeds == [0]
    assert any("left out" in note for note in found.notes)


def test_a_seed_with_two_results_is_told(runs):
    paths = [runs("a", 0), runs("b", 0)]
    change_score = json.loads(paths[1].read_text())
    change(change_score, "result.directions.infrared_to_visible.mAP", 0.5)
    paths[1].write_text(json.dumps(change_score))
    (found,) = tables(*paths)
    assert found.rows[0].seeds == [0, 0]
    assert any("several runs of one seed" in note for note in found.notes)


def test_a_checkpoint_that_was_chosen_on_the_test_split_is_told(runs):
    (found,) = tables(runs("a", selection="best on test"))
    assert any("chosen on the test split" in note for note in found.notes)


def test_a_score_that_does_not_exist_is_a_dash(runs, capsys):
    path = runs("a", **{"result.directions.infrared_to_visible.mAP": None})
    main(["table", str(path)])
    assert " - " in next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("Tiny")
    )


def test_files_folders_and_patterns_are_found_once(runs, tmp_path, monkeypatch):
    paths = [runs("a"), runs("b")]
    monkeypatch.chdir(tmp_path)
    places = [str(paths[0]), "output", "output/**/metrics.json"]
    assert sorted(path.resolve() for path in find_records(places)) == sorted(paths)
    with pytest.raises(RecordError, match=r"nowhere: there is no metrics\.json"):
        find_records(["nowhere"])


def test_damaged_files_are_named_and_the_others_shown(runs, tmp_path, capsys):
    runs("a")
    broken = [tmp_path / "output" / name / "metrics.json" for name in ("cut", "list", "other")]
    for path, text in zip(broken, ('{"result": ', "[1]", '{"result": {"directions": {}}}'),
                          strict=True):  # fmt: skip
        path.parent.mkdir()
        path.write_text(text)
    assert main(["table", str(tmp_path / "output")]) == 1
    printed = capsys.readouterr()
    assert "Tiny" in printed.out
    assert all(str(path) in printed.err for path in broken)
    with pytest.raises(SystemExit):
        main(["table", str(tmp_path / "output"), "--strict"])
    assert "Tiny" not in capsys.readouterr().out


def test_markdown_and_latex_hold_the_numbers_of_the_text(runs, capsys):
    paths = [str(runs(f"s_{seed}", seed)) for seed in (0, 1)]
    for form in ("text", "markdown", "latex"):
        main(["table", *paths, "--format", form])
        printed = capsys.readouterr().out
        row = next(line for line in printed.splitlines() if line.lstrip("| ").startswith("Tiny"))
        (found,) = tables(*map(read_path, paths))
        for cell in found.rows[0].cells.values():
            sign = r"$\pm$" if form == "latex" else "±"
            assert f"{100 * cell.mean:.1f} {sign} {100 * cell.spread:.1f}" in row
        assert ("s\\_0, s\\_1" if form == "latex" else "s_0, s_1") in row


def read_path(text):
    from pathlib import Path

    return Path(text)


def test_csv_holds_whole_numbers_and_the_conditions(runs, capsys):
    paths = [runs("a", 0), runs("b", 1)]
    main(["table", *map(str, paths), "--format", "csv"])
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    (found,) = tables(*paths)
    cell = found.rows[0].cells["infrared_to_visible", "mAP"]
    assert float(row["infrared_to_visible mAP"]) == pytest.approx(100 * cell.mean)
    assert float(row["infrared_to_visible mAP spread"]) == pytest.approx(100 * cell.spread)
    assert (row["camera rule"], row["n"], row["seeds"]) == ("same_pid_camid", "2", "0 1")


def test_published_numbers_stand_beside_ours_and_are_marked(runs, capsys):
    path = runs("a", **{"result.dataset": "HITSZ-VCM"})
    main(["table", str(path), "--published", "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["kind"] == "measured"
    ours = next(row for row in rows[1:] if row["model"] == "DinoGRL")
    assert ours["kind"] == "published"
    assert float(ours["infrared_to_visible R1"]) == pytest.approx(72.5)
    assert float(ours["visible_to_infrared mAP"]) == pytest.approx(62.3)
    assert ours["infrared_to_visible R5"] == ""
    assert "not the common test set" in ours["remark"]
    assert ours["camera rule"] == ""


def test_nothing_published_about_a_data_set_is_told(runs, capsys):
    main(["table", str(runs("a")), "--published"])
    assert "nothing published is known about Toy" in capsys.readouterr().out


def test_every_published_number_is_a_percentage_with_its_source():
    rows = json.loads(FILE.read_text())["rows"]
    assert {row["dataset"] for row in rows} == {"HITSZ-VCM", "BUPTCampus"}
    for row in rows:
        assert row["source"]
        assert row["frames"] in (None, 6, 10)
        assert set(row["scores"]) == {"infrared_to_visible", "visible_to_infrared"}
        for scores in row["scores"].values():
            assert set(scores) == {"R1", "mAP"}
            assert all(30 < value < 80 for value in scores.values())


def test_a_table_needs_neither_torch_nor_numpy(runs):
    program = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\n"
        "from opengait_ext.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "table", str(runs("a"))]
    assert "Tiny" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_model_that_was_given_silhouettes_is_not_taken_for_one_that_found_them(runs):
    given = runs("given", **{"config.data_cfg": {"stream": "0-silhouettes"}})
    (found,) = tables(runs("found"), given)
    (note,) = [note for note in found.notes if "of the data" in note]
    assert note.endswith("reads 0-silhouettes of the data, not the frames")
