"""`qserver hall apply|list|show`: hall definitions, over a running server's API."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec

from .check import hall_mistakes
from .client import Client, CommandError, command, part


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands and their options."""
    found = commands.add_parser("hall", help="大厅定义 hall definitions").add_subparsers(
        metavar="COMMAND", required=True
    )
    apply_ = command(
        found, "apply", run_apply, "应用定义，可重复执行 make or change the halls of a file; may be repeated"
    )
    apply_.add_argument("file", type=Path, metavar="FILE.toml")
    command(found, "list", run_list, "列出大厅 list the halls")
    show = command(found, "show", run_show, "显示定义 show a definition, as JSON")
    show.add_argument("hall", metavar="HALL")


def run_apply(options: argparse.Namespace) -> int:
    """Apply the halls of a file, one after the other. Raises CommandError."""
    halls, found = hall_mistakes(options.file)
    if found:
        raise CommandError("\n".join([f"{options.file} has mistakes, nothing was applied:", *found]), 2)
    client = Client(options)
    for hall in halls:
        answer = client.request("PUT", f"/halls/{hall.id}", msgspec.json.encode(hall))
        print(f"{hall.id} {'made' if answer.status == 201 else 'applied'} {answer.headers.get('ETag', '')}".rstrip())
    return 0


def run_list(options: argparse.Namespace) -> int:
    """One line per hall: id, name, how many services and windows."""
    for hall in Client(options).request("GET", "/halls").json()["halls"]:
        print(f"{hall['id']}\t{hall['name']}\t{len(hall['services'])} services\t{len(hall['windows'])} windows")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """The definition as it stands."""
    found = Client(options).request("GET", f"/halls/{part(options.hall)}").json()
    print(json.dumps(found, ensure_ascii=False, indent=2))
    return 0
