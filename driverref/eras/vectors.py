"""The vector of `outputv` in earlier releases."""

from __future__ import annotations

from collections.abc import Sequence

from driverref.release import Release
from driverref.runtime.iovec import ERL_ONHEAP_BIN_LIMIT, Vectors
from driverref.terms import Part, SubBinary


class OldVectors(Vectors):
    """Vectors that are never packed, share small parts, or have no element for an empty binary."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self.empty_binary_is_element = release.empty_binary_is_element

    def is_copied(self, part: Part) -> bool:
        """A part of a shared binary was shared too, whatever its size."""
        if self._release.copies_small_parts or not isinstance(part, SubBinary):
            return super().is_copied(part)
        return len(part.whole) <= ERL_ONHEAP_BIN_LIMIT

    def is_packed(self, parts: Sequence[Part]) -> bool:
        """R7B packs no vector."""
        return self._release.packs_vectors and super().is_packed(parts)
