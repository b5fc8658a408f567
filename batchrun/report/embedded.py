"""Values as JSON that can stand inside a page or a script, whatever text is in them. Pure.

A prompt may hold `</script>`, `<!--` or marks that turn the direction of writing around. In JSON
all of them stand inside strings, where an escape means the same: so none ends the element that it
stands in, and an editor shows the file as a browser reads it.
"""

import json
from typing import Any, Final

_ESCAPED: Final = {
    ord(each): f"\\u{ord(each):04x}"
    for each in (
        *"<>&\u2028\u2029",
        *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    )
}

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def embedded(value: Any) -> bytes:
    """Return *value* as JSON without a character that means anything to HTML."""
    # Half a surrogate pair has no UTF-8; as a backslash escape it is what JSON says anyway.
    return _encode(value).translate(_ESCAPED).encode("utf-8", "backslashreplace")
