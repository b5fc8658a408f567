"""A million cells' keys, numbered, in less than thirty bytes each. Pure.

A hash table whose slots hold numbers of keys, from 1; 0 is a free slot. A set of the keys as text
takes five times the room.
"""

import re
import struct
from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

SIZE: Final = 16
_HEX: Final = re.compile("[0-9a-f]{32}")
_DIGEST: Final = struct.Struct(f"{SIZE}s")


class Keys:
    """A set of cell keys that numbers them, from 0, as they come. Nothing is ever taken out."""

    def __init__(self) -> None:
        self._count = 0
        self._digests = bytearray()
        self._slots = array("I", bytes(4 * 64))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, cell: str) -> bool:
        return self.number(cell) is not None

    def number(self, cell: str) -> int | None:
        """Return the key's number, None where it isn't here."""
        number = self._slots[self._slot(_digest(cell))]
        return number - 1 if number else None

    def add(self, cell: str) -> tuple[int, bool]:
        """Return the key's number, and whether it is new."""
        digest = _digest(cell)
        slot = self._slot(digest)
        if number := self._slots[slot]:
            return number - 1, False
        self._digests += digest
        self._count = self._slots[slot] = self._count + 1
        if self._count * 3 > len(self._slots) * 2:
            self._grow()
        return self._count - 1, True

    def digests(self) -> Iterator[bytes]:
        """Yield what stands for each key, in the order of their numbers."""
        for (digest,) in _DIGEST.iter_unpack(self._digests):
            yield digest

    def _slot(self, digest: bytes) -> int:
        """Return the slot that holds the key's number, or the free one where it would."""
        slots, digests, last = self._slots, self._digests, len(self._slots) - 1
        slot = hash(digest) & last
        while number := slots[slot]:
            if digests[(number - 1) * SIZE : number * SIZE] == digest:
                break
            slot = (slot + 1) & last
        return slot

    def _grow(self) -> None:
        last = len(self._slots) * 2 - 1
        slots = array("I", bytes(4 * (last + 1)))
        for number, digest in enumerate(self.digests(), start=1):
            slot = hash(digest) & last
            while slots[slot]:
                slot = (slot + 1) & last
            slots[slot] = number
        self._slots = slots


def _digest(cell: str) -> bytes:
    """Return the bytes of a cell's key; of one that is spelled otherwise, a hash."""
    if _HEX.fullmatch(cell):
        return bytes.fromhex(cell)
    return blake2b(cell.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()
