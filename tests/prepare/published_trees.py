"""Parts shared by tests of published data sets: tiny images, and a preparation in this process."""

import os

import cv2
import numpy as np

from opengait_ext.data.layout import read_partition
from opengait_ext.evaluation import evaluate_cross_modality
from opengait_ext.evaluation.inputs import Embedded
from opengait_ext.prepare.faults import Faults
from opengait_ext.prepare.pipeline import arguments_of, run_script
from opengait_ext.prepare.sources import Sources


def image(value, suffix=".jpg", height=16, width=8):
    """Return a tiny whole image file; every value gives another one."""
    pixels = np.full((height, width, 3), value % 256, np.uint8)
    pixels[: value // 256 % height] //= 2
    pixels[:, : value % width] //= 3
    return cv2.imencode(suffix, pixels)[1].tobytes()


def put(path, content):
    """Write a file that is a minute old, so that what is prepared now is newer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    old = path.stat().st_mtime - 60.0
    os.utime(path, (old, old))
    return path


def prepare_set(dataset, source, target, *options):
    """Run a data set's script in this process; return its exit status."""
    command = ["--source", str(source), "--target", str(target), "--workers", "1"]
    return run_script(dataset, [*command, *map(str, options)])


def prepared(dataset, source, target, *options):
    """Prepare data and return their partition."""
    assert prepare_set(dataset, source, target, *options) == 0
    return read_partition(target / "partition.json")


def faults_of(dataset, source, *options):
    """Return the kinds and places of what a reader finds wrong or odd."""
    target = source.parent / "nowhere"
    command = ["--source", str(source), "--target", str(target), *map(str, options)]
    faults = Faults()
    dataset.read(Sources([source], target, ""), arguments_of(dataset, command), faults)
    return [
        (fault.kind.name, fault.place.replace(str(source), ""), fault) for fault in faults.found
    ]


def kinds_and_places(found):
    """Return the first two of each fault."""
    return [(kind, place) for kind, place, _ in found]


def named(partition, positions):
    """Return the paths of tracklets."""
    return [partition.tracklets[position].path for position in positions]


def scored(partition):
    """Return the result of random embeddings of the test tracklets, by direction."""
    places = [place for place, t in enumerate(partition.tracklets) if t.split == "test"]
    embeddings = np.random.default_rng(0).normal(size=(len(places), 4, 1))
    embedded = Embedded(embeddings, np.array(places), partition)
    return evaluate_cross_modality(embedded, partition.dataset, ranks=(1,)).directions
