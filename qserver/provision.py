"""What a server sees to before its doors open: the first admin token, hall files, the demo hall and its links.

Everything here may run again at every start and on several servers at once.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import logging
import os
import secrets as random
import tomllib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from qserver.auth import secrets
from qserver.domain import hall as halls
from qserver.domain.errors import QserverError, Refusal
from qserver.domain.lifecycle import Role
from qserver.store.answers import SYSTEM
from qserver.store.store import Store

from .config import TOKEN_FILE, Settings

ADMIN = "admin"
"""The id of the admin token that is set; one that is made has an id that begins so."""
SHORT_TOKEN = 16

log = logging.getLogger(__name__)


class ProvisionError(QserverError):
    """A hall file cannot be applied; the text says which and why."""


class Screen(NamedTuple):
    """A screen of the demo hall: its page, what it is, in Chinese and English, and who the link makes it."""

    page: str
    name: str
    name_en: str
    role: Role
    window: str = ""


async def admin_token(store: Store, settings: Settings) -> str:
    """See that there is an admin token; answers its text when one was made just now, else "".

    One that is set (QSERVER_ADMIN_TOKEN) holds from then on, instead of the one that was set before. Otherwise one is
    made when there is none, each with a text of its own: a revoked one never comes back.
    """
    given, present = settings.admin_token, await store.tokens()
    if given:
        if len(given) < SHORT_TOKEN:
            log.warning(
                "the admin token that is set is short; take a long random one", extra={"characters": len(given)}
            )
        digest = secrets.digest(given)
        if not any(record.digest == digest for record in present):
            await store.create_token(SYSTEM, token_id=ADMIN, role=Role.ADMIN, name="QSERVER_ADMIN_TOKEN", digest=digest)
        return ""
    if any(record.role == Role.ADMIN and not record.hall and not record.expires_ms for record in present):
        return ""
    token_id = f"{ADMIN}-{random.token_hex(3)}"
    text = secrets.token_text(store.server_key, token_id)
    await store.create_token(
        SYSTEM, token_id=token_id, role=Role.ADMIN, name="first start", digest=secrets.digest(text)
    )
    keep_token(settings.directory / TOKEN_FILE, text)
    return text


async def free_webhooks(store: Store) -> None:
    """Ends the leases of processes that are dead, so that nobody waits for them: for a start with the embedded data
    server, which no process of an earlier start outlives.
    """
    for hook in await store.hooks():
        if hook.lease:
            await store.release_hook(SYSTEM, hook.id, hook.lease)


def keep_token(path: Path, text: str) -> None:
    """Write a token to a file that only its owner may read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")


async def apply_halls(store: Store, settings: Settings) -> list[str]:
    """Apply the hall files of the settings and, with `demo`, add the demo hall if there is none; answers the ids.

    Raises ProvisionError.
    """
    applied = []
    for name in settings.halls:
        for hall in read_halls(Path(name)):
            try:
                await store.configure(SYSTEM, hall)
            except Refusal as refusal:
                raise ProvisionError(f"{name}: hall {hall.id}: {refusal.detail} ({refusal.code})") from refusal
            applied.append(hall.id)
    if settings.demo:
        hall = demo_hall()
        try:
            await store.hall(hall.id)  # it may have been changed since; then it stays as it is
        except Refusal:
            await store.configure(SYSTEM, hall)
            applied.append(hall.id)
    return applied


async def renew_halls(store: Store) -> list[str]:
    """Compile every hall's definition anew and answer the ids of those that came out differently.

    What a definition compiles to is the server's: another version may want more of it, and a renewed package `holidays`
    knows other days.
    """
    renewed = []
    for hall in await store.halls():
        stands = (await store.hall(hall.id)).revision
        with contextlib.suppress(Refusal):  # somebody is changing it at this moment, and thereby renews it
            after = (await store.configure(SYSTEM, hall, if_match=stands)).value.revision
            renewed += [hall.id] * (after != stands)
    return renewed


def read_halls(path: Path) -> list[halls.Hall]:
    """The halls of a file. Raises ProvisionError."""
    try:
        return halls.load(path)
    except halls.HallError as error:
        raise ProvisionError("\n".join(f"{path}: {where}: {what}" for where, what in error.mistakes)) from error
    except (OSError, ValueError) as error:
        raise ProvisionError(f"{path}: {error}") from error


def demo_hall() -> halls.Hall:
    """The demo hall's definition."""
    text = importlib.resources.files(__package__).joinpath("demo.toml").read_text(encoding="utf-8")
    return halls.parse(tomllib.loads(text))


def demo_screens(hall: halls.Hall) -> list[Screen]:
    """One of each screen of a hall, those at a window for its first two windows."""
    screens = [
        Screen("guide", "引导台取号", "guide", Role.GUIDE),
        Screen("board", "综合屏", "hall board", Role.DISPLAY),
        Screen("supervisor", "大厅主管", "supervisor", Role.SUPERVISOR),
        Screen("assessor", "绩效考核方", "assessor", Role.ASSESSOR),
    ]
    for window in hall.windows[:2]:
        screens += [
            Screen("clerk", f"{window.name} 工作人员", "clerk", Role.CLERK, window.id),
            Screen("window", f"{window.name} 窗口屏", "window screen", Role.DISPLAY, window.id),
            Screen("pad", f"{window.name} 评价器", "evaluator pad", Role.PAD, window.id),
        ]
    return screens


async def demo_links(store: Store) -> list[tuple[Screen, str]]:
    """A link, without the server's address, for each screen of the demo hall; its code works once, until used."""
    hall = (await store.hall(demo_hall().id)).hall
    links = []
    for screen in demo_screens(hall):
        pairing_id = random.token_hex(6)
        code = secrets.pairing_code(store.server_key, pairing_id)
        await store.create_pairing(
            SYSTEM,
            pairing_id=pairing_id,
            digest=secrets.digest(code),
            role=screen.role,
            hall=hall.id,
            window=screen.window,
            name=f"demo {screen.name_en}",
            ttl_ms=0,
        )
        query = urlencode({"hall": hall.id} | ({"window": screen.window} if screen.window else {}))
        links.append((screen, f"/{screen.page}?{query}#pair={code}"))
    return links
