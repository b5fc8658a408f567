"""Builds the requests that carry the key.

httpx joins endpoint, headers and URL anew for every request, which costs more than sending it does.
Here they are joined once. Cookies that the service may set are never sent back.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import httpx


class Requests:
    """The common part of every request to one endpoint, taken from its *http* client."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._base = str(http.base_url).rstrip("/")
        self._asking = httpx.Headers([(b"Host", http.base_url.netloc), *http.headers.raw])
        self._posting = httpx.Headers(self._asking)
        self._posting["Content-Type"] = "application/json"
        self._extensions: dict[str, Any] = {"timeout": http.timeout.as_dict()}

    def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Request:
        """Return a GET of *path*, which is encoded already; *params* are not."""
        query = f"?{urlencode(params)}" if params else ""
        url = httpx.URL(f"{self._base}{path}{query}")
        return self._request("GET", url, self._asking, b"")

    def post(self, path: str, body: bytes, *, idempotency_key: str | None = None) -> httpx.Request:
        """Return a POST of *body*, which is JSON, to *path*, which is encoded already."""
        headers = httpx.Headers(self._posting)
        headers["Content-Length"] = str(len(body))
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return self._request("POST", _url(self._base + path), headers, body)

    def _request(
        self, method: str, url: httpx.URL, headers: httpx.Headers, body: bytes
    ) -> httpx.Request:
        # Given a stream httpx believes that the headers are complete, and adds none.
        stream = httpx.ByteStream(body)
        request = httpx.Request(
            method, url, headers=headers, stream=stream, extensions=self._extensions
        )
        request.read()
        return request


@lru_cache(maxsize=128)
def _url(text: str) -> httpx.URL:
    """Take a URL apart; the few that runs are posted to, once."""
    return httpx.URL(text)
