"""Import of published weights; files that do not fit are refused with all differences."""

import argparse
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from opengait_ext import __version__
from opengait_ext.dinov2_names import metas_names
from opengait_ext.errors import UserError
from opengait_ext.escaping import escaped
from opengait_ext.pretrained.files import (
    BEST_MODEL,
    BEST_MODEL2,
    BEST_SHAPE,
    BIGGAIT_MASK,
    BIGGAIT_MODEL,
    DINOV2,
    Kind,
    Source,
    check_target,
    kind_of,
    read_source,
    some_lines,
    write_target,
)
from opengait_ext.pretrained.fit import (
    CLASSES,
    MODEL,
    Tensors,
    expected_biggait,
    expected_mask,
    expected_network,
    expected_vit,
    misfits,
    vit_sizes,
)
from opengait_ext.released import (
    APPEARANCE,
    ATTENTION,
    BIGGAIT,
    CLASSIFIER,
    GAIT,
    MASK_BRANCH,
    Names,
    Translation,
    translate,
)
from opengait_ext.weights import shares

_CONFIG = "configs/dinogrl_released_vcm.yaml"
_BIGGAIT_CONFIG = "configs/biggait_ccpg.yaml"
_UNUSED_CLASSIFIER = "classifier of the training identities, used in training alone"
_META: Names = {"": ""}  # our transformer uses Meta's names


class Published(NamedTuple):
    """A published file, its expected kind, and the mapping of its names to ours."""

    source: Source
    state: dict[str, Tensor]
    kind: Kind
    names: Names


def import_dinogrl(arguments: argparse.Namespace) -> None:
    """Write a checkpoint from the three published ones.

    Args:
        arguments: The parsed command line, see ``weights.py``.

    Raises:
        UserError: If a file does not fit the network, or the target cannot be written.
    """
    options = ("model", "attention", "shape")
    sources = [read_source(getattr(arguments, option), f"--{option}") for option in options]
    check_target(arguments.target, sources)
    kinds = (BEST_MODEL, BEST_MODEL2, BEST_SHAPE)
    names = (APPEARANCE, ATTENTION, GAIT)
    states = [source.state() for source in sources]
    files = [Published(*file) for file in zip(sources, states, kinds, names, strict=True)]
    _check_places(files)
    classes = _classes(files, arguments.keep_classifier)
    expected = expected_network(files[0].state, files[2].state, classes)
    if not arguments.keep_classifier:
        expected = {n: value for n, value in expected.items() if not n.startswith(CLASSIFIER)}
    found = [_translated(file, arguments.keep_classifier) for file in files]
    _refuse_misfits(files, found, expected, MODEL)

    together = {name: value for each in found for name, value in each.weights.items()}
    weights = {name: together[name].detach() for name in expected}
    ignored = _tell_ignored(zip(sources, found, strict=True))
    origin = {
        "tool": "datasets/prep/weights.py import-dinogrl",
        "version": __version__,
        "files": {o: source.described() for o, source in zip(options, sources, strict=True)},
        "ignored": ignored,
    }
    write_target({"model": weights, "source": origin}, arguments.target)
    sizes = vit_sizes(files[2].state, "dinov2.dinov2.")
    _tell_result(arguments.target, weights, _test_of(_CONFIG, arguments.target, sizes))


def import_biggait(arguments: argparse.Namespace) -> None:
    """Write a checkpoint from one of OpenGait's BigGait.

    Args:
        arguments: The parsed command line, see ``weights.py``.

    Raises:
        UserError: If the file does not fit the network, or the target cannot be written.
    """
    source = read_source(arguments.source, "--source")
    check_target(arguments.target, [source])
    file = Published(source, source.state("model"), BIGGAIT_MODEL, BIGGAIT)
    _check_places([file])
    found = _translated(file, True)
    expected = expected_biggait(file.state)
    _refuse_misfits([file], [found], expected, "BigGait")
    weights = {name: found.weights[name].detach() for name in expected}
    origin = {
        "tool": "datasets/prep/weights.py import-biggait",
        "version": __version__,
        "files": {"source": source.described()},
        "ignored": _tell_ignored([(source, found)]),
    }
    write_target({"model": weights, "source": origin}, arguments.target)
    sizes = vit_sizes(file.state, "backbone.")
    _tell_result(arguments.target, weights, _test_of(_BIGGAIT_CONFIG, arguments.target, sizes))


def import_dinov2(arguments: argparse.Namespace) -> None:
    """Check a DINOv2 of Meta, timm or Hugging Face, and write its tensors with Meta's names.

    Args:
        arguments: The parsed command line, see ``weights.py``.

    Raises:
        UserError: If the file does not fit the network, or the target cannot be written.
    """
    source = read_source(arguments.source, "--source")
    check_target(arguments.target, [source])
    try:
        state = metas_names(source.state())
    except ValueError as fault:
        raise UserError(f"--source: {source.path}: {fault}") from fault
    file = Published(source, state, DINOV2, _META)
    _check_places([file])
    sizes = vit_sizes(file.state)
    found = _translated(file, True)
    expected = expected_vit(sizes)
    _refuse_misfits([file], [found], expected, "VisionTransformer")
    weights = {name: found.weights[name].detach() for name in expected}
    write_target(weights, arguments.target)
    _tell_result(
        arguments.target,
        weights,
        f"{_listed(sizes)}\nin a config:  model_cfg.dinov2_weights: {arguments.target}",
    )


def import_mask(arguments: argparse.Namespace) -> None:
    """Write weights of the mask branch from BigGait's published ones.

    Args:
        arguments: The parsed command line, see ``weights.py``.

    Raises:
        UserError: If the file does not fit the network, or the target cannot be written.
    """
    source = read_source(arguments.source, "--source")
    check_target(arguments.target, [source])
    has_entry = isinstance(source.content, Mapping) and "model" in source.content
    state = source.state("model" if has_entry else None)
    file = Published(source, state, BIGGAIT_MASK, MASK_BRANCH)
    _check_places([file])
    # Files of early torch versions lack the count, which is not used.
    file.state.setdefault("bn_s.num_batches_tracked", torch.tensor(0))
    found = _translated(file, True)
    expected = expected_mask(file.state)
    _refuse_misfits([file], [found], expected, "MaskBranch")
    _tell_ignored([(source, found)])
    weights = {name: found.weights[name].detach() for name in expected}
    write_target(weights, arguments.target)
    _tell_result(
        arguments.target, weights, f"in a config:  model_cfg.mask_weights: {arguments.target}"
    )


def _check_places(files: Iterable[Published]) -> None:
    """Refuse files whose tensor names belong to another kind of weights."""
    files = list(files)
    places = {file.kind: file.source.option for file in files}
    lines = []
    for file in files:
        kind = kind_of(file.state)
        if kind not in (None, file.kind):
            other = f", the file for {places[kind]}" if kind in places else ""
            lines.append(
                f"{file.source.option}: {file.source.path} looks like {kind.described}{other}; "
                f"expected {file.kind.described}"
            )
    if lines:
        raise UserError("\n".join([*lines, "Nothing was written."]))


def _classes(files: Sequence[Published], kept: bool) -> int:
    """Return the number of identities of the classifiers; arbitrary if they are not kept."""
    if not kept:
        return 1
    counts = {}
    for file in files:
        for name, value in file.state.items():
            if name.endswith("BNNecks.fc_bin") and value.dim():
                counts[f"{file.source.path.name}: {name}"] = value.shape[-1]
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} is for {count}" for name, count in counts.items())
        raise UserError(
            f"--keep-classifier: {listed} identities, but the network has one number of them. "
            "Leave the option out: nothing but training needs the classifiers. Nothing was written."
        )
    return next(iter(counts.values()), CLASSES)


def _translated(file: Published, kept: bool) -> Translation:
    found = translate(file.state, file.names)
    for name in [] if kept else [name for name in found.weights if name.startswith(CLASSIFIER)]:
        found.ignored[found.origin.pop(name)] = _UNUSED_CLASSIFIER
        del found.weights[name]
    return found


def _refuse_misfits(
    files: Sequence[Published], found: Sequence[Translation], expected: Tensors, network: str
) -> None:
    every = [
        misfits(file.state, translation, expected, file.names)
        for file, translation in zip(files, found, strict=True)
    ]
    lines = []
    for file, wrong, most in zip(files, every, shares([len(w) for w in every]), strict=True):
        if wrong:
            head = f"{file.source.option}: {file.source.path} does not fit {network} ({len(wrong)})"
            lines.append("\n  ".join([f"{head}:", *some_lines(wrong, most)]))
    if lines:
        raise UserError("\n".join([*lines, "Nothing was written."]))


def _tell_ignored(pairs: Iterable[tuple[Source, Translation]]) -> dict[str, list[str]]:
    """Print the tensors left out on purpose; return their names by reason."""
    ignored: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}
    for source, found in pairs:
        for name, reason in found.ignored.items():
            ignored.setdefault(reason, []).append(name)
            lines.setdefault(reason, []).append(f"  {source.path.name}: {escaped(name)}")
    for reason, names in lines.items():
        print("\n".join([f"left out, {reason} ({len(names)}):", *some_lines(names)]))
    return ignored


def _test_of(config: str, target: Path, sizes: Mapping[str, int]) -> str:
    hint = shlex.quote(f"evaluator_cfg.restore_hint={target}")
    test = f"python -m opengait.main --cfgs {config} --phase test --set {hint}"
    return f"{_listed(sizes)}\ntest it:  {test}"


def _listed(sizes: Mapping[str, int]) -> str:
    sized = ", ".join(f"{name}: {value}" for name, value in sizes.items())
    return f"model_cfg.dinov2 is of these sizes:  {sized}"


def _tell_result(target: Path, weights: Mapping[str, Tensor], use: str) -> None:
    values = sum(value.numel() for value in weights.values())
    size = target.stat().st_size
    print(f"{target}: {len(weights):,} tensors, {values:,} values, {size:,} bytes\n{use}")
