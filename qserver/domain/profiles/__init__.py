"""Provincial rules of evaluation as data files, one a profile: what a hall takes unless it says otherwise itself.

Each file cites the published rule its figures are from. They are what is publicly reported of these rules, a start for
a hall's own settings: no conformity with any of them is claimed. Only data and its reader live here.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Annotated, Any

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile. `rating`, `reviews`: values of the hall's tables of those names."""

    id: str
    name: str
    source: Annotated[str, msgspec.Meta(description="the rule the figures are from")]
    url: str = ""
    rating: dict[str, Any] = {}
    reviews: dict[str, Any] = {}


@functools.cache
def profiles() -> dict[str, Profile]:
    """All profiles by id."""
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    found = [msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Profile) for file in files]
    return {one.id: one for one in sorted(found, key=lambda one: one.id)}


def applied(data: object) -> object:
    """A hall's decoded definition with its profile's values where it says nothing itself; unchanged without one.

    Raises ValueError for a profile that there is not.
    """
    if not isinstance(data, dict) or not isinstance(name := data.get("profile", ""), str) or not name:
        return data
    profile = profiles().get(name)
    if profile is None:
        raise ValueError(f"{name!r} is no profile: {', '.join(profiles())}")
    merged = dict(data)
    for table in ("rating", "reviews"):
        own = data.get(table, {})
        if isinstance(own, dict):
            merged[table] = {**getattr(profile, table), **own}
    return merged
