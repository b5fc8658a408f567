"""Makes the two HTTP clients: one with the key, one that never has it.

Proxies of the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE) are used, or batchrun would not
work where they are the only way out; over https they see no key. For a loopback endpoint they are
not: HTTP_PROXY would carry the key in the clear to another machine.

The API's client has a transport of ours (`transport.py`), unless there is a proxy: those are left
to httpx, and so are the downloads, which are few, large, and go anywhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import getproxies

import httpx

from batchrun import __version__
from batchrun.base.endpoint import is_loopback, parse_endpoint
from batchrun.errors import UsageError
from batchrun.runflow.http.body import PACKINGS
from batchrun.runflow.http.transport import ApiTransport

TIMEOUT: Final = httpx.Timeout(connect=10, read=30, write=30, pool=None)
USER_AGENT: Final = f"batchrun/{__version__}"

# Below the 5 s after which common servers close an idle connection: a POST that meets the closing
# is in doubt, although it was never read.
KEEPALIVE: Final = 3.0


class _Late(httpx.AsyncBaseTransport):
    """httpx's transport, made when it is first used: a call's first request doesn't wait for it."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._made: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._made is None:
            self._made = httpx.AsyncHTTPTransport(limits=_limits(self._connections))
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.aclose()


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
    loopback = is_loopback(url.host)
    return _client(
        base_url=url,
        headers=headers,
        connections=connections,
        transport=transport or _transport(url, connections, loopback=loopback),
        loopback=loopback,
    )


def download_client(
    *, connections: int = 8, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Return the client without the key. `downloads.py` checks the URLs that it opens."""
    if transport is None and not _proxied():
        _check_certificates()
        transport = _Late(connections)
    return _client(
        base_url="",
        headers={},
        connections=connections,
        transport=transport,
        loopback=False,
    )


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


def _proxied() -> bool:
    return bool(getproxies().keys() & {"http", "https", "all"})


def _check_certificates() -> None:
    """Raise UsageError if the environment's certificates, which are read late, aren't there."""
    with _of_the_environment():
        if named := os.environ.get("SSL_CERT_FILE"):
            Path(named).open("rb").close()


def _limits(connections: int) -> httpx.Limits:
    return httpx.Limits(
        max_connections=None, max_keepalive_connections=connections, keepalive_expiry=KEEPALIVE
    )


def _transport(url: httpx.URL, connections: int, *, loopback: bool) -> ApiTransport | None:
    """Return the transport to *url*, or None where a proxy may be on the way."""
    if not loopback and _proxied():
        return None
    tls = None
    if url.scheme == "https":
        with _of_the_environment():
            tls = httpx.create_ssl_context(trust_env=not loopback)
    return ApiTransport(url, tls=tls, keep=connections, expiry=KEEPALIVE)


def _client(
    *,
    base_url: httpx.URL | str,
    headers: dict[str, str],
    connections: int,
    transport: httpx.AsyncBaseTransport | None,
    loopback: bool,
) -> httpx.AsyncClient:
    with _of_the_environment():
        return _Client(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, **headers},
            timeout=TIMEOUT,
            limits=_limits(connections),
            follow_redirects=False,
            trust_env=not loopback,
            transport=transport,
        )


@contextmanager
def _of_the_environment() -> Iterator[None]:
    """Report settings of the environment that can't be used.

    A socks proxy without its package, a proxy that is no URL, a missing SSL_CERT_FILE. The error's
    own text may hold the proxy's password.
    """
    try:
        yield
    except (ImportError, ValueError, OSError) as error:
        raise UsageError(
            "the environment's proxy or certificate setting can't be used"
            f" ({type(error).__name__}); look at `HTTPS_PROXY`, `ALL_PROXY`, `SSL_CERT_FILE`"
        ) from None
