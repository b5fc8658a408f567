"""Endpoints: `simulator`, an https URL, or an http URL of this machine. Pure.

The one place that says so, for the manifest, the command line, the environment and the client that
sends the key. Each sweep lies below a folder of its endpoint's, so every spelling of an endpoint
comes to one.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from batchrun.base.text import did_you_mean
from batchrun.base.values import HiddenValueError

DEFAULT_ENDPOINT: Final = "https://api.runflow.io"
SIMULATOR: Final = "simulator"
_PORTS: Final = {"https": 443, "http": 80}
_EXPECTED: Final = "expected simulator, or a URL such as https://api.runflow.io"


def parse_endpoint(value: object) -> str:
    """Return the endpoint in its one spelling.

    Raises ValueError, and HiddenValueError where the value may hold a password.
    """
    text = value.strip() if type(value) is str else ""
    if text == SIMULATOR:
        return text
    try:
        return _parsed(text)
    except ValueError as error:
        # The user and password of what is a URL otherwise are starred out wherever it is shown.
        if re.search("[?#]", text) or ("@" in text and not re.fullmatch(r"\w+://\S+", text)):
            raise HiddenValueError(str(error)) from None
        raise


def _parsed(text: str) -> str:
    if "://" not in text:
        raise ValueError(_EXPECTED + did_you_mean(text, [SIMULATOR]))
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise ValueError(_EXPECTED) from None
    # urlsplit drops tabs and newlines, others would refuse them, or split at a backslash.
    if not text.isprintable() or re.search(r"[\s\\]", text):
        raise ValueError(_EXPECTED)
    if "@" in text:
        raise ValueError("a URL here carries no user or password; RUNFLOW_API_KEY holds the key")
    if url.scheme not in _PORTS or not host or url.query or url.fragment:
        raise ValueError(_EXPECTED)
    # 127.1 would be one more spelling of an endpoint, with a folder of its own.
    if url.scheme == "http" and not _is_plainly_loopback(host):
        raise ValueError("plain http is for this machine only; expected https")
    return _spelled(url, host, port)


def is_loopback(host: str) -> bool:
    """Say whether *host* is this machine; a name that only looks like it is not."""
    mapped = re.sub("(?i)^::ffff:(?=[0-9.]+$)", "", host)
    return _is_plainly_loopback(mapped) or _is_short_loopback(host)


def _is_plainly_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _is_short_loopback(host: str) -> bool:
    """Say whether *host* is a spelling such as 127.1, which resolvers take for 127.0.0.1."""
    parts = host.lower().split(".")
    if len(parts) > 4 or not all(
        re.fullmatch("0x[0-9a-f]{1,8}|[0-9]{1,12}", each) for each in parts
    ):
        return False
    try:
        numbers = [_number(each) for each in parts]
    except ValueError:  # a 9 in an octal number
        return False
    *bytes_, last = numbers
    in_range = all(each < 256 for each in bytes_) and last < 256 ** (5 - len(numbers))
    return in_range and (bytes_ or [last >> 24])[0] == 127


def _number(text: str) -> int:
    base = 16 if text.startswith("0x") else 8 if text.startswith("0") else 10
    return int(text, base)


def _spelled(url: SplitResult, host: str, port: int | None) -> str:
    place = f"[{host}]" if ":" in host else host
    if port is not None and port != _PORTS[url.scheme]:
        place += f":{port}"
    return f"{url.scheme}://{place}{url.path}".rstrip("/")
