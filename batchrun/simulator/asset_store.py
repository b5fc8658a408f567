"""The bytes of assets: of uploaded files, and of `data:` inputs, which become assets (section 4).

The newest are kept up to a bound, so that a sweep over a large folder of photos doesn't double it;
of an older asset only size and hash are known. Each method is part of a transaction of its caller.
"""

import base64
import hashlib
import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from batchrun.simulator.links import ASSET
from batchrun.simulator.store import Store
from batchrun.simulator.views import made_id

DATA_URI: Final = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+?)*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL
)


class AssetStore:
    """Keeps at most *bound* bytes of assets in *store*."""

    def __init__(self, store: Store, bound: int) -> None:
        self._store = store
        self.bound = bound

    def keep(self, asset_id: str, data: bytes) -> None:
        """Keep the bytes of an asset, and let go of the oldest ones where it gets too much."""
        self._store.write("DELETE FROM asset_bytes WHERE asset_id = ?", asset_id)
        if len(data) > self.bound:
            return
        row = {"asset_id": asset_id, "size": len(data), "data": data}
        self._store.insert("asset_bytes", row)
        oldest = "DELETE FROM asset_bytes WHERE number = (SELECT MIN(number) FROM asset_bytes)"
        while self._size() > self.bound:
            self._store.write(oldest)

    def data(self, asset_id: str) -> bytes | None:
        """Return the bytes of an asset, None where they are not kept any more."""
        row = self._store.one("SELECT data FROM asset_bytes WHERE asset_id = ?", asset_id)
        return None if row is None else bytes(row["data"])

    def stored(self, value: Any, org: str, now: int) -> Any:
        """Return an input with a reference to an asset for each `data:` URI in it."""
        if isinstance(value, str):
            match = DATA_URI.fullmatch(value) if value.startswith("data:") else None
            return value if match is None else self._stored(match, org, now)
        if isinstance(value, list):
            return [self.stored(each, org, now) for each in value]
        if isinstance(value, dict):
            return {name: self.stored(each, org, now) for name, each in value.items()}
        return value

    def _stored(self, match: re.Match[str], org: str, now: int) -> str:
        try:
            text = unquote_to_bytes(match["data"])
            data = base64.b64decode(text, validate=True) if match["base64"] else text
        except ValueError:  # no base64, or no text that has bytes
            return match[0]
        # By its content: the same input sent again is the same input, and is kept once.
        digest = hashlib.sha256(data).hexdigest()
        asset_id = made_id("inline", org, match["type"], digest)
        if self._store.one("SELECT 1 FROM assets WHERE id = ?", asset_id) is None:
            row = {"id": asset_id, "org": org, "name": "inline", "mime_type": match["type"]}
            sizes = {"size": len(data), "put_size": len(data), "sha256": digest}
            self._store.insert("assets", row | sizes | {"confirmed": now, "created": now})
            self.keep(asset_id, data)
        return ASSET + asset_id

    def _size(self) -> int:
        row = self._store.one("SELECT COALESCE(SUM(size), 0) AS size FROM asset_bytes")
        return 0 if row is None else int(row["size"])
