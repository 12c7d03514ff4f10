"""What the doctor finds and how it says to mend it, on real data servers."""

from __future__ import annotations

import stat
from pathlib import Path

from qserver import doctor, doctor_archive
from qserver.archive.shelf import Head, Line, Shelf
from qserver.config import Settings
from tests import servers
from tests.store.clocks import TimedStore
from tests.store.follow import serve
from tests.test_cli import command
from tests.whole import Whole


async def test_doctor_finds_a_running_embedded_server_well_and_starts_one_that_is_not_running(tmp_path: Path) -> None:
    async with Whole() as server:
        ended = await command("doctor", "--data-dir", server.data, cwd=tmp_path)
        assert ended.code == 0, ended.out
        for text in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction", "are loaded", "halls: 0"):
            assert text in ended.out
        assert "bad" not in ended.out
        await server.stop()
        ended = await command("doctor", "--data-dir", server.data, cwd=tmp_path)
        assert ended.code == 0
        assert "started for this check" in ended.out
        assert not doctor.running_socket(server.data)


async def test_doctor_names_what_is_wrong_and_how_to_mend_it(valkey: servers.DataServer, tmp_path: Path) -> None:
    for name, value in (("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")):
        valkey.ask("CONFIG", "SET", name, value)
    try:
        ended = await command("doctor", "--redis-url", valkey.url, cwd=tmp_path)
    finally:
        for name, value in (("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")):
            valkey.ask("CONFIG", "SET", name, value)
    assert ended.code == 1
    for text in ("appendonly is no", "-> CONFIG SET appendonly yes", "CONFIG SET maxmemory-policy noeviction"):
        assert text in ended.out
    assert "warn" in next(line for line in ended.out.splitlines() if "appendfsync is everysec" in line)


async def test_doctor_says_when_nobody_is_there_and_when_partitions_differ(
    valkey: servers.DataServer, tmp_path: Path
) -> None:
    async with Whole(redis_url=valkey.url):
        ended = await command("doctor", "--redis-url", valkey.url, cwd=tmp_path, QSERVER_PARTITIONS="8")
        assert (ended.code, "16 partitions, not 8" in ended.out) == (1, True)
    valkey.end()
    ended = await command("doctor", "--redis-url", valkey.url, cwd=tmp_path)
    assert (ended.code, "start it, or correct redis_url" in ended.out) == (1, True)


def test_doctor_looks_at_the_disk(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    assert any("does not exist yet" in one.what for one in doctor.disk(directory))
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    found = {one.what: one for one in doctor.disk(directory)}
    assert any(one.level == "warn" and "chmod 700" in one.mend for one in found.values())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o755, "it only looks"
    assert list(directory.iterdir()) == []


def test_doctor_looks_at_the_archive(tmp_path: Path) -> None:
    [none] = doctor_archive.directory(None)
    assert (none.level, "data_dir" in none.mend) == ("warn", True)
    place = tmp_path / "archive"
    assert "does not exist yet" in next(doctor_archive.directory(place)).what
    shelf = Shelf(place)
    shelf.open()
    draft = shelf.draft("h1", "2026-11-24")
    head = Head(hall="h1", day="2026-11-24", as_of_ms=1, changed=1, reviews_before=0)
    draft.add([Line(archive=head)])
    draft.publish()
    [found] = doctor_archive.directory(place)
    assert (found.level, "1 days of 1 halls" in found.what) == ("ok", True)
    file = place / "h1" / "2026-11-24.jsonl.gz"
    file.write_bytes(file.read_bytes()[:-4])
    place.chmod(0o755)
    open_, damaged = doctor_archive.directory(place)
    assert (open_.level, open_.mend) == ("warn", f"close it: chmod 700 '{place}'")
    assert (damaged.level, "2026-11-24" in damaged.what) == ("bad", True)


async def test_doctor_names_days_that_wait_and_archives_that_are_silent(timed: TimedStore) -> None:
    await timed.register_archive("0123456789abcdef")
    await serve(timed)
    await timed.pass_ms(86_400_000)
    await timed.sweep_all()
    known = await timed.halls()
    assert [one async for one in doctor_archive.waiting(timed, known)] == []
    await timed.pass_ms(10 * 86_400_000)
    await timed.sweep_all()
    waits, silent = [one async for one in doctor_archive.waiting(timed, known)]
    assert (waits.level, "2026-11-24" in waits.what) == ("bad", True)
    assert (silent.level, "0123456789abcdef" in silent.what) == ("warn", True)


def test_doctor_warns_of_a_server_that_is_reached_without_tls() -> None:
    assert any("TLS: none" in one.what for one in doctor.machine(Settings(host="0.0.0.0")))
    assert not any("TLS" in one.what for one in doctor.machine(Settings()))
