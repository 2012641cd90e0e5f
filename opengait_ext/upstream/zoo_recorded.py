"""A section of a config that knows which of its keys a foreign model has read."""

from collections.abc import Iterator, Mapping
from typing import Any


class Recorded(dict[str, Any]):
    """A section of a config that remembers which of its keys were read."""

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
        """Is here so that ``**section`` reads key by key."""
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        """Reads a key that may be missing."""
        try:
            return self[key]
        except MissingKeyError:
            return default

    def items(self) -> Any:
        """Reads all keys."""
        self.read.update(self)
        return super().items()

    def unread(self) -> Iterator[str]:
        """Names the keys that nothing has read, with their places."""
        for key in self:
            value = dict.get(self, key)
            if key not in self.read:
                yield f"{self.place}.{key}".lstrip(".")
            elif isinstance(value, Recorded):
                yield from value.unread()


class MissingKeyError(KeyError):
    """A model asks for a key that the config has not."""
