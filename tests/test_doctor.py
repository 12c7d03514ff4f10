"""What the doctor finds and how it says to mend it, on real data servers."""

from __future__ import annotations

import stat
from pathlib import Path

from qserver import doctor
from qserver.config import Settings
from tests import servers
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


def test_doctor_warns_of_a_server_that_is_reached_without_tls() -> None:
    assert any("TLS: none" in one.what for one in doctor.machine(Settings(host="0.0.0.0")))
    assert not any("TLS" in one.what for one in doctor.machine(Settings()))
