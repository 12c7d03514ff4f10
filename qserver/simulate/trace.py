"""A recorded day: who came when for what, and which windows were open for which services.

Two files: `STEM.csv` with `arrive_s,service,priority,service_s,patience_s` and, beside it, `STEM.windows.csv` with
`at_s,window,services` (services separated by blanks, none = closed). All times are seconds of that day from any
common origin; an empty `patience_s` means that this person waits for ever. Only reading and checking live here: no
clock, no network.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from qserver.domain.hall import Hall

TICKETS = ("arrive_s", "service", "priority", "service_s", "patience_s")
CHANGES = ("at_s", "window", "services")


class Arrival(NamedTuple):
    """One person of the day. `service_s`: how long the service takes; `patience_s`: when they leave, None = never."""

    at_s: float
    hall: str
    service: str
    priority: str
    service_s: float
    patience_s: float | None


class Change(NamedTuple):
    """From `at_s` on the window gives these services; none = closed."""

    at_s: float
    hall: str
    window: str
    services: tuple[str, ...]


class Day(NamedTuple):
    """A day to play: its halls, who comes (in order of time), what the windows do, and where that is from."""

    halls: tuple[Hall, ...]
    arrivals: tuple[Arrival, ...]
    changes: tuple[Change, ...]
    source: str

    @property
    def begins_s(self) -> float:
        """The first instant at which anything happens."""
        return min([a.at_s for a in self.arrivals[:1]] + [c.at_s for c in self.changes[:1]], default=0.0)

    @property
    def ends_s(self) -> float:
        """The last instant the day prescribes; services begun before it may still run after."""
        return max([a.at_s for a in self.arrivals[-1:]] + [c.at_s for c in self.changes[-1:]], default=0.0)


class TraceError(ValueError):
    """A trace with mistakes; `mistakes` is a list of `(file, line number, what is wrong)`, the header being line 1."""

    def __init__(self, mistakes: Sequence[tuple[str, int, str]]) -> None:
        shown = [f"{file}:{line}: {what}" for file, line, what in mistakes[:20]]
        if len(mistakes) > 20:
            shown.append(f"... and {len(mistakes) - 20} more")
        super().__init__("\n".join(shown))
        self.mistakes = list(mistakes)


class _Sheet:
    """The rows of one file, with the mistakes found in it."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.name = path.name
        self.mistakes: list[tuple[str, int, str]] = []
        self._line = 1
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                rows = [(reader.line_num, row) for row in reader]
            except csv.Error as error:
                raise TraceError([(self.name, reader.line_num, str(error))]) from error
        head = [cell.strip() for cell in rows[0][1]] if rows else []
        if sorted(head) != sorted(columns):
            raise TraceError([(self.name, 1, f"columns must be {','.join(columns)}, found {','.join(head) or 'none'}")])
        self._head, self._rows = head, rows[1:]

    def rows(self) -> Iterator[dict[str, str]]:
        for line, row in self._rows:
            self._line = line
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(self._head):
                self.wrong(f"{len(row)} cells instead of {len(self._head)}")
                continue
            yield {name: cell.strip() for name, cell in zip(self._head, row, strict=True)}

    def wrong(self, what: str) -> None:
        self.mistakes.append((self.name, self._line, what))

    def seconds(self, row: Mapping[str, str], column: str, *, above: float = -math.inf) -> float:
        try:
            value = float(row[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.wrong(f"{column} {row[column]!r} is not a number of seconds")
            return 0.0
        if value <= above:
            self.wrong(f"{column} {row[column]} must be more than {above:g}")
        return value


def read(path: Path, halls: Sequence[Hall]) -> Day:
    """The day of a trace played in these halls.

    A service or window belongs to the hall that defines it. Without a file of windows, all windows are open, for all
    their services, from the first arrival on. Raises TraceError with every mistake, OSError, UnicodeDecodeError.
    """
    services, windows = _owners(halls, "services"), _owners(halls, "windows")
    mistakes: list[tuple[str, int, str]] = []
    arrivals = _arrivals(path, halls, services, mistakes)
    beside = path.with_name(f"{path.stem}.windows.csv")
    if beside.exists():
        changes = _changes(beside, services, windows, mistakes)
    else:
        first = arrivals[0].at_s if arrivals else 0.0
        changes = [Change(first, hall.id, w.id, tuple(w.services)) for hall in halls for w in hall.windows]
    if mistakes:
        raise TraceError(mistakes)
    if not arrivals:
        raise TraceError([(path.name, 1, "nobody comes on this day")])
    return Day(tuple(halls), tuple(arrivals), tuple(changes), path.name)


def _owners(halls: Sequence[Hall], table: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hall in halls:
        for one in getattr(hall, table):
            found.setdefault(one.id, []).append(hall.id)
    return found


def _owner(sheet: _Sheet, what: str, name: str, owners: Mapping[str, Sequence[str]]) -> str:
    found = owners.get(name, ())
    if not found:
        sheet.wrong(f"no hall has a {what} {name!r}")
    elif len(found) > 1:
        sheet.wrong(f"{what} {name!r} stands in several halls: {', '.join(found)}")
    return found[0] if found else ""


def _arrivals(
    path: Path, halls: Sequence[Hall], services: Mapping[str, Sequence[str]], mistakes: list[tuple[str, int, str]]
) -> list[Arrival]:
    sheet = _Sheet(path, TICKETS)
    priorities = {hall.id: {"normal", *(p.id for p in hall.priorities)} for hall in halls}
    found: list[Arrival] = []
    before = -math.inf
    for row in sheet.rows():
        at = sheet.seconds(row, "arrive_s")
        if at < before:
            sheet.wrong(f"arrive_s {row['arrive_s']} is earlier than the line before")
        before = max(before, at)
        hall = _owner(sheet, "service", row["service"], services)
        priority = row["priority"] or "normal"
        if hall and priority not in priorities[hall]:
            sheet.wrong(f"hall {hall!r} has no priority {priority!r}")
        service = sheet.seconds(row, "service_s", above=0)
        patience = sheet.seconds(row, "patience_s", above=0) if row["patience_s"] else None
        found.append(Arrival(at, hall, row["service"], priority, service, patience))
    mistakes += sheet.mistakes
    return found


def _changes(
    path: Path,
    services: Mapping[str, Sequence[str]],
    windows: Mapping[str, Sequence[str]],
    mistakes: list[tuple[str, int, str]],
) -> list[Change]:
    sheet = _Sheet(path, CHANGES)
    found: list[Change] = []
    for row in sheet.rows():
        at = sheet.seconds(row, "at_s")
        hall = _owner(sheet, "window", row["window"], windows)
        given = tuple(row["services"].split())
        for service in given:
            if hall and hall not in services.get(service, ()):
                sheet.wrong(f"hall {hall!r} has no service {service!r}")
        found.append(Change(at, hall, row["window"], given))
    mistakes += sheet.mistakes
    return sorted(found, key=lambda change: change.at_s)


def schedule(changes: Sequence[Change], hall: str, window: str) -> tuple[Change, ...]:
    """What one window does over the day, in order of time."""
    return tuple(change for change in changes if change.hall == hall and change.window == window)
