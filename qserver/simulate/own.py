"""A server of its own for a played day: a child process on a free port with its data in a temporary directory.

It ends with us, even when we are killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from qserver.domain.errors import QserverError
from qserver.store.embedded import launcher

_SOURCE = str(Path(__file__).parents[2])
READY_S = 60.0
"""How long the server may take to become ready."""
STOP_S = 30.0
"""How long it may take to stop before it is killed."""


class OwnServer:
    """`async with OwnServer() as server`: ready on entry at `server.url` with `server.token`, gone on exit."""

    def __init__(self) -> None:
        self.url = ""
        self.token = "qs-admin-" + secrets.token_urlsafe(24)
        self._folder = Path(tempfile.mkdtemp(prefix="qserver-sim-"))
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The child's process id."""
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> OwnServer:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("QSERVER_")}
        env |= {
            "QSERVER_ADMIN_TOKEN": self.token,
            # One machine plays a whole hall's people: limits meant for one device would refuse them.
            "QSERVER_RATE_LIMIT_PER_TOKEN": "0",
            "QSERVER_RATE_LIMIT_PER_ADDRESS": "0",
            # It runs in its temporary directory, where no qserver.toml names somebody's data server.
            "PYTHONPATH": os.pathsep.join(filter(None, [_SOURCE, os.environ.get("PYTHONPATH")])),
        }
        serve = ["-m", "qserver", "serve", "--port", str(port), "--data-dir", str(self._folder / "data")]
        try:
            with (self._folder / "log").open("wb") as log:
                # A session of its own: Ctrl-C reaches us alone, and we stop the server when the people are gone.
                self._process = await asyncio.create_subprocess_exec(
                    *launcher([sys.executable, *serve]), env=env, cwd=self._folder, stdin=asyncio.subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            await self._ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _ready(self) -> None:
        assert self._process is not None
        ends = time.monotonic() + READY_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while time.monotonic() < ends:
                if self._process.returncode is not None:
                    raise QserverError(f"the server ended with {self._process.returncode}:\n{self.log_tail()}")
                with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.05)
        raise QserverError(f"the server was not ready within {READY_S:g} s:\n{self.log_tail()}")

    def log_tail(self, lines: int = 20) -> str:
        """The last lines of what the server said."""
        try:
            text = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        try:
            if process is not None and process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    await asyncio.wait_for(process.wait(), STOP_S)
                except TimeoutError:
                    process.kill()
                    await process.wait()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
