"""Opening a file for reading that has to be a regular file.

A pipe of that name has no end, and opening it waits for its writer: a call that looked at its data
file hung for good, with paid runs under way. The kind is asked of the open file, so nothing can
come between the question and the answer.
"""

import errno
import os
import stat
from io import BufferedReader
from typing import Final

_WAITING: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open the regular file at *path* for reading bytes. Raise OSError, for other kinds as well."""
    file = open(path, "rb", opener=_at_once)  # noqa: SIM115  (its caller closes it)
    if not stat.S_ISREG(mode := os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, f"{kind_of(mode)}, not a file")
    return file


def kind_of(mode: int) -> str:
    """Return what has such a mode and is no file, with its article."""
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((word for is_one, word in kinds if is_one(mode)), "a device")


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | _WAITING)
