"""A pad's hand for tests: signs what it is given, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qserver.wire import signing


@dataclass
class Hand:
    """A device at a window, with its token's key."""

    token: str
    device: str = "pad-0000001"
    window: str = "w1"
    hall: str = "h1"
    n: int = 0

    def item(self, ticket: str, score: int = 5, **more: Any) -> dict[str, Any]:
        """A signed rating under the next number, or under `n`."""
        self.n += 1
        item = {"rid": f"{self.device}-{self.n}", "ticket": ticket, "leg": 1, "score": score, "age_ms": 0, "n": self.n}
        return self.sign(item | more)

    def sign(self, item: dict[str, Any]) -> dict[str, Any]:
        """The rating with a good signature."""
        said = [item[name] for name in ("n", "rid", "ticket", "leg", "score", "age_ms")]
        words = item.get("aspects", []), item.get("reasons", []), item.get("comment", "")
        return item | {"sig": self._sign(signing.RATING, *said, *words)}

    def prompt(self, ticket: str, leg: int = 1, age_ms: int = 0) -> dict[str, Any]:
        """A signed prompt that was shown."""
        sig = self._sign(signing.SHOWN, ticket, leg, age_ms)
        return {"ticket": ticket, "leg": leg, "age_ms": age_ms, "sig": sig}

    def body(self, *items: dict[str, Any], shown: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        """What is posted."""
        return {"device": self.device, "items": list(items)} | ({"shown": shown} if shown else {})

    def _sign(self, what: str, *fields: object) -> str:
        key = signing.signing_key(self.token)
        return signing.signature(key, what, self.hall, self.window, self.device, *fields)
