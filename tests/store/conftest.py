"""The hall of the store's tests, with limits, a quota and opening hours; `timed` has it."""

from __future__ import annotations

HALL = {
    "id": "h1",
    "services": [
        {"id": "a", "prefix": "A", "service_limit_s": 600, "wait_limit_s": 900},
        {"id": "b", "prefix": "B"},
        {"id": "few", "prefix": "F", "daily_quota": 1},
        {"id": "shut", "prefix": "S", "opens": "13:00", "closes": "14:00"},
    ],
    "windows": [
        {"id": "w1", "services": ["a", "b", "few", "shut"]},
        {"id": "w2", "services": ["a"]},
        {"id": "w3", "services": ["b"]},
    ],
    "priorities": [{"id": "elder", "boost_s": 300}],
    "calls": {"max_calls": 2, "return_after": 2},
    "rating": {"window_s": 1800},
}
