"""`qserver token create|list|revoke`: tokens of devices and systems, over a running server's API."""

from __future__ import annotations

import argparse
from datetime import datetime

from qserver.domain.lifecycle import Role

from .client import Client, add_options, part


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands and their options."""
    found = commands.add_parser("token", help="设备与系统令牌 tokens").add_subparsers(metavar="COMMAND", required=True)
    create = found.add_parser("create", help="新建，令牌只显示一次 make one; its text is shown once")
    create.add_argument(
        "--role", required=True, choices=[role.value for role in Role], metavar="R", help=" ".join(Role)
    )
    create.add_argument("--hall", metavar="H", help="所属大厅 the hall it is bound to")
    create.add_argument("--window", metavar="W", help="所属窗口 the window it is bound to")
    create.add_argument("--name", metavar="N", default="", help="名称 what people call it")
    create.set_defaults(run=run_create)
    list_ = found.add_parser("list", help="列出令牌，不含其文本 list them, without their texts")
    list_.set_defaults(run=run_list)
    revoke = found.add_parser("revoke", help="立即吊销 end one at once, on open sockets too")
    revoke.add_argument("id", metavar="ID")
    revoke.set_defaults(run=run_revoke)
    for one in (create, list_, revoke):
        add_options(one)


def run_create(options: argparse.Namespace) -> int:
    """Print the new token's id and its text."""
    wanted = {name: getattr(options, name) for name in ("role", "hall", "window", "name") if getattr(options, name)}
    made = Client(options).request("POST", "/tokens", wanted).json()
    print(f"{made['id']}\t{made['token']}")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line per token: id, role, hall, window, name, when it was made, whether it still holds."""
    for one in Client(options).request("GET", "/tokens").json()["tokens"]:
        state = f"revoked {_day(one['revoked_ms'])}" if one["revoked_ms"] else ""
        if not state and one["expires_ms"]:
            state = f"until {_day(one['expires_ms'])}"
        columns = (
            one["id"],
            one["role"],
            one["hall"] or "-",
            one["window"] or "-",
            _day(one["created_ms"]),
            one["name"],
        )
        print("\t".join((*columns, state)).rstrip())
    return 0


def run_revoke(options: argparse.Namespace) -> int:
    """End a token."""
    Client(options).request("DELETE", f"/tokens/{part(options.id)}")
    print(f"{options.id} revoked")
    return 0


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).strftime("%Y-%m-%d %H:%M")
