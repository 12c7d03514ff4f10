"""`qserver token create|pair|list|revoke`: tokens of devices and systems, over a running server's API."""

from __future__ import annotations

import argparse
from typing import Final
from urllib.parse import quote, urlencode

from qserver.domain.lifecycle import Role

from .client import Client, command, minute, part

PAGES: Final = {
    Role.ADMIN: "supervisor", Role.SUPERVISOR: "supervisor", Role.ASSESSOR: "assessor", Role.GUIDE: "guide",
    Role.KIOSK: "guide", Role.CLERK: "clerk", Role.DISPLAY: "board", Role.PAD: "pad",
}  # fmt: skip
"""The page a role works with; a display at a window is its screen. Analytics has none."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands and their options."""
    found = commands.add_parser("token", help="设备与系统令牌 tokens").add_subparsers(metavar="COMMAND", required=True)
    create = command(found, "create", run_create, "新建，令牌只显示一次 make one; its text is shown once")
    pair = command(found, "pair", run_pair, "一次性配对链接 a link that makes a browser that device, once")
    for one, roles in ((create, list(Role)), (pair, list(PAGES))):
        one.add_argument(
            "--role", required=True, choices=[role.value for role in roles], metavar="R", help=" ".join(roles)
        )
        one.add_argument("--hall", metavar="H", help="所属大厅 the hall it is bound to")
        one.add_argument("--window", metavar="W", help="所属窗口 the window it is bound to")
        one.add_argument("--name", metavar="N", default="", help="名称 what people call it")
    command(found, "list", run_list, "列出令牌，不含其文本 list them, without their texts")
    revoke = command(found, "revoke", run_revoke, "立即吊销 end one at once, on open sockets too")
    revoke.add_argument("id", metavar="ID")


def _wanted(options: argparse.Namespace) -> dict[str, str]:
    return {name: getattr(options, name) for name in ("role", "hall", "window", "name") if getattr(options, name)}


def run_create(options: argparse.Namespace) -> int:
    """Print the new token's id and its text."""
    made = Client(options).request("POST", "/tokens", _wanted(options)).json()
    print(f"{made['id']}\t{made['token']}")
    return 0


def run_pair(options: argparse.Namespace) -> int:
    """Print the link to the role's page, with a code that works once within ten minutes."""
    client = Client(options)
    made = client.request("POST", "/pairings", _wanted(options)).json()
    page = "window" if options.role == Role.DISPLAY and options.window else PAGES[Role(options.role)]
    place = urlencode({name: value for name, value in vars(options).items() if name in ("hall", "window") and value})
    print(f"{client.url}/{page}" + (f"?{place}" if place else "") + f"#pair={quote(made['code'], safe='')}")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line per token: id, role, hall, window, name, when it was made, whether it still holds."""
    for one in Client(options).request("GET", "/tokens").json()["tokens"]:
        state = f"revoked {minute(one['revoked_ms'])}" if one["revoked_ms"] else ""
        if not state and one["expires_ms"]:
            state = f"until {minute(one['expires_ms'])}"
        columns = (
            one["id"],
            one["role"],
            one["hall"] or "-",
            one["window"] or "-",
            minute(one["created_ms"]),
            one["name"],
        )
        print("\t".join((*columns, state)).rstrip())
    return 0


def run_revoke(options: argparse.Namespace) -> int:
    """End a token."""
    Client(options).request("DELETE", f"/tokens/{part(options.id)}")
    print(f"{options.id} revoked")
    return 0
