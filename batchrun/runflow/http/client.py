"""Makes the two HTTP clients: one with the key, one that never has it.

Proxies of the environment (`proxies.py`) are used, or batchrun would not work where they are the
only way out; over https they see no key. A host of this machine never goes through one: HTTP_PROXY
would carry the key in the clear to another machine. Authorities of the environment
(`certificates.py`) hold for every host.

The API's client has a transport of ours (`transport.py`), unless there is a proxy: those are left
to httpx, and so are the downloads, which are few, large, and go anywhere (`routed.py`).
"""

import os
from typing import Any, Final
from urllib.request import getproxies

import httpx

from batchrun import __version__
from batchrun.base.endpoint import parse_endpoint
from batchrun.errors import UsageError
from batchrun.runflow.http.body import PACKINGS
from batchrun.runflow.http.certificates import trusted
from batchrun.runflow.http.proxies import Proxies
from batchrun.runflow.http.routed import Routed
from batchrun.runflow.http.transport import ApiTransport

TIMEOUT: Final = httpx.Timeout(connect=10, read=30, write=30, pool=None)
USER_AGENT: Final = f"batchrun/{__version__}"

# Below the 5 s after which common servers close an idle connection: a POST that meets the closing
# is in doubt, although it was never read.
KEEPALIVE: Final = 3.0


class _NoCookies(httpx.Cookies):
    """Keeps no cookie, and looks for none: httpx's look takes a tenth of a request's time."""

    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class _Client(httpx.AsyncClient):
    """httpx's client, but for cookies."""

    _none: Final = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._none

    @cookies.setter
    def cookies(self, _cookies: Any) -> None:
        raise AttributeError("no cookie is sent")


def api_client(
    endpoint: str,
    key: str | None,
    *,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return the client with the key, for about *connections* calls at once.

    Without a *key* it can ask for what is public. It opens more connections where it must: a call
    that has left the limiter never queues a second time.
    """
    url = check_endpoint(endpoint)
    headers = {
        **({} if key is None else {"Authorization": f"Bearer {_checked(key)}"}),
        "Accept": "application/json",
        "Accept-Encoding": PACKINGS,
    }
    return _client(url, headers, transport or _transport(url, connections))


def download_client(
    *, connections: int = 8, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Return the client without the key. `downloads.py` checks the URLs that it opens."""
    return _client("", {}, transport or _routed(connections))


def check_endpoint(endpoint: str) -> httpx.URL:
    """Return the endpoint as a URL, or raise UsageError; what it held is not repeated."""
    try:
        return _named(httpx.URL(parse_endpoint(endpoint)))
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(f"the endpoint can't be used: {error}") from None


def _named(url: httpx.URL) -> httpx.URL:
    """Return *url*; ValueError for a host that can be no name, which its look-up would choke on."""
    try:
        url.raw_host.decode("ascii").encode("idna")  # as the system's look-up does
        _ = url.host  # which takes the same apart
    except UnicodeError:
        raise ValueError("its host is no name") from None
    return url


def _checked(key: str) -> str:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # Else the HTTP library complains, and shows the key in its complaint.
        raise UsageError("`RUNFLOW_API_KEY` holds no key: empty, or characters no key has")
    return key


def _limits(connections: int) -> httpx.Limits:
    return httpx.Limits(
        max_connections=None, max_keepalive_connections=connections, keepalive_expiry=KEEPALIVE
    )


def _proxies() -> Proxies:
    return Proxies(os.environ, getproxies())


def _routed(connections: int) -> Routed:
    return Routed(_proxies(), _limits(connections), trusted)


def _transport(url: httpx.URL, connections: int) -> httpx.AsyncBaseTransport:
    """Return the transport to *url*; UsageError where the environment's settings bar the way."""
    if _proxies().of(url.scheme, url.host, url.port) is not None:
        routed = _routed(connections)
        routed.check(url)
        return routed
    tls = trusted() if url.scheme == "https" else None
    return ApiTransport(url, tls=tls, keep=connections, expiry=KEEPALIVE)


def _client(
    base_url: httpx.URL | str, headers: dict[str, str], transport: httpx.AsyncBaseTransport
) -> httpx.AsyncClient:
    return _Client(
        base_url=base_url,
        headers={"User-Agent": USER_AGENT, **headers},
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,  # what of it counts is read above
        transport=transport,
    )
