"""What the doctor finds about the archive: its directory, its newest files, and days that wait for it. Only looks."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from qserver.archive.shelf import SUFFIX, Damaged, Shelf
from qserver.domain.hall import Hall
from qserver.store.store import Store

if TYPE_CHECKING:
    from .doctor import Finding

SILENT_MS = 24 * 3600_000
OVERDUE_MS = 24 * 3600_000


def directory(place: Path | None) -> Iterator[Finding]:
    """Whether there is an archive, who may read it, what is in it, and that the newest day of each hall is whole."""
    from .doctor import Finding

    if place is None:
        yield Finding(
            "warn",
            "archive: none, so reports reach back only as far as tickets may still be rated",
            "name a directory for it: data_dir",
        )
        return
    if not place.exists():
        yield Finding("ok", f"archive: {place} does not exist yet, `qserver serve` makes it")
        return
    try:
        if place.stat().st_mode & 0o077:
            yield Finding("warn", f"archive: {place} may be read by others", f"close it: chmod 700 '{place}'")
        shelf = Shelf(place)
        files = days = size = 0
        for folder in sorted(one for one in place.iterdir() if one.is_dir()):
            found = shelf.days(folder.name)
            files, days = files + bool(found), days + len(found)
            size += sum((folder / (day + SUFFIX)).stat().st_size for day in found)
            if found:
                for _ in shelf.lines(folder.name, found[-1]):
                    pass
    except Damaged as error:
        yield Finding(
            "bad",
            f"archive: {error}",
            "put it back from a backup; or remove it: a day still in Redis is written again within an hour",
        )
    except (OSError, ValueError) as error:
        yield Finding("bad", f"archive: {place} cannot be read: {error}", "give it to this user: chown -R")
    else:
        yield Finding("ok", f"archive: {days} days of {files} halls in {place}, {size / (1 << 20):.1f} MiB")


async def waiting(store: Store, halls: Iterable[Hall]) -> AsyncIterator[Finding]:
    """Days whose tickets ought to have left, and archives that are not heard of."""
    from .doctor import Finding

    silent: dict[str, int] = {}
    for hall in halls:
        ledger = await store.ledger(hall.id)
        late = [day.day for day in ledger.days.values() if day.last and ledger.now_ms > day.until_ms + OVERDUE_MS]
        if late:
            yield Finding(
                "bad",
                f"hall {hall.id}: {len(late)} days since {min(late)} wait to be archived and fill the memory",
                "start the server with that archive, or see its log why it cannot write",
            )
        silent |= {one: seen for one, seen in ledger.archives.items() if ledger.now_ms - seen > SILENT_MS}
    for archive, seen_ms in sorted(silent.items()):
        since = dt.datetime.fromtimestamp(seen_ms / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
        yield Finding(
            "warn",
            f"archive {archive}: not heard of since {since} UTC; days wait for it until it is 30 days",
            "start the server whose data directory holds it (the file archive/.id names it)",
        )
