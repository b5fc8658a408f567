"""Carries requests to any host by httpx's own transports: directly, or through a proxy.

Each is made when it is first used, so that a call's first request doesn't wait for it.
"""

import re
import ssl
from collections.abc import Callable
from typing import Final

import httpx

from batchrun.errors import UsageError
from batchrun.runflow.http.certificates import NoWayError, untrusted
from batchrun.runflow.http.proxies import UNUSABLE, Proxies, Proxy

SOCKS_MISSING: Final = (
    "`{name}` names a SOCKS proxy, which needs one more package: in batchrun's clone "
    "`pip install '.[socks]'`; or name an http proxy, or list {host} in `NO_PROXY`"
)


class Routed(httpx.AsyncBaseTransport):
    """Sends each request on the way that *proxies* say; *trusted* makes what https is checked by.

    *limits* are those of each way.
    """

    def __init__(
        self, proxies: Proxies, limits: httpx.Limits, trusted: Callable[[], ssl.SSLContext]
    ) -> None:
        self._proxies = proxies
        self._limits = limits
        self._trusted = trusted
        self._made: dict[tuple[str, Proxy | None], httpx.AsyncHTTPTransport] = {}

    def check(self, url: httpx.URL) -> None:
        """Return if there is a way to *url*; UsageError where the environment's settings bar it."""
        self._transport(self._proxy(url), url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* once. NoWayError where the environment's settings bar the way."""
        try:
            proxy = self._proxy(request.url)
            transport = self._transport(proxy, request.url)
        except UsageError as error:
            raise NoWayError(str(error)) from None
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise _explained(error, request.url.host, proxy) from error
        except Exception as error:
            # What is no SOCKS at all: httpcore doesn't translate that package's errors.
            if proxy is not None and type(error).__module__.partition(".")[0] == "socksio":
                raise httpx.ProxyError(f"what `{proxy.name}` names is no SOCKS proxy") from error
            raise

    async def aclose(self) -> None:
        for transport in self._made.values():
            await transport.aclose()

    def _proxy(self, url: httpx.URL) -> Proxy | None:
        return self._proxies.of(url.scheme, url.host, url.port)

    def _transport(self, proxy: Proxy | None, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        way = url.scheme, proxy
        if way not in self._made:
            # Where no certificate is looked at, a setting of certificates bars no way.
            tls = (
                self._trusted()
                if url.scheme == "https"
                else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            )
            try:
                self._made[way] = httpx.AsyncHTTPTransport(
                    verify=tls, limits=self._limits, proxy=_of_httpx(proxy, tls)
                )
            except ImportError:
                assert proxy is not None
                raise UsageError(SOCKS_MISSING.format(name=proxy.name, host=url.host)) from None
        return self._made[way]


def _of_httpx(proxy: Proxy | None, tls: ssl.SSLContext) -> httpx.Proxy | None:
    if proxy is None:
        return None
    own = tls if proxy.url.startswith("https:") else None
    try:
        return httpx.Proxy(proxy.url, auth=proxy.auth, ssl_context=own)
    except (httpx.InvalidURL, ValueError):  # a host that can't be written as one
        raise UsageError(UNUSABLE.format(name=proxy.name)) from None


def _explained(error: httpx.TransportError, host: str, proxy: Proxy | None) -> httpx.TransportError:
    """Return *error* in words that name the setting that it comes of."""
    if (found := untrusted(error, host)) is not None:
        return found
    if proxy is None:
        return error
    said = f"by the proxy that `{proxy.name}` names: {str(error) or type(error).__name__}"
    if isinstance(error, httpx.ProxyError) and re.match(r"407\b", str(error)):
        return NoWayError(f"{said}; it wants a user and a password before its host")
    return type(error)(said)
