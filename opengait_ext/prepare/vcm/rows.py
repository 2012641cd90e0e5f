"""What HITSZ-VCM consists of as it is published: names of the lists, rows."""

from dataclasses import dataclass

from opengait_ext.data.layout import FOLDERS, INFRARED, VISIBLE

HALVES = ("Train", "Test")
NAME_LISTS = {"Train": "train_name.txt", "Test": "test_name.txt"}
ROW_LISTS = {"Train": "track_train_info.txt", "Test": "track_test_info.txt"}
QUERY_LIST = "query_IDX.txt"
LISTS = (*NAME_LISTS.values(), *ROW_LISTS.values(), QUERY_LIST)
MODALITIES = {"1": INFRARED, "2": VISIBLE}


@dataclass(frozen=True)
class Row:
    """One tracklet, as the lists have it.

    Args:
        number: Its line among the filled lines of ``track_*_info.txt``, from 1.
        pid: Four digits.
        camid: The camera's number.
        modality: ``visible`` or ``infrared``.
        half: ``Train`` or ``Test``.
        is_query: Whether ``query_IDX.txt`` lists it.
        files: Of its frames in order, below the folder that holds the identities.
        discarded: How many more it has that are in a discard list.
    """

    number: int
    pid: str
    camid: int
    modality: str
    half: str
    is_query: bool
    files: tuple[str, ...]
    discarded: int = 0

    @property
    def path(self) -> str:
        """Where its prepared form goes, below the root: ``0001/rgb/D3-T17``."""
        return f"{self.pid}/{FOLDERS[self.modality]}/D{self.camid}-T{self.number}"
