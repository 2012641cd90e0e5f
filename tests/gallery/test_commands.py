"""The commands from a trained model to an answer, on data of the engine's tests."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))
from engine_parts import make_config, prepare

from opengait_ext.cli import main
from opengait_ext.data.layout import read_frames
from opengait_ext.engine.catalog import own_catalog
from opengait_ext.gallery import Gallery
from opengait_ext.gallery.files import read_embeddings

MODEL = {
    "model_cfg": {
        "model": "AGW",
        "num_identities": 4,
        "image_size": [32, 16],
        "backbone": "resnet18",
        "backbone_weights": None,
        "non_local": [0, 0, 0, 0],
        "stem_relu": True,
        "set_pooling": "max",
    },
    "loss_cfg": [{"type": "CrossEntropyLoss", "log_prefix": "appearance_id", "scale": 1.0}],
    "evaluator_cfg.transform": [{"type": "Resize", "height": 32, "width": 16}],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Prepared data, and the checkpoint of an AGW with random weights."""
    folder = tmp_path_factory.mktemp("trained")
    prepare(folder / "data")
    config = make_config(folder / "data", MODEL)
    torch.manual_seed(0)
    model = own_catalog().models["AGW"]()
    model.build_network(config["model_cfg"])
    content = {"model": model.state_dict(), "config": config, "iteration": 0}
    (folder / "checkpoints").mkdir()
    torch.save(content, folder / "checkpoints/agw-00000.pt")
    return folder


@pytest.fixture
def program(trained, tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder; the model is ``MODEL``, the data ``DATA``."""
    monkeypatch.chdir(tmp_path)
    places = {"MODEL": str(trained / "checkpoints/agw-00000.pt"), "DATA": str(trained / "data")}

    def run(line, status=0):
        words = []
        for word in line.split():
            for name, place in places.items():
                word = word.replace(name, place)
            words.append(word)
        capsys.readouterr()
        if status:
            with pytest.raises(SystemExit) as ended:
                main(words)
            assert ended.value.code == status
        else:
            assert main(words) == 0
        seen = capsys.readouterr()
        return seen.err if status else seen.out

    return run


@pytest.mark.slow
def test_from_embedding_to_an_answer(program, tmp_path, trained):
    assert "6 tracklets -> g\n" in program("embed MODEL --data DATA --modality visible --target g")
    assert "6 tracklets -> g, 6 were there already" in program("embed MODEL --data DATA --target g")
    out = program("index g")
    assert "12 tracklets (infrared 6, visible 6)" in out
    assert "identities: 3" in out
    out = program("search g --query DATA/8/ir/D2-T2 --top 3 --json a.json --thumbnails a.html")
    answer = json.loads((tmp_path / "a.json").read_text())
    (query,) = answer["queries"]
    assert (query["pid"], query["modality"], query["among"]) == ("8", "infrared", "visible")
    assert query["nobody"] is None
    assert answer["threshold"] is None
    assert "no threshold: run opengait-ext calibrate" in out
    gallery = Gallery("g")
    place = [record.path for record in gallery.records].index("8/ir/D2-T2")
    rows = gallery.rows_of("visible")
    difference = gallery.embeddings[rows] - gallery.embeddings[place]
    distance = np.sqrt((difference**2).sum(1)).mean(1)
    order = np.argsort(distance)[:3]
    assert [match["row"] for match in query["matches"]] == rows[order].tolist()
    np.testing.assert_allclose(
        [match["distance"] for match in query["matches"]], distance[order], rtol=1e-4
    )
    assert [match["rank"] for match in query["matches"]] == [1, 2, 3]
    page = (tmp_path / "a.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert "http:" not in page
    assert "https:" not in page


@pytest.mark.slow
def test_a_calibrated_search_says_nobody(program, tmp_path, trained):
    program("embed MODEL --data DATA --target g")
    out = program("calibrate MODEL --far 0.25 --samples 50")
    found = json.loads((trained / "checkpoints/calibration.json").read_text())
    assert (found["identities"], found["pairs_of_one"], found["pairs_of_two"]) == (2, 8, 8)
    assert found["far"] <= 0.25
    assert found["split"] == "val"
    assert f"threshold {found['threshold']:.4f} (95 % interval over identities" in out
    out = program("search g --query DATA/8/ir/D2-T2 --json a.json --among other")
    answer = json.loads((tmp_path / "a.json").read_text())
    assert answer["threshold"]["distance"] == found["threshold"]
    assert answer["searches"]["visible"]["expected_false_accepts"] == pytest.approx(0.25 * 6)
    (query,) = answer["queries"]
    assert {match["modality"] for match in query["matches"]} == {"visible"}
    assert len(query["matches"]) == 6
    assert query["nobody"] is (query["matches"][0]["distance"] >= found["threshold"])
    out = program("search g --query DATA/8/ir/D2-T2 --threshold 0.0 --json a.json")
    assert "nobody: nothing is nearer than 0.0000" in out
    assert json.loads((tmp_path / "a.json").read_text())["queries"][0]["nobody"] is True
    (trained / "checkpoints/calibration.json").unlink()


@pytest.mark.slow
def test_a_file_of_embeddings_becomes_a_gallery_and_a_query(program, tmp_path):
    program("embed MODEL --data DATA --modality visible --target v.npz")
    program("embed MODEL --data DATA --modality infrared --target i.npz")
    content = read_embeddings("i.npz")
    assert [record.pid for record in content.records] == ["7", "7", "8", "8", "9", "9"]
    assert {record.modality for record in content.records} == {"infrared"}
    assert "6 tracklets (visible 6)" in program("index g --add v.npz")
    program("search g --query i.npz --json a.json --thumbnails a.png")
    answer = json.loads((tmp_path / "a.json").read_text())
    assert [len(query["matches"]) for query in answer["queries"]] == [6] * 6
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape[1] % 7 == 0
    assert "7/rgb/D0-T0: this tracklet is in the gallery" in program("index g --add v.npz", 1)


@pytest.mark.slow
def test_a_folder_of_images_is_embedded_and_searched_for(program, tmp_path, trained):
    (tmp_path / "walk").mkdir()
    for number, image in enumerate(read_frames(trained / "data/9/ir/D3-T3", range(4))):
        (tmp_path / f"walk/{number}.jpg").write_bytes(image)
    program("embed MODEL --data DATA --target g")
    program("embed MODEL --frames walk --modality infrared --id me --camera 5 "
            "--time 2024-05-01T10:00:00 --target g")  # fmt: skip
    record, embedding = Gallery("g").get(12)
    assert (record.path, record.pid, record.camid) == ("walk", "me", 5)
    assert record.time == "2024-05-01T10:00:00"
    same = [r.path for r in Gallery("g").records].index("9/ir/D3-T3")
    np.testing.assert_allclose(embedding, Gallery("g").get(same)[1], rtol=1e-4, atol=1e-5)
    out = program("search g --query walk --modality ir --among thermal --top 2")
    assert "1  0.0000  9  camera 3  9/ir/D3-T3\n" in out
    assert "  walk" not in out
    assert "(the query itself is in the gallery, and left out)" in out
    out = program("search g --query DATA/9/ir/D3-T3 --among ir --top 2")
    assert "0.0000  me  camera 5  walk  2024-05-01T10:00:00" in out


@pytest.mark.slow
def test_a_person_can_be_taken_out_and_deleted(program):
    program("embed MODEL --data DATA --target g")
    out = program("index g --remove 8")
    assert "4 tracklets of 8 are found no more" in out
    assert "removed, but on the disk until --purge: 4" in out
    assert "  8  " not in program("search g --query DATA/8/ir/D2-T2")
    assert "4 removed tracklets are deleted from the disk" in program("index g --purge")
    assert "no tracklet has the identity '8'" in program("index g --remove 8", 1)


@pytest.mark.slow
def test_a_gallery_of_another_checkpoint_is_refused(program, trained, tmp_path):
    program("embed MODEL --data DATA --target g")
    content = torch.load(trained / "checkpoints/agw-00000.pt", weights_only=True)
    torch.save({**content, "iteration": 1}, tmp_path / "other.pt")
    message = program("embed other.pt --data DATA --split val --target g", 1)
    assert "5/rgb/D0-T0" in message
    assert "embeddings of another model than those in g" in message
    message = program("search g --query DATA/8/ir/D2-T2 --model other.pt", 1)
    assert "other.pt is not the checkpoint of this gallery" in message
    program("embed other.pt --data DATA --split val --target o.npz")
    message = program("search g --query o.npz", 1)
    assert "o.npz: 5/rgb/D0-T0: embedded by checkpoint" in message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("embed MODEL --target g", "give either --data (prepared tracklets) or --frames"),
        ("embed MODEL --frames x --target g", "--frames needs --modality"),
        (
            "embed MODEL --data DATA --time noon --target g",
            "--time: expected a form as 2024-05",
        ),
        ("embed MODEL --data DATA --split dev --target g", "no tracklet of the split 'dev'"),
        (
            "embed MODEL --data DATA --target a.csv",
            "--target a.csv: embeddings go into a file .npz",
        ),
        ("embed MODEL --data nowhere --target g", "partition.json: cannot be read"),
        ("search g --query x --thumbnails a.gif", "--thumbnails: expected .html or .png"),
        ("search g --query x", "there is no gallery here"),
        ("index g", "there is no gallery here"),
        ("calibrate MODEL --split train", "the model was trained on it"),
        ("calibrate MODEL --split dev", "the split 'dev' has no tasks with infrared and"),
        ("calibrate MODEL --split dev", "give --split val or --split test, or other data (--data"),
        ("calibrate MODEL --far 0.001", "cannot be told from 8 pairs of two persons"),
        ("calibrate MODEL --samples 0", "--samples: expected 1 to 100000, found 0"),
        ("calibrate MODEL --samples 1000000000000", "--samples: expected 1 to 100000, found"),
        ("calibrate MODEL --far nan", "--far: expected above 0 and below 1, such as 0.01, found"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(program, line, message):
    assert message in program(line, 1)


@pytest.mark.slow
def test_other_data_where_those_of_the_training_were_calibrate_nothing(program, trained, tmp_path):
    content = torch.load(trained / "checkpoints/agw-00000.pt", weights_only=True)
    told = {"e": "prepared from another source", "d": "the split 'dev' has no tasks"}
    for source, said in told.items():
        path = tmp_path / f"{source}.pt"
        torch.save({**content, "data": {"digest": "x", "source": source}}, path)
        assert said in program(f"calibrate {path} --split dev", 1)


@pytest.mark.slow
def test_a_query_that_is_nothing_known_is_refused(program, tmp_path):
    program("embed MODEL --data DATA --target g")
    assert "expected the folder of a prepared tracklet" in program("search g --query x", 1)
    (tmp_path / "walk").mkdir()
    assert "a folder of images needs --modality" in program("search g --query walk", 1)
    (tmp_path / "x.npz").write_bytes(b"x")
    assert "x.npz: not a file of embeddings" in program("search g --query x.npz", 1)


def test_help_needs_neither_torch_nor_faiss():
    program = (
        "import sys; sys.modules['torch'] = sys.modules['faiss'] = None\n"
        "from opengait_ext.commands import calibrate, embed, index, search\n"
        "for each in (calibrate, embed, index, search): each.add_arguments(lambda *a, **k: None)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
