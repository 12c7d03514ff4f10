"""An archiver that works once and is killed at the n-th line of the archive's own code: `URL DIRECTORY N`.

N 0: nobody kills it; it prints how many lines it ran through.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from qserver import archive
from qserver.archive.archiver import Archiver
from qserver.archive.shelf import Shelf
from qserver.store.store import Store
from qserver.store.topology import Topology
from tests.store.clocks import CheckedLibrary

ROOM = str(Path(archive.__file__).parent)


class Watch:
    """Counts lines and kills the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, what: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(ROOM):
            return None
        if what == "line":
            self.lines += 1
            if self.lines == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


async def main(url: str, directory: str, at: int) -> None:
    """Opens the archive and archives what is to be archived."""
    topology = Topology.from_url(url)
    await topology.open()
    store = Store(topology, library=CheckedLibrary())  # the clock that the test sets is its library's
    await store.start()
    watch = Watch(at)
    threading.settrace(watch)
    sys.settrace(watch)
    shelf = Shelf(Path(directory))
    shelf.open()
    await Archiver(store, shelf).once()
    sys.settrace(None)
    threading.settrace(None)
    await store.close()
    sys.stdout.write(f"{watch.lines}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
