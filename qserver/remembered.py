"""What was made from keys before, for keys that come again and again but may be anything: they come from clients."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by key. Nobody can fill the memory: when there are `most`, all are forgotten and made anew."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: dict[K, V] = {}
        self.get = self._values.get

    def add(self, key: K, value: V) -> V:
        """Remembers a value, and answers it."""
        if len(self._values) >= self._most:
            self._values.clear()
        self._values[key] = value
        return value
