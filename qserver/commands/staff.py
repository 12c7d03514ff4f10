"""`qserver staff add|passwd|change|disable|enable|list|events`: people who log in, over a running server's API.

Passwords are asked for at the terminal, or read as one line from standard input; they are never options, which every
user of the machine could read.
"""

from __future__ import annotations

import argparse
import getpass
import sys

from qserver.auth.roles import PEOPLE
from qserver.domain.lifecycle import Role

from .client import Client, CommandError, command, minute, part

LONGEST = 1024
"""Characters read from standard input for a password; more than any may have."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands and their options."""
    found = commands.add_parser("staff", help="登录人员 people who log in").add_subparsers(
        metavar="COMMAND", required=True
    )
    roles = [role.value for role in Role if role in PEOPLE]
    add_ = command(found, "add", run_add, "新增，密码从终端或标准输入读取 let somebody log in; asks for the password")
    add_.add_argument("--role", required=True, choices=roles, metavar="R", help=" ".join(roles))
    passwd = command(found, "passwd", run_passwd, "重设密码，已登录的立即退出 set a password; sessions end at once")
    change = command(found, "change", run_change, "修改姓名、角色、窗口 change name, role or windows")
    change.add_argument("--role", choices=roles, metavar="R", help=" ".join(roles))
    change.add_argument("--any-window", action="store_true", help="可在任一窗口登录 at every window again")
    disable = command(found, "disable", run_disable, "停用，立即退出 end the right to log in and all sessions")
    enable = command(found, "enable", run_enable, "恢复，或解除锁定 give it back, or lift a lock")
    list_ = command(found, "list", run_list, "列出人员 list them")
    events = command(found, "events", run_events, "操作记录 what one person did, as JSON lines")
    for one in (add_, change):
        one.add_argument("--name", metavar="N", help="姓名 name")
        one.add_argument(
            "--window", action="append", dest="windows", metavar="W", help="只能在这些窗口登录 only at these windows"
        )
    for one in (add_, passwd, change, disable, enable, events):
        one.add_argument("staff", metavar="STAFF", help="工号 staff id")
    for one in (add_, passwd, change, disable, enable, list_, events):
        one.add_argument("--hall", required=True, metavar="H", help="所属大厅 the hall")


def run_add(options: argparse.Namespace) -> int:
    """Let somebody log in."""
    client = Client(options)
    wanted = {name: getattr(options, name) for name in ("role", "name", "windows") if getattr(options, name)}
    client.request("POST", _path(options, ""), wanted | {"id": options.staff, "password": read_password()})
    print(f"{options.staff} added")
    return 0


def run_passwd(options: argparse.Namespace) -> int:
    """Set a password."""
    client = Client(options)
    client.request("POST", _path(options, options.staff, "password"), {"password": read_password()})
    print(f"{options.staff} has a new password")
    return 0


def run_change(options: argparse.Namespace) -> int:
    """Change what is given."""
    if options.windows and options.any_window:
        raise CommandError("--window and --any-window contradict each other", 2)
    windows = [] if options.any_window else options.windows
    given = {"name": options.name, "role": options.role, "windows": windows}
    wanted = {name: value for name, value in given.items() if value is not None}
    Client(options).request("POST", _path(options, options.staff, "change"), wanted)
    print(f"{options.staff} changed")
    return 0


def run_disable(options: argparse.Namespace) -> int:
    """End somebody's right to log in."""
    Client(options).request("POST", _path(options, options.staff, "disable"))
    print(f"{options.staff} disabled")
    return 0


def run_enable(options: argparse.Namespace) -> int:
    """Give it back."""
    Client(options).request("POST", _path(options, options.staff, "enable"))
    print(f"{options.staff} enabled")
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line per person: id, role, windows, the last log-in, name, what is the matter."""
    for one in Client(options).request("GET", _path(options, "")).json()["staff"]:
        matter = "disabled" if one["disabled_ms"] else ""
        if not matter and one["locked_until_ms"]:
            matter = f"locked until {minute(one['locked_until_ms'])}"
        columns = (
            one["id"],
            one["role"],
            ",".join(one["windows"]) or "-",
            minute(one["login_ms"]) if one["login_ms"] else "-",
            one["name"],
        )
        print("\t".join((*columns, matter)).rstrip())
    return 0


def run_events(options: argparse.Namespace) -> int:
    """One line of JSON per event, oldest first, as far back as the feed keeps them."""
    Client(options).print_all(_path(options, options.staff, "events"), "events")
    return 0


def read_password() -> str:
    """Asks twice at a terminal, else reads one line. Raises CommandError when there is none, or two that differ."""
    if not sys.stdin.isatty():
        found = sys.stdin.readline(LONGEST).rstrip("\r\n")
    else:
        found = getpass.getpass("密码 password: ")
        if found and getpass.getpass("再输一次 again: ") != found:
            raise CommandError("两次输入不同 these are two passwords")
    if not found:
        raise CommandError("no password was given", 2)
    return found


def _path(options: argparse.Namespace, *parts: str) -> str:
    return "/".join((f"/halls/{part(options.hall)}/staff", *(part(one) for one in parts if one)))
