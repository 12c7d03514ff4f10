"""The follow-up of a negative review 差评, and the life of a promised case 承诺件, as tables.

Code only looks the tables up: the function library gets them as generated Lua, the role table takes `by` from them.
Only stages, steps, who may take them and which term they begin live here.

A *stage* is a state, or a state with the result that led into it (`verified:valid`): what may follow depends on it.
Nobody is judged in his own affair: the hall follows up, the clerk may appeal once, and only the assessor decides the
appeal. A step never changes what an earlier one left; it is added to the history.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from .lifecycle import Role


class ReviewState(StrEnum):
    """Where a review is in its follow-up."""

    OPEN = "open"  # 待分派
    ASSIGNED = "assigned"  # 已分派
    VERIFIED = "verified"  # 已核实
    RECTIFIED = "rectified"  # 已整改
    REVISITED = "revisited"  # 已回访
    APPEALED = "appealed"  # 申诉中
    CLOSED = "closed"  # 已办结
    EXCLUDED = "excluded"  # 已剔除: on appeal; in no figure that counts negatives


class CaseState(StrEnum):
    """Where a promised case is."""

    ACCEPTED = "accepted"  # 已受理: the promise runs
    COMPLETED = "completed"  # 已办结
    WITHDRAWN = "withdrawn"  # 已撤回: the finish that accepted it was taken back


SOURCES: Final = ("rating", "overtime", "wait", "case")
"""What a review comes from: a citizen's rating, or a limit that a service, a wait or a promised case ran over."""

BACK: Final = "back"
"""Stands for the stage from which the review was appealed."""


class Step(NamedTuple):
    """One step of the follow-up.

    `sources`: stages it may be taken in; `targets`: result (`""` when the step has none) -> stage it leads to;
    `event`: what it leaves, in the feed as `review.EVENT` and in the history; `by`: roles that may take it.
    """

    sources: frozenset[str]
    targets: dict[str, str]
    event: str
    by: frozenset[Role]

    @property
    def results(self) -> tuple[str, ...]:
        """The results one of which must be named; none for most steps."""
        return tuple(result for result in self.targets if result)


def _step(sources: str, targets: str | dict[str, str], event: str, by: str) -> Step:
    to = {"": targets} if isinstance(targets, str) else targets
    return Step(frozenset(sources.split()), to, event, frozenset(Role(role) for role in by.split()))


STEPS: Final[dict[str, Step]] = {
    "assign": _step("open assigned", "assigned", "assigned", "supervisor assessor"),
    "verify": _step(
        "assigned", {"valid": "verified:valid", "invalid": "verified:invalid"}, "verified", "supervisor assessor"
    ),
    "rectify": _step("verified:valid", "rectified", "rectified", "supervisor assessor"),
    "revisit": _step("rectified", {"satisfied": "revisited", "reopened": "open"}, "revisited", "supervisor assessor"),
    # What was found invalid needs no rectifying; it still counts, for only an appeal can exclude it.
    "close": _step("verified:invalid revisited", "closed", "closed", "supervisor assessor"),
    # Also when it is closed: otherwise closing quickly would take the clerk's right away.
    "appeal": _step(
        "open assigned verified:valid verified:invalid rectified revisited closed", "appealed", "appealed",
        "supervisor assessor clerk",
    ),
    "uphold": _step("appealed", BACK, "upheld", "assessor"),
    "exclude": _step("appealed", "excluded", "excluded", "assessor"),
}  # fmt: skip
"""Every step after `opened`, which comes with the rating or the overtime itself."""

TERMS: Final[dict[str, str]] = {
    "open": "verify",
    "assigned": "verify",
    "verified:valid": "rectify",
    "verified:invalid": "rectify",
    "rectified": "revisit",
    "revisited": "",
    "appealed": "decide",
    "closed": "",
    "excluded": "",
}
"""The term within which each stage must be left, by its name in the hall's `[reviews]` (`verify` = `verify_within`).

A step into a stage with the same term lets it go on; any other begins it anew. "" = nothing is waited for.
"""

ENDED: Final = frozenset({"closed", "excluded"})
"""Stages that no longer count as open."""


def state_of(stage: str) -> ReviewState:
    """The state a stage belongs to."""
    return ReviewState(stage.partition(":")[0])


def next_steps(stage: str, role: Role | None) -> list[str]:
    """The steps a role may take in a stage, in the order of the table. An admin may whatever somebody may."""
    return [name for name, step in STEPS.items() if stage in step.sources and (role is Role.ADMIN or role in step.by)]


def picture() -> str:
    """The follow-up as a Mermaid state diagram, drawn from `STEPS`."""
    lines = ["stateDiagram-v2", "    [*] --> open: opened"]
    for name, step in STEPS.items():
        for result, target in step.targets.items():
            words = f"{name} ({result})" if result else name
            if target == BACK:
                lines.append(f"    appealed --> where_it_was: {words}")
                continue
            arrows = sorted({(state_of(source).value, state_of(target).value) for source in step.sources})
            lines += [f"    {source} --> {to}: {words}" for source, to in arrows]
    lines += [f"    {state_of(stage)} --> [*]" for stage in sorted(ENDED)]
    return "\n".join(lines)
