"""Our evaluators in OpenGait's form, which passes a dictionary of embeddings and names.

OpenGait passes ``embeddings`` and the folder names of each tracklet: ``labels`` (identity),
``types`` and ``views``. Only here are rows matched by these names. In a run of one of our configs,
:class:`~opengait_ext.upstream.guest.Guest` adds ``embedded``, where the rows are known already.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.layout import Partition, Task, Tracklet
from ..escaping import some
from ..evaluation.embeddings import as_tensor
from ..evaluation.faults import EvaluationError
from ..evaluation.inputs import Embedded

_KEYS = ("embeddings", "labels", "types", "views")


def by_names(evaluator: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of our evaluators in OpenGait's form.

    Its arguments are ``data`` (OpenGait's dictionary), ``dataset``, ``partition``, and those of our
    evaluator. A partition is the path of a ``partition.json``, or its content as a mapping or a
    dataclass. Instead of ``tracklets`` it may list the test identities, ``TEST_SET``.

    Args:
        evaluator: One of ours, which takes an ``Embedded``.
    """
    further = [each for name, each in signature(evaluator).parameters.items() if name != "embedded"]
    data = Parameter("data", Parameter.POSITIONAL_OR_KEYWORD)
    partition = Parameter("partition", Parameter.POSITIONAL_OR_KEYWORD, default="")
    # OpenGait hands over no more than what has a positional parameter.
    known = [data, further[0], partition, *further[1:]]
    positional = [each.replace(kind=Parameter.POSITIONAL_OR_KEYWORD) for each in known]
    form = signature(evaluator).replace(parameters=positional)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        given = dict(form.bind(*args, **kwargs).arguments)
        found, partition = given.pop("data"), given.pop("partition", "")
        split = given.get("split", "test")
        embedded = found.get("embedded") or _embedded(found, partition, split)
        return evaluator(embedded, **given)

    functools.update_wrapper(evaluate, evaluator)
    evaluate.__signature__ = form  # type: ignore[attr-defined]
    return evaluate


def _embedded(data: Mapping[str, Any], partition: Any, split: str) -> Embedded:
    """Join embeddings and partition by the paths ``identity/type/view``.

    Raises:
        EvaluationError: If the partition is unreadable or incomplete, ``data`` lacks a key, sizes
            differ, or a tracklet is unknown or duplicate.
    """
    content, key = _content(partition), "TEST_SET" if split == "test" else split
    _check_keys(content, partition, ("tracklets",) if key not in content else (key,))
    _check_keys(content, partition, ("protocol",))
    embeddings, paths = _named(data)
    if "tracklets" in content:
        tracklets = [_tracklet(each) for each in content["tracklets"]]
    else:
        tracklets = _of_listed(paths, set(map(str, content[key])), key, split)
    positions = {tracklet.path: place for place, tracklet in enumerate(tracklets)}
    unknown = [path for path in paths if path not in positions]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of tracklets that the partition does not list: "
            f"{some(unknown)}. Data and partition.json must come from one preparation"
        )
    tasks = {
        name: {direction: Task(**each) for direction, each in of_split.items()}
        for name, of_split in content.get("tasks", {}).items()
    }
    known = Partition("", tracklets, tasks, dict(content["protocol"]))
    places = [positions[path] for path in paths]
    return Embedded(embeddings, places, known, data.get("halves", ()))


def _tracklet(fields: Mapping[str, Any]) -> Tracklet:
    """Return a tracklet; missing fields are None, and refused where they are needed."""
    return Tracklet(
        fields["path"], fields.get("pid", ""), fields.get("camid"),  # type: ignore[arg-type]
        fields.get("modality", ""), fields.get("frames", 0), fields.get("split", "test"),
    )  # fmt: skip


def _of_listed(paths: Sequence[str], listed: set[str], key: str, split: str) -> list[Tracklet]:
    """Return the embedded tracklets; all their identities must be listed."""
    unknown = [path for path in paths if path.split("/")[0] not in listed]
    if unknown:
        raise EvaluationError(
            f"{len(unknown)} embeddings are of identities that {key} of the partition does not "
            f"list: {some(unknown)}. Data and partition.json must come from one preparation"
        )
    once = dict.fromkeys(paths)
    return [Tracklet(path, path.split("/")[0], 0, "", 0, split) for path in once]


def _content(partition: Any) -> Any:
    if isinstance(partition, (str, Path)):
        place = str(partition) or "evaluator_cfg.partition, which is empty"
        try:
            return json.loads(Path(partition).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
            raise EvaluationError(
                f"{place}: cannot be read as a partition ({fault}). Prepare the data again, or "
                "give the path of its partition.json"
            ) from None
    if is_dataclass(partition) and not isinstance(partition, type):
        return asdict(partition)
    return partition


def _check_keys(content: Any, partition: Any, keys: Sequence[str]) -> None:
    place = str(partition) if isinstance(partition, (str, Path)) else "the partition"
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            raise EvaluationError(
                f"{place}: there is no {key!r} in it; expected a partition.json as a script of "
                "datasets/prep writes it"
            )


def _named(data: Mapping[str, Any]) -> tuple[Tensor, list[str]]:
    """Return the embeddings ``[N, d, p]`` and the path of each.

    Raises:
        EvaluationError: If a key is missing or sizes differ.
    """
    for key in _KEYS:
        if key not in data:
            raise EvaluationError(
                f"the evaluated data have no {key!r} (there are: {', '.join(data) or 'none'}); a "
                "model gives 'embeddings' in inference_feat, the host gives the names"
            )
    given = data["embeddings"]
    counts = [len(data[key]) for key in _KEYS[1:]]
    same = counts == [len(given)] * 3
    names = zip(*(data[key] for key in _KEYS[1:]), strict=True) if same else ()
    paths = ["/".join(map(str, each)) for each in names]
    if isinstance(given, (list, tuple)):
        given = _stacked(given, paths)
    embeddings = as_tensor(given)
    if embeddings.ndim != 3 or 0 in embeddings.shape or not same:
        raise EvaluationError(
            f"embeddings {list(embeddings.shape)} with {counts} labels, types and views; "
            "expected [tracklets, embedding, parts], none of them 0, and one of each per tracklet"
        )
    return embeddings, paths


def _stacked(embeddings: Sequence[Any], paths: Sequence[str]) -> Any:
    """Return a list of embeddings ``[d, p]`` stacked into one array."""
    found = [as_tensor(each) for each in embeddings]
    wrong = [
        f"{path} {list(each.shape)}"
        for path, each in zip(paths, found, strict=False)
        if each.shape != found[0].shape
    ]
    if wrong:
        raise EvaluationError(
            f"{len(wrong)} embeddings have another size than the first, {paths[0]} "
            f"{list(found[0].shape)}: {some(wrong)}. All must come from one model"
        )
    return torch.stack(found) if found else torch.empty(0)
