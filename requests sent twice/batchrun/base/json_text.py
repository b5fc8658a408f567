"""JSON text of many small values. Pure."""

import json
from collections.abc import Callable
from typing import Any


def made_once(python: json.JSONEncoder) -> Callable[[Any], str]:
    """Return what *python* encodes with: its C part made once, where there is one.

    json makes it anew for each value, which takes as long as the value. For values of plain JSON
    without circles, and an encoder that leaves non-ASCII characters as they are.
    """
    make, quote = (
        getattr(json.encoder, f"c_{name}", None) for name in ("make_encoder", "encode_basestring")
    )
    if make is None or quote is None:
        return python.encode
    colon, comma = python.key_separator, python.item_separator
    options = python.sort_keys, python.skipkeys, python.allow_nan
    in_c = make(None, python.default, quote, None, colon, comma, *options)
    return lambda value: "".join(in_c(value, 0))
