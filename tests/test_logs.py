"""Log lines: their two forms, that no secret gets through, and that a reader who does not read stops nobody."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from qserver import logs
from qserver.auth import secrets

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def _untouched_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("asyncio", "aiohttp.access")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def written(form: str, level: str = "info") -> str:
    """What two lines and an exception look like."""
    stream = io.StringIO()
    writer = logs.set_up(form, level, stream)  # type: ignore[arg-type]
    log = logging.getLogger("qserver.store.link")
    log.debug("not asked for")
    log.info("connected", extra={"address": "unix:/s", "message_id": 7})
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("failed %s", "badly")
    writer.close()
    return stream.getvalue()


def test_lines_for_people_are_one_line_each() -> None:
    first, second = written("text").splitlines()
    assert first.endswith(" INFO store.link connected address=unix:/s message_id=7")
    assert " ERROR store.link failed badly | Traceback" in second
    assert second.endswith("ValueError: first | second")


def test_lines_for_machines_are_objects() -> None:
    first, second = [json.loads(line) for line in written("json").splitlines()]
    assert first.pop("at_ms") > 1_700_000_000_000
    assert first == {
        "level": "info",
        "log": "store.link",
        "message": "connected",
        "address": "unix:/s",
        "message_id": 7,
    }
    assert second["traceback"].endswith("ValueError: first\nsecond")


def test_what_is_less_important_than_asked_for_is_not_written() -> None:
    assert [json.loads(line)["level"] for line in written("json", "error").splitlines()] == ["error"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {secrets.token_text(KEY, 'abc')}", secrets.token_text(KEY, "abc").rpartition("_")[2]),
        (f"GET /t/{secrets.ticket_secret(KEY, 'h1', '20261122-A001')}/rating", "20261122-A001"),
        (f"http://h/board?hall=h1#pair={secrets.pairing_code(KEY, 'p1')}", secrets.pairing_code(KEY, "p1")),
        ("Authorization: Bearer s3same", "s3same"),
        ("redis://user:s3same@host:6379/0", "s3same"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in logs.redacted(text)
    assert "***" in logs.redacted(text)


def test_what_is_no_secret_stays() -> None:
    text = "GET /api/v1/halls/h1/tickets/A001 qs_admin revoked; http://127.0.0.1:8080/docs"
    assert logs.redacted(text) == text


class Stuck(io.StringIO):
    """A pipe that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.release = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.release.wait()
        return super().write(text)


def test_a_reader_who_does_not_read_stops_nobody_and_the_loss_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUE_MAX", 5)
    monkeypatch.setattr(logs, "_STOP_S", 0.01)
    stream = Stuck()
    writer = logs.set_up("text", "info", stream)
    log = logging.getLogger("qserver")
    log.info("0")
    stream.reached.wait()
    for number in range(1, 9):
        log.info("%d", number)
    assert writer.lost == 3
    assert "qserver_log_lines_lost_total 3" in list(writer.metrics())
    writer.close()  # gives up soon
    stream.release.set()
