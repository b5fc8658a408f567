"""Where the service sends callbacks to, and where they are received. Pure.

The first stands in each request and in the ledger, as it is written: so it carries no password. The
second is an address of this machine, behind a proxy or a tunnel that the first leads to.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from batchrun.base.endpoint import is_loopback
from batchrun.base.values import HiddenValueError

LONGEST: Final = 2048
"""Characters of a `callback_url`: the API takes no more (runflow-api.md, section 4)."""

MOST_PORTS: Final = 65_535
LISTEN: Final = "127.0.0.1:8787"
_EXPECTED: Final = "expected a URL such as https://me.example/batchrun"
_EXPECTED_HERE: Final = f"expected a host and a port such as {LISTEN}"


class Listen(Struct, frozen=True):
    """An address of this machine; port 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_callback_url(value: object) -> str:
    """Return the URL as it is written, so that the same request is the same bytes.

    Raises ValueError, and HiddenValueError where the value may hold a password.
    """
    text = value if type(value) is str else ""
    try:
        url = urlsplit(text)
        host, _ = url.hostname or "", url.port
    except ValueError:
        raise _wrong(text, _EXPECTED) from None
    if not text.isprintable() or re.search(r"[\s\\#]", text):
        raise _wrong(text, f"{_EXPECTED}, without blanks and without #")
    if url.scheme not in {"https", "http"} or not host:
        raise _wrong(text, _EXPECTED)
    if "@" in url.netloc:
        raise HiddenValueError(
            "the address of callbacks carries no user or password: it stands in the ledger; the "
            "signature says who sends them"
        )
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST:,} characters, and it has {len(text):,}")
    return _safe(url, text)


def _safe(url: SplitResult, text: str) -> str:
    if url.scheme == "http" and not _is_near(url.hostname or ""):
        raise ValueError(
            "plain http is for this machine and private addresses only: a callback carries the "
            "addresses of outputs, which can be read on the way; expected https"
        )
    return text


def _wrong(text: str, message: str) -> ValueError:
    """Return the error for what is no URL; it may hold a password all the same."""
    return HiddenValueError(message) if "@" in text else ValueError(message)


def _is_near(host: str) -> bool:
    """Say whether *host* is this machine, or an address of a network of one's own."""
    if is_loopback(host):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def parse_listen(value: object) -> Listen:
    """Parse an address such as 127.0.0.1:8787, [::1]:8787 or localhost:0."""
    text = value if type(value) is str else ""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.%]+)\]|([\w.-]+)):([0-9]{1,5})", text, re.ASCII)
    if match is None:
        hint = f"; did you mean `127.0.0.1:{value}`?" if type(value) is int else ""
        raise ValueError(f"{_EXPECTED_HERE}{hint}")
    if int(match[3]) > MOST_PORTS:
        raise ValueError(f"{_EXPECTED_HERE}; the last port is {MOST_PORTS}")
    return Listen(match[1] or match[2], int(match[3]))
