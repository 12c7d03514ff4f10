"""Several processes on one port: children that each open the doors, watched by the process that owns the rest.

A child gets its settings on standard input (secrets stand neither in arguments nor in the environment of anything it
starts) and says `ready` on standard output. When standard input ends, the parent is gone and the child goes too, at
once. The kernel deals connections out among those that listen (SO_REUSEPORT).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from typing import Final

import msgspec
import uvloop

from qserver.domain.errors import QserverError

from . import logs
from .config import Settings
from .doors import Doors, listen

READY: Final = b"ready\n"
READY_S: Final = 60.0
STOP_S: Final = 20.0
_BACKOFF_S: Final = (0.1, 5.0)
_STEADY_S: Final = 10.0

log = logging.getLogger(__name__)


class WorkerError(QserverError):
    """A worker did not become ready; its own lines say why."""


class Workers:
    """The children. `start` waits until all of them listen; afterwards who dies is started again, until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = msgspec.json.encode(settings) + b"\n"
        self._count = settings.workers
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> list[int]:
        """The process ids of those that run."""
        return [process.pid for process in self._processes.values() if process.returncode is None]

    async def start(self) -> None:
        """Start all. Raises WorkerError."""
        try:
            await asyncio.gather(*(self._launch(number) for number in range(self._count)))
        except BaseException:
            await self.stop()
            raise
        self._watchers = [
            asyncio.create_task(self._watch(number), name=f"worker {number}") for number in range(self._count)
        ]

    async def stop(self) -> None:
        """End all in good order, or by force after 20 s."""
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        self._watchers = []
        await asyncio.gather(*(self._end(process) for process in self._processes.values()))

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on to all."""
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _launch(self, number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            __name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the children in order
        )
        self._processes[number] = process
        assert process.stdin is not None and process.stdout is not None
        line = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            process.stdin.write(self._settings)
            await process.stdin.drain()
            async with asyncio.timeout(READY_S):
                line = await process.stdout.readline()
        if line != READY:
            await self._end(process)
            raise WorkerError(f"worker {number} did not become ready ({process.returncode})")
        log.info("worker ready", extra={"worker": number, "worker_pid": process.pid})

    async def _watch(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        pause = 0.0
        while True:
            since = loop.time()
            code = await self._processes[number].wait()
            pause = 0.0 if loop.time() - since >= _STEADY_S else min(max(pause * 2, _BACKOFF_S[0]), _BACKOFF_S[1])
            log.error("worker died", extra={"worker": number, "returncode": code, "restart_in_s": pause})
            await asyncio.sleep(pause)
            try:
                await self._launch(number)
            except (WorkerError, OSError) as error:
                log.error("worker cannot be started again", extra={"worker": number, "error": str(error)})

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                log.error("worker does not stop, killed", extra={"worker_pid": process.pid})
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        await process.wait()


async def work(settings: Settings, writer: logs.Writer) -> None:
    """Be a worker until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    loop.add_reader(sys.stdin.fileno(), _orphaned)
    doors = Doors(settings, listen(settings.host, settings.port, shared=True), writer)
    loop.add_signal_handler(signal.SIGHUP, doors.renew_certificate)
    opening = asyncio.create_task(doors.start(settings.redis_url))
    ending = asyncio.create_task(over.wait())
    await asyncio.wait((opening, ending), return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.wait([opening])
        return
    await opening
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    await ending
    await doors.stop()


def _orphaned() -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        os._exit(1)


def main() -> int:
    """Read the settings and work; answers the exit code."""
    # Unbuffered, for what follows the settings must stay readable to the loop.
    line = b""
    while not line.endswith(b"\n"):
        if not (byte := os.read(sys.stdin.fileno(), 1)):
            return 1
        line += byte
    settings = msgspec.json.decode(line, type=Settings)
    writer = logs.set_up(settings.log_format, settings.log_level)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work(settings, writer))
        return 0
    except (QserverError, ValueError) as error:
        log.error("worker cannot serve", extra={"error": str(error)})
        return 1
    finally:
        writer.close()


if __name__ == "__main__":
    sys.exit(main())
