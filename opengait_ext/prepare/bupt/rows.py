"""What BUPTCampus consists of as it is published: lists, names, rows."""

import re
from dataclasses import dataclass
from pathlib import Path

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE

INDEX = "data_paths.json"
TRAIN, AUXILIARY, QUERY, GALLERY = "train.txt", "train_auxiliary.txt", "query.txt", "gallery.txt"
AUXILIARY_NAMES = (AUXILIARY, "train_aux.txt")  # the second one is that of M3-ReID's description
LISTS = (TRAIN, QUERY, GALLERY)
IMAGES = "DATA"
_CODES_OF_CAMERAS = ("LS3", "G25", "CQ1", "W4", "TSG1", "TSG2")  # the place is the camera's number
CAMERAS = {code: camid for camid, code in enumerate(_CODES_OF_CAMERAS)}
CODES = {VISIBLE: "RGB", INFRARED: "IR"}
FAKE = "FakeIR"

# 1/IR/CQ1/1_IR_CQ1_1_8535.jpg: identity, modality, camera, and again with tracklet and frame
NAME = re.compile(
    r"(?P<pid>[0-9]+)/(?P<modality>RGB|IR)/(?P<camera>[^/_]+)/"
    r"(?P<file>(?P=pid)_(?P=modality)_(?P=camera)_(?P<tracklet>[0-9]+)_(?P<frame>[0-9]{1,9})"
    r"\.(?i:jpg|jpeg))"
)


@dataclass(frozen=True)
class Row:
    """One tracklet of one modality, as the lists have it.

    Args:
        pid: As published, not padded.
        camera: The published code.
        number: Of the tracklet, as published; both modalities share it.
        modality: ``visible`` or ``infrared``.
        part: ``train``, ``auxiliary`` or ``test``.
        files: Of its frames in order, below the folder of the images.
    """

    pid: str
    camera: str
    number: str
    modality: str
    part: str
    files: tuple[str, ...]

    @property
    def camid(self) -> int:
        """The camera's number, which both modalities share."""
        return CAMERAS[self.camera]

    @property
    def path(self) -> str:
        """Where its prepared form goes: ``1/ir/D2-T1``, in ``1/rgb`` likewise."""
        return f"{self.pid}/{FOLDERS[self.modality]}/D{self.camid}-T{self.number}"

    @property
    def fake_files(self) -> tuple[str, ...]:
        """What FakeIR has for the frames: other folder, same name, RGB included."""
        return tuple(map(fake_of, self.files)) if self.modality == VISIBLE else ()


def fake_of(file: str) -> str:
    """Gives the FakeIR image of a visible one, both below the folder of the images."""
    pid, _, camera, name = file.split("/")
    return f"{pid}/{FAKE}/{camera}/{name}"


@dataclass(frozen=True)
class Published:
    """The published data after all checks.

    Args:
        layout: Where images and lists were found, in words.
        images: The folder that holds the identities.
        rows: All tracklets: training, auxiliary, test.
        pairs: Positions ``(visible, infrared)`` of training tracklets that belong together.
        query: Positions of the query tracklets, in the order of their list.
        gallery: Likewise.
        auxiliary: Name of the auxiliary list, if it was read.
        digest: sha256 of what the lists say and the names of all frames.
        remarks: What is odd and was accepted.
    """

    layout: str
    images: Path
    rows: list[Row]
    pairs: list[tuple[int, int]]
    query: list[int]
    gallery: list[int]
    auxiliary: str
    digest: str
    remarks: list[str]
