"""A gallery in a folder: append-only, crash-safe, memory-mapped.

    gallery.json             committed state: model, rows, length of the log; replaced atomically
    embeddings-<n>.f32       a row per tracklet, float32 little-endian, part by part: [p, d]
    records-<n>.jsonl        a line per tracklet, in the order of the rows, and a line per removal
    lock, lock.holder        lock of the one writer, and which process that is
    candidates-*             index for fast search; can be built again

An append writes rows and lines behind the committed end, then replaces ``gallery.json``, which
records that end. Readers never see what a killed writer left behind it; the next append
overwrites it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..data.layout import FOLDERS
from ..data.words import modality_of
from ..escaping import some
from .records import GalleryError, ModelMark, Record, check_embeddings
from .state import (
    STATE,
    State,
    append,
    is_free,
    read_log,
    read_state,
    record_line,
    removal_line,
    writing,
)

METHODS = ("auto", "exact", "faiss")
_BLOCK = 4096  # rows copied at a time


class Gallery:
    """Embeddings and their records, stored in a folder.

    Args:
        folder: The gallery's folder, made by ``create``.
        method: Method of ``searching.Searcher``: ``exact``; ``faiss`` for candidates, ordered
            exactly; or ``auto``, which uses faiss for large galleries if it is installed.

    Attributes:
        folder: The folder.
        state: The committed state.
        records: The record of each row, including removed ones.
        alive: bool, for each row whether it has not been removed.
        removals: Number of removals of identities.

    Raises:
        GalleryError: If there is no gallery, or its files contradict each other.
    """

    def __init__(self, folder: str | Path, method: str = "auto") -> None:
        if method not in METHODS:
            raise GalleryError(f"method: expected one of {', '.join(METHODS)}, found {method!r}")
        self.folder = Path(folder)
        self.method = method
        self.records: list[Record] = []
        self.state = State(ModelMark("", (1, 1), ""), "", generation=0)
        self.reload()

    @classmethod
    def create(cls, folder: str | Path, mark: ModelMark, checkpoint: str = "") -> "Gallery":
        """Create an empty gallery for the embeddings of one model.

        Raises:
            GalleryError: If the folder already holds files.
        """
        folder = Path(folder)
        if not is_free(folder):
            raise GalleryError(
                f"{folder}: holds files already; give the folder of a gallery, or a new one"
            )
        with writing(folder):
            State(mark, checkpoint).write(folder)
        return cls(folder)

    def reload(self) -> None:
        """Read the committed state, whichever process wrote it."""
        before, self.state = self.state, read_state(self.folder)
        known = before.log_bytes
        if before.generation != self.state.generation or known > self.state.log_bytes:
            known, self.removals = 0, 0
            self.records, self.alive = [], np.empty(0, bool)
            self._names: set[tuple[str, str]] = set()
        self._read_log(known)
        self._by_part = self._mapped()

    @property
    def mark(self) -> ModelMark:
        """Return the mark of the model that all embeddings come from."""
        return self.state.mark

    @property
    def embeddings(self) -> np.ndarray:
        """Return all rows as ``[n, d, p]``, including removed ones; memory-mapped, not read."""
        return self._by_part.transpose(0, 2, 1)

    def __len__(self) -> int:
        return int(self.alive.sum())

    def __contains__(self, record: Record) -> bool:
        return (record.root, record.path) in self._names

    def get(self, row: int) -> tuple[Record, np.ndarray]:
        """Return the record of a row and its embedding ``[d, p]``.

        Raises:
            GalleryError: If there is no such row, or it has been removed.
        """
        if not 0 <= row < self.state.rows or not self.alive[row]:
            raise GalleryError(f"{self.folder}: there is no tracklet in row {row}, or no longer")
        return self.records[row], np.array(self.embeddings[row])

    def rows_of(self, modality: str | None = None) -> np.ndarray:
        """Return the rows that a search can find, of one modality or of both, ascending."""
        rows = np.flatnonzero(self.alive)
        if modality is None:
            return rows
        modality = modality_of(modality) or modality
        return rows[[self.records[row].modality == modality for row in rows]]

    def add(self, embeddings: np.ndarray, records: Sequence[Record], mark: ModelMark) -> None:
        """Append tracklets: all of them, or none.

        Args:
            embeddings: ``[n, d, p]``.
            records: Their n records.
            mark: Mark of the model that computed them.

        Raises:
            GalleryError: If another process is writing, if the model is another, if an embedding
                has another shape or is not finite, or if the gallery already holds a tracklet.
        """
        names = [record.path for record in records]
        with writing(self.folder):
            self.reload()
            _check_mark(self, mark, names)
            rows = check_embeddings(embeddings, names, self.mark)
            self._check_records(records)
            content = np.ascontiguousarray(rows.transpose(0, 2, 1)).tobytes()  # [n, p, d]
            append(self._data_path(), self.state.rows * self.state.row_bytes, content)
            self._commit("".join(map(record_line, records)), len(records))

    def remove(self, pid: str) -> int:
        """Remove all tracklets of an identity from every later search.

        The removal is appended to the log; the embeddings stay on the disk until ``purge``.

        Returns:
            The number of tracklets removed.

        Raises:
            GalleryError: If there is no such identity, or another process is writing.
        """
        with writing(self.folder):
            self.reload()
            count = sum(self.records[row].pid == pid for row in self.rows_of())
            if not count:
                known = sorted({str(self.records[row].pid) for row in self.rows_of()})
                raise GalleryError(
                    f"{self.folder}: no tracklet has the identity {pid!r} "
                    f"(there are {len(known)}: {some(known) or 'none'})"
                )
            self._commit(removal_line(pid), 0)
            self._forget_candidates()
        return count

    def purge(self) -> int:
        """Delete removed tracklets from the disk by writing new files of the others.

        Returns:
            The number of rows deleted.
        """
        with writing(self.folder):
            self.reload()
            keep, old = self.rows_of(), (self._data_path(), self._log_path())
            log = "".join(record_line(self.records[row]) for row in keep).encode()
            new = replace(
                self.state,
                generation=self.state.generation + 1,
                rows=len(keep),
                log_bytes=len(log),
            )
            append(self._data_path(new), 0, b"")
            for start in range(0, len(keep), _BLOCK):
                block = self._by_part[keep[start : start + _BLOCK]].tobytes()
                append(self._data_path(new), start * new.row_bytes, block)
            append(self._log_path(new), 0, log)
            new.write(self.folder)
            gone = self.state.rows - len(keep)
            self.reload()
            for path in old:
                path.unlink(missing_ok=True)
            self._forget_candidates()
        return gone

    def _read_log(self, known: int) -> None:
        """Read the lines behind the known ones, so that each line of the log is read once."""
        path, state = self._log_path(), self.state
        content = b""
        if path.is_file():
            with path.open("rb") as file:
                file.seek(known)
                content = file.read(min(state.log_bytes - known, path.stat().st_size))
        first = len(self.records)
        records, removed = read_log(content, path)
        if known + len(content) != state.log_bytes or first + len(records) != state.rows:
            raise GalleryError(
                f"{path}: has {first + len(records)} tracklets, {STATE} speaks of {state.rows}; "
                "the folder was copied while it was written, or changed by hand"
            )
        self.records = self.records + records
        self.alive = np.concatenate([self.alive, np.ones(len(records), bool)])
        self._names |= {(record.root, record.path) for record in records}
        for pid, end in removed:
            gone = [row for row in range(first + end) if self.records[row].pid == pid]
            self.alive[gone] = False
        if removed:
            found = zip(self.records, self.alive, strict=True)
            self._names = {(record.root, record.path) for record, there in found if there}
        self.removals += len(removed)

    def _mapped(self) -> np.ndarray:
        d, p = self.mark.shape
        rows = self.state.rows
        if not rows:
            return np.empty((0, p, d), "<f4")
        path, needed = self._data_path(), rows * self.state.row_bytes
        found = path.stat().st_size if path.is_file() else 0
        if found < needed:
            raise GalleryError(
                f"{path}: has {found} bytes, {rows} rows need {needed}; the folder was "
                "copied while it was written, or changed by hand"
            )
        return np.memmap(path, "<f4", mode="r", shape=(rows, p, d))

    def _check_records(self, records: Sequence[Record]) -> None:
        seen: set[tuple[str, str]] = set()
        for record in records:
            if record.modality not in FOLDERS:
                raise GalleryError(
                    f"{record.path}: modality {record.modality!r}, expected one of "
                    f"{', '.join(sorted(FOLDERS))}"
                )
            if record in self or (record.root, record.path) in seen:
                raise GalleryError(
                    f"{record.path}: this tracklet is in the gallery {self.folder} already"
                )
            seen.add((record.root, record.path))

    def _commit(self, log: str, rows: int) -> None:
        content = log.encode()
        append(self._log_path(), self.state.log_bytes, content)
        state = replace(
            self.state,
            rows=self.state.rows + rows,
            log_bytes=self.state.log_bytes + len(content),
        )
        state.write(self.folder)
        self.reload()

    def _forget_candidates(self) -> None:
        for path in self.folder.glob("candidates-*"):
            path.unlink(missing_ok=True)

    def _data_path(self, state: State | None = None) -> Path:
        return self.folder / f"embeddings-{(state or self.state).generation}.f32"

    def _log_path(self, state: State | None = None) -> Path:
        return self.folder / f"records-{(state or self.state).generation}.jsonl"


def _check_mark(gallery: Gallery, mark: ModelMark, names: Sequence[str]) -> None:
    if mark == gallery.mark:
        return
    differences = [
        f"{what}: the gallery has {old}, these have {new}"
        for what, old, new in (
            ("checkpoint", gallery.mark.checkpoint[:12], mark.checkpoint[:12]),
            ("[embedding, parts]", list(gallery.mark.shape), list(mark.shape)),
            ("metric", gallery.mark.metric, mark.metric),
        )
        if old != new
    ]
    raise GalleryError(
        f"{some(names)}: embeddings of another model than those in {gallery.folder} "
        f"({'; '.join(differences)}). Distances between models mean nothing: embed with the "
        "checkpoint of the gallery, or make a new gallery"
    )
