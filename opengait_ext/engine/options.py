"""Config sections of the engine, as dataclasses: their fields are the keys."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from ..data.layout import FRAMES

Precision = Literal["float32", "bfloat16", "float16", "auto"]
Compile = Literal["never", "auto"]
Keep = Literal["last", "best", "best_on_test"]

VALIDATION_SPLIT = "val"
_WEIGHT_FILES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
_PLAIN_NAME = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True)
class PrepareOptions:
    """Preparation of the data if they are missing.

    Attributes:
        run: True: the engine runs the commands; false: it only names them.
        access: Where to request access to the data.
        commands: Python scripts below ``datasets/prep`` with their arguments, in order; if they
            do not exist, the package runs them itself.
    """

    run: bool
    access: str
    commands: list[str]


@dataclass(frozen=True)
class DataOptions:
    """Location of the prepared data, and the splits to train on.

    Attributes:
        dataset_name: First folder of the output path.
        dataset_root: Folder of the prepared tracklets.
        dataset_partition: The ``partition.json`` of that folder.
        train_splits: Splits of the partition to train on.
        num_workers: Processes that read and transform; 0: the main process does it.
        prepare: Preparation of the data.
        stream: Which file of each tracklet to read, without its suffix; ``{view}`` stands for the
            name of its folder, ``*`` for any text if exactly one file matches.
        loader_timeout: Seconds without a batch after which the loader processes are considered
            stuck.
    """

    dataset_name: str
    dataset_root: str
    dataset_partition: str
    train_splits: list[str]
    num_workers: int
    prepare: PrepareOptions
    stream: str = FRAMES
    loader_timeout: int = 600

    def faults(self) -> Iterator[str]:
        """Yield a message for each value that no run can have."""
        yield from _name_faults("dataset_name", self.dataset_name)
        if not self.stream or set("/\\:") & set(self.stream):
            yield f"stream: expected the name of a file without its ending, found {self.stream!r}"
        if not self.train_splits:
            yield "train_splits: expected at least one split, such as [train], found []"
        for split in dict.fromkeys(self.train_splits):
            if self.train_splits.count(split) > 1:
                yield f"train_splits: {split!r} stands there more than once: leave one"


@dataclass(frozen=True)
class TrainerOptions:
    """Training of a model.

    Attributes:
        save_name: Last folder of the output path, and prefix of the checkpoints' names.
        seed: Seed of the weights, the batches and the augmentation.
        total_iter: Iterations of the whole training.
        log_iter: Iterations between two log lines and points of each curve.
        save_iter: Iterations between two checkpoints.
        eval_iter: Iterations between two tests on the validation split; 0: no tests.
        keep: Which checkpoint the test uses: the last, the best on the validation split,
            or the best on the test split (a published habit, named in the result).
        restore_hint: ``auto`` resumes from the newest checkpoint of this run; 0 starts anew;
            n resumes from iteration n; a path loads only the weights.
        restore_strict: Whether a checkpoint must fit the model in every key.
        precision: Precision of the forward pass; losses are always computed in float32.
        accumulate: Number of micro-batches per batch; the gradient stays that of the batch.
        clip_grad_norm: Largest norm of the gradient; 0: no limit.
        sampler: Sampler of the batches.
        transform: Augmentation, in order.
        keep_checkpoints: Number of newest checkpoints to keep, in addition to the best; 0: all.
        sync_batch_norm: Batch normalization over the statistics of all processes, so that a run
            does not depend on their number; false: each process uses its own.
        find_unused_parameters: For models with parts that are not always used, in several
            processes.
        compile: ``auto`` compiles the frozen parts of the model with torch if the first batch
            shows that this is correct and faster on this machine. The check takes about half a
            minute, and the last digits of the results depend on the choice. ``never``: no
            compilation.
    """

    save_name: str
    seed: int
    total_iter: int
    log_iter: int
    save_iter: int
    eval_iter: int
    keep: Keep
    restore_hint: int | str
    restore_strict: bool
    precision: Precision
    accumulate: int
    clip_grad_norm: float
    sampler: dict[str, Any]
    transform: list[dict[str, Any]]
    keep_checkpoints: int = 2
    sync_batch_norm: bool = True
    find_unused_parameters: bool = False
    compile: Compile = "never"

    def faults(self) -> Iterator[str]:
        """Yield a message for each value that no run can have."""
        yield from _name_faults("save_name", self.save_name)
        if self.clip_grad_norm < 0:
            yield f"clip_grad_norm: expected 0 or more, found {self.clip_grad_norm}"
        yield from _hint_faults(self.restore_hint)
        if self.keep != "last" and not self.eval_iter:
            yield f"keep: {self.keep!r} needs tests during the training: set eval_iter above 0"


@dataclass(frozen=True)
class EvaluatorOptions:
    """Test of a model; further keys are arguments of the evaluator.

    Attributes:
        save_name: The trainer's ``save_name``.
        restore_hint: ``auto``, or 0 right after training, takes the checkpoint that
            ``trainer_cfg.keep`` names; n that of iteration n; a path that file.
        restore_strict: Whether the checkpoint must fit the model in every key.
        precision: Precision of the forward pass; embeddings are stored in float32.
        eval_func: The protocol.
        split: Split of the partition to test.
        sampler: Sampler of the tracklets.
        transform: Transforms of the frames, in order.
        compile: As in training; the record of a test names the compiled parts.
        note: A note printed with every result, such as that it is of a smoke run.
    """

    save_name: str
    restore_hint: int | str
    restore_strict: bool
    precision: Precision
    eval_func: str
    split: str
    sampler: dict[str, Any]
    transform: list[dict[str, Any]]
    compile: Compile = "never"
    note: str = ""

    def faults(self) -> Iterator[str]:
        """Yield a message for each value that no run can have."""
        yield from _hint_faults(self.restore_hint)


def is_weight_file(value: Any) -> bool:
    """Return whether a value is the name of a file of weights."""
    return isinstance(value, str) and PurePath(value).suffix.lower() in _WEIGHT_FILES


def _name_faults(name: str, value: str) -> Iterator[str]:
    if not _PLAIN_NAME.fullmatch(value):
        yield f"{name}: expected letters, digits and any of . _ - +, found {value!r}"


def _hint_faults(hint: int | str) -> Iterator[str]:
    if isinstance(hint, int) and hint < 0:
        yield f"restore_hint: expected auto, 0, an iteration or a path, found {hint}"
    elif isinstance(hint, str) and not (hint == "auto" or is_weight_file(hint)):
        yield (
            "restore_hint: expected auto, an iteration or the path of a file of weights "
            f"({', '.join(_WEIGHT_FILES)}), found {hint!r}"
        )
