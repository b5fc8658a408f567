"""What https is checked by: the authorities of the environment, for every host and both clients."""

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio
import httpx
import pytest
import trustme
from raw_server import RawServer, Script, raw_server
from test_downloads import fetch

from batchrun.base.output_store import OutputStore
from batchrun.errors import UnreachableError, UsageError
from batchrun.runflow.client import Client
from batchrun.runflow.downloads import DownloadError
from batchrun.runflow.http.certificates import trusted, untrusted
from batchrun.runflow.http.client import api_client, download_client
from batchrun.runflow.ratelimit.limiter import Limiter
from batchrun.runflow.ratelimit.pace import Pace

FILE, FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
PNG: Final = b"\x89PNG\r\n\x1a\n"
HEAD: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
ACCOUNT: Final[Script] = [
    "read",
    HEAD + b'Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{"org_id": "o1"}',
    "close",
]
PICTURE: Final[Script] = [
    "read",
    HEAD + b"Content-Type: image/png\r\nContent-Length: 8\r\n\r\n" + PNG,
    "close",
]


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILE, raising=False)
    monkeypatch.delenv(FOLDER, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def https(authority: trustme.CA, *scripts: Script) -> Iterator[RawServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with raw_server(*scripts, tls=context) as server:
        yield server


def client(http: httpx.AsyncClient) -> Client:
    return Client(http, Limiter(Pace(100.0, jitter=lambda: 0.0)), give_up=60.0)


def hashed(authority: trustme.CA, folder: Path) -> Path:
    """Return a folder with the authority's certificate, called by its hash as OpenSSL does it."""
    folder.mkdir()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to name the certificate by its hash")
    name = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", folder / "ca.pem"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    (folder / "ca.pem").rename(folder / f"{name}.0")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize("name", [FILE, FOLDER])
async def test_an_own_authority_is_trusted_by_both_clients_on_this_machine_too(
    name: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == FILE:
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv(FILE, str(tmp_path / "ca.pem"))
    else:
        monkeypatch.setenv(FOLDER, str(hashed(authority, tmp_path / "certs")))

    with https(authority, ACCOUNT, PICTURE) as server:
        async with api_client(server.url, "key", connections=1) as http:
            assert await client(http).account() == "o1"
        async with download_client() as http:
            url = f"{server.url}/a.png"
            await fetch(http, url, OutputStore(tmp_path / "files"), "c", tries=1)

    assert server.connections == 2


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_check_that_fails_is_said_at_once_and_names_the_setting(
    authority: trustme.CA, tmp_path: Path
) -> None:
    with https(authority, ACCOUNT) as server:
        async with api_client(server.url, "key", connections=1) as http:
            with (
                anyio.fail_after(20),  # and not after the give-up time
                pytest.raises(UnreachableError, match=rf"can't be verified \(.*`{FILE}`") as said,
            ):
                await client(http).account()
        url = f"{server.url}/a.png"
        async with download_client() as http:
            with pytest.raises(DownloadError, match=f"`{FILE}`"):
                await fetch(http, url, OutputStore(tmp_path), "c", tries=1)

    assert "the certificate of 127.0.0.1" in str(said.value)
    assert server.requests == []


def verification(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError()
    error.verify_code, error.verify_message = code, message
    return error


def test_the_advice_is_for_the_reason_that_the_check_fails() -> None:
    own = untrusted(verification(20, "unable to get local issuer certificate"), "h")
    old = untrusted(verification(10, "certificate has expired"), "h")
    deep = ConnectionError("broken")
    deep.__cause__ = verification(18, "self-signed certificate")

    assert FILE in str(own)
    assert FILE not in str(old)
    assert "expired" in str(old)
    assert "clock" in str(old)
    assert FILE in str(untrusted(deep, "h"))
    assert untrusted(ConnectionError("refused"), "h") is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "no certificate"),
        (b"hello\n", "no certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate"),
        (bytes(range(256)), "no certificate"),
    ],
)
def test_a_file_that_is_missing_or_no_certificate_is_named(
    content: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(FILE, str(file))

    for endpoint in ("https://api.example", "https://127.0.0.1:1"):
        with pytest.raises(UsageError, match=said) as stopped:
            api_client(endpoint, "key", connections=1)
        assert f"`{FILE}` names {file}" in str(stopped.value)
    api_client("http://127.0.0.1:1", "key", connections=1)  # where none is needed, none is read


def test_a_file_without_certificates_of_an_authority_is_named(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.private_key_pem.write_to_path(tmp_path / "key.pem")
    for path in (tmp_path / "key.pem", tmp_path):
        monkeypatch.setenv(FILE, str(path))
        with pytest.raises(UsageError, match=FILE):
            trusted()


def test_a_folder_without_certificates_by_their_hash_is_named(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for folder, said in ((tmp_path, "openssl rehash"), (tmp_path / "none", "No such file")):
        monkeypatch.setenv(FOLDER, str(folder))
        with pytest.raises(UsageError, match=said) as stopped:
            trusted()
        assert re.search(rf"`{FOLDER}` names {re.escape(str(folder))}\b", str(stopped.value))


async def test_a_download_says_which_file_of_certificates_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE, "/no/such/file.pem")

    url = "https://files.example/a.png"
    async with download_client() as http:
        with pytest.raises(DownloadError, match=f"`{FILE}` names /no/such/file.pem"):
            await fetch(http, url, OutputStore(tmp_path), "c", tries=1)


def test_settings_of_certificates_that_are_empty_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE, "")
    monkeypatch.setenv(FOLDER, "")

    assert len(trusted().get_ca_certs()) > 10
