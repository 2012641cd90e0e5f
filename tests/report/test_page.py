import base64
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import toy_run

from opengait_ext.cli import main
from opengait_ext.evaluation.inputs import Embedded
from opengait_ext.report import page as pages
from opengait_ext.report.page import make_page
from opengait_ext.report.ranking import ReportError, ranked
from opengait_ext.report.records import RecordError
from opengait_ext.report.sources import read_sources
from opengait_ext.report.thumbnails import encoded, make_thumbnails

EVIL = "<img src=x onerror=alert(1)>"
CLOSING = "</script><script>alert(2)</script>"


class Elements(HTMLParser):
    """Collects the elements of a page with their attributes, and the texts by id."""

    def __init__(self, page):
        super().__init__()
        self.found, self.tables, self._table = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag == "table":
            self._table = self.tables.setdefault(dict(attributes).get("id"), [])
        if tag == "tr" and self._table is not None:
            self._table.append([])

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None

    def handle_data(self, data):
        if self._table and data.strip():
            self._table[-1].append(data.strip())

    def named(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


@pytest.mark.slow
def test_the_results_are_those_of_the_record_in_percent(page, sources):
    rows = Elements(page).tables["results"]
    assert rows[0] == ["percent", "R1", "R5", "R10", "R20", "mAP", "mINP", "queries", "gallery",
                       "dropped", "ignored"]  # fmt: skip
    for row, (name, wanted) in zip(
        rows[1:], sources.record.result["directions"].items(), strict=True
    ):
        scores = [f"{100 * wanted[score]:.2f}" for score in rows[0][1:7]]
        counts = ["queries", "gallery", "dropped_queries", "ignored_pairs"]
        assert row == [name.replace("_", " "), *scores, *(str(wanted[each]) for each in counts)]


def test_the_average_precision_of_the_lists_averages_to_the_record(page, sources):
    lists = toy_run.data_of(page)["lists"]
    for name, wanted in sources.record.result["directions"].items():
        values = [line[1] for line in lists[name]]
        assert np.mean(values) == pytest.approx(wanted["mAP"], abs=1e-5)
        assert np.mean([line[3] == 1 for line in lists[name]]) == pytest.approx(wanted["R1"])
    assert "give the same scores" in page


@pytest.mark.slow
def test_a_record_with_other_scores_is_told_on_the_page(tmp_path, toy, sources):
    partition = sources.partition
    other = toy_run.embeddings_of(partition, seed=3)
    toy_run.write_run(tmp_path / "run", partition, other)
    path = tmp_path / "run" / "test" / "metrics.json"
    content = json.loads(path.read_text())
    content["result"]["directions"]["infrared_to_visible"]["mAP"] += 0.05
    path.write_text(json.dumps(content))
    text = make_page(read_sources(tmp_path / "run", toy / "data"))
    assert "differ from the stored ones by up to 5.00 percent points" in " ".join(text.split())
    assert "give the same scores" not in text


def test_summary_names_protocol_config_seed_versions_and_commit(page):
    for fact in ("toy", "same_pid_camid", "d" * 64, "2 per tracklet", "toy-00010.pt", "abc123",
                 "with changes", "numpy 1.2.3", "total_iter"):  # fmt: skip
        assert fact in page


def test_the_page_has_curves_histograms_map_and_training(page):
    svgs = Elements(page).named("svg")
    labels = " ".join(each["aria-label"] for each in svgs)
    assert "Cumulative matching" in labels
    assert labels.count("Distances: mean intra") == 2
    assert "Map of 36 embeddings" in labels
    assert "loss/total over the iterations, last 1.667" in labels
    shapes = [each for each in Elements(page).named("circle") if "data-pid" in each]
    assert len(shapes) == 18  # infrared; the visible ones are squares


def test_the_page_asks_for_nothing_outside_itself(page):
    for _, attributes in Elements(page).found:
        for key in ("src", "href", "action", "srcset", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert "@import" not in page
    assert not re.search(r"url\((?!#|data:)", page)
    policy = next(each for each in Elements(page).named("meta") if "http-equiv" in each)["content"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


@pytest.mark.slow
def test_what_a_run_says_of_itself_cannot_become_markup(tmp_path):
    partition = toy_run.partition_of(pids=("0001", EVIL))
    toy_run.write_data(tmp_path / "data", partition)
    toy_run.write_run(
        tmp_path / "run", partition, toy_run.embeddings_of(partition), save_name=CLOSING,
        device=EVIL, versions={EVIL: CLOSING},
    )  # fmt: skip
    curves = tmp_path / "run" / "metrics.jsonl"
    curves.write_text(json.dumps({"iteration": 1, f"loss/{EVIL}": 1.0}) + "\n")
    text = make_page(read_sources(tmp_path / "run", tmp_path / "data"))
    elements = Elements(text)
    assert not elements.named("img")
    assert len(elements.named("script")) == 2
    assert EVIL not in text
    assert CLOSING not in text
    assert "<" not in re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    assert EVIL in {facts[1] for facts in toy_run.data_of(text)["tracklets"].values()}


@pytest.mark.slow
def test_what_a_run_says_of_itself_has_no_character_that_turns_or_hides_text(tmp_path):
    turning = "a\u202eb\x9bc\u200bd"
    partition = toy_run.partition_of(pids=("0001", turning))
    toy_run.write_data(tmp_path / "data", partition)
    toy_run.write_run(
        tmp_path / "run", partition, toy_run.embeddings_of(partition), save_name=turning,
        device=turning, versions={turning: turning},
    )  # fmt: skip
    curves = tmp_path / "run" / "metrics.jsonl"
    curves.write_text(json.dumps({"iteration": 1, f"loss/{turning}": 1.0}) + "\n")
    text = make_page(read_sources(tmp_path / "run", tmp_path / "data"))
    assert not set(turning) & set(text) - set("abcd")
    shown = r"a\u202eb\x9bc\u200bd"
    assert shown in text
    assert shown in {facts[1] for facts in toy_run.data_of(text)["tracklets"].values()}


def test_pictures_are_the_middle_frames_of_the_tracklets_shown(page, sources):
    pictures = toy_run.data_of(page)["pictures"]
    assert sorted(map(int, pictures)) == list(range(36))
    for picture in pictures.values():
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), 1)
        assert pixels.shape == (48, 24, 3)


@pytest.mark.slow
def test_the_page_stays_below_its_limit_by_smaller_then_fewer_pictures(sources, monkeypatch):
    whole = len(make_page(sources, 3).encode())
    alone = whole - sum(map(len, toy_run.data_of(make_page(sources, 3))["pictures"].values()))
    monkeypatch.setattr(pages, "_RESERVE", 1000)
    limit = alone + 1000 + 3000
    small = make_page(sources, 3, limit)
    assert len(small.encode()) <= limit < whole
    kept = toy_run.data_of(small)["pictures"]
    assert 0 < len(kept) < 36
    assert f"{len(kept)} of 36 tracklets" in small
    assert "did not fit" in small


def test_pictures_become_smaller_before_they_become_fewer(tmp_path):
    partition = toy_run.partition_of(pids=("0001",))
    toy_run.write_data(tmp_path, partition, size=(288, 144))
    wanted = range(len(partition.tracklets))
    large = make_thumbnails(tmp_path, partition.tracklets, wanted, 10**6)
    small = make_thumbnails(tmp_path, partition.tracklets, wanted, 30_000)
    assert (large.height, len(large.pictures)) == (144, 6)
    assert small.height < 144
    assert len(small.pictures) == 6
    assert sum(map(len, small.pictures.values())) <= 30_000


def test_a_very_wide_frame_becomes_no_wider_than_twice_its_height():
    picture = base64.b64decode(encoded(np.zeros((100, 900, 3), np.uint8), 50))
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), 1).shape == (50, 100, 3)


@pytest.mark.slow
def test_a_limit_below_the_page_without_pictures_is_refused(sources):
    with pytest.raises(ReportError, match="without any picture"):
        make_page(sources, 3, 10_000)


def test_lists_that_take_too_much_leave_out_the_best_queries(sources):
    embedded = Embedded(sources.embeddings, sources.positions, sources.partition)
    rankings = ranked(embedded, "test", "euclidean", 3)
    everything = pages.rank_lists(rankings, 10**6)
    few = pages.rank_lists(rankings, 1000)
    kept = [line[1] for lines in few.directions.values() for line in lines]
    others = sorted(line[1] for lines in everything.directions.values() for line in lines)
    assert few.left_out == 36 - len(kept) > 0
    assert sorted(kept) == others[: len(kept)]


@pytest.mark.slow
def test_frames_that_cannot_be_read_leave_the_rest_of_the_page_whole(tmp_path, toy, sources):
    for path in sources.partition.tracklets[:2]:
        assert (toy / "data" / path.path).is_dir()
    (tmp_path / "partition.json").write_bytes((toy / "data" / "partition.json").read_bytes())
    text = make_page(read_sources(toy / "run", tmp_path))
    assert toy_run.data_of(text)["pictures"] == {}
    assert "No pictures: there are no readable frames" in text


def test_other_data_than_those_tested_are_refused(tmp_path, toy):
    partition = toy_run.partition_of()
    partition.source["digest"] = "e" * 64
    toy_run.write_data(tmp_path, partition)
    with pytest.raises(ReportError, match="not the data that were tested"):
        read_sources(toy / "run", tmp_path)


def test_missing_data_are_named_with_the_option(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReportError, match="--data ROOT"):
        read_sources(toy / "run")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"no archive"])
def test_damaged_embeddings_are_named(content, tmp_path, toy, sources):
    toy_run.write_run(tmp_path / "run", sources.partition, sources.embeddings)
    (tmp_path / "run" / "test" / "embeddings.npz").write_bytes(content)
    with pytest.raises(ReportError, match=r"embeddings\.npz: cannot be read"):
        read_sources(tmp_path / "run", toy / "data")


def test_embeddings_that_are_not_finite_are_named(tmp_path, toy, sources):
    embeddings = sources.embeddings.copy()
    toy_run.write_run(tmp_path / "run", sources.partition, embeddings)
    embeddings[4, 0, 0] = np.nan
    paths = [tracklet.path for tracklet in sources.partition.tracklets]
    np.savez(tmp_path / "run/test/embeddings.npz", embeddings=embeddings, path=paths)
    with pytest.raises(ReportError, match=f"{paths[4]} is not finite"):
        read_sources(tmp_path / "run", toy / "data")


def test_embeddings_of_earlier_tests_are_found_by_their_paths(tmp_path, toy, sources):
    toy_run.write_run(tmp_path / "run", sources.partition, sources.embeddings)
    order = np.random.default_rng(0).permutation(len(sources.embeddings))
    paths = np.array([tracklet.path for tracklet in sources.partition.tracklets])
    file = tmp_path / "run/test/embeddings.npz"
    np.savez(file, embeddings=sources.embeddings[order], path=paths[order])
    assert read_sources(tmp_path / "run", toy / "data").positions.tolist() == order.tolist()


@pytest.mark.parametrize("position", [[1, 0], [0, 99], [-1, 1]])
def test_a_partition_with_other_tracklets_is_refused_by_name(position, tmp_path, toy, sources):
    toy_run.write_run(tmp_path / "run", sources.partition, sources.embeddings)
    file = tmp_path / "run/test/embeddings.npz"
    paths = [tracklet.path for tracklet in sources.partition.tracklets]
    everything = np.array([*position, *range(2, len(paths))])
    np.savez(file, embeddings=sources.embeddings, path=paths, position=everything)
    with pytest.raises(ReportError, match=r"embeddings\.npz: .* not the one that was tested"):
        read_sources(tmp_path / "run", toy / "data")
    np.savez(file, embeddings=sources.embeddings, path=["elsewhere", *paths[1:]])
    with pytest.raises(ReportError, match="1 tracklets are not .*elsewhere"):
        read_sources(tmp_path / "run", toy / "data")


def test_a_run_that_was_not_tested_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"test/metrics\.json: cannot be read"):
        read_sources(tmp_path)


@pytest.mark.slow
def test_the_command_writes_the_page_beside_the_record(toy, tmp_path, sources, capsys):
    toy_run.write_run(tmp_path / "run", sources.partition, sources.embeddings)
    assert main(["report", str(tmp_path / "run"), "--data", str(toy / "data"), "--top", "3"]) == 0
    target = tmp_path / "run" / "test" / "report.html"
    assert str(target) in capsys.readouterr().out
    assert {
        len(line[5]) for line in toy_run.data_of(target.read_text())["lists"]["infrared_to_visible"]
    } == {3}


def test_a_number_of_places_that_makes_no_list_is_refused(toy, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["report", str(toy / "run"), "--top", "0"])
    assert ended.value.code == 1
    assert "--top is 0" in capsys.readouterr().err
