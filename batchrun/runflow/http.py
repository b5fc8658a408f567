"""Makes the two HTTP clients: one that carries the key, one that never does.

Proxies of the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE) are used, or batchrun would not
work where they are the only way out; over https they see no key. For a loopback endpoint they are
not: HTTP_PROXY would carry the key in the clear to another machine.
"""

from typing import Final

import httpx

from batchrun import __version__
from batchrun.errors import UsageError
from batchrun.manifest.endpoint import is_loopback, parse_endpoint

TIMEOUT: Final = httpx.Timeout(connect=10, read=30, write=30, pool=None)
USER_AGENT: Final = f"batchrun/{__version__}"

# Below the 5 s after which common servers close an idle connection: a POST that meets the closing
# is in doubt, although it was never read.
KEEPALIVE: Final = 3.0


def api_client(
    endpoint: str,
    key: str,
    *,
    connections: int,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """Return the client with the key, for about *connections* calls at once.

    It opens more where it must: a call that has left the limiter never queues a second time.
    """
    url = check_endpoint(endpoint)
    headers = {"Authorization": f"Bearer {_checked(key)}", "Accept": "application/json"}
    return _client(
        base_url=url,
        headers=headers,
        connections=connections,
        transport=transport,
        loopback=is_loopback(url.host),
    )


def download_client(
    *, connections: int = 8, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """Return the client without the key. What it may open is checked by `downloads.py`."""
    return _client(
        base_url="", headers={}, connections=connections, transport=transport, loopback=False
    )


def check_endpoint(endpoint: str) -> httpx.URL:
    """Return the endpoint as a URL, or raise UsageError; what it held is not repeated."""
    try:
        return httpx.URL(parse_endpoint(endpoint))
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(f"the endpoint can't be used: {error}") from None


def _checked(key: str) -> str:
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # Else the HTTP library complains, and shows the key in its complaint.
        raise UsageError("`RUNFLOW_API_KEY` holds no key: empty, or characters no key has")
    return key


def _client(
    *,
    base_url: httpx.URL | str,
    headers: dict[str, str],
    connections: int,
    transport: httpx.AsyncBaseTransport | None,
    loopback: bool,
) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            base_url=base_url,
            headers={"User-Agent": USER_AGENT, **headers},
            timeout=TIMEOUT,
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=connections,
                keepalive_expiry=KEEPALIVE,
            ),
            follow_redirects=False,
            trust_env=not loopback,
            transport=transport,
        )
    except (ImportError, ValueError, OSError) as error:
        # A socks proxy without its package, a proxy that is no URL, a missing SSL_CERT_FILE. The
        # error's text may hold the proxy's password.
        raise UsageError(
            "the environment's proxy or certificate setting can't be used"
            f" ({type(error).__name__}); look at `HTTPS_PROXY`, `ALL_PROXY`, `SSL_CERT_FILE`"
        ) from None
