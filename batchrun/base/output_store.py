"""Where finished files are kept: below one folder, by name. Nothing else writes there.

A name is relative and has `/` between its parts, whatever the system. A file under its name is
whole and on disk: it is written beside its place, synced, and renamed. A crash leaves a
`.part` at most.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from batchrun.base.disk import atomic_write, open_anew, publish, replacing, sync
from batchrun.errors import FolderError


class OutputStore:
    """The files below *folder*.

    Who writes without the ledger's lock says who that is *by*: else two would write beside the
    place of one file under one name.
    """

    def __init__(self, folder: Path, *, by: str = "") -> None:
        self._folder = folder
        self._by = by

    def path(self, name: str) -> Path:
        """Return where *name* is on this machine."""
        return self._folder / on_disk(name)

    def exists(self, name: str) -> bool:
        return self.path(name).exists()

    def size(self, name: str) -> int | None:
        """Return how many bytes *name* has, None where there is no such file."""
        try:
            return self.path(name).stat().st_size
        except OSError:
            return None

    def put(self, name: str, data: bytes, *, as_of: int | None = None) -> None:
        """Put *data* in place of *name*; FolderError, and the old file, if that fails.

        With *as_of*, the moment of which *data* is, a file of a later moment stays.
        """
        self.make_folder(name)
        atomic_write(self.path(name), data, by=self._by, as_of=as_of)

    def take(self, name: str, source: Path) -> None:
        """Have the file *source* under *name*, too: as a link to the same bytes, else as a copy."""
        self.make_folder(name)
        path = self.path(name)
        part = path.with_name(f"{path.name}.part")
        with writable(path):
            part.unlink(missing_ok=True)
            try:
                part.hardlink_to(source)
            except OSError:  # another file system, or one without links
                shutil.copyfile(source, part)
                with part.open("rb") as file:
                    sync(file.fileno())
            publish(part, path)

    @contextmanager
    def replacing(self, name: str, *, as_of: int | None = None) -> Iterator[IO[bytes]]:
        """Give a file that takes the place of *name* once it is whole; *as_of* as for `put`."""
        with replacing(self.path(name), by=self._by, as_of=as_of) as file:
            yield file

    @contextmanager
    def writing(self, name: str) -> Iterator["Part"]:
        """Give a file beside *name*, to be published with an extension that its content decides.

        It is gone at the end if it was not published. Raises FolderError where the disk fails.
        """
        part = self.path(f"{name}.part")
        self.make_folder(name)
        with writable(self.path(name)):
            file = open_anew(part)
        try:
            yield Part(file, part, name)
        finally:
            with suppress(OSError):  # a full disk says so a second time
                file.close()
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def make_folder(self, name: str) -> None:
        """Make the folder in which *name* is, where it isn't there."""
        with writable(self.path(name)):
            self.path(name).parent.mkdir(parents=True, exist_ok=True)


class Part:
    """A file that is being written, beside the *name* that it is to have."""

    def __init__(self, file: BinaryIO, path: Path, name: str) -> None:
        self.file = file
        self._path = path
        self._name = name

    def publish(self, extension: str) -> str:
        """Give the whole file its name and return it; after a power cut it is there, or is not."""
        name = self._name + extension
        path = self._path.with_name(on_disk(name.rpartition("/")[2]))
        with writable(path):
            self.file.flush()
            sync(self.file.fileno())
            publish(self._path, path)
        return name


def on_disk(name: str) -> str:
    """Return *name* as the locale spells it, so that its bytes on disk are UTF-8."""
    return name if name.isascii() else os.fsdecode(name.encode("utf-8", "surrogateescape"))


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Say of what fails inside that *path* can't be written: a FolderError."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"can't write the output `{path}`: {error.strerror or error}") from error
