"""The whole server as a child process: start and stop, workers, TLS, the first token, a data server that is away."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import stat
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from qserver import config
from qserver.config import Settings
from qserver.doors import ListenError, listen
from qserver.server import Server, reachable
from tests import servers
from tests.halls import small_hall
from tests.whole import Whole


async def test_a_plain_server_starts_with_no_hall_and_ends_with_0() -> None:
    async with Whole() as server:
        assert await server.get("/halls") == {"halls": []}
        assert await server.get("//readyz") == {"status": "ok"}
        valkey = server.valkey_pid
        assert await server.stop() == 0
        assert not Path(f"/proc/{valkey}").exists()


async def test_what_was_done_is_there_after_a_restart() -> None:
    async with Whole() as server:
        await server.put_hall(small_hall())
        issued = await server.post("/halls/h1/tickets", {"service": "a"})
        await server.stop()
        await server.start()
        found = await server.get(f"/halls/h1/tickets/{issued['ticket']['id']}")
        assert found["ticket"] == issued["ticket"]


async def test_the_first_admin_token_is_printed_once_and_kept_for_the_commands() -> None:
    async with Whole(environment={"QSERVER_ADMIN_TOKEN": ""}) as server:
        printed = [line for line in server.lines if "admin token" in line]
        assert len(printed) == 1
        server.admin = printed[0].split()[-1]
        assert server.admin.startswith("qs_admin-")
        assert await server.get("/halls") == {"halls": []}
        kept = server.data / config.TOKEN_FILE
        assert kept.read_text().strip() == server.admin
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        await server.stop()
        assert server.admin not in server.log
        server.lines.clear()
        await server.start()
        assert not any("admin token" in line for line in server.lines)
        assert await server.get("/halls") == {"halls": []}


async def test_a_revoked_first_token_never_comes_back_another_one_is_made() -> None:
    async with Whole(environment={"QSERVER_ADMIN_TOKEN": ""}) as server:
        server.admin = first = next(line for line in server.lines if "admin token" in line).split()[-1]
        await server.request("DELETE", f"/tokens/{first.split('_')[1]}")
        await server.stop()
        server.lines.clear()
        await server.start()
        assert (await server.request("GET", "/halls")).status == 401
        server.admin = next(line for line in server.lines if "admin token" in line).split()[-1]
        assert (await server.request("GET", "/halls")).status == 200
        assert (server.data / config.TOKEN_FILE).read_text().strip() == server.admin


async def test_a_token_that_is_set_anew_ends_the_one_set_before() -> None:
    async with Whole() as server:
        first, other = server.admin, await server.token("admin")
        await server.stop()
        server.environment["QSERVER_ADMIN_TOKEN"] = server.admin = "another-long-admin-token"
        await server.start()
        assert (await server.request("GET", "/halls", token=first)).status == 401
        assert (await server.request("GET", "/halls")).status == 200
        assert (await server.request("GET", "/halls", token=other)).status == 200


async def test_a_copy_of_the_stopped_directory_is_a_backup() -> None:
    async with Whole() as server:
        await server.put_hall(small_hall())
        kept = (await server.post("/halls/h1/tickets", {"service": "a"}))["ticket"]
        before = await server.get("/halls/h1/board")
        await server.stop()
        backup = server.folder / "backup"
        shutil.copytree(server.data, backup, ignore=shutil.ignore_patterns("*.sock"))
        await server.start()
        lost = (await server.post("/halls/h1/tickets", {"service": "a"}))["ticket"]
        await server.stop()
        shutil.rmtree(server.data)
        backup.rename(server.data)
        await server.start()
        assert (await server.get(f"/halls/h1/tickets/{kept['id']}"))["ticket"] == kept
        assert (await server.request("GET", f"/halls/h1/tickets/{lost['id']}")).code == "not_found"
        assert (await server.post("/halls/h1/tickets", {"service": "a"}))["ticket"]["no"] == lost["no"]
        assert (await server.get("/halls/h1/board"))["ep"] != before["ep"]


async def test_hall_files_are_applied_and_a_bad_one_ends_the_start(tmp_path: Path) -> None:
    good = tmp_path / "good.toml"
    good.write_text('id = "x"\nservices = [{id = "a", prefix = "A"}]\nwindows = []\n')
    async with Whole("--hall", str(good)) as server:
        assert [hall["id"] for hall in (await server.get("/halls"))["halls"]] == ["x"]
    good.write_text('id = "x"\nservices = [{id = "a", prefix = "a"}]\nwindows = []\n')
    with pytest.raises(RuntimeError, match=r"good.toml: \$.services\[0\].prefix"):
        async with Whole("--hall", str(good)):
            pass


async def test_the_demo_prints_a_link_per_screen_whose_code_works_once() -> None:
    async with Whole("--demo") as server:
        links = [line.strip() for line in server.lines if line.strip().startswith(server.url)]
        pages = {link.removeprefix(server.url + "/").partition("?")[0] for link in links}
        assert pages == {"guide", "board", "clerk", "window", "pad", "supervisor", "assessor"}
        clerk = next(link for link in links if "/clerk?hall=demo&window=w1#" in link)
        code = clerk.partition("#pair=")[2]
        paired = await server.post("/pair", {"code": code})
        assert (paired["role"], paired["hall"], paired["window"]) == ("clerk", "demo", "w1")
        await server.post("/halls/demo/windows/w1/open", {}, token=paired["token"])
        again = await server.request("POST", "/pair", {"code": code})
        assert again.status in (401, 403, 404)
        assert code not in server.log


async def test_workers_share_the_port_and_one_that_dies_is_replaced() -> None:
    async with Whole("--workers", "2") as server:
        workers = [pid for pid in server.tree()[1:] if b"qserver.workers" in cmdline(pid)]
        assert len(workers) == 2
        await server.put_hall(small_hall())
        os.kill(workers[0], signal.SIGKILL)
        while workers[0] in server.tree():
            await asyncio.sleep(0.01)
        issued = await server.surely("POST", "/halls/h1/tickets", {"service": "a"}, key="k1")
        assert issued.status == 201
        while server.log.count("worker ready") < 3:
            await asyncio.sleep(0.01)
        assert len([pid for pid in server.tree() if b"qserver.workers" in cmdline(pid)]) == 2
        assert await server.stop() == 0


async def test_nothing_it_starts_inherits_a_secret() -> None:
    async with Whole("--workers", "2") as server:
        for pid in server.tree()[1:]:
            assert server.admin.encode() not in Path(f"/proc/{pid}/environ").read_bytes() + cmdline(pid)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_screens_are_sent_away_with_a_time_to_come_back(workers: str) -> None:
    async with Whole("--workers", workers) as server:
        await server.put_hall(small_hall())
        token = await server.token("display", hall="h1")
        async with connect(server.socket_url, subprotocols=[Subprotocol("qserver.v1.json")]) as screen:
            await screen.send(json.dumps({"t": "hello", "token": token, "hall": "h1", "topic": "board"}))
            assert json.loads(await screen.recv())["t"] == "welcome"
            stopping = asyncio.create_task(server.stop())
            told = []
            with pytest.raises(ConnectionClosedError, match="received 4001"):
                while True:
                    told.append(json.loads(await screen.recv()))
            assert told[-1]["t"] == "bye" and told[-1]["code"] == 4001
            assert told[-1]["retry_ms"][0] < told[-1]["retry_ms"][1]
            assert await stopping == 0


async def test_workers_go_when_their_parent_is_killed() -> None:
    async with Whole("--workers", "2") as server:
        others = server.tree()[1:]
        assert len(others) == 3
        os.kill(server.pid, signal.SIGKILL)
        while any(cmdline(pid) for pid in others):
            await asyncio.sleep(0.01)


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_tls_and_a_renewed_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    await make_certificate(certificate, key)
    async with Whole("--tls-cert", str(certificate), "--tls-key", str(key)) as server:
        assert server.url.startswith("https://")
        first = await peer_certificate(server)
        await make_certificate(certificate, key)
        os.kill(server.pid, signal.SIGHUP)
        while await peer_certificate(server) == first:
            await asyncio.sleep(0.01)
        certificate.write_text("no certificate")
        second = await peer_certificate(server)
        os.kill(server.pid, signal.SIGHUP)
        while "the old certificate stays" not in server.log:
            await asyncio.sleep(0.01)
        assert await peer_certificate(server) == second


async def make_certificate(certificate: Path, key: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0


async def peer_certificate(server: Whole) -> bytes | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    port = int(server.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return found


async def test_a_data_server_that_is_away_at_the_start_is_waited_for(valkey: servers.DataServer) -> None:
    valkey.end()
    server = Whole(redis_url=valkey.url)
    starting = asyncio.create_task(server.__aenter__())
    while not (server.folder / "log").exists() or "waiting for the data server" not in server.log:
        await asyncio.sleep(0.01)
    valkey.start()
    try:
        await starting
        assert await server.get("/halls") == {"halls": []}
    finally:
        await server.__aexit__(None, None, None)


async def test_sigterm_ends_a_server_that_still_waits_for_its_data_server(valkey: servers.DataServer) -> None:
    valkey.end()
    server = Whole(redis_url=valkey.url)
    starting = asyncio.create_task(server.__aenter__())
    while not (server.folder / "log").exists() or "waiting for the data server" not in server.log:
        await asyncio.sleep(0.01)
    assert await server.stop() == 0
    with pytest.raises(RuntimeError, match="the server ended"):
        await starting


async def test_meanwhile_503_with_retry_after_and_never_401(valkey: servers.DataServer) -> None:
    async with Whole(redis_url=valkey.url) as server:
        await server.put_hall(small_hall())
        guide = await server.token("guide", hall="h1")
        valkey.kill9()
        answer = await server.request("POST", "/halls/h1/tickets", {"service": "a"}, token=guide)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await server.request("GET", "//readyz")).status == 503
        assert (await server.request("GET", "//livez")).status == 200
        valkey.restart()
        issued = await server.surely("POST", "/halls/h1/tickets", {"service": "a"}, key="k", token=guide)
        assert issued.status == 201


async def test_another_number_of_partitions_is_refused(valkey: servers.DataServer) -> None:
    async with Whole(redis_url=valkey.url) as server:
        assert await server.stop() == 0
    with pytest.raises(RuntimeError, match="16 partitions, not 8"):
        async with Whole(redis_url=valkey.url, environment={"QSERVER_PARTITIONS": "8"}):
            pass


async def test_a_taken_port_and_a_taken_directory_are_said() -> None:
    async with Whole() as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(ListenError, match=rf"127.0.0.1:{port} cannot be listened on"):
            listen("127.0.0.1", int(port))
        with pytest.raises(RuntimeError, match="is in use by process"):
            async with Whole("--data-dir", str(server.data)):
                pass


async def test_the_server_object_serves_in_this_process(tmp_path: Path) -> None:
    server = Server(Settings(port=0, data_dir=str(tmp_path / "data"), admin_token="a-long-enough-token"))
    started = await server.start()
    try:
        assert started.url == f"http://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession() as session, session.get(f"{started.url}/readyz") as response:
            assert response.status == 200
            await response.read()
    finally:
        await server.stop()


def test_where_a_server_on_all_addresses_is_reached() -> None:
    assert reachable("10.0.0.1") == "10.0.0.1"
    assert reachable("0.0.0.0") not in ("0.0.0.0", "")
