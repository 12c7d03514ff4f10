"""Real data servers for tests: private processes with their own directory, socket and append-only file.

`DataServer` starts one and can kill it as a power cut would (`kill9`), start it again on the same files (`restart`) and
wipe it between tests (`wipe`). Nothing here imitates a server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import hiredis

from qserver.store.embedded import find_binary, launcher

REDIS7 = "/usr/bin/redis-server"


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DataServer:
    """One data server: on a unix socket, or with `tcp=True` on a port of 127.0.0.1. Ends with the test process."""

    def __init__(self, binary: str | Path, *options: str, tcp: bool = False, port: int = 0) -> None:
        self.binary = str(binary)
        self.directory = Path(tempfile.mkdtemp(prefix="qs-test-", dir="/tmp"))
        self.path = self.directory / "s"
        self.port = (port or free_port()) if tcp or port else 0
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL, `unix://` or `redis://`."""
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.path}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self, *arguments: str, wait: bool = True) -> DataServer:
        """Start it and wait until it answers PING. `arguments` replace the usual settings."""
        command = [self.binary, *(arguments or (*self._settings(), *self.options))]
        with (self.directory / "log").open("ab") as output:
            self.process = subprocess.Popen(
                launcher(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + 30
        while wait and not self._answers():
            if not self.alive or time.monotonic() > deadline:
                raise RuntimeError(f"{self.binary} does not run: {(self.directory / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        return self

    def _settings(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.path),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "auto-aof-rewrite-percentage": "0",
            "maxmemory-policy": "noeviction",
            "enable-debug-command": "local",
        }
        return [word for name, value in settings.items() for word in (f"--{name}", value)]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            answer = self.ask("PING")
            # "NOAUTH": it is up and wants a password. "LOADING": not yet.
            return answer == b"PONG" or "NOAUTH" in str(answer)
        return False

    def ask(self, *args: str | int | bytes) -> Any:
        """One command over a connection of its own, apart from everything under test. An error comes as a value."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self.path))
            connection.sendall(hiredis.pack_command(args))  # type: ignore[arg-type]
            reader = hiredis.Reader()
            while (answer := reader.gets()) is False:
                data = connection.recv(65536)
                if not data:
                    raise ConnectionResetError("the server hung up")
                reader.feed(data)
            return answer

    def wipe(self) -> None:
        """Remove all data and functions; start the server first when a test left it dead or stopped."""
        if self.alive:
            self.resume()
        else:
            self.start()
        try:
            self.ask("FLUSHALL")
        except OSError:  # the last test's kill reached it only now
            if self.process is not None:
                self.process.wait(10)
            self.start()
            self.ask("FLUSHALL")
        self.ask("FUNCTION", "FLUSH")

    def pause(self) -> None:
        """Stop the process in its tracks: it keeps its connections and answers nobody."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill9(self) -> None:
        """End it at once, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again on the files it left; ends it first (in order) when it still runs."""
        self.end()
        self.start()

    def end(self) -> None:
        """End the process and keep its files."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self) -> None:
        """End the process and remove its files."""
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)


def valkey(*options: str, tcp: bool = False, port: int = 0) -> DataServer:
    """A started server of the Valkey that the product embeds."""
    return DataServer(find_binary(), *options, tcp=tcp, port=port).start()


def redis7(*options: str, tcp: bool = False, port: int = 0) -> DataServer:
    """A started Redis 7.0 of the system, the oldest command set supported."""
    return DataServer(REDIS7, *options, tcp=tcp, port=port).start()
