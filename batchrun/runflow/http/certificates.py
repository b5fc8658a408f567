"""What https is checked by, and the words for a check that fails.

`SSL_CERT_FILE` and `SSL_CERT_DIR` name authorities in the place of those that batchrun has by
itself, for every host, this machine's too.
"""

import os
import re
import ssl
from pathlib import Path
from typing import Final

import httpx

from batchrun.errors import UsageError

FILE: Final = "SSL_CERT_FILE"
FOLDER: Final = "SSL_CERT_DIR"
_UNKNOWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})  # OpenSSL's codes, self-signed ones too


class NoWayError(httpx.ConnectError):
    """No connection can be had, now or later; the message says why, and which setting helps."""


def trusted() -> ssl.SSLContext:
    """Return a context of the environment's authorities; UsageError where it names none."""
    file, folder = os.environ.get(FILE) or None, os.environ.get(FOLDER) or None
    if file is None and folder is None:
        return httpx.create_ssl_context(trust_env=False)
    for each in folder.split(os.pathsep) if folder else ():
        _check_folder(each)
    try:
        if file is not None:
            Path(file).open("rb").close()  # OpenSSL doesn't say which file is missing
        return ssl.create_default_context(cafile=file, capath=folder)
    except ssl.SSLError:
        raise UsageError(
            f"`{FILE}` names {file}, which holds no certificate that can be read; expected "
            "certificates in PEM, each between BEGIN CERTIFICATE and END CERTIFICATE"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"`{FILE}` names {file}, which can't be read ({_reason(error)}); name a file of "
            "certificates in PEM, or unset it"
        ) from None


def _check_folder(folder: str) -> None:
    try:
        names = [path.name for path in Path(folder).iterdir()]
    except (OSError, ValueError) as error:
        raise UsageError(
            f"`{FOLDER}` names {folder}, which can't be read ({_reason(error)}); name a folder "
            "of certificates in PEM, or unset it"
        ) from None
    if not any(re.fullmatch(r"[0-9a-f]{8}\.\d+", name) for name in names):
        raise UsageError(
            f"`{FOLDER}` names {folder}, where no certificate is called by its hash; "
            f"`openssl rehash {folder}` makes these names, or name one file in `{FILE}`"
        )


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def untrusted(error: BaseException, host: str) -> NoWayError | None:
    """Return the words for an *error* that comes of a failed check; None where it doesn't."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    advice = "look at the server's certificate, and at the clock of this machine"
    if cause.verify_code in _UNKNOWN_AUTHORITY:
        advice = f"where its authority is your own, name that authority's file in `{FILE}`"
    said = cause.verify_message.rstrip(".")
    return NoWayError(f"the certificate of {host} can't be verified ({said}); {advice}")
