"""The check of prepared data on gait data sets, where they lie and packed."""

import os
import pickle

import pytest
from check_trees import results, run_check
from gait_trees import prepare, rgbs, silhouettes, write_files, write_tree

pytestmark = pytest.mark.slow

BENCHMARKS = [
    ("casia_b", "silhouettes"),
    ("ccpg", "rgb"),
    ("sustech1k", "rgb"),
    ("gait3d", "silhouettes"),
    ("ccgr_mini", "silhouettes"),
]


@pytest.mark.parametrize(("benchmark", "kind"), BENCHMARKS)
@pytest.mark.parametrize("packed", [False, True])
def test_data_without_fault_pass_every_check(tmp_path, benchmark, kind, packed):
    source, target = write_tree(tmp_path, benchmark), tmp_path / "packed"
    options = ["--target", target] if packed else []
    assert prepare(benchmark, source, "--kind", kind, *options) == 0
    status, report = run_check(target if packed else source)
    assert status == 0
    found = {name: entry["result"] for name, entry in results(report).items()}
    assert {name for name, result in found.items() if result != "ok"} == set()


class Hostile:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("spoil", "name", "text"),
    [
        (lambda file: file.unlink(), "files", "018.pkl is not there"),
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "images", "damaged"),
        (lambda file: file.write_bytes(b""), "empty", "the file is empty"),
        (lambda file: file.write_bytes(pickle.dumps(Hostile())), "safety", "refused, nothing was"),
        (
            lambda file: write_files(file.parent, {"018": silhouettes(9)}),
            "ranges",
            "holds 9 frames",
        ),
        (lambda file: (file.parent / "notes.txt").write_text(""), "stray", "belongs to nothing"),
    ],
)
def test_what_happened_to_a_pickle_since_is_found_by_its_check(tmp_path, spoil, name, text):
    source = write_tree(tmp_path, "casia_b")
    assert prepare("casia_b", source) == 0
    spoil(source / "075/nm-05/018/018.pkl")
    _, report = run_check(source)
    entry = results(report)[name]
    assert entry["result"] in ("fault", "warning")
    assert "075/nm-05/018" in entry["examples"][0]["place"]
    assert text in entry["examples"][0]["text"] or text in entry["examples"][0]["place"]


def test_a_stream_that_two_files_fit_is_found(tmp_path):
    source = write_tree(tmp_path, "sustech1k")
    assert prepare("sustech1k", source, "--kind", "rgb") == 0
    write_files(source / "0001/00-nm/000", {"05-copy": rgbs(3)})
    status, report = run_check(source)
    assert status == 1
    (example,) = results(report)["files"]["examples"]
    assert example["place"] == "0001/00-nm/000"
    assert (
        "expected one file 05-*.pkl or .zip, found 05-000-Camera-RGB_raw, 05-cop"
        in (example["text"])
    )
