"""Signed URLs of files, and the URLs that an answer holds.

Reads sign again: an output's URL works for a while, an uploaded file's seven times as long (fact
sheet, section 16: some 24 hours, some 7 days).
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from batchrun.simulator import life

ASSET: Final = "runflow://assets/"
ASSETS_LIVE: Final = 7  # times as long as outputs


@dataclass(frozen=True, slots=True)
class Links:
    """How an answer spells a run's *file* (run id, name of the file), and an *asset* (id)."""

    file: Callable[[str, str], str]
    asset: Callable[[str], str]

    def read(self, value: Any) -> Any:
        """Return an input as it is read: references to assets are URLs (section 16)."""
        if isinstance(value, str) and value.startswith(ASSET):
            return self.asset(value.removeprefix(ASSET))
        if isinstance(value, list):
            return [self.read(each) for each in value]
        if isinstance(value, dict):
            return {name: self.read(each) for name, each in value.items()}
        return value


class Signer:
    """Signs paths; an output's URL works *url_life* seconds."""

    def __init__(self, seed: int, url_life: float) -> None:
        self._secret = hashlib.sha256(f"simulator {seed}".encode()).digest()
        self._life = max(1, round(url_life))

    def links(self, base_url: str, now: int) -> Links:
        """Return the links of an answer *now* to who has found us at *base_url*."""
        return Links(
            file=lambda run_id, name: self.url(base_url, f"/files/{run_id}/{name}", now),
            asset=lambda asset: self.asset_url(base_url, asset, now),
        )

    def asset_url(self, base_url: str, asset_id: str, now: int) -> str:
        return self.url(base_url, f"/assets/{asset_id}", now, times=ASSETS_LIVE)

    def url(self, base_url: str, path: str, now: int, *, times: int = 1) -> str:
        expires = now // life.SECOND + self._life * times
        return f"{base_url}{path}?expires={expires}&signature={self._sign(path, expires)}"

    def holds(self, path: str, params: Mapping[str, str], now: int) -> bool:
        """Say whether the URL was signed by us and still works."""
        expires = params.get("expires", "")
        if not re.fullmatch(r"\d{1,15}", expires, re.ASCII) or int(expires) * life.SECOND < now:
            return False
        signature = self._sign(path, int(expires)).encode()
        return hmac.compare_digest(signature, params.get("signature", "").encode())

    def _sign(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{path} {expires}".encode(), "sha256").hexdigest()[:40]
