"""The archive's files: one per hall and business day, `DIRECTORY/HALL/YYYY-MM-DD.jsonl.gz`.

A file holds a day as it stood at one moment: lines of JSON, packed, the first one about the day, then a line for each
ticket, review and promised case in the interface's own words. It is written beside its place, made safe on disk and
renamed, so at any line of this a reader finds the former file or the new one, whole. Whoever writes holds the
directory's lock, which ends with its process. Names that begin with a dot are the directory's own: no hall has one.
Only files are known here, neither Redis nor the loop.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import re
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from qserver.domain.errors import QserverError
from qserver.domain.ticket import Case, Review, Ticket

VERSION: Final = 1
SUFFIX: Final = ".jsonl.gz"
_TEMPORARY: Final = ".part"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_HALL: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_LEVEL: Final = 6


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What a file is: the first line's `archive`.

    `as_of_ms`: when it was read from the data server; `changed`: the hall's number of the last change it holds;
    `reviews_before`: its reviews have higher numbers; `personal`: whether persons' hashes are still in it.
    """

    hall: str
    day: str
    as_of_ms: int
    changed: int
    reviews_before: int
    personal: bool = True
    version: int = VERSION


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: one of its fields and, beside a ticket, the keyed hash of its person."""

    archive: Head | None = None
    ticket: Ticket | None = None
    person: str = ""
    review: Review | None = None
    case: Case | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Damaged(QserverError):
    """A file of the archive cannot be read; the text names it."""


class Draft:
    """A file being written. `add` lines, then `publish` puts it in its place; whatever else happens leaves no trace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
        self._raw = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        # Without a name and a time of its own, the same day gives the same bytes.
        self._file = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", compresslevel=_LEVEL, mtime=0)

    def add(self, lines: Iterable[Line]) -> None:
        """Write lines. Raises OSError."""
        self._file.write(b"".join(_encode(line) + b"\n" for line in lines))

    def publish(self) -> None:
        """Make it safe on disk and put it in its place. Raises OSError."""
        self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        self._part.rename(self._path)
        _settle(self._path.parent)

    def discard(self) -> None:
        """Drop what was not published; nothing when it was."""
        with contextlib.suppress(OSError, ValueError):
            self._file.close()
        self._raw.close()
        self._part.unlink(missing_ok=True)


class Shelf:
    """The files in a directory. `open` it once; reading needs no lock."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.id = ""

    def open(self) -> None:
        """Make the directory, for its owner only, and the archive's own id in it. Raises OSError, ValueError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / ".id"
        while not self.id:
            try:
                self.id = path.read_text(encoding="ascii").strip()
                if not re.fullmatch(r"[0-9a-f]{16}", self.id):
                    raise ValueError(f"{path} is not an archive's id")
            except FileNotFoundError:
                part = path.with_name(f".id.{secrets.token_hex(4)}{_TEMPORARY}")
                part.write_text(secrets.token_hex(8) + "\n", encoding="ascii")
                with contextlib.suppress(FileExistsError):  # another process was first: its id holds
                    os.link(part, path)
                part.unlink()
                _settle(self.directory)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Whether this process may write now: one at a time may."""
        with (self.directory / ".lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def tidy(self, hall: str) -> None:
        """Drop what a process that died left half written. Only under the lock."""
        for left in self._folder(hall).glob(f".*{_TEMPORARY}"):
            left.unlink(missing_ok=True)

    def days(self, hall: str, month: str = "") -> list[str]:
        """The days of a hall that are here, in order; of a month only, if one is named."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            names = os.listdir(self._folder(hall))
            found = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
            return sorted(day for day in found if _DAY.fullmatch(day) and day.startswith(month))
        return []

    def holds(self, hall: str, day: str) -> bool:
        """Whether a day is here."""
        return self._path(hall, day).exists()

    def head(self, hall: str, day: str) -> Head | None:
        """What a day's file is, None without one. Raises OSError, Damaged."""
        for line in self.lines(hall, day):
            return line.archive
        return None

    def lines(self, hall: str, day: str) -> Iterator[Line]:
        """A day's lines, the first one its head; none when the day is not here. Raises OSError, Damaged."""
        path = self._path(hall, day)
        try:
            file = gzip.open(path, "rb")  # noqa: SIM115 - a day that is not here is an answer
        except FileNotFoundError:
            return
        with file:
            try:
                head = _decode(file.readline())
                if head.archive is None or head.archive.version != VERSION:
                    raise Damaged(f"{path} is not of a form known here")
                yield head
                for text in file:
                    yield _decode(text)
            except (EOFError, zlib.error, gzip.BadGzipFile, msgspec.DecodeError) as error:
                raise Damaged(f"{path} is damaged: {error}") from error

    def draft(self, hall: str, day: str) -> Draft:
        """A new file for a day. Only under the lock. Raises OSError."""
        folder = self._folder(hall)
        if not folder.exists():
            folder.mkdir(mode=0o700)
            _settle(self.directory)
        return Draft(self._path(hall, day))

    def remove(self, hall: str, day: str) -> None:
        """Drop a day for good. Only under the lock. Raises OSError."""
        self._path(hall, day).unlink(missing_ok=True)
        _settle(self._folder(hall))

    def _folder(self, hall: str) -> Path:
        if not _HALL.fullmatch(hall):
            raise ValueError(f"{hall!r} is no hall's id")
        return self.directory / hall

    def _path(self, hall: str, day: str) -> Path:
        if not _DAY.fullmatch(day):
            raise ValueError(f"{day!r} is no day")
        return self._folder(hall) / (day + SUFFIX)


def _settle(folder: Path) -> None:
    """Make names in a folder safe on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
