"""The commands as people run them: processes with exit codes, against one whole server with a hall per test."""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import msgpack  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from tests.halls import small_hall
from tests.hooks.receivers import answering, receiving, taken
from tests.whole import Whole

HALL = """id = "{hall}"
name = "小厅"
services = [{id = "a", prefix = "A"}, {id = "b", prefix = "B"}]
windows = [{id = "w1", services = ["a", "b"]}]
"""


def definition(hall: str) -> str:
    return HALL.replace("{hall}", hall)


class Ended(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str
    raw: bytes


Run = Callable[..., Coroutine[Any, Any, Ended]]
_numbers = itertools.count(1)


@pytest.fixture
def hall() -> str:
    """The id of a hall that no other test uses."""
    return f"hall-{next(_numbers)}"


pytestmark = pytest.mark.asyncio(loop_scope="module")  # the server's child process belongs to its loop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Whole]:
    async with Whole(environment={"QSERVER_WEBHOOK_TARGETS": "any"}) as started:
        yield started


@pytest.fixture
def run(server: Whole, tmp_path: Path) -> Run:
    """Runs a command against `server`, with the admin's token unless told otherwise."""

    async def ran(*arguments: str | Path, typed: str = "", **environment: str) -> Ended:
        given = {"QSERVER_URL": server.url, "QSERVER_TOKEN": server.admin, **environment}
        return await command(*arguments, cwd=tmp_path, typed=typed, **given)

    return ran


async def command(*arguments: str | Path, cwd: Path, typed: str = "", **environment: str) -> Ended:
    clean = {name: text for name, text in os.environ.items() if not name.startswith("QSERVER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qserver", *map(str, arguments), cwd=cwd, env=clean | environment,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(typed.encode())
    assert process.returncode is not None
    return Ended(process.returncode, out.decode("utf-8", "replace"), err.decode(), out)


async def test_halls_are_applied_as_often_as_one_likes_listed_and_shown(hall: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hall.toml"
    file.write_text(definition(hall))
    assert (await run("hall", "apply", file)).out.startswith(f"{hall} made ")
    assert (await run("hall", "apply", file)).out.startswith(f"{hall} applied ")
    assert f"{hall}\t小厅\t2 services\t1 windows\n" in (await run("hall", "list")).out
    assert json.loads((await run("hall", "show", hall)).out)["windows"][0]["id"] == "w1"
    missing = await run("hall", "show", "nowhere")
    assert (missing.code, missing.out) == (1, "")
    assert "(not_found)" in missing.err


async def test_a_hall_file_with_mistakes_is_not_sent(hall: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "hall.toml"
    file.write_text(definition(hall) + "[calls]\nmax_cals = 2\n")
    ended = await run("hall", "apply", file)
    assert ended.code == 2
    assert f"{file} line 6: $.calls.max_cals: unknown name, did you mean max_calls?" in ended.err
    assert hall not in (await run("hall", "list")).out


async def test_a_definition_the_server_refuses_is_said_in_its_words(
    hall: str, server: Whole, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "hall.toml"
    file.write_text(definition(hall))
    await run("hall", "apply", file)
    await server.post(f"/halls/{hall}/tickets", {"service": "b"})
    file.write_text(definition(hall).replace(', {id = "b", prefix = "B"}', "").replace('"a", "b"', '"a"'))
    ended = await run("hall", "apply", file)
    assert ended.code == 1
    assert "(in_use)" in ended.err


async def test_tokens_are_made_listed_and_revoked(hall: str, server: Whole, run: Run) -> None:
    await server.put_hall(small_hall(hall))
    made = await run("token", "create", "--role", "pad", "--hall", hall, "--window", "w1", "--name", "一号窗评价器")
    token_id, text = made.out.strip().split("\t")
    assert (await server.request("GET", f"/halls/{hall}/windows/w1", token=text)).status == 200
    listed = await run("token", "list")
    assert f"{token_id}\tpad\t{hall}\tw1\t" in listed.out
    assert "一号窗评价器" in listed.out and text not in listed.out
    assert (await run("token", "revoke", token_id)).out == f"{token_id} revoked\n"
    assert (await server.request("GET", f"/halls/{hall}/windows/w1", token=text)).status == 401
    assert (await run("token", "create", "--role", "pad", "--hall", hall)).code == 1
    assert (await run("token", "create", "--role", "boss")).code == 2


async def test_people_are_added_let_in_and_kept_out(hall: str, server: Whole, run: Run) -> None:
    await server.put_hall(small_hall(hall))
    at = ("--hall", hall)

    async def may_log_in(password: str, window: str = "w1") -> int:
        body = {"hall": hall, "staff": "1024", "password": password, "window": window}
        return (await server.request("POST", "/login", body, token="")).status

    made = await run(
        "staff", "add", "1024", *at, "--role", "clerk", "--name", "李敏", "--window", "w1", typed="pass one\n"
    )
    assert (made.code, made.out) == (0, "1024 added\n")
    assert await may_log_in("pass one") == 200
    assert await may_log_in("pass one", "w2") == 403
    assert (await run("staff", "change", "1024", *at, "--any-window")).out == "1024 changed\n"
    assert await may_log_in("pass one", "w2") == 200
    assert (await run("staff", "passwd", "1024", *at, typed="pass two\r\n")).code == 0
    assert [await may_log_in(one) for one in ("pass one", "pass two")] == [401, 200]
    assert (await run("staff", "disable", "1024", *at)).out == "1024 disabled\n"
    assert await may_log_in("pass two") == 401
    listed = (await run("staff", "list", *at)).out
    assert listed.startswith("1024\tclerk\t-\t") and listed.endswith("\t李敏\tdisabled\n")
    assert (await run("staff", "enable", "1024", *at)).code == 0
    assert await may_log_in("pass two") == 200
    kinds = [json.loads(line)["type"] for line in (await run("staff", "events", "1024", *at)).out.splitlines()]
    assert kinds[0] == "qserver.staff.added" and kinds[-1] == "qserver.staff.logged_in"
    again = await run("staff", "add", "1024", *at, "--role", "clerk", typed="pass one\n")
    assert (again.code, "(in_use)" in again.err) == (1, True)
    assert (await run("staff", "add", "2048", *at, "--role", "pad", typed="pass one\n")).code == 2
    nothing = await run("staff", "add", "2048", *at, "--role", "clerk")
    assert (nothing.code, "no password" in nothing.err) == (2, True)
    short = await run("staff", "add", "2048", *at, "--role", "clerk", typed="short\n")
    assert (short.code, "(validation)" in short.err, "short" in short.err) == (1, True, False)


@pytest.mark.parametrize(("second", "code"), [("secret words", 0), ("other words", 1)])
async def test_a_password_is_asked_for_twice_at_a_terminal_and_not_shown(
    hall: str, server: Whole, tmp_path: Path, second: str, code: int
) -> None:
    await server.put_hall(small_hall(hall))
    ours, theirs = os.openpty()
    clean = {name: text for name, text in os.environ.items() if not name.startswith("QSERVER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qserver", "staff", "add", "1024", "--hall", hall, "--role", "guide", cwd=tmp_path,
        env=clean | {"QSERVER_URL": server.url, "QSERVER_TOKEN": server.admin}, start_new_session=True,
        stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    reader = asyncio.StreamReader()
    terminal = os.fdopen(ours, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), terminal)
    shown = b""
    for prompt, typed in ((b"password: ", "secret words"), (b"again: ", second)):
        shown += await reader.readuntil(prompt)
        os.write(ours, f"{typed}\n".encode())
    assert await process.wait() == code
    assert b"words" not in shown
    answer = await server.request(
        "POST", "/login", {"hall": hall, "staff": "1024", "password": "secret words"}, token=""
    )
    assert answer.status == (401 if code else 200)


async def test_events_are_pulled_once_in_either_form(hall: str, server: Whole, run: Run) -> None:
    await server.put_hall(small_hall(hall))
    await server.post(f"/halls/{hall}/tickets", {"service": "a"})
    pulled = await run("events", "pull", "--group", "g1", "--from-start")
    kinds = [json.loads(line)["type"] for line in pulled.out.splitlines()]
    assert kinds[-1] == "qserver.ticket.issued"
    assert (await run("events", "pull", "--group", "g1")).out == ""
    packed = await run("events", "pull", "--group", "g2", "--from-start", "--format", "msgpack")
    assert len(objects(packed.raw)) == len(kinds)


def objects(data: bytes) -> list[Any]:
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    return list(unpacker)


async def test_events_are_followed_until_the_reader_has_enough(hall: str, server: Whole, tmp_path: Path) -> None:
    await server.put_hall(small_hall(hall))
    environment = {name: text for name, text in os.environ.items() if not name.startswith("QSERVER_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qserver", "events", "pull", "--group", "g", "--from-start", "--follow", cwd=tmp_path,
        env=environment | {"QSERVER_URL": server.url, "QSERVER_TOKEN": server.admin}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    found = [json.loads(await process.stdout.readline())["type"]]
    await server.post(f"/halls/{hall}/tickets", {"service": "a"})
    while found[-1] != "qserver.ticket.issued":
        found.append(json.loads(await process.stdout.readline())["type"])
    process.terminate()
    await process.wait()


async def test_reports_in_every_form(hall: str, server: Whole, run: Run, tmp_path: Path) -> None:
    await server.put_hall(small_hall(hall))
    await server.post(f"/halls/{hall}/windows/w1/open", {"staff": "s-1"})
    day = (await server.post(f"/halls/{hall}/tickets", {"service": "a"}))["ticket"]["day"]
    await server.post(f"/halls/{hall}/windows/w1/call", {})
    await server.post(f"/halls/{hall}/windows/w1/start", {})
    await server.post(f"/halls/{hall}/windows/w1/finish", {})
    table = await run("report", "--hall", hall, "--day", day)
    assert "办结" in table.out and "1 号窗口" in table.out and "合计 total" in table.out
    rows = list(csv.reader(io.StringIO((await run("report", "--hall", hall, "--day", day, "--format", "csv")).out)))
    assert any("1 号窗口" in row for row in rows)
    found = json.loads((await run("report", "--hall", hall, "--day", day, "--by", "service", "--format", "json")).out)
    assert found["totals"]["served"] == 1
    file = tmp_path / "report.xlsx"
    assert (await run("report", "--hall", hall, "--day", day, "--format", "xlsx", "-o", file)).code == 0
    assert file.read_bytes().startswith(b"PK")
    assert (await run("report", "--hall", hall, "--day", "someday")).code == 1
    assert (await run("report", "--hall", hall, "--day", day, "-o", tmp_path / "no" / "where")).code == 1
    assert (await run("report", "--hall", hall)).code == 2


async def test_a_report_is_of_a_day_or_of_a_month(hall: str, server: Whole, run: Run, tmp_path: Path) -> None:
    await server.put_hall(small_hall(hall))
    month = (await server.post(f"/halls/{hall}/tickets", {"service": "a"}))["ticket"]["day"][:7]
    table = await run("report", "--hall", hall, "--month", month, "--by", "service")
    assert table.code == 0 and month in table.out and "合计 total" in table.out
    found = json.loads((await run("report", "--hall", hall, "--month", month, "--format", "json")).out)
    assert (found["month"], found["totals"]["issued"], found["before"]) == (month, 1, None)
    file = tmp_path / "month.xlsx"
    assert (await run("report", "--hall", hall, "--month", month, "--format", "xlsx", "-o", file)).code == 0
    assert file.read_bytes().startswith(b"PK")
    assert (await run("report", "--hall", hall, "--month", "2026-13")).code == 1
    assert (await run("report", "--hall", hall, "--month", month, "--day", month + "-01")).code == 2
    assert (await run("report", "--hall", hall)).code == 2


@pytest.mark.parametrize(
    ("role", "window", "page"),
    [("assessor", "", "assessor"), ("display", "", "board"), ("display", "w1", "window"), ("clerk", "w1", "clerk")],
)
async def test_a_pairing_link_opens_the_page_of_its_role_once(
    hall: str, server: Whole, run: Run, role: str, window: str, page: str
) -> None:
    await server.put_hall(small_hall(hall))
    at = ("--window", window) if window else ()
    link = (await run("token", "pair", "--role", role, "--hall", hall, *at)).out.strip()
    where = f"{server.url}/{page}?hall={hall}" + (f"&window={window}" if window else "")
    assert link.startswith(f"{where}#pair=")
    code = link.partition("#pair=")[2]
    paired = await server.post("/pair", {"code": code}, token="")
    assert (paired["role"], paired["hall"], paired["window"]) == (role, hall, window or None)
    assert (await server.request("POST", "/pair", {"code": code}, token="")).code == "not_found"


async def test_what_has_no_page_is_not_paired(hall: str, run: Run) -> None:
    assert (await run("token", "pair", "--role", "analytics", "--hall", hall)).code == 2
    assert (await run("token", "pair", "--role", "clerk", "--hall", hall)).code == 1


async def test_the_token_is_found_in_the_data_directory(tmp_path: Path) -> None:
    async with Whole(environment={"QSERVER_ADMIN_TOKEN": ""}) as server:
        ended = await command("hall", "list", "--url", server.url, "--data-dir", server.data, cwd=tmp_path)
        assert ended == Ended(0, "", "", b"")
        ended = await command("hall", "list", "--url", server.url, "--data-dir", tmp_path, cwd=tmp_path)
        assert ended.code == 2
        assert "no token" in ended.err


async def test_no_server_no_right_and_no_sense_are_said_plainly(run: Run, tmp_path: Path) -> None:
    gone = await run("hall", "list", "--url", "http://127.0.0.1:1")
    assert gone.code == 1
    assert "is the server running?" in gone.err and "Traceback" not in gone.err
    assert (await run("hall", "list", "--url", "ftp://x")).code == 2
    wrong = await run("hall", "list", QSERVER_TOKEN="qs_no_token")
    assert (wrong.code, "(unauthorized)" in wrong.err) == (1, True)
    assert (await run("dance")).code == 2
    assert (await run("serve", "--config", "none.toml")).code == 2
    unknown = await run("serve", QSERVER_PROT="1")
    assert unknown.code == 2
    assert "QSERVER_PROT: unknown name, did you mean QSERVER_PORT?" in unknown.err


async def test_simulate_has_a_parser_of_its_own(run: Run) -> None:
    assert (await run("simulate", "--help")).out.startswith("usage: qserver simulate")


async def test_webhooks_are_made_tested_rotated_listed_and_removed(hall: str, server: Whole, run: Run) -> None:
    await server.put_hall(small_hall(hall))
    async with receiving() as receiver:
        made = await run("webhook", "add", receiver.url, "--kinds", "ticket.issued,overtime.*", "--hall", hall)
        hook, secret = made.out.strip().split("\t")
        assert secret.startswith("whsec_")
        tested = await run("webhook", "test", hook)
        assert tested.code == 0 and "delivered, answered 204" in tested.out
        await server.post(f"/halls/{hall}/tickets", {"service": "a"})
        assert (await receiver.until(2))[1].kind == "ticket.issued"
        Webhook(secret).verify(receiver.came[1].body, dict(receiver.came[1].headers))
        rotated = (await run("webhook", "rotate", hook, "--overlap-s", "0")).out.strip().split("\t")
        assert rotated[0] == hook and rotated[1] != secret
        receiver.answer = answering(410)
        refused = await run("webhook", "test", hook)
        assert refused.code == 1 and "not delivered: answered 410" in refused.out
        await server.post(f"/halls/{hall}/tickets", {"service": "a"})
        await receiver.until(4)
        while not (dead := (await run("webhook", "dead", hook)).out):
            pass  # it goes on record a moment after the receiver has answered
        assert json.loads(dead)["event"]["type"] == "qserver.ticket.issued"
        listed = (await run("webhook", "list")).out
        assert (
            f"{hook}\tdisabled\t{hall}\tticket.issued,overtime.*\tsent 1\twaiting 0\tdead 1\t{receiver.url}" in listed
        )
        assert "whsec_" not in listed
        receiver.answer = taken
        assert (
            await run("webhook", "change", hook, "--kinds", "review.*", "--name", "督办")
        ).out == f"{hook} changed\n"
        (changed,) = [one for one in (await run("webhook", "list")).out.splitlines() if one.startswith(hook)]
        assert "\treview.*\t" in changed and f"{receiver.url}\t督办\t" in changed
        assert (await run("webhook", "redeliver", hook)).code == 1
        assert (await run("webhook", "enable", hook)).out == f"{hook} enabled\n"
        assert (await run("webhook", "redeliver", hook, "1")).out == "1 to be tried again\n"
        assert (await receiver.until(5))[4].body == receiver.came[3].body
        assert (await run("webhook", "remove", hook)).out == f"{hook} removed\n"
        assert (await run("webhook", "list")).out == ""
        assert (await run("webhook", "add", "ftp://x/", "--kinds", "*")).code == 1
        assert "whsec_" not in server.log and secret not in server.log
