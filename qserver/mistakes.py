"""Every mistake in decoded TOML or JSON at once, each with its path and, where it can be found, its line.

A decoder stops at the first mistake; whoever writes a file wants to hear of all. Only the comparison of data with
types lives here, not what the data means.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec


class Mistake(NamedTuple):
    """What is wrong at a path such as `$.services[0].prefix`."""

    path: str
    what: str


def find(data: object, struct: type[msgspec.Struct], path: str = "$") -> Iterator[Mistake]:
    """Where `data` is not what the type says; unknown fields are mistakes too."""
    if not isinstance(data, dict):
        yield Mistake(path, f"expected a table, got {_kind(data)}")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name in data.keys() - fields.keys():
        yield Mistake(f"{path}.{name}", f"unknown name{suggestion(str(name), fields)}")
    for name, field in fields.items():
        if name in data:
            yield from _value(data[name], field.type, f"{path}.{name}")
        elif field.required:
            yield Mistake(path, f"{name} is missing")


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean NAME?` when something similar is known, else nothing."""
    close = difflib.get_close_matches(name, known, 1, 0.6)
    return f", did you mean {close[0]}?" if close else ""


def _value(value: object, kind: Any, path: str) -> Iterator[Mistake]:
    bare, *metas = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    if _is_struct(bare):
        yield from find(value, bare, path)
        return
    if get_origin(bare) is list and isinstance(value, list) and _is_struct(get_args(bare)[0]):
        for n, one in enumerate(value):
            yield from find(one, get_args(bare)[0], f"{path}[{n}]")
        value, bare = [None] * len(value), list[Any]  # what remains to be said is about the list as a whole
    try:
        msgspec.convert(value, Annotated[bare, *metas] if metas else bare)
    except msgspec.ValidationError as error:
        what, _, inner = str(error).partition(" - at `$")
        yield Mistake(path + inner.rstrip("`"), _in_words(what))


_FORMS = {
    "[a-z0-9][a-z0-9-]{0,31}": "1 to 32 lower-case letters, digits and hyphens, no hyphen first",
    "[A-Z]{1,2}": "one or two capital letters",
    r"([01]\d|2[0-3]):[0-5]\d": "a time of day as HH:MM, such as 08:30",
    r"\d{1,4}(s|m|h|d|wd)": "a term such as 90s, 30m, 12h, 3d, or 5wd for working days",
}
"""What a text must look like, for those who do not read patterns."""


def _in_words(what: str) -> str:
    pattern = what.partition(" matching regex ")[2].strip("'").replace("\\\\", "\\")
    form = _FORMS.get(pattern.removeprefix("^").partition("$")[0])
    return f"expected {form}" if form else what


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _kind(data: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}.get(type(data), "a number")


_STEP = re.compile(r"\.([^.\[\]]+)(?:\[(\d+)\])?")
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([A-Za-z0-9_-]+))\s*[=.]")


def line(text: str, path: str) -> int | None:
    """The line of a TOML file on which `path` stands, or the nearest table around it; None when there is none.

    Tables within one line (`{...}`) and multi-line values count as the line they begin on.
    """
    steps = [(name, int(n) if n else None) for name, n in _STEP.findall(path)]
    while steps:
        if found := _lines(text).get(_joined(steps)):
            return found
        if steps[-1][1] is not None:
            steps[-1] = (steps[-1][0], None)
        else:
            steps.pop()
    return None


def _joined(steps: Iterable[tuple[str, int | None]]) -> str:
    return "".join(f".{name}" + ("" if n is None else f"[{n}]") for name, n in steps)


def _lines(text: str) -> dict[str, int]:
    """`.services[0].prefix` -> line, for every header and every key that begins a line."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, row in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(row):
            table = ""
            names = [name.strip(" \"'") for name in header[2].split(".")]
            for name in names[:-1]:
                table += f".{name}"
                if table in counts:
                    table += f"[{counts[table]}]"
            table += f".{names[-1]}"
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table += f"[{counts[table]}]"
            found.setdefault(table, number)
        elif key := _KEY.match(row):
            found.setdefault(f"{table}.{key[1] or key[2] or key[3]}", number)
    return found
