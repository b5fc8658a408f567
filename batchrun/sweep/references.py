"""The `client_ref` of runs: of a wave, and of the first runs of a sweep, the marker. Pure.

A wave's reference has the sweep's id, which is made once and can't be guessed. So a machine without
the ledger can't ask for it. **The first runs of a sweep carry a marker that follows from the
sweep's name and label alone**, and that any machine can ask for. An output folder was deleted once,
or had never been there, and all cells were paid a second time without a word.
"""

import json
import re
import unicodedata
from hashlib import sha256
from typing import Final

_PREFIX: Final = "br1."
_MARKER: Final = f"{_PREFIX}first."
_MARKER_VERSION: Final = 1
_DIGITS: Final = 20
_WHOLE: Final = re.compile(rf"br1\.(?:first\.[0-9a-f]{{{_DIGITS}}}|(?!first\.)[\w-]+\.\d+)")

_SWEEP_ID: Final = re.compile(r"[0-9a-f]{20}")


def reference(sweep: str, number: int) -> str:
    """Return the `client_ref` that all attempts of a wave carry; waves count from 1."""
    return f"{_PREFIX}{sweep}.{number}"


def marker(name: str, label: str | None) -> str:
    """Return the `client_ref` of the first runs of each sweep of that name and label.

    No label differs from every label. Nothing else is a part of it: a list shows the runs of one's
    own organisation anyway.
    """
    named = [None if each is None else unicodedata.normalize("NFC", each) for each in (name, label)]
    text = json.dumps([_MARKER_VERSION, *named]).encode()
    return f"{_MARKER}{sha256(text).hexdigest()[:_DIGITS]}"


def is_marker(client_ref: str | None) -> bool:
    """Say whether *client_ref* is a marker: then only a run's tag says which sweep it is of."""
    return client_ref is not None and client_ref.startswith(_MARKER)


def is_sweep_id(value: str) -> bool:
    """Say whether *value* has the shape of a sweep's id."""
    return _SWEEP_ID.fullmatch(value) is not None


def is_whole(client_ref: str) -> bool:
    """Say whether *client_ref* is one of ours as we spell it: a wave's, or a marker."""
    return _WHOLE.fullmatch(client_ref) is not None


def may_be_ours(client_ref: str) -> bool:
    """Say whether *client_ref* may be one of ours that was cut, or spelled in another way."""
    return _PREFIX in client_ref.lower()


def is_of_sweep(client_ref: str, sweep: str) -> bool:
    """Say whether *client_ref* is that of a wave of *sweep*."""
    return client_ref.startswith(f"{_PREFIX}{sweep}.")


def sweep_of(client_ref: str) -> str | None:
    """Return the id of the sweep whose wave *client_ref* names, None where it names none."""
    match client_ref.split("."):
        case ["br1", sweep, _] if not is_marker(client_ref):
            return sweep
        case _:
            return None


def wave_number(client_ref: str) -> int:
    """Return the number of the wave that *client_ref* names; 0 for the marker, and for others."""
    number = client_ref.rpartition(".")[2]
    return int(number) if number.isdecimal() and not is_marker(client_ref) else 0
