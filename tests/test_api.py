import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "engine"))
from engine_parts import CATALOG, Tiny, catalog_of, changed, make_config, prepare

import opengait_ext
from opengait_ext import load
from opengait_ext.api import EmbedError, sha256_of
from opengait_ext.config import ConfigError
from opengait_ext.data.layout import read_frames, read_partition
from opengait_ext.engine import run
from opengait_ext.engine.checkpoint import CheckpointError
from opengait_ext.prepare.image_files import frames_in

RUN = "output/Toy/Tiny/toy"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with prepared data and a trained and tested run; tests read it."""
    folder = tmp_path_factory.mktemp("finished")
    prepare(folder / "data")
    config = make_config(folder / "data", {"trainer_cfg.total_iter": 2, "trainer_cfg.save_iter": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(config, "both", "cpu", False, [], CATALOG)
    return folder


@pytest.fixture
def model(finished):
    return load(finished / RUN, "cpu", catalog=CATALOG)


def frames_of(path):
    from opengait_ext.data.frames import decode

    images = [decode(image) for image in read_frames(path, range(4))]
    return np.stack(images).transpose(0, 3, 1, 2)


def stored_of(finished):
    with np.load(finished / RUN / "test/embeddings.npz") as file:
        return {name: file[name] for name in file.files}


def test_importing_the_package_needs_no_torch_and_loading_is_a_name_of_it():
    program = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\n"
        "import opengait_ext; opengait_ext.__version__"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1])
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        _ = opengait_ext.lod


@pytest.mark.slow
def test_embeddings_of_frames_are_those_of_the_test(model, finished):
    stored = stored_of(finished)
    for place in (0, 2, 7):
        path, modality = stored["path"][place], stored["modality"][place]
        z = model.embed(frames_of(finished / "data" / str(path)), modality=str(modality))
        assert (z.shape, z.dtype) == ((1, 6, 2), np.float32)
        np.testing.assert_allclose(z[0], stored["embeddings"][place], rtol=1e-5, atol=1e-6)


def test_prepared_tracklets_are_embedded_as_in_the_test(model, finished):
    partition = read_partition(finished / "data/partition.json")
    chosen = [tracklet for tracklet in partition.tracklets if tracklet.split == "test"]
    from dataclasses import replace

    some = replace(partition, tracklets=chosen, tasks={}, pairs=[])
    z = model.embed_prepared(finished / "data", some)
    np.testing.assert_allclose(z, stored_of(finished)["embeddings"], rtol=1e-5, atol=1e-6)


def test_one_several_and_a_list_of_tracklets_give_the_same(model):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (7, 4, 3, 16, 8), dtype=np.uint8)
    whole = model.embed(frames, "visible")
    assert whole.shape == (7, 6, 2)
    np.testing.assert_allclose(whole[3:4], model.embed(frames[3], "visible"), atol=1e-6)
    tensors = [torch.from_numpy(clip) for clip in frames]
    np.testing.assert_allclose(model.embed(tensors, "visible"), whole, atol=1e-6)


def test_tracklets_of_other_sizes_and_lengths_go_through_the_tests_transforms(model):
    rng = np.random.default_rng(1)
    clips = [
        rng.integers(0, 256, (length, 3, height, 20), dtype=np.uint8)
        for length, height in ((1, 40), (5, 33), (3, 16))
    ]
    z = model.embed(clips, "infrared")
    assert z.shape == (3, 6, 2)
    # The rule first_in_run takes frames 0 and 3 of 5, runs of 3.
    np.testing.assert_allclose(model.embed(clips[1][[0, 3]], "infrared"), z[1:2], atol=1e-6)
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(clips[1]).float(), (16, 8), mode="bilinear", antialias=True
    )
    again = model.embed(resized.round().clamp(0, 255).byte(), "infrared")
    np.testing.assert_allclose(again, z[1:2], atol=1e-2)


def test_models_see_the_modality(finished):
    class Seeing(Tiny):
        def forward(self, inputs):
            result = super().forward(inputs)
            shift = torch.tensor([float(kind == "ir") for kind in inputs[2]])
            result["inference_feat"]["embeddings"] += shift[:, None, None]
            return result

    Seeing.__name__ = "Tiny"
    model = load(finished / RUN, "cpu", catalog=catalog_of(Seeing))
    frames = np.zeros((2, 3, 16, 8), np.uint8)
    difference = model.embed(frames, "infrared") - model.embed(frames, "visible")
    np.testing.assert_allclose(difference, 1, atol=1e-6)


def test_a_folder_of_images_is_a_tracklet_in_the_order_of_its_numbers(model, finished, tmp_path):
    source = finished / "data/7/ir/D2-T2"
    for number, image in zip((1, 2, 10, 11), read_frames(source, range(4)), strict=True):
        (tmp_path / f"frame{number}.jpg").write_bytes(image)
    (tmp_path / "notes.txt").write_text("no image")
    names = frames_in(tmp_path).images
    assert names == ("frame1.jpg", "frame2.jpg", "frame10.jpg", "frame11.jpg")
    expected = stored_of(finished)["embeddings"][2:3]
    np.testing.assert_allclose(model.embed_folder(tmp_path, "infrared"), expected, atol=1e-6)
    (tmp_path / "frame1.jpg").write_bytes(b"broken")
    with pytest.raises(EmbedError, match="frame1.jpg: cannot be decoded"):
        model.embed_folder(tmp_path, "infrared")
    with pytest.raises(EmbedError, match="there is no image here; expected a folder of the"):
        model.embed_folder(finished, "infrared")


def test_a_model_tells_its_config_and_where_it_comes_from(model, finished):
    path = finished / RUN / "checkpoints/toy-00002.pt"
    assert model.config["trainer_cfg"]["total_iter"] == 2
    about = {"checkpoint": str(path), "selection": "last", "iteration": 2, "model": "Tiny"}
    about |= {"metric": "euclidean", "frames": 2, "frame_rule": "first_in_run", "device": "cpu"}
    assert {name: model.about[name] for name in about} == about
    assert model.about["sha256"] == sha256_of(path)


def test_a_checkpoint_by_itself_is_loaded(finished):
    first = finished / RUN / "checkpoints/toy-00001.pt"
    model = load(str(first), "cpu", catalog=CATALOG)
    assert (model.about["iteration"], model.about["selection"]) == (1, "given by hand")


def test_a_run_whose_test_was_told_which_checkpoint_gives_that_one(finished, tmp_path):
    store = tmp_path / RUN / "checkpoints"
    store.mkdir(parents=True)
    for number in (1, 2):
        content = torch.load(finished / RUN / f"checkpoints/toy-0000{number}.pt", weights_only=True)
        content["config"] = changed(content["config"], {"evaluator_cfg.restore_hint": 1})
        torch.save(content, store / f"toy-0000{number}.pt")
    model = load(tmp_path / RUN, "cpu", catalog=CATALOG)
    assert model.about["iteration"] == 1


def test_weights_without_a_config_need_one(finished, tmp_path):
    content = torch.load(finished / RUN / "checkpoints/toy-00002.pt", weights_only=True)
    torch.save({"model": content["model"]}, tmp_path / "w.pt")
    with pytest.raises(EmbedError, match=r"w.pt: holds no config.*--config FILE"):
        load(tmp_path / "w.pt", "cpu", catalog=CATALOG)
    import yaml

    (tmp_path / "c.yaml").write_text(yaml.safe_dump(content["config"]))
    model = load(tmp_path / "w.pt", "cpu", config=tmp_path / "c.yaml", catalog=CATALOG)
    expected = load(finished / RUN, "cpu", catalog=CATALOG)
    frames = np.zeros((2, 3, 16, 8), np.uint8)
    np.testing.assert_array_equal(model.embed(frames, "visible"), expected.embed(frames, "visible"))
    other = changed(content["config"], {"model_cfg.channels": 9})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(CheckpointError, match="this checkpoint is not of this model"):
        load(tmp_path / "w.pt", "cpu", config=tmp_path / "c.yaml", catalog=CATALOG)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(EmbedError, match="none: there is no such run or checkpoint"):
        load(tmp_path / "none")
    with pytest.raises(EmbedError, match=r"neither checkpoints/\*.pt nor test/metrics.json"):
        load(tmp_path)
    (tmp_path / "x.pt").write_text("x")
    with pytest.raises(CheckpointError, match="cannot be read as a file of torch.save"):
        load(tmp_path / "x.pt")


def test_an_unknown_device_is_refused(finished):
    with pytest.raises(ConfigError, match="--device abacus"):
        load(finished / RUN, "abacus", catalog=CATALOG)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "there is no tracklet to embed"),
        (np.zeros((2, 3, 4, 4), np.float32), r"uint8 \[s, 3, h, w\], RGB, found float32"),
        (torch.zeros(2, 3, 4, 4), r"tracklet 0: expected .* found float32 \[2, 3, 4, 4\]"),
        (np.zeros((2, 4, 4, 4), np.uint8), r"tracklet 0: .* found uint8 \[2, 4, 4, 4\]"),
        (np.zeros((8, 4, 3), np.uint8), r"tracklet 0: .* like a single frame \[h, w, 3\]; give"),
        ([np.zeros((8, 4, 3), np.uint8)] * 2, r"single frame .* np.stack\(frames\)"),
        (np.zeros((8, 4), np.uint8), r"or gray \[s, h, w\], found uint8 \[8, 4\]"),
        ([np.zeros((2, 3, 4, 4), np.uint8), np.zeros((0, 3, 4, 4), np.uint8)], "tracklet 1: "),
    ],
)
def test_frames_of_another_form_are_refused(model, frames, message):
    with pytest.raises(EmbedError, match=message):
        model.embed(frames, "visible")


def test_colors_may_stand_last_and_gray_frames_have_none(model, finished):
    frames = frames_of(finished / "data/8/rgb/D0-T0")
    expected = model.embed(frames, "visible")
    last = np.ascontiguousarray(frames.transpose(0, 2, 3, 1))
    for given in (last, torch.from_numpy(last), [last], last[None]):
        np.testing.assert_array_equal(model.embed(given, "visible"), expected)
    gray = frames[:, 0]
    expected = model.embed(np.stack([gray] * 3, axis=1), "infrared")
    np.testing.assert_array_equal(model.embed(gray, "infrared"), expected)
    np.testing.assert_array_equal(model.embed([gray, gray], "infrared")[1:], expected)


def test_all_words_for_a_modality_mean_the_same(model, finished):
    frames = frames_of(finished / "data/8/rgb/D0-T0")
    for modality, words in {"visible": ("rgb", "VIS"), "infrared": ("ir", "thermal")}.items():
        expected = model.embed(frames, modality)
        for word in words:
            np.testing.assert_array_equal(model.embed(frames, word), expected)


def test_a_model_shows_what_it_is_and_how_it_is_used(model):
    shown = repr(model)
    assert shown.startswith("<Tiny trained on Toy, iteration 2, on cpu: .embed(frames, modality)")
    assert "toy-00002.pt" in shown


def test_an_unknown_modality_is_refused(model):
    with pytest.raises(EmbedError, match="expected one of rgb, visible, .*, found 'uv'"):
        model.embed(np.zeros((2, 3, 4, 4), np.uint8), "uv")


def test_an_embedding_that_is_not_finite_is_refused_with_the_tracklet(finished):
    class Failing(Tiny):
        def forward(self, inputs):
            result = super().forward(inputs)
            result["inference_feat"]["embeddings"][1:2] = float("nan")
            return result

    Failing.__name__ = "Tiny"
    model = load(finished / RUN, "cpu", catalog=catalog_of(Failing))
    with pytest.raises(EmbedError, match="tracklet 1: 1 of 2 embeddings are not finite"):
        model.embed(np.zeros((2, 2, 3, 4, 4), np.uint8), "visible")
    partition = read_partition(finished / "data/partition.json")
    with pytest.raises(EmbedError, match=r"^1/rgb/D1-T1, 2/ir/D2-T2, .*: 7 of 36 emb"):
        model.embed_prepared(finished / "data", partition)
