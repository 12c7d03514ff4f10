"""Log lines: one line each, for people or for machines, on standard error, without secrets.

Lines are written by a thread of their own from a bounded queue, so that a terminal that scrolls slowly or a pipe that
nobody reads never holds the server up. When the queue is full the line is lost and counted. What is logged is said
by whoever logs; details go into `extra` and come out as fields.
"""

from __future__ import annotations

import logging
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import IO, Any, Literal

import msgspec

QUEUE_MAX = 10_000
_STOP_S = 1.0
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_SECRET = re.compile(
    r"(?P<token>qs_[a-z0-9-]{1,64}_)[A-Za-z0-9_-]{16,}"  # a token: its id may be shown
    r"|(?P<link>/t/)[^\s\"'/?#]+"  # a ticket's link
    r"|(?P<pair>pair=)[^\s\"'&]+"  # a pairing code
    r"|(?P<bearer>[Bb]earer\s+)[^\s\"']+"
    r"|(?P<login>://[^\s:/@]*:)[^\s@/]+(?=@)"  # a password in a URL
)


def redacted(text: str) -> str:
    """The text with whatever looks like one of our secrets taken out: the last guard, not the first."""
    return _SECRET.sub(lambda match: next(part for part in match.groups() if part is not None) + "***", text)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


class TextFormatter(logging.Formatter):
    """`2026-11-22 09:00:01.234 INFO store.link connected address=unix:/...`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; line ends within become ` | `."""
        at = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")
        text = f"{at}.{int(record.msecs):03d} {record.levelname} {record.name.removeprefix('qserver.')}"
        text += f" {record.getMessage()}" + "".join(f" {name}={value}" for name, value in fields(record).items())
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return redacted(" | ".join(text.splitlines()))


class JsonFormatter(logging.Formatter):
    """The same as an object: `at_ms`, `level`, `log`, `message`, the extra fields and perhaps `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        row: dict[str, Any] = {
            "at_ms": int(record.created * 1000),
            "level": record.levelname.lower(),
            "log": record.name.removeprefix("qserver."),
            "message": record.getMessage(),
        }
        row |= {name: value for name, value in fields(record).items() if name not in row}
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return redacted(msgspec.json.encode(row, enc_hook=str).decode())


class Writer(logging.Handler):
    """Hands lines to a thread that writes them."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self.lost = 0
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(QUEUE_MAX)
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line; never waits, never raises."""
        try:
            self.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)

    def write(self, text: str) -> None:
        """Queue text that is already in its final form, line ends included."""
        try:
            self._lines.put_nowait(text)
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what is queued, for at most a second, and end the thread."""
        try:
            self._lines.put(None, timeout=_STOP_S)
        except queue.Full:
            return
        self._thread.join(_STOP_S)
        super().close()

    def metrics(self) -> Iterator[str]:
        """How many lines were lost."""
        yield "# HELP qserver_log_lines_lost_total Log lines that found the queue full."
        yield "# TYPE qserver_log_lines_lost_total counter"
        yield f"qserver_log_lines_lost_total {self.lost}"

    def _run(self) -> None:
        while (text := self._lines.get()) is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # nobody reads any more; the server goes on
                self.lost += 1
                time.sleep(0.01)


def set_up(form: Literal["text", "json"], level: str, stream: IO[str] | None = None) -> Writer:
    """Make this process log in that form; answers the handler, which its owner closes."""
    writer = Writer(stream or sys.stderr)
    writer.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(writer)
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)  # its debug lines tell of selectors
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # the interface writes an access log of its own
    return writer
