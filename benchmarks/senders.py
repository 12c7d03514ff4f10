"""The processes that send, as children: the floor in C, and what others do for a fan-out, each where it is installed.

All are asked for the same: hold whoever connects and send a frame to all of them every so many ms.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from .broadcasters import SIZE
from .load import Pool, request
from .product import Child, python

_HERE = Path(__file__).parent


class Sender(Child):
    """A child that sends by itself; ready when it takes connections. `way`: which of its ways to send."""

    def __init__(self, core: int, way: str, every_ms: int) -> None:
        super().__init__(core)
        self.way, self.every_ms = way, every_ms

    @staticmethod
    def missing() -> str:
        """What is not installed here that it needs; empty when it can be started."""
        return ""

    async def _ready(self) -> None:
        while self.pid:  # raises once it has ended
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


class SendLoop(Sender):
    """`send_loop.c`, compiled now, for so many sockets and frames of so many bytes."""

    def __init__(self, core: int, sockets: int, size: int, every_ms: int) -> None:
        super().__init__(core, "send", every_ms)
        self._program = [str(self.folder / "send_loop"), str(self.port), str(sockets), str(size), str(every_ms)]
        subprocess.run(["gcc", "-O2", "-o", self._program[0], str(_HERE / "send_loop.c")], check=True)

    @staticmethod
    def missing() -> str:
        """It needs a compiler."""
        return "" if shutil.which("gcc") else "there is no gcc to compile the floor with"

    def program(self) -> list[str]:
        """What was compiled."""
        return self._program

    async def _ready(self) -> None:  # whoever connects is one of its sockets
        while self.pid and b"listening" not in (self.folder / "log").read_bytes():  # noqa: ASYNC110  a file tells nobody
            await asyncio.sleep(0.02)


class Broadcaster(Sender):
    """One of `broadcasters`, named by `way`."""

    def program(self) -> list[str]:
        """Python with that way."""
        return python("-c", f"import benchmarks.broadcasters as b; b.{self.way}({self.port}, {self.every_ms})")


class NodeWs(Sender):
    """`node_ws.js`; `way`: its `send`, or a `frame` made once and written to every socket."""

    @staticmethod
    def missing() -> str:
        """It needs node and the package."""
        node = shutil.which("node")
        if not node:
            return "there is no node"
        env = os.environ | {"NODE_PATH": _node_path()}
        if subprocess.run([node, "-e", "require('ws')"], env=env, cwd=_HERE, capture_output=True).returncode:
            return "node finds no package ws: npm install -g ws, or name its directory in BENCH_NODE_MODULES"
        return ""

    def program(self) -> list[str]:
        """The script and what it is to do."""
        node = shutil.which("node") or "node"
        return [node, str(_HERE / "node_ws.js"), str(self.port), str(SIZE), str(self.every_ms), self.way]

    def environment(self) -> dict[str, str]:
        """Where its packages may be."""
        return {"NODE_PATH": _node_path()}


@cache
def _node_path() -> str:
    places = [os.environ.get("BENCH_NODE_MODULES", ""), os.environ.get("NODE_PATH", "")]
    if npm := shutil.which("npm"):
        places.append(subprocess.run([npm, "root", "-g"], capture_output=True, text=True).stdout.strip())
    return os.pathsep.join(filter(None, places))


_NCHAN = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
load_module {module};
events {{ worker_connections 65536; }}
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /publish {{ nchan_publisher http; nchan_channel_id fan; nchan_store_messages off; }}
        location = /ws {{ nchan_subscriber {way}; nchan_channel_id fan; }}
    }}
}}
"""


class Nchan(Sender):
    """nginx with nchan; we publish to it over HTTP, which costs it little. `way`: a kind of subscriber.

    One process that is its own master: a worker would cost as much, but outlive a master that is killed.
    """

    def __init__(self, core: int, way: str, every_ms: int) -> None:
        super().__init__(core, way, every_ms)
        self._publishing: asyncio.Task[None] | None = None

    @staticmethod
    def missing() -> str:
        """It needs nginx and the module."""
        if not _nginx():
            return "there is no nginx"
        return "" if _module().exists() else f"nginx has no nchan: there is no {_module()}"

    def program(self) -> list[str]:
        """nginx with a configuration in the child's folder."""
        config = self.folder / "nginx.conf"
        config.write_text(_NCHAN.format(module=_module(), port=self.port, way=self.way))
        return [_nginx(), "-p", str(self.folder), "-c", str(config)]

    async def _ready(self) -> None:
        await super()._ready()
        event = request("POST", "/publish", b"0" * SIZE)
        self._publishing = asyncio.create_task((await Pool.open(self.port, 1)).evenly(event, 1000 / self.every_ms))

    async def __aexit__(self, *error: object) -> None:
        try:
            if self._publishing is not None and not self._publishing.cancel():
                self._publishing.result()  # raises what ended it, for then there were too few frames
        finally:
            await super().__aexit__(*error)


def _nginx() -> str:
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])) or ""


@cache
def _module() -> Path:
    built = subprocess.run([_nginx(), "-V"], capture_output=True, text=True).stderr
    folder = re.search(r"--modules-path=(\S+)", built)
    return Path(folder[1] if folder else "/usr/lib/nginx/modules") / "ngx_nchan_module.so"


OTHERS: dict[str, tuple[type[Sender], str]] = {
    "by_websockets": (Broadcaster, "by_websockets"),
    "by_aiohttp": (Broadcaster, "by_aiohttp"),
    "by_node_ws": (NodeWs, "send"),
    "by_node_ws_frame": (NodeWs, "frame"),
    "by_nchan": (Nchan, "websocket"),
}
"""What the fan-out is compared with: the class, and its way to send."""
