"""A certificate made on the spot, for a simulator that serves https."""

import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

LOCAL: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server needs for https, and the file of the authority that a client is to trust."""

    context: ssl.SSLContext
    authority: Path


@contextmanager
def certified(host: str) -> Iterator[Tls]:
    """Yield a certificate for *host* and for this machine; its authority's file ends with it."""
    authority = trustme.CA(organization_name="batchrun simulator")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*dict.fromkeys((*LOCAL, host))).configure_cert(context)
    with tempfile.TemporaryDirectory(prefix="batchrun-simulator-") as folder:
        file = Path(folder, "authority.pem")
        authority.cert_pem.write_to_path(file)
        yield Tls(context, file)
