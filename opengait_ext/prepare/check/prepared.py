"""Reader of a prepared folder for the check: ``partition.json`` and the files next to it.

Training stops at the first fault. This reader notes it and continues with what it can understand.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import (
    FAKE_IR,
    FOLDERS,
    FRAMES,
    PACKED,
    PICKLED,
    SPLITS,
    VISIBLE,
    LayoutError,
    read_partition,
)
from opengait_ext.data.pack import named_stream
from opengait_ext.evaluation.faults import EvaluationError
from opengait_ext.evaluation.protocols import checked
from opengait_ext.prepare.check.findings import Findings, printable
from opengait_ext.prepare.check.plan import Listed, Plan, vcm_official
from opengait_ext.prepare.check.strays import files_below
from opengait_ext.prepare.check.tracklets import IMAGES
from opengait_ext.prepare.recordings.journal import FOLDER
from opengait_ext.prepare.sources import UNPACKED
from opengait_ext.prepare.target import DAMAGED, DROPPED, LOCK_FILES, NOTE, PARTITION

OWN = {PARTITION, DROPPED, DAMAGED, NOTE, "tracklets.csv", *LOCK_FILES}
FAKE_FILES = {f"{FAKE_IR}.zip", f"{FAKE_IR}.pkl"}
OWN_FOLDERS = {UNPACKED, FOLDER}  # what a preparation needs to resume
_SIDES = ("query", "gallery")
_VIEW = re.compile(r"D([0-9]{1,9})-T[0-9]+")
_FIELDS = {"path": str, "pid": str, "camid": int, "modality": str, "frames": int, "split": str}


def read_prepared(root: Path, ignored: set[str]) -> Plan:
    """Return the listed content of a prepared folder, together with the files that exist.

    Args:
        root: The folder.
        ignored: Names of files in the folder that belong to the check.
    """
    findings = Findings()
    plan = Plan(root, "prepared", "", "prepared", findings)
    content = _read_json(root, findings)
    plan.stream = str(_as_dict(content.get("source")).get("stream") or "")
    entries = _entries(content, findings)
    found = {folder: set(files) for folder, files in files_below(root, findings)}
    forms: set[str] = set()
    for entry in entries.values():
        listed = _listed(plan, entry, found.get(entry["path"], set()))
        forms.add(listed.form)
        plan.tracklets.append(listed)
    words = {PACKED: "packed", PICKLED: "OpenGait's form"}
    plan.layout = ", ".join(["prepared", *(words[form] for form in words if form in forms)])
    if _as_dict(content.get("source")).get("fake_ir"):  # a second stream of visible tracklets
        for entry in entries.values():
            if entry["modality"] == VISIBLE:
                found.get(entry["path"], set()).difference_update(FAKE_FILES)
    _check_strays(found, ignored, findings)
    _read_protocol(content, entries, plan)
    _check_sets(content, plan)
    plan.refusal = _refusal(root)
    return plan


def _read_json(root: Path, findings: Findings) -> dict[str, Any]:
    """Return the content of ``partition.json``; an empty dict if it is no JSON object."""
    try:
        raw = (root / PARTITION).read_bytes()
        content = json.loads(raw.decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"holds {type(content).__name__}, expected an object")
    except (OSError, ValueError, RecursionError) as error:
        findings.fault("lists", PARTITION, f"cannot be read ({error}); prepare the data again")
        return {}
    return content


def _entries(content: dict[str, Any], findings: Findings) -> dict[int, dict[str, Any]]:
    """Return the tracklet entries that can be understood, by their number in the file."""
    sound: dict[int, dict[str, Any]] = {}
    seen: set[str] = set()
    for number, entry in enumerate(_as_list(content.get("tracklets"))):
        place = f"{PARTITION}, tracklets[{number}]"
        wrong = _wrong_fields(entry)
        if wrong:
            findings.fault("lists", place, wrong)
        elif _leads_out(entry["path"]):
            text = f"path {entry['path']!r} leads out of the folder or is no plain path"
            findings.fault("safety", place, f"{text}, expected <pid>/<rgb|ir>/<view>")
        elif entry["path"] in seen:
            findings.fault("lists", place, f"{entry['path']!r} is listed twice")
        else:
            seen.add(entry["path"])
            sound[number] = entry
    if not sound:
        findings.fault("empty", PARTITION, "lists no tracklet")
    return sound


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _wrong_fields(entry: object) -> str:
    if not isinstance(entry, dict):
        return f"holds {type(entry).__name__}, expected an object"
    for name, kind in _FIELDS.items():
        if type(entry.get(name)) is not kind:
            return f"{name} is {entry.get(name)!r}, expected {kind.__name__}"
    if entry["modality"] not in FOLDERS:
        return f"modality {entry['modality']!r}, expected one of {sorted(FOLDERS)}"
    if entry["split"] not in SPLITS:
        return f"split {entry['split']!r}, expected one of {list(SPLITS)}"
    return ""


def _leads_out(path: str) -> bool:
    parts = path.split("/")
    return len(parts) != 3 or any(
        part in ("", ".", "..") or not part.isprintable() or set(part) & set("\\:")
        for part in parts
    )


def _listed(plan: Plan, entry: dict[str, Any], there: set[str]) -> Listed:
    """Return the tracklet of an entry; compare its path with its fields and with the files."""
    root, findings = plan.root, plan.findings
    path, pid, modality = entry["path"], entry["pid"], entry["modality"]
    own_type = plan.stream and modality == VISIBLE and path.split("/")[1]
    expected = f"{pid}/{own_type or FOLDERS[modality]}"
    if path.rsplit("/", 1)[0] != expected:
        text = f"{PARTITION} says identity {pid!r} and {modality}, expected {expected}/..."
        findings.fault("names", path, text)
    camera = _VIEW.fullmatch(path.rsplit("/", 1)[1])
    if camera is None and not plan.stream:
        findings.warn("names", path, "the last part is not D<camera>-T<row>")
    elif camera and int(camera[1]) != entry["camid"]:
        findings.fault("names", path, f"{PARTITION} says camera {entry['camid']}")
    if entry["frames"] < 1:
        findings.fault("empty", path, f"{PARTITION} says {entry['frames']} frames")
    if plan.stream not in ("", FRAMES):
        form, files = _published_file(plan, path, there)
    else:
        form, files = _written_file(path, there, findings)
    return Listed(
        path, pid, entry["camid"], modality, entry["split"], entry["frames"],
        form, files, lambda file: str(root / file),
    )  # fmt: skip


def _written_file(path: str, there: set[str], findings: Findings) -> tuple[str, tuple[str, ...]]:
    """Return form and file of a packed or pickled tracklet, and remove the file from ``there``."""
    forms = [form for form in (PACKED, PICKLED) if form in there]
    there.difference_update(forms)
    if not forms:
        findings.fault("files", path, f"neither {PACKED} nor {PICKLED} is there")
    elif len(forms) > 1:
        findings.warn("stray", path, f"holds {PACKED} and {PICKLED}; the first is read")
    return (forms[0] if forms else IMAGES), tuple(f"{path}/{form}" for form in forms[:1])


def _published_file(plan: Plan, path: str, there: set[str]) -> tuple[str, tuple[str, ...]]:
    """Return form and file of a tracklet left as published; its other pickles are no strays."""
    try:
        name = f"{named_stream(plan.root / path, plan.stream)}.pkl"
    except LayoutError as fault:
        plan.findings.fault("files", path, str(fault).partition(": ")[2])
        return IMAGES, ()
    is_there = name in there
    there.difference_update([each for each in there if each.endswith(".pkl")])
    if not is_there:
        plan.findings.fault("files", path, f"{name} is not there")
        return IMAGES, ()
    return PICKLED, (f"{path}/{name}",)


def _check_strays(found: dict[str, set[str]], ignored: set[str], findings: Findings) -> None:
    """Note the files that remain after all listed ones are removed."""
    found[""] -= OWN | ignored
    for folder in sorted(found.keys() - OWN_FOLDERS):
        for name in sorted(found[folder]):
            place = printable(f"{folder}/{name}".lstrip("/"))
            if name.endswith(".tmp") and name.startswith("."):
                text = "is left of a preparation that was stopped; it may be removed"
            elif name in (PACKED, PICKLED):
                text = f"is a tracklet that {PARTITION} does not list"
            else:
                text = "belongs to nothing"
            findings.warn("stray", place, text)


def _read_protocol(content: dict[str, Any], entries: dict[int, dict[str, Any]], plan: Plan) -> None:
    """Copy the protocol, the tasks and the facts of the data set into the plan."""
    plan.dataset = str(content.get("dataset", ""))
    protocol = _as_dict(content.get("protocol"))
    try:
        plan.protocol = checked(protocol)
    except EvaluationError as fault:
        plan.findings.fault("lists", PARTITION, str(fault))
    shortest = protocol.get("min_frames")
    plan.min_frames = shortest if type(shortest) is int else 1
    lists = [content.get(key) for key in ("tracklets", "tasks", "protocol", "pairs")]
    plan.lists_digest = hashlib.sha256(json.dumps(lists, sort_keys=True).encode()).hexdigest()
    plan.published_digest = str(_as_dict(content.get("source")).get("digest", ""))
    _read_tasks(content, entries, plan)
    if plan.dataset == "HITSZ-VCM":
        plan.official = list(vcm_official(plan, None))


def _read_tasks(content: dict[str, Any], entries: dict[int, dict[str, Any]], plan: Plan) -> None:
    """Copy queries and galleries into the plan, as positions in its tracklets."""
    places = {number: place for place, number in enumerate(entries)}
    count = len(_as_list(content.get("tracklets")))
    for split, directions in _as_dict(content.get("tasks")).items():
        for direction, lists in _as_dict(directions).items():
            name = f"{split} {direction}"
            sides = []
            for side in _SIDES:
                positions = _as_list(_as_dict(lists).get(side))
                for p in positions:
                    if type(p) is not int or not 0 <= p < count:
                        text = f"position {p!r}, there are {count} tracklets"
                        plan.findings.fault("lists", f"{PARTITION}, {name}, {side}", text)
                sides.append([places[p] for p in positions if type(p) is int and p in places])
            plan.tasks[name] = sides[0], sides[1]
            _check_modalities(name, plan)


def _check_modalities(name: str, plan: Plan) -> None:
    """Compare the modality and the split of queries and gallery with the task's name."""
    split, _, direction = name.partition(" ")
    expected = direction.split("_to_")
    if len(expected) != 2 or not set(expected) <= set(FOLDERS):
        return
    for side, modality, positions in zip(_SIDES, expected, plan.tasks[name], strict=True):
        for tracklet in (plan.tracklets[p] for p in positions):
            if (tracklet.modality, tracklet.split) != (modality, split):
                text = f"{tracklet.modality} of {tracklet.split} in the {side} of {name}"
                plan.findings.fault("queries", tracklet.path, text)


def _check_sets(content: dict[str, Any], plan: Plan) -> None:
    """Compare the identities that OpenGait reads with those of the tracklets."""
    for name, is_test in (("TRAIN_SET", False), ("TEST_SET", True)):
        expected = {t.pid for t in plan.tracklets if (t.split == "test") == is_test}
        found = set(map(str, _as_list(content.get(name))))
        for pid in sorted(expected ^ found):
            where = "in the tracklets only" if pid in expected else f"in {name} only"
            place = f"{PARTITION}, {name}"
            plan.findings.fault("identities", place, f"identity {pid!r} is {where}")


def _refusal(root: Path) -> str:
    """Return the message with which training refuses the partition; empty if it is accepted."""
    try:
        read_partition(root / PARTITION)
    except Exception as error:  # a file from anywhere can raise anything
        return str(error) or type(error).__name__
    return ""
