"""Config sections that record which keys a foreign model has read."""

from collections.abc import Iterator, Mapping
from typing import Any


class Recorded(dict[str, Any]):
    """A config section that records which of its keys were read."""

    def __init__(self, section: Mapping[str, Any], place: str = "") -> None:
        super().__init__()
        self.place = place
        self.read: set[str] = set()
        for key, value in section.items():
            inner = f"{place}.{key}" if place else key
            self[key] = Recorded(value, inner) if isinstance(value, Mapping) else value

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise MissingKeyError(f"{self.place}.{key}".lstrip("."))
        self.read.add(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys; defined so that ``**section`` reads key by key."""
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, or the default; record the key as read."""
        try:
            return self[key]
        except MissingKeyError:
            return default

    def items(self) -> Any:
        """Return all items; record all keys as read."""
        self.read.update(self)
        return super().items()

    def unread(self) -> Iterator[str]:
        """Yield the keys that were never read, with their paths."""
        for key in self:
            value = dict.get(self, key)
            if key not in self.read:
                yield f"{self.place}.{key}".lstrip(".")
            elif isinstance(value, Recorded):
                yield from value.unread()


class MissingKeyError(KeyError):
    """A model reads a key that the config lacks."""
