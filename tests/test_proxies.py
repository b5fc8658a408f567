"""The proxies of the environment: which requests go through one, and what is said where none can.

A proxy's password is a secret, and a host of this machine never goes through a proxy.
"""

import base64
import builtins
import gc
import importlib
from collections.abc import Mapping
from pathlib import Path
from ssl import create_default_context
from typing import Any, Final

import httpx
import pytest
from raw_server import raw_server
from test_downloads import fetch

from batchrun.base.endpoint import is_loopback
from batchrun.base.output_store import OutputStore
from batchrun.errors import UnreachableError, UsageError
from batchrun.runflow.client import Client
from batchrun.runflow.downloads import DownloadError
from batchrun.runflow.http.certificates import NoWayError
from batchrun.runflow.http.client import api_client, download_client
from batchrun.runflow.http.proxies import Proxies, is_exempt, parse_proxy
from batchrun.runflow.http.routed import Routed
from batchrun.runflow.http.transport import ApiTransport
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

FAR: Final = "https://api.example"
SHORT: Final = ["127.1", "0x7f.1", "2130706433"]
NEAR: Final = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "::1",
    "127.8.9.1",
    "::ffff:127.0.0.1",
    *SHORT,
]
NAMES: Final = [f"{kind}_proxy" for kind in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def way(environ: Mapping[str, str], host: str = "api.example", port: int | None = None) -> str:
    proxy = Proxies(environ).of("https", host, port)
    return "" if proxy is None else f"{proxy.name} {proxy.url}"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://p:3128"}, "HTTPS_PROXY http://p:3128"),
        ({"https_proxy": "p:3128/"}, "https_proxy http://p:3128"),
        ({"HTTPS_PROXY": "p"}, "HTTPS_PROXY http://p:80"),
        ({"HTTPS_PROXY": "a", "https_proxy": "b:1"}, "https_proxy http://b:1"),
        ({"HTTPS_PROXY": "a", "https_proxy": ""}, ""),
        ({"HTTP_PROXY": "http://p:3128"}, ""),
        ({"HTTP_PROXY": "nonsense proxy"}, ""),
        ({"ALL_PROXY": "socks5://p:1080"}, "ALL_PROXY socks5://p:1080"),
        ({"ALL_PROXY": "socks://p/"}, "ALL_PROXY socks5://p:1080"),
        ({"all_proxy": "SOCKS5H://[::1]:9"}, "all_proxy socks5h://[::1]:9"),
        ({"ALL_PROXY": "p:1", "HTTPS_PROXY": "q:2"}, "HTTPS_PROXY http://q:2"),
        ({"HTTPS_PROXY": "p:1", "NO_PROXY": "*"}, ""),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "", "NO_PROXY": "*"}, "HTTPS_PROXY http://p:1"),
        ({"HTTPS_PROXY": "nonsense proxy", "NO_PROXY": "api.example"}, ""),
    ],
)
def test_the_way_to_a_host_is_that_of_the_environment(
    environ: Mapping[str, str], expected: str
) -> None:
    assert way(environ) == expected
    for host in NEAR:
        assert way(environ, host) == ""


def test_where_the_environment_names_no_proxy_that_of_the_system_holds() -> None:
    system = {"https": "http://p:1", "no": "other.example"}

    assert Proxies({}, system).of("https", "api.example", None) == parse_proxy(
        "the system's proxy setting", "p:1"
    )
    assert Proxies({}, system).of("https", "other.example", None) is None
    assert Proxies({"all_proxy": "q:2"}, system).of("https", "api.example", None) == parse_proxy(
        "all_proxy", "q:2"
    )


@pytest.mark.parametrize(
    ("entry", "yes", "no"),
    [
        ("*", ["a.example", "10.0.0.1"], []),
        ("a.example", ["a.example", "A.EXAMPLE.", "b.a.example"], ["ba.example", "example"]),
        (".a.example", ["a.example", "b.a.example"], ["ba.example"]),
        ("*.a.example", ["a.example", "b.a.example"], ["ba.example"]),
        ("A.Example.", ["a.example"], []),
        ("a.example:443", ["a.example"], []),
        ("a.example:8443", ["a.example:8443"], ["a.example"]),
        ("*:8443", ["a.example:8443"], ["a.example"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["11.1.2.3", "10.example"]),
        ("10.1.2.3/8", ["10.9.9.9"], []),
        ("10.1.2.3", ["10.1.2.3"], ["10.1.2.33"]),
        ("10.1.2.3:443", ["10.1.2.3"], ["10.1.2.3:8443"]),
        ("10.1.*", ["10.1.2.3"], ["10.2.2.3"]),
        ("fd00::/8", ["fd12::1"], ["fe80::1"]),
        ("[fd12::1]:443", ["fd12::1"], ["fd12::1:8443"]),
        ("fd12:0:0::1", ["fd12::1"], []),
        ("https://a.example", ["a.example"], []),
        ("http://a.example", [], ["a.example"]),
        ("b.example , a.example;", [], []),
        ("b.example, a.example", ["a.example", "b.example"], ["c.example"]),
        ("b.example a.example", ["a.example"], []),
        (",, .", [], ["a.example"]),
        ("a.example:port", [], ["a.example"]),
        ("[", [], ["a.example"]),
        ("xn--mnchen-3ya.example", ["münchen.example", "b.münchen.example"], ["munchen.example"]),
        ("münchen.example", ["xn--mnchen-3ya.example"], []),
        ("xn--ß.example", [], ["a.example"]),
        ("https://a.example/", ["a.example"], ["b.example"]),
        ("https://a.example:443/v1", ["a.example"], []),
        ("a.example/", ["a.example"], []),
        (f"a.example:{'9' * 5000}", [], ["a.example"]),
    ],
)
def test_no_proxy_lists_hosts_in_each_spelling(entry: str, yes: list[str], no: list[str]) -> None:
    def exempt(place: str) -> bool:
        host, _, port = place.rpartition(":") if place.endswith(":8443") else (place, "", "")
        return is_exempt(entry, "https", host, int(port) if port else None)

    assert [place for place in yes if not exempt(place)] == []
    assert [place for place in no if exempt(place)] == []


@pytest.mark.parametrize(
    ("value", "auth"),
    [
        ("http://p:1", None),
        ("http://me:pw@p:1", ("me", "pw")),
        ("me:p%40w%2F@p:1", ("me", "p@w/")),
        ("socks5://me:a@b/c#d?e@p:1", ("me", "a@b/c#d?e")),
        ("https://me@p:1", ("me", "")),
        ("http://me:p://w@p:1", ("me", "p://w")),
    ],
)
def test_user_and_password_are_read_and_never_shown(
    value: str, auth: tuple[str, str] | None
) -> None:
    proxy = parse_proxy("HTTPS_PROXY", value)

    assert (proxy.auth, proxy.url[-4:]) == (auth, "/p:1")
    assert repr(proxy) == "<Proxy of HTTPS_PROXY>"


@pytest.mark.parametrize(
    "value",
    [
        "gopher://u:canary-pw@proxy.example",
        "http://u:canary-pw@p:\u0661",
        "socks4://u:canary-pw@p:1",
        "http://u:canary-pw@p:port",
        "http://u:canary-pw@p:99999",
        "http://u:canary-pw@p:0",
        "http://u:canary-pw@",
        "http://u:canary-pw@a b:1",
        "http://u:canary-pw@p:1/path",
        "://u:canary-pw@p",
        "http://u:canary-pw@::1:80",
        "http://u:canary-pw@p\x1b:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_value(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)

    with pytest.raises(UsageError, match="`ALL_PROXY` is no proxy") as stopped:
        api_client(FAR, "key", connections=1)

    assert "canary" not in str(stopped.value)
    assert "p:" not in str(stopped.value).replace("http:", "").replace("ALL_PROXY", "")
    download_client()
    assert isinstance(
        api_client("http://127.0.0.1:1", "key", connections=1)._transport, ApiTransport
    )


# SOCKS, with its package and without.


def without_socksio(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("httpcore")  # its first import decides for good whether it has SOCKS
    real = builtins.__import__

    def importing(name: str, *words: Any, **named: Any) -> Any:
        if name.partition(".")[0] == "socksio":
            raise ImportError(name)
        return real(name, *words, **named)

    monkeypatch.setattr(builtins, "__import__", importing)


def test_a_socks_proxy_wants_its_extra_only_where_a_request_goes_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://u:canary-pw@proxy.example:1080")
    monkeypatch.setenv("NO_PROXY", "exempt.example")
    without_socksio(monkeypatch)

    for endpoint in ("http://127.0.0.1:8000", "https://localhost:8000", "https://exempt.example"):
        assert isinstance(api_client(endpoint, "key", connections=1)._transport, ApiTransport)
    download_client()
    with pytest.raises(UsageError, match=r"`ALL_PROXY`.*pip install '\.\[socks\]'") as stopped:
        api_client(FAR, "key", connections=1)

    assert "api.example in `NO_PROXY`" in str(stopped.value)
    assert "canary" not in str(stopped.value)


async def test_a_download_that_needs_the_extra_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    without_socksio(monkeypatch)

    async with download_client() as http:
        with pytest.raises(DownloadError, match=r"\.\[socks\]"):
            await fetch(http, "https://files.example/a.png", OutputStore(tmp_path), "c", tries=1)


def test_with_its_extra_a_socks_proxy_is_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")

    assert isinstance(api_client(FAR, "key", connections=1)._transport, Routed)


# Real sockets.

REAL: Final = [
    pytest.mark.slow,
    pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"]),
]


def real(test: Any) -> Any:
    for mark in REAL:
        test = mark(test)
    return test


@real
async def test_a_request_goes_through_the_proxy_with_its_password_and_without_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    with raw_server(["read", refusal, "close"]) as proxy:
        place = proxy.url.removeprefix("http://")
        monkeypatch.setenv("https_proxy", f"http://me:canary%2Fpw@{place}")
        async with api_client(FAR, "rf_live_key", connections=1) as http:
            with pytest.raises(NoWayError, match=r"`https_proxy` names: 407 .* user") as stopped:
                await http.get("/v1/auth/me")
            client = Client(http, Limiter(Pace(100.0, jitter=lambda: 0.0)), give_up=60.0)
            with pytest.raises(UnreachableError, match="`https_proxy` names: 407"):  # and at once
                await client.account()

    head = proxy.heads[0].decode()
    assert head.startswith("CONNECT api.example:443 ")
    assert base64.b64encode(b"me:canary/pw").decode() in head
    assert "rf_live_key" not in head
    assert "canary" not in str(stopped.value)


@real
# httpcore drops the connection without closing it.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_what_is_no_socks_proxy_is_an_error_of_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with raw_server([b"HTTP/1.1 400 Bad Request\r\n\r\n", "hang"]) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url.replace("http:", "socks5:"))
        async with api_client(FAR, "key", connections=1) as http:
            with pytest.raises(httpx.ProxyError, match="`ALL_PROXY`") as stopped:
                await http.get("/v1/auth/me")
            del stopped
    gc.collect()  # here, where its warning is expected


@real
async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:canary-pw@127.0.0.1:9")
    async with api_client(FAR, "key", connections=1) as http:
        with pytest.raises(httpx.ConnectError, match="by the proxy that `HTTPS_PROXY`") as stopped:
            await http.get("/v1/auth/me")

    assert "canary" not in str(stopped.value)


@real
async def test_a_host_of_this_machine_is_reached_past_every_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 8\r\n\r\n\x89PNG\r\n\x1a\n"
    )
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")  # which nothing here needs
    with raw_server(["read", whole, "close"]) as server:
        async with api_client(server.url, "key", connections=1) as http:
            assert (await http.get("/v1/auth/me")).status_code == 200
        async with download_client() as http:
            await fetch(http, f"{server.url}/a.png", OutputStore(tmp_path), "c", loopback=True)

    assert server.connections == 2


@pytest.mark.parametrize("host", ["[1.2]:80", "münchen.ⓔ:80", "1.2.3.400:1"])
def test_a_proxy_whose_host_cannot_be_written_as_one_is_said_before_anything_is_sent(
    host: str,
) -> None:
    routed = Routed(
        Proxies({"HTTPS_PROXY": f"http://u:canary-pw@{host}"}),
        httpx.Limits(),
        create_default_context,
    )

    with pytest.raises(UsageError, match="`HTTPS_PROXY` is no proxy that can be used") as stopped:
        routed.check(httpx.URL(FAR))

    assert "canary" not in str(stopped.value)


def test_a_name_or_a_number_that_is_another_host_is_not_this_machine() -> None:
    for host in [
        "128.1",
        "127.1.1.1.1",
        "127.256.1",
        "0127.1",
        "127.9x",
        "127.example",
        "256",
        "08",
    ]:
        assert not is_loopback(host), host
