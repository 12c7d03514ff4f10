"""`qserver webhook add|list|change|remove|rotate|enable|test|dead|redeliver`: notices to other systems, by the API."""

from __future__ import annotations

import argparse
from typing import Any

from .client import Client, command, minute, part


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands and their options."""
    found = commands.add_parser("webhook", help="事件通知 notices to other systems").add_subparsers(
        metavar="COMMAND", required=True
    )
    add_ = command(found, "add", run_add, "新建，密钥只显示一次 make one; its secret is shown once")
    add_.add_argument("target", metavar="TARGET", help="接收地址 http(s) address of the receiver")
    add_.add_argument(
        "--kinds",
        required=True,
        metavar="K,K...",
        help="事件类型 kinds of events: review.opened,overtime.* or '*' for all",
    )
    add_.add_argument("--hall", metavar="H", help="仅此大厅 of this hall only")
    add_.add_argument("--name", metavar="N", default="", help="名称 what people call it")
    command(found, "list", run_list, "列出及其状况 list them and how they go")
    change = command(found, "change", run_change, "修改地址、事件类型、名称 change address, kinds or name")
    change.add_argument("--target", metavar="TARGET", help="接收地址 http(s) address of the receiver")
    change.add_argument("--kinds", metavar="K,K...", help="事件类型 kinds of events")
    change.add_argument("--name", metavar="N", help="名称 what people call it")
    remove = command(found, "remove", run_remove, "删除 remove one with what it could not deliver")
    rotate = command(found, "rotate", run_rotate, "更换密钥 make another secret; both sign for a while")
    rotate.add_argument(
        "--overlap-s",
        type=float,
        default=86400.0,
        metavar="S",
        help="旧密钥保留秒数 (default a day, 0 = 立即失效 at once)",
    )
    enable = command(found, "enable", run_enable, "重新启用 let a disabled one go on, from now on")
    test = command(found, "test", run_test, "发送测试事件 send a test event now and say what came of it")
    dead = command(found, "dead", run_dead, "未送达的事件 what was given up, one per line as JSON")
    redeliver = command(found, "redeliver", run_redeliver, "重新发送 try what was given up again")
    for one in (change, remove, rotate, enable, test, dead, redeliver):
        one.add_argument("id", metavar="ID")
    redeliver.add_argument("letters", metavar="N", type=int, nargs="*", help="编号，缺省为全部 (default all)")


def run_add(options: argparse.Namespace) -> int:
    """Print the new webhook's id and its secret."""
    wanted: dict[str, Any] = {"url": options.target, "kinds": _kinds(options.kinds)}
    wanted |= {name: getattr(options, name) for name in ("hall", "name") if getattr(options, name)}
    made = Client(options).request("POST", "/webhooks", wanted).json()
    print(f"{made['id']}\t{made['secret']}")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line per webhook: id, state, hall, kinds, delivered, waiting, dead, where to, name, the last failure."""
    for one in Client(options).request("GET", "/webhooks").json()["webhooks"]:
        failure = f"{minute(one['failed_ms'])} {one['error']}" if one["error"] else ""
        columns = (
            one["id"],
            one["state"],
            one["hall"] or "-",
            ",".join(one["kinds"]),
            f"sent {one['sent']}",
            f"waiting {one['waiting']}",
            f"dead {one['dead']}",
            one["url"],
            one["name"],
            failure,
        )
        print("\t".join(columns).rstrip())
    return 0


def run_change(options: argparse.Namespace) -> int:
    """Change what is given."""
    given = {"url": options.target, "kinds": options.kinds and _kinds(options.kinds), "name": options.name}
    wanted = {name: value for name, value in given.items() if value is not None}
    Client(options).request("POST", f"/webhooks/{part(options.id)}/change", wanted)
    print(f"{options.id} changed")
    return 0


def _kinds(text: str) -> list[str]:
    return [one for one in text.split(",") if one]


def run_remove(options: argparse.Namespace) -> int:
    """Remove a webhook."""
    Client(options).request("DELETE", f"/webhooks/{part(options.id)}")
    print(f"{options.id} removed")
    return 0


def run_rotate(options: argparse.Namespace) -> int:
    """Print the webhook's id and its new secret."""
    body = {"overlap_ms": int(options.overlap_s * 1000)}
    made = Client(options).request("POST", f"/webhooks/{part(options.id)}/rotate", body).json()
    print(f"{made['id']}\t{made['secret']}")
    return 0


def run_enable(options: argparse.Namespace) -> int:
    """Let a disabled webhook go on."""
    Client(options).request("POST", f"/webhooks/{part(options.id)}/enable")
    print(f"{options.id} enabled")
    return 0


def run_test(options: argparse.Namespace) -> int:
    """Say what the receiver answered; 1 when it did not take it."""
    tried = Client(options).request("POST", f"/webhooks/{part(options.id)}/test").json()
    what = f"delivered, answered {tried['status']}" if tried["delivered"] else f"not delivered: {tried['error']}"
    print(f"{tried['id']} {what} ({tried['took_ms']} ms)")
    return 0 if tried["delivered"] else 1


def run_dead(options: argparse.Namespace) -> int:
    """One dead letter per line."""
    Client(options).print_all(f"/webhooks/{part(options.id)}/dead", "letters")
    return 0


def run_redeliver(options: argparse.Namespace) -> int:
    """Say how many are tried again."""
    body = {"letters": options.letters} if options.letters else {}
    moved = Client(options).request("POST", f"/webhooks/{part(options.id)}/redeliver", body).json()["letters"]
    print(f"{moved} to be tried again")
    return 0
