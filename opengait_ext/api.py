"""Python interface to trained models: ``load("output/...").embed(frames, "infrared")``."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .clips import EmbedError, Frames, clips_of, frame_folder, read_image
from .config import load_config
from .data.collate import collate
from .data.dataset import Sample
from .data.frames import pick_frames
from .data.layout import FOLDERS, Partition
from .data.words import WORDS, modality_of
from .engine import embedding
from .engine.catalog import Catalog, own_catalog
from .engine.checkpoint import CheckpointStore, load_weights, read_checkpoint
from .engine.devices import Computation, choose_device
from .engine.distributed import Group
from .engine.files import sha256_of
from .engine.origin import beginnings, resolved
from .engine.progress import LiveLine
from .engine.run import Run, make_model
from .engine.sections import check
from .engine.tester import chosen_checkpoint
from .engine.trained import check_tested
from .shipped import config_file

_BATCH = 32
_CHECKPOINT = re.compile(r".+-(\d{5,})\.pt")


class Embedder:
    """A trained model with the test's processing of frames.

    Args:
        run: Run of the model's config.
        model: With its weights, in eval mode.
        computation: Device and precision.
        about: Facts about the model.

    Attributes:
        config: The sections of the config of the training.
        about: ``checkpoint``, its ``sha256``, ``selection``, ``iteration``, ``model``, ``metric``,
            ``frames``, ``frame_rule``, ``precision``, ``device``.
        trained_on: The checkpoint's record of its training data; empty if there is none.
    """

    def __init__(
        self, run: Run, model: nn.Module, computation: Computation, about: dict[str, Any]
    ) -> None:
        self.config: Mapping[str, Any] = run.settings.config
        self.about = about
        self.trained_on: Mapping[str, Any] = {}
        self._run, self._model, self._computation = run, model.eval(), computation
        self._reading = run.settings.testing

    def __repr__(self) -> str:
        """Return the model's facts and an example of its use."""
        about = self.about
        return (
            f"<{about['model']} trained on {about['dataset']}, iteration {about['iteration']}, on "
            f"{about['device']}: .embed(frames, modality) -> float32 [n, d, p]; "
            f"{about['checkpoint']}>"
        )

    def embed(self, frames: Frames, modality: str) -> np.ndarray:
        """Embed tracklets as the test does, with its frame rule and its transforms.

        Args:
            frames: uint8, RGB, of any size: one tracklet ``[s, 3, h, w]`` or ``[s, h, w, 3]``,
                gray ``[s, h, w]``; several ``[n, s, 3, h, w]`` or ``[n, s, h, w, 3]``; or a list of
                tracklets that differ in length or size.
            modality: ``visible`` or ``infrared`` (or ``rgb``, ``ir``), the same for all tracklets.

        Returns:
            float32 ``[n, d, p]``; n is 1 for one tracklet.

        Raises:
            EmbedError: If there are no frames, they have another type or shape, or an embedding is
                not finite; the message has the number of the tracklet.
        """
        modality = _modality(modality)
        clips = clips_of(frames)
        names = [f"tracklet {place}" for place in range(len(clips))]
        return self._embedded(clips, names, modality)

    def embed_folder(
        self, folder: str | Path, modality: str, range16: tuple[float, float] | None = None
    ) -> np.ndarray:
        """Embed the image files of a folder as one tracklet, in the order of their names.

        Numbers in names count as numbers: ``2.jpg`` comes before ``10.jpg``. The files are read
        as the preparation of recordings reads them.

        Args:
            folder: Folder with the frames of one person.
            modality: ``visible`` or ``infrared``.
            range16: The values of 16-bit images to map to black and white; None: the 0.5th and
                99.5th percentile of all images of the folder.

        Returns:
            float32 ``[1, d, p]``.

        Raises:
            EmbedError: If there is no image, a frame occurs twice, or an image cannot be read.
        """
        modality = _modality(modality)
        frames = frame_folder(folder, range16)
        resize = self._reading.transform.resize
        images = [read_image(frames, place, resize) for place in self._picked(len(frames))]
        if len({image.shape for image in images}) > 1 and resize:
            images = [resize(image, modality, np.random.default_rng(0)) for image in images]
        if len({image.shape for image in images}) > 1:
            raise EmbedError(
                f"{folder}: its images differ in size, and the test of this model does not resize "
                "them (evaluator_cfg.transform): give images of one size"
            )
        return self._embedded([torch.cat(images)], [str(folder)], modality, picked=True)

    def embed_prepared(self, root: str | Path, partition: Partition) -> np.ndarray:
        """Embed all tracklets of a partition, as the test does.

        Args:
            root: Folder of the prepared data.
            partition: The tracklets, in the order of the embeddings.

        Returns:
            float32 ``[n, d, p]``.

        Raises:
            UserError: If a tracklet is missing or damaged.
            EmbedError: If an embedding is not finite.
        """
        settings = self._run.settings
        dataset = self._reading.dataset(
            replace(settings.data, dataset_root=str(root)),
            partition,
            sorted({tracklet.split for tracklet in partition.tracklets}),
        )
        embeddings = embedding.embed(self._run, self._model, dataset, self._computation)
        assert embeddings is not None, "this process is the only one"
        _check_finite(embeddings, [tracklet.path for tracklet in partition.tracklets])
        return embeddings

    def _embedded(
        self, clips: Sequence[Tensor], names: list[str], modality: str, picked: bool = False
    ) -> np.ndarray:
        size = self._reading.sampler.arguments.get("batch_size", _BATCH)
        parts = []
        for start in range(0, len(clips), size):
            samples = [self._sample(clip, modality, picked) for clip in clips[start : start + size]]
            with torch.no_grad(), self._computation.autocast():
                inputs = self._computation.inputs(collate(samples))
                features = self._model(inputs)["inference_feat"]["embeddings"]
            parts.append(features.float().cpu().numpy())
        embeddings = np.concatenate(parts)
        _check_finite(embeddings, names)
        return embeddings

    def _sample(self, frames: Tensor, modality: str, picked: bool) -> Sample:
        rng = np.random.default_rng(0)
        wanted = self._picked(len(frames), rng)
        frames = frames if picked else frames[torch.from_numpy(wanted)]
        frames = self._reading.transform(frames, modality, rng)
        return Sample(frames, 0, FOLDERS[modality], "", 0)

    def _picked(self, length: int, rng: np.random.Generator | None = None) -> np.ndarray:
        rng = rng or np.random.default_rng(0)  # as for every tracklet of a test
        return pick_frames(length, self._reading.frames, self._reading.frame_rule, rng)


def load(
    run_or_checkpoint: str | Path,
    device: str = "auto",
    config: str | Path | None = None,
    catalog: Catalog | None = None,
) -> Embedder:
    """Load a trained model.

    Args:
        run_or_checkpoint: The folder of a run, ``output/<dataset>/<model>/<save_name>``, to load
            the same checkpoint as its test; or a ``.pt`` file.
        device: ``auto``, ``cpu``, or another device name of the engine.
        config: A config, as a file or a shipped name, for checkpoints without one (imported ones).
        catalog: Registries of the components; None: those of this package.

    Raises:
        EmbedError: If there is no such run or file, or neither it nor the caller has a config.
        ConfigError: If the config is wrong, or the device does not exist.
        CheckpointError: If the checkpoint is missing, or belongs to another model.
    """
    given = Path(run_or_checkpoint)
    known = None if config is None else load_config(config_file(str(config)))
    catalog = catalog or own_catalog()
    if given.is_dir():
        given = given.absolute()
        run = _run(known or _config_of(given), catalog, device)
        store = CheckpointStore(given / "checkpoints", run.settings.trainer.save_name)
        path, selection = chosen_checkpoint(run, store, run.settings.evaluator.restore_hint == 0)
        content = store.read(path)
    elif given.is_file():
        path, selection, content = given.absolute(), "given by hand", read_checkpoint(given)
        run = _run(known or _config_in(content, given), catalog, device)
    else:
        raise EmbedError(
            f"{given}: there is no such run or checkpoint; give output/<dataset>/<model>/"
            "<save_name>, or a .pt file"
        )
    evaluator = run.settings.evaluator
    check_tested(run, content, path, evaluator.restore_strict)
    computation = run.computation(evaluator.precision, "evaluator_cfg.precision")
    model = make_model(run, computation, pretrained=not evaluator.restore_strict)
    load_weights(model, content["model"], evaluator.restore_strict, path)
    model.iteration = content.get("iteration", 0)
    about = {
        "checkpoint": str(path),
        "sha256": sha256_of(path),
        "selection": selection,
        "iteration": content.get("iteration", 0),
        "model": run.settings.model_name,
        "dataset": run.settings.data.dataset_name,
        "metric": run.settings.evaluate.arguments.get("metric", "euclidean"),
        "frames": run.settings.testing.frames,
        "frame_rule": run.settings.testing.frame_rule,
        "precision": computation.precision,
        "device": str(run.device),
    }
    embedder = Embedder(run, model, computation, about)
    if isinstance(content.get("data"), Mapping):
        embedder.trained_on = content["data"]
    return embedder


def _run(config: Mapping[str, Any], catalog: Catalog, device: str) -> Run:
    return Run(check(config, catalog, "stored"), choose_device(device), Group(), [], LiveLine())


def _config_of(folder: Path) -> Mapping[str, Any]:
    """Return the config of a run: that of its newest checkpoint, else of its test's record."""
    matches = [(_CHECKPOINT.fullmatch(path.name), path) for path in folder.glob("checkpoints/*.pt")]
    newest = max(((int(match[1]), path) for match, path in matches if match), default=None)
    if newest:
        store = CheckpointStore(folder / "checkpoints", newest[1].stem.rpartition("-")[0])
        return _config_in(store.read(newest[1]), newest[1])
    record = folder / "test" / "metrics.json"
    if not record.is_file():
        raise EmbedError(
            f"{folder}: neither checkpoints/*.pt nor test/metrics.json is here, so this is no "
            "folder of a run; give output/<dataset>/<model>/<save_name>, or a .pt file"
        )
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        # The test's config; files of earlier versions have one config for everything.
        tested = content.get("test_config", content.get("config"))
    except (ValueError, AttributeError, RecursionError) as fault:
        raise EmbedError(
            f"{record}: cannot be read ({fault}); test the run again (--phase test), or give the "
            "config file (config=..., --config FILE)"
        ) from fault
    return _config_in({**content, "config": tested}, record)


def _config_in(content: Mapping[str, Any], place: Path) -> Mapping[str, Any]:
    config = content.get("config")
    if not isinstance(config, Mapping):
        raise EmbedError(
            f"{place}: holds no config, as imported weights do not; give the config file that "
            "belongs to it (config=..., --config FILE)"
        )
    return resolved(config, beginnings(content.get("started_in"), place))


def _modality(word: str) -> str:
    """Return ``visible`` or ``infrared`` for any known word for a modality."""
    found = modality_of(word) if isinstance(word, str) else None
    if found is None:
        raise EmbedError(f"modality: expected one of {WORDS}, found {word!r}")
    return found


def _check_finite(embeddings: np.ndarray, names: Sequence[str]) -> None:
    wrong = np.flatnonzero(~np.isfinite(embeddings).all(axis=(1, 2)))
    if len(wrong):
        shown = ", ".join(names[place] for place in wrong[:5])
        raise EmbedError(
            f"{shown}: {len(wrong)} of {len(names)} embeddings are not finite. Look at the frames "
            "and at the losses of the training, or set evaluator_cfg.precision: float32"
        )
