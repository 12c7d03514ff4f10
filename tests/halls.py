"""Hall definitions for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from qserver.domain.hall import Hall, parse


def small_hall(hall: str = "h1", **changes: Any) -> Hall:
    """Two services (a: 综合 A, b: 社保 B), windows w1 (a, b), w2 (b, a), w3 (a) and the priority `elder`.

    No limits and no opening hours, so that nothing happens by itself; `changes` replace fields of the hall.
    """
    base = parse(
        {
            "id": hall,
            "name": "小厅",
            "name_en": "Small hall",
            "services": [{"id": "a", "prefix": "A", "name": "综合"}, {"id": "b", "prefix": "B", "name": "社保"}],
            "windows": [
                {"id": "w1", "name": "1 号窗口", "services": ["a", "b"]},
                {"id": "w2", "name": "2 号窗口", "services": ["b", "a"]},
                {"id": "w3", "name": "3 号窗口", "services": ["a"]},
            ],
            "priorities": [{"id": "elder", "name": "老年人", "boost_s": 600}],
        }
    )
    return msgspec.structs.replace(base, **changes)
