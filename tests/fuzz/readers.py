"""Every reader of files that users bring: whole files for it, and how it is called."""

import json
import pickle
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from opengait_ext.errors import UserError

sys.path += [str(Path(__file__).parents[1] / name) for name in ("engine", "prepare")]


class Reader(NamedTuple):
    """A reader.

    Attributes:
        make: Writes whole files into a folder; returns those that are damaged, one at a time.
        read: Reads what is in the folder, given the damaged file.
        is_text: Whether the files are text.
        writes: Whether reading may change the folder, which is then made anew each time.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], Any]
    is_text: bool = True
    writes: bool = False


READERS: dict[str, Reader] = {}


def _reader(name: str, is_text: bool = True, writes: bool = False) -> Callable[[type], type]:
    def enter(parts: Any) -> Any:
        READERS[name] = Reader(parts.make, parts.read, is_text, writes)
        return parts

    return enter


def _images() -> list[bytes]:
    rng = np.random.default_rng(0)
    return [
        cv2.imencode(".jpg", rng.integers(0, 255, (16, 8, 3), np.uint8))[1].tobytes()
        for _ in range(3)
    ]


def _partition() -> Any:
    from opengait_ext.data.layout import Partition, Task, Tracklet

    rows = [
        (pid, folder, modality, camera)
        for pid in ("1", "2", "3")
        for folder, modality, camera in (("rgb", "visible", 1), ("ir", "infrared", 2))
    ]
    tracklets = [
        Tracklet(f"{pid}/{folder}/D{camera}-T1", pid, camera, modality, 3, "test")
        for pid, folder, modality, camera in rows
    ]
    infrared, visible = [1, 3, 5], [0, 2, 4]
    tasks = {
        "infrared_to_visible": Task(infrared, visible),
        "visible_to_infrared": Task(visible, infrared),
    }
    protocol = {"name": "toy", "ignore": "same_pid_camid", "min_frames": 1}
    return Partition("Toy", tracklets, {"test": tasks}, protocol, {"digest": "d"})


@_reader("partition.json")
class _Partition:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.data.layout import write_partition

        write_partition(folder / "partition.json", _partition())
        return [folder / "partition.json"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.data.layout import read_partition

        return read_partition(path)


@_reader("partition.json of a check")
class _Checked:
    make = _Partition.make

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.check.prepared import read_prepared

        return read_prepared(folder, set())


@_reader("packed frames", is_text=False)
class _Packed:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.data.layout import write_tracklet

        write_tracklet(folder, _images())
        return [folder / "0-frames.zip"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.data.pack import count_frames, read_frames

        count_frames(folder)
        return read_frames(folder, [0, 2])


@_reader("pickled frames", is_text=False)
class _Pickled:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        frames = np.arange(2 * 3 * 4 * 2, dtype=np.uint8).reshape(2, 3, 4, 2)
        (folder / "0-frames.pkl").write_bytes(pickle.dumps(frames, 4))
        return [folder / "0-frames.pkl"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.data.pack import measure_array, read_array, read_frames

        measure_array(path)
        read_frames(folder, [0])
        return read_array(path)


@_reader("images", is_text=False)
class _Images:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        rng = np.random.default_rng(0)
        image = rng.integers(0, 255, (16, 8, 3), np.uint8)
        forms: dict[str, np.ndarray] = dict.fromkeys(("a.jpg", "b.png", "c.bmp", "d.webp"), image)
        forms["e.tif"] = forms["f.png"] = image.astype(np.uint16) * 256
        for name, pixels in forms.items():
            cv2.imwrite(str(folder / name), pixels)
        return [folder / name for name in forms]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.clips import frame_folder, read_image
        from opengait_ext.prepare.images import as_jpeg

        with suppress(UserError):  # names no file: its callers do
            as_jpeg(path.read_bytes(), 95)
        alone = path.parent / "alone"
        alone.mkdir(exist_ok=True)
        shutil.copy(path, alone)
        try:
            return read_image(frame_folder(alone), 0, None)
        finally:
            shutil.rmtree(alone)


@_reader("embeddings", is_text=False)
class _Embeddings:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.gallery.files import EmbeddingFile, write_embeddings
        from opengait_ext.gallery.records import ModelMark, Record

        records = [Record(f"{n}/rgb/D1-T1", "visible", str(n), 1, None, "data") for n in range(4)]
        values = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)
        mark = ModelMark("c" * 64, (3, 2), "euclidean")
        write_embeddings(folder / "e.npz", EmbeddingFile(values, records, mark, "model.pt"))
        return [folder / "e.npz"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.gallery.files import read_embeddings

        return read_embeddings(path)


@_reader("checkpoint", is_text=False)
class _Checkpoint:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        import torch

        content = {
            "model": {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)},
            "iteration": 5,
            "config": {"model_cfg": {"model": "AGW"}},
        }
        torch.save(content, folder / "toy-00005.pt")
        torch.save(content, folder / "old.pt", _use_new_zipfile_serialization=False)
        return [folder / "toy-00005.pt", folder / "old.pt"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.engine.checkpoint_file import read_checkpoint
        from opengait_ext.weights import entry_of, read_file

        entry_of(read_file(path), "model", str(path))
        return read_checkpoint(path)


@_reader("safetensors", is_text=False)
class _Safetensors:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        table = {
            "a.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
            "a.bias": {"dtype": "F32", "shape": [3], "data_offsets": [24, 36]},
        }
        head = json.dumps(table).encode()
        path = folder / "w.safetensors"
        path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(36))
        return [path]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.weights import entry_of, read_file

        return entry_of(read_file(path), None, str(path))


@_reader("config")
class _Config:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        configs = Path(__file__).parents[2] / "configs"
        names = ("dinogrl_synth.yaml", "biggait_ccpg.yaml")
        for name in names:
            (folder / name).write_bytes((configs / name).read_bytes())
        return [folder / name for name in names]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.config import ConfigError, load_config
        from opengait_ext.engine.catalog import own_catalog
        from opengait_ext.engine.sections import check

        config = load_config(path)
        try:
            return check(config, own_catalog())
        except ConfigError:  # names the sections; the command line named the file
            return None


@_reader("lists of gait")
class _Gait:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        content = {"TRAIN_SET": ["000", "001"], "TEST_SET": ["002", "003"]}
        (folder / "CCPG.json").write_text(json.dumps(content))
        return [folder / "CCPG.json"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.gait.sets import GAIT_SETS, read_lists

        return [read_lists(path, each) for each in GAIT_SETS.values() if not each.listed]


@_reader("boxes")
class _Boxes:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        (folder / "videos").mkdir()
        (folder / "videos/a.mp4").write_bytes(b"")
        rows = [f"a.mp4,{n},{10 + n},20,30,60,{n % 2},{n % 2},1,visible" for n in range(1, 9)]
        head = "video,frame,x,y,w,h,track,pid,camera,modality"
        (folder / "boxes.csv").write_text("\n".join([head, *rows]) + "\n")
        mot = [f"{n},{n % 2 + 1},{10 + n},20,30,60,1,-1,-1,-1" for n in range(1, 9)]
        (folder / "a.txt").write_text("\n".join(mot) + "\n")
        return [folder / "boxes.csv", folder / "a.txt"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.recordings import box_files
        from opengait_ext.prepare.recordings.box_forms import Reading
        from opengait_ext.prepare.recordings.names import Faults

        faults = Faults()
        about = box_files.read_about(None, "1", "visible", faults)
        read = box_files.read_mot if box_files.is_mot(path) else box_files.read_box_table
        read(folder / "videos", path, Reading(), about, faults)
        faults.raise_if_any(str(path))


@_reader("list of tracklets")
class _List:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        rows = []
        for name in ("walk 1", "walk 2"):
            (folder / name).mkdir()
            for number, image in enumerate(_images()):
                (folder / name / f"{number}.jpg").write_bytes(image)
            rows.append(f"{name},7,1,visible")
        text = "\n".join(["folder,pid,camera,modality", *rows]) + "\n"
        (folder / "list.csv").write_text(text)
        return [folder / "list.csv"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.recordings.names import Faults
        from opengait_ext.prepare.recordings.tree import read_list

        faults = Faults()
        read_list(folder, path, faults)
        faults.raise_if_any(str(path))


def _run_folder(folder: Path) -> None:
    _Partition.make(folder)
    for name in ("test", "checkpoints"):
        (folder / name).mkdir()
    tracklets = _partition().tracklets
    paths = np.array([each.path for each in tracklets])
    values = np.random.default_rng(0).normal(size=(6, 4, 2)).astype(np.float32)
    np.savez(folder / "test/embeddings.npz", embeddings=values, path=paths)
    scores = {"R1": 0.5, "mAP": 0.4, "mINP": 0.3, "queries": 3, "gallery": 3}
    directions = {"infrared_to_visible": scores, "visible_to_infrared": scores}
    content = {
        "dataset": "Toy",
        "model": "AGW",
        "result": {"directions": directions, "split": "test", "metric": "euclidean"},
        "data": {"partition": str(folder / "partition.json"), "source": {"digest": "d"}},
        "test_config": {"data_cfg": {"dataset_root": str(folder)}, "evaluator_cfg": {}},
        "seed": 1,
    }
    (folder / "test/metrics.json").write_text(json.dumps(content, indent=1))
    lines = [json.dumps({"iteration": n, "loss/id": 1.0 / (n + 1)}) for n in range(5)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    note = {"iteration": 5, "score": 0.5, "measured_on": "validation"}
    (folder / "checkpoints/best.json").write_text(json.dumps(note))


@_reader("records of a run", writes=True)
class _Run:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        _run_folder(folder)
        names = ("test/metrics.json", "metrics.jsonl", "checkpoints/best.json")
        return [folder / name for name in names]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.engine.checkpoint import CheckpointStore
        from opengait_ext.engine.summary import Summary
        from opengait_ext.report.comparison import compare
        from opengait_ext.report.formats import written
        from opengait_ext.report.records import find_records, read_record
        from opengait_ext.report.sources import read_sources

        CheckpointStore(folder / "checkpoints", "toy", 1).mend()
        Summary(folder, 3)
        records = [read_record(each) for each in find_records([str(folder)])]
        for form in ("text", "markdown", "latex", "csv"):
            written(compare(records, False), form)
        return read_sources(folder)


@_reader("embeddings of a test", is_text=False)
class _Tested:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        _run_folder(folder)
        return [folder / "test/embeddings.npz"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.report.sources import read_sources

        return read_sources(folder)


@_reader("embeddings of an interrupted test", is_text=False, writes=True)
class _Partial:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.engine.partial import PartialEmbeddings

        path = folder / ".embeddings-0.partial"
        partial = PartialEmbeddings(path, {"a": 1})
        for start in (0, 3):
            partial.add(np.arange(start, start + 3), np.ones((3, 4, 2), np.float32))
        partial.close()
        return [path]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.engine.partial import PartialEmbeddings

        return PartialEmbeddings(path, {"a": 1}).parts


def _gallery(folder: Path) -> None:
    from opengait_ext.gallery import Gallery
    from opengait_ext.gallery.records import ModelMark, Record

    mark = ModelMark("c" * 64, (3, 2), "euclidean")
    gallery = Gallery.create(folder / "g", mark, "model.pt")
    records = [Record(f"{n}/rgb/D1-T1", "visible", str(n), 1, None, "data") for n in range(4)]
    gallery.add(np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32), records, mark)
    gallery.remove("1")


def _read_gallery(folder: Path, path: Path) -> Any:
    from opengait_ext.gallery import Gallery
    from opengait_ext.gallery.searching import Searcher

    return Searcher(Gallery(folder / "g"))(np.ones((1, 3, 2), np.float32), 2)


@_reader("state of a gallery")
class _GalleryState:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        _gallery(folder)
        return sorted(each for each in (folder / "g").iterdir() if each.suffix.startswith(".json"))

    read = staticmethod(_read_gallery)


@_reader("rows of a gallery", is_text=False)
class _GalleryRows:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        _gallery(folder)
        files = [each for each in (folder / "g").iterdir() if each.is_file()]
        return sorted(
            e for e in files if not e.suffix.startswith(".json") and e.stat().st_size > 60
        )

    read = staticmethod(_read_gallery)


@_reader("calibration")
class _Calibration:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.gallery.calibration import FILE, write_calibration

        content = {"sha256": "c", "threshold": 0.5, "wanted_far": 0.01, "far": 0.01, "tar": 0.9}
        write_calibration(folder / FILE, content)
        return [folder / FILE]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.gallery.calibration import read_calibration

        return read_calibration(folder / "model.pt", "c")


@_reader("notes of a preparation", writes=True)
class _Notes:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from opengait_ext.prepare.check.journal import Journal
        from opengait_ext.prepare.target import NOTE, open_target

        open_target(folder / "t", {"source": "s", "min_frames": 3}, anew=False)
        with Journal(folder / "check.jsonl", folder, anew=False):
            pass
        (folder / "work.jsonl").write_text('["a", {"frames": 3}]\n["b", {"frames": 4}]\n')
        return [folder / "t" / NOTE, folder / "check.jsonl", folder / "work.jsonl"]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.check.journal import Journal
        from opengait_ext.prepare.recordings.journal import Journal as OwnJournal
        from opengait_ext.prepare.target import open_target

        OwnJournal(folder / "work.jsonl").read()
        with Journal(folder / "check.jsonl", folder, anew=False):
            pass
        open_target(folder / "t", {"source": "s", "min_frames": 3}, anew=False)


@_reader("archives", is_text=False)
class _Archives:
    @staticmethod
    def make(folder: Path) -> list[Path]:
        from vcm_tree import files_below, pack_files, write_vcm_tree

        home = folder / "home"
        write_vcm_tree(home)
        for name in ("a.zip", "b.tar", "c.tar.gz"):
            pack_files(files_below(home), folder / name)
        return [folder / name for name in ("a.zip", "b.tar", "c.tar.gz")]

    @staticmethod
    def read(folder: Path, path: Path) -> Any:
        from opengait_ext.prepare.archives import DamagedImageError, close_archives, read_image
        from opengait_ext.prepare.sources import Sources, remove_unpacked

        try:
            for tree in Sources([path], folder / ".unpacked", "the images"):
                waiting, read = [""], 0
                while waiting and read < 20:
                    place = waiting.pop()
                    folders, files = tree.listing(place)
                    start = f"{place}/" if place else ""
                    waiting += [f"{start}{name}" for name in folders]
                    for name in files[:3]:
                        with suppress(DamagedImageError):  # its callers name the file
                            read_image(tree.image(f"{start}{name}"))
                        read += 1
        finally:
            close_archives()
            remove_unpacked(folder / ".unpacked")
