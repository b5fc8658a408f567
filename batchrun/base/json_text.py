"""JSON text of many small values, and of texts that have no UTF-8. Pure."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def encoded(value: Any) -> bytes:
    """Return *value* as JSON, half of a surrogate pair as an escape, which `decoded` reads.

    Python decodes bytes of a path that are no UTF-8 to such halves; text typed in a browser can
    have them, too.
    """
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def decoded(data: bytes, as_type: type[T]) -> T:
    """Return what the JSON *data* says, such texts among it; msgspec.DecodeError for anything else.

    Raises UnicodeDecodeError where it is no UTF-8 itself.
    """
    try:
        return msgspec.json.decode(data, type=as_type)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"\\ud" not in data:
            raise
        try:
            values = json.loads(data)
        except (ValueError, RecursionError):
            values = None
        if values is None:
            raise
        return msgspec.convert(values, as_type, str_keys=True)


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
