"""Ratings given and prompts shown that the server has not taken yet, on disk before anybody is thanked for them.

A SQLite file with every commit synced: a process or a box may die at any moment, and a torn end of the file is cut off
by SQLite. One rating per ticket and leg, under an id (`rid`) that is drawn once, so that sending again changes nothing.
Settled ratings stay a while: as memory of what was answered here, and rejected ones as evidence.

The file has an id of its own (`device`) and counts its ratings (`n`); a file that is made anew is another device, so a
number that stands twice under one id shows a copy.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from .clocks import Reading, age_ms
from .prompt import Rating

_log = logging.getLogger(__name__)
BATCH = 50
"""So many the server takes at once."""
_SETTLED_KEPT = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ratings (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  rid TEXT NOT NULL UNIQUE,
  ticket TEXT NOT NULL,
  leg INTEGER NOT NULL,
  score INTEGER NOT NULL,
  reasons TEXT NOT NULL,
  comment TEXT NOT NULL,
  boot TEXT NOT NULL, boot_ms INTEGER NOT NULL, server_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
  status TEXT NOT NULL, -- draft waiting | recorded duplicate conflict rejected
  code TEXT NOT NULL DEFAULT '',
  UNIQUE (ticket, leg)
);
CREATE TABLE IF NOT EXISTS device (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS shown (
  ticket TEXT NOT NULL,
  leg INTEGER NOT NULL,
  boot TEXT NOT NULL, boot_ms INTEGER NOT NULL, server_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL,
  PRIMARY KEY (ticket, leg)
);
CREATE INDEX IF NOT EXISTS waiting ON ratings (status, n);
"""


class Result(NamedTuple):
    """What the server says of one rating: recorded, duplicate, conflict, rejected (with a code) or retry."""

    rid: str
    status: str
    code: str = ""


class SpoolUnusable(Exception):
    """The file cannot be written: another pad has it open, or the disk refuses."""


class Spool:
    """The ratings of one pad in one file. Raises SpoolUnusable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.OperationalError as error:
            raise SpoolUnusable(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            # Not a database any more: a pad that cannot ask is of no use, so begin anew and keep the pieces.
            broken = path.with_name(f"{path.name}.broken-{secrets.token_hex(4)}")
            _log.error("%s cannot be read (%s); it is kept as %s", path, error, broken)
            path.rename(broken)
            for suffix in ("-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)
            self._db = self._open()
        with self._db:  # whoever wrote these drafts pressed a face, and will not come back to say why
            self._db.execute("UPDATE ratings SET status = 'waiting' WHERE status = 'draft'")

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=1.0)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            with db:
                db.execute(
                    "INSERT INTO device SELECT ? WHERE NOT EXISTS (SELECT 1 FROM device)", (secrets.token_hex(12),)
                )
        except sqlite3.Error:
            db.close()
            raise
        return db

    @property
    def device(self) -> str:
        """The id of this file: random, drawn once."""
        (device,) = self._db.execute("SELECT id FROM device").fetchone()
        return str(device)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def __len__(self) -> int:
        """How many wait to be sent, drafts among them."""
        (count,) = self._db.execute("SELECT count(*) FROM ratings WHERE status IN ('draft', 'waiting')").fetchone()
        return int(count)

    def add(self, rating: Rating, given: Reading) -> str:
        """Keeps a rating and answers its id; what is not final yet is not sent before it is, or before a restart.

        A rating of the same ticket and leg replaces its draft, keeping id and instant; a final one stays as it is.
        """
        row = (rating.score, json.dumps(rating.reasons, ensure_ascii=False), rating.comment)
        status = "waiting" if rating.final else "draft"
        with self._db:
            self._db.execute(
                "INSERT INTO ratings (rid, ticket, leg, score, reasons, comment, boot, boot_ms, server_ms, wall_ms,"
                " status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (ticket, leg) DO UPDATE SET"
                " score = excluded.score, reasons = excluded.reasons, comment = excluded.comment,"
                " status = excluded.status WHERE status = 'draft'",
                (secrets.token_hex(12), rating.ticket, rating.leg, *row, *given, status),
            )
            (rid,) = self._db.execute(
                "SELECT rid FROM ratings WHERE ticket = ? AND leg = ?", (rating.ticket, rating.leg)
            ).fetchone()
        return str(rid)

    def withdraw(self, ticket: str, leg: int) -> None:
        """Forgets a draft."""
        with self._db:
            self._db.execute("DELETE FROM ratings WHERE ticket = ? AND leg = ? AND status = 'draft'", (ticket, leg))

    def batch(self, now: Reading, most: int = BATCH) -> list[dict[str, Any]]:
        """The oldest ratings that wait, as the server takes them, without a signature."""
        rows = self._db.execute(
            "SELECT n, rid, ticket, leg, score, reasons, comment, boot, boot_ms, server_ms, wall_ms FROM ratings"
            " WHERE status = 'waiting' ORDER BY n LIMIT ?",
            (min(most, BATCH),),
        )
        return [
            {
                "n": n, "rid": rid, "ticket": ticket, "leg": leg, "score": score, "reasons": json.loads(reasons),
                "comment": comment, "age_ms": age_ms(Reading(*given), now),
            }
            for n, rid, ticket, leg, score, reasons, comment, *given in rows
        ]  # fmt: skip

    def shown(self, ticket: str, leg: int, at: Reading) -> None:
        """The question was shown; the first time counts."""
        with self._db:
            self._db.execute("INSERT OR IGNORE INTO shown VALUES (?, ?, ?, ?, ?, ?)", (ticket, leg, *at))

    def prompts(self, now: Reading) -> list[dict[str, Any]]:
        """The oldest prompts that were shown and not told, as the server takes them, without a signature."""
        rows = self._db.execute("SELECT * FROM shown ORDER BY rowid LIMIT ?", (BATCH,))
        return [{"ticket": ticket, "leg": leg, "age_ms": age_ms(Reading(*at), now)} for ticket, leg, *at in rows]

    def told(self, prompts: Iterable[dict[str, Any]]) -> None:
        """The server has heard of these prompts."""
        with self._db:
            self._db.executemany("DELETE FROM shown WHERE ticket = :ticket AND leg = :leg", prompts)

    def lived_through(self, boot: str) -> bool:
        """Whether everything that waits was given on this stopwatch, so that its age needs no other clock."""
        waits = (
            "SELECT 1 FROM ratings WHERE status = 'waiting' AND boot != :boot"
            " UNION ALL SELECT 1 FROM shown WHERE boot != :boot LIMIT 1"
        )
        return self._db.execute(waits, {"boot": boot}).fetchone() is None

    def settle(self, results: Iterable[Result]) -> int:
        """Takes the server's word; `retry` goes on waiting. Answers how many are settled by it."""
        said = [(r.status, r.code, r.rid) for r in results if r.status != "retry"]
        with self._db:
            done = self._db.executemany(
                "UPDATE ratings SET status = ?, code = ? WHERE rid = ? AND status = 'waiting'", said
            ).rowcount
            self._db.execute(
                "DELETE FROM ratings WHERE status NOT IN ('draft', 'waiting')"
                " AND n <= (SELECT max(n) FROM ratings) - ?",
                (_SETTLED_KEPT,),
            )
        for status, code, rid in said:
            if status == "rejected":
                _log.warning("rating %s was rejected: %s", rid, code)
        return max(0, done)

    def answered(self, most: int = 200) -> list[tuple[str, int]]:
        """Ticket and leg of what was rated here last, oldest first."""
        rows = self._db.execute("SELECT ticket, leg FROM ratings ORDER BY n DESC LIMIT ?", (most,)).fetchall()
        return [(str(ticket), int(leg)) for ticket, leg in reversed(rows)]

    def rejected(self) -> list[Result]:
        """What the server did not take, and why."""
        rows = self._db.execute("SELECT rid, status, code FROM ratings WHERE status = 'rejected' ORDER BY n")
        return [Result(*row) for row in rows]
