"""The proxies that the environment names, and the hosts that it exempts from them. Pure.

`HTTPS_PROXY`, else `ALL_PROXY`, is the way to a host; `NO_PROXY` lists hosts that need none. The
lower-case spelling of each goes before the upper-case one, as in other programs. A host of this
machine never goes through a proxy: another machine would see the key in the clear, and couldn't
reach that host. A value is looked at when a request would go through it, and not before.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import unquote

from msgspec import Struct

from batchrun.base.endpoint import is_loopback
from batchrun.errors import UsageError

_PORTS: Final = {"https": 443, "http": 80}
_SCHEMES: Final = {name: name for name in ("http", "https", "socks5", "socks5h")} | {
    "socks": "socks5"
}
UNUSABLE: Final = (
    "`{name}` is no proxy that can be used; expected http://HOST:PORT or socks5://HOST:PORT, with "
    "USER:PASSWORD@ before the host where the proxy asks for it"
)
_SYSTEM: Final = "the system's proxy setting"


class Proxy(Struct, frozen=True):
    """A proxy: the setting's *name*, the address without its user, and user and password."""

    name: str
    url: str
    auth: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"<Proxy of {self.name}>"  # the password is a secret


class Proxies:
    """The settings of *environ*; of *system*, by scheme, where *environ* has none."""

    def __init__(self, environ: Mapping[str, str], system: Mapping[str, str] | None = None) -> None:
        self._values = dict(_variables(environ, ("https", "http", "all")))
        self._exempt = next(
            (value for _, (_, value) in _variables(environ, ("no",))),
            "" if system is None else system.get("no", ""),
        )
        if not self._values:
            self._values = {name: (_SYSTEM, value) for name, value in (system or {}).items()}

    def of(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """Return the proxy on the way to a host, None where there is none.

        Raises UsageError where the setting is no proxy that can be used.
        """
        if is_loopback(host) or is_exempt(self._exempt, scheme, host, port):
            return None
        name, value = self._values.get(scheme) or self._values.get("all") or ("", "")
        return parse_proxy(name, value) if value else None


def _variables(
    environ: Mapping[str, str], kinds: tuple[str, ...]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the settings by kind, each with its variable's name; an empty one counts as none."""
    for kind in kinds:
        lower = f"{kind}_proxy"
        name = lower if lower in environ else lower.upper()
        if value := environ.get(name, "").strip():
            yield kind, (name, value)


def parse_proxy(name: str, value: str) -> Proxy:
    """Return the proxy of a setting; UsageError, which never shows the value, where it is none."""
    scheme, _, rest = (value if "://" in value else f"http://{value}").partition("://")
    user, at, place = rest.rpartition("@")
    known = _SCHEMES.get(scheme.lower())
    place = place.rstrip("/")
    host, port = _host_and_port(place)
    if known is None or host is None or not place.isprintable():
        raise UsageError(UNUSABLE.format(name=name))
    user, _, password = user.partition(":")
    auth = (unquote(user), unquote(password)) if at else None
    return Proxy(name, f"{known}://{place}" if port else f"{known}://{place}:{_port(known)}", auth)


def _port(scheme: str) -> int:
    return _PORTS.get(scheme, 1080)


def _host_and_port(place: str) -> tuple[str | None, str]:
    """Return host and port of HOST, HOST:PORT or [IPV6]:PORT; a host of None for anything else."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s\[\]:/?#@\\]+)(?::([0-9]{1,5}))?", place)
    if match is None or int(match[2] or 1) not in range(1, 2**16):
        return None, ""
    return match[1], match[2] or ""


def is_exempt(listed: str, scheme: str, host: str, port: int | None) -> bool:
    """Say whether *listed*, the value of `NO_PROXY`, names a host.

    An entry is `*`, a name (which also stands for all names below it, with or without a leading dot
    or `*.`), an address, a network such as 10.0.0.0/8, each with or without `:PORT`.
    """
    port = port or _PORTS.get(scheme, 0)
    return any(
        _names(_readable(entry.lower()), scheme, _readable(host.lower().rstrip(".")), port)
        for entry in re.split(r"[,\s]+", listed)
        if entry
    )


def _names(entry: str, scheme: str, host: str, port: int) -> bool:
    only, _, entry = entry.rpartition("://")
    if only not in {"", "all", scheme}:
        return False
    entry = entry.partition("/")[0] if only else entry.rstrip("/")
    match = re.fullmatch(r"\[(.*)\](?::([0-9]+))?|([^:]*):([0-9]+)", entry)
    name = entry if match is None else match[1] or match[3] or "*"
    wanted = "" if match is None else match[2] or match[4] or ""
    if wanted and wanted.lstrip("0") != str(port):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:  # a name, here or there
        name = name.removeprefix("*.").strip(".")
        return host == name or host.endswith(f".{name}") or fnmatchcase(host, name or "-")


def _readable(name: str) -> str:
    """Return a name with its letters where it has them in ASCII: `xn--...` is the same host."""
    return re.sub(r"\bxn--[a-z0-9-]+", lambda match: _decoded(match[0]), name)


def _decoded(label: str) -> str:
    try:
        return label.encode().decode("idna")
    except UnicodeError:
        return label
