"""A million cells' keys, numbered, in less than thirty bytes each. Pure.

A hash table whose slots hold numbers of keys, from 1; 0 is a free slot. A set of the keys as text
takes five times the room. The bits of a slot that numbers don't need hold as many of the key's
hash: another key is passed over without a look at its digest.
"""

import struct
from array import array
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

SIZE: Final = 16
_DIGEST: Final = struct.Struct(f"{SIZE}s")
_HASH: Final = 0x3FFF_FFFF
"""The bits of a hash that are used: the lower ones say where a key begins to look for its slot."""


MOST_EXPECTED: Final = 4_000_000
"""Keys for which room is made before they come."""


class KeyIndex:
    """A set of cell keys that numbers them, from 0, as they come.

    Where it is known how many are *expected*, it needs not grow, which takes as long as they do.
    """

    def __init__(self, expected: int = 0) -> None:
        self._count = 0
        self._digests = bytearray()
        slots = 1 << (min(expected, MOST_EXPECTED) * 3 // 2).bit_length()
        self._slots = array("I", bytes(4 * max(64, slots)))

    def __len__(self) -> int:
        return self._count

    def __contains__(self, cell: str) -> bool:
        return self.number(cell) is not None

    def number(self, cell: str) -> int | None:
        """Return the key's number, None where it isn't here."""
        return self.find(hex_digest(cell) or other_digest(cell))

    def find(self, digest: bytes) -> int | None:
        """Return the number of the key that *digest* stands for, None where it isn't here."""
        slots, last = self._slots, len(self._slots) - 1
        code = hash(digest) & _HASH
        slot = code & last
        while entry := slots[slot]:
            if entry ^ code <= last:
                number = (entry & last) - 1
                if self._digests.startswith(digest, number * SIZE):
                    return number
            slot = slot + 1 & last
        return None

    def add(self, cell: str) -> tuple[int, bool]:
        """Return the key's number, and whether it is new."""
        return self.place(hex_digest(cell) or other_digest(cell))

    def place(self, digest: bytes) -> tuple[int, bool]:
        """Return the number of the key that *digest* stands for, and whether it is new."""
        slots, last = self._slots, len(self._slots) - 1
        code = hash(digest) & _HASH
        slot = code & last
        while entry := slots[slot]:
            if entry ^ code <= last:
                number = (entry & last) - 1
                if self._digests.startswith(digest, number * SIZE):
                    return number, False
            slot = slot + 1 & last
        self._digests += digest
        number = self._count
        self._count = count = number + 1
        slots[slot] = code & ~last | count
        if count * 3 > last * 2:
            self._grow()
        return number, True

    def take_back(self) -> None:
        """Forget the key that was added last: no other key had to give way to it."""
        self._slots[self._slot_of_last()] = 0
        del self._digests[-SIZE:]
        self._count -= 1

    def digests(self) -> Iterator[bytes]:
        """Yield what stands for each key, in the order of their numbers."""
        for (digest,) in _DIGEST.iter_unpack(self._digests):
            yield digest

    def _slot_of_last(self) -> int:
        last = len(self._slots) - 1
        slot = hash(bytes(self._digests[-SIZE:])) & last
        while self._slots[slot] & last != self._count:
            slot = slot + 1 & last
        return slot

    def _grow(self) -> None:
        last = len(self._slots) * 2 - 1
        high = _HASH & ~last
        slots = array("I", bytes(4 * (last + 1)))
        for count, code in enumerate(map(hash, self.digests()), start=1):
            slot = code & last
            while slots[slot]:
                slot = slot + 1 & last
            slots[slot] = code & high | count
        self._slots = slots


def hex_digest(cell: str) -> bytes | None:
    """Return a key's bytes, None for a key that isn't 32 lower-case hexadecimal digits."""
    try:
        digest = bytes.fromhex(cell)
    except ValueError:
        return None
    return digest if len(digest) == SIZE and digest.hex() == cell else None


def other_digest(cell: str) -> bytes:
    """Return what stands for a key that is spelled otherwise."""
    return blake2b(cell.encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()
