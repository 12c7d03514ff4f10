"""Examples for the documents, by `METHOD PATH`. A test reads every one with its route's own types.

Only examples live here.
"""

from __future__ import annotations

from typing import Any, Final

from .routing import H

_W: Final = H + "/windows/{window}"
_R: Final = H + "/reviews/{id}"
_S: Final = H + "/staff/{staff}"
_LEG: Final[dict[str, Any]] = {
    "leg": 1,
    "service": "id-card",
    "window": "w3",
    "staff": "s-017",
    "first_called_ms": 1795311000000,
    "called_ms": 1795311000000,
    "started_ms": None,
    "finished_ms": None,
    "calls": 1,
    "held_ms": 0,
    "wait_ms": 412000,
    "walk_ms": None,
    "service_ms": None,
    "overtime": {"wait": False, "service": False},
    "rating": None,
    "outcome": None,
    "unreliable": False,
}
TICKET: Final[dict[str, Any]] = {
    "id": "20261122-A001",
    "no": "A001",
    "hall": "demo",
    "day": "2026-11-22",
    "services": [],
    "priority": "normal",
    "channel": "guide",
    "state": "called",
    "issued_ms": 1795310588000,
    "case": None,
    "returns": 0,
    "hold_since_ms": None,
    **_LEG,
    "legs": [_LEG | {"queued_ms": 1795310588000}],
}
WINDOW: Final[dict[str, Any]] = {
    "id": "w3",
    "name": "3 号窗口",
    "state": "called",
    "reason": None,
    "staff": "s-017",
    "services": ["id-card"],
    "ticket": "A001",
    "leg": 1,
    "service": "id-card",
    "since_ms": 1795311000000,
    "limit_ms": 900000,
    "held_ms": 0,
    "rate": None,
}
REVIEW: Final[dict[str, Any]] = {
    "id": "r000017",
    "state": "assigned",
    "source": "rating",
    "window": "w3",
    "service": "id-card",
    "staff": "s-017",
    "ticket": "20261122-A001",
    "leg": 1,
    "opened_ms": 1795312000000,
    "due_ms": 1795449599999,
    "late": False,
    "history": [
        {"at_ms": 1795312000000, "step": "opened", "actor": "5f0c2a9be1d4", "source": "rating", "score": 2},
        {"at_ms": 1795312600000, "step": "assigned", "actor": "0a91c7d2e4b8", "to": "s-004"},
    ],
    "term": "verify",
    "result": None,
    "assignee": "s-004",
    "appeal_until_ms": 1797091199999,
}
CASE: Final[dict[str, Any]] = {
    "id": "2026-BJ-00417",
    "state": "accepted",
    "service": "id-card",
    "window": "w3",
    "staff": "s-017",
    "ticket": "20261122-A001",
    "leg": 1,
    "accepted_ms": 1795312000000,
    "due_ms": 1796572799999,
    "completed_ms": None,
    "overtime": False,
    "review": None,
    "history": [{"at_ms": 1795312000000, "step": "accepted", "actor": "77b0e2c9d4f1"}],
}
_HALL: Final[dict[str, Any]] = {
    "id": "demo",
    "name": "示范大厅",
    "name_en": "Demonstration hall",
    "services": [{"id": "id-card", "prefix": "A", "name": "身份证", "name_en": "Identity cards", "wait_limit_s": 1800}],
    "windows": [{"id": "w3", "name": "3 号窗口", "services": ["id-card"]}],
    "priorities": [{"id": "elder", "name": "老年人", "boost_s": 900}],
}
_WEBHOOK: Final[dict[str, Any]] = {
    "id": "9c41d07e55ab",
    "url": "https://oa.example/qserver",
    "kinds": ["review.opened", "overtime.*"],
    "hall": "demo",
    "name": "督办系统",
    "created_ms": 1795310000000,
    "state": "active",
    "reason": None,
    "previous_secret_until_ms": None,
    "waiting": 0,
    "dead": 0,
    "dropped": 0,
    "sent": 0,
    "failed": 0,
    "sent_ms": None,
    "failed_ms": None,
    "error": None,
}
_REASON: Final[dict[str, Any]] = {"reason": "午休"}

BODIES: Final[dict[str, dict[str, Any]]] = {
    f"PUT {H}": _HALL,
    f"POST {H}/notices": {"text": "今日社保业务 16:30 停止取号"},
    "POST /api/v1/tokens": {"role": "clerk", "hall": "demo", "window": "w3", "name": "3 号窗口电脑"},
    "POST /api/v1/pairings": {"role": "pad", "hall": "demo", "window": "w3"},
    "POST /api/v1/pair": {"code": "5f0c2a9be1d4.Zk3v0bq8mJ1hY2xTq9wLr7aE"},
    "POST /api/v1/login": {"hall": "demo", "staff": "1024", "password": "青山不老 绿水长流", "window": "w3"},
    "POST /api/v1/password": {"password": "青山不老 绿水长流", "new": "春风又绿江南岸！"},
    f"POST {H}/staff": {
        "id": "1024",
        "name": "李敏",
        "role": "clerk",
        "windows": ["w3"],
        "password": "青山不老 绿水长流",
    },
    f"POST {_S}/change": {"windows": ["w3", "w4"]},
    f"POST {_S}/password": {"password": "春风又绿江南岸！"},
    "PUT /api/v1/events/{group}": {"from": "start"},
    "POST /api/v1/events/{group}/ack": {"cursor": "MTc5NTMxMDU4ODAwMC0w"},
    "POST /api/v1/webhooks": {
        "url": "https://oa.example/qserver",
        "kinds": ["review.opened", "overtime.*"],
        "hall": "demo",
        "name": "督办系统",
    },
    "POST /api/v1/webhooks/{id}/change": {"kinds": ["review.*", "overtime.service"]},
    "POST /api/v1/webhooks/{id}/rotate": {"overlap_ms": 3600000},
    "POST /api/v1/webhooks/{id}/redeliver": {"letters": [17]},
    f"POST {H}/tickets": {"service": "id-card", "priority": "elder"},
    f"POST {H}/tickets/{{no}}/reprioritise": {"priority": "elder", "reason": "行动不便"},
    f"POST {H}/services/{{service}}/suspend": {"reason": "系统维护"},
    "POST /api/v1/t/{secret}/rating": {"score": 5},
    f"POST {_W}/open": {"staff": "s-017"},
    f"POST {_W}/pause": _REASON,
    f"POST {_W}/call": {"finish": True},
    f"POST {_W}/finish": {"outcome": "accepted", "case": "2026-0042", "then": "licence", "then_window": "w4"},
    f"POST {_W}/hold": {"reason": "补充材料"},
    f"POST {_W}/unhold": {"ticket": "A001"},
    f"POST {_W}/transfer": {"service": "id-card", "position": "first"},
    f"POST {H}/ratings": {
        "items": [
            {
                "rid": "pad3-81",
                "ticket": "20261122-A001",
                "leg": 1,
                "score": 5,
                "age_ms": 2300,
                "n": 81,
                "sig": "5c" * 32,
            }
        ],
        "device": "mW3kq9rT",
        "shown": [{"ticket": "20261122-A001", "leg": 1, "age_ms": 9100, "sig": "a7" * 32}],
    },
    f"POST {_R}/assign": {"to": "s-004", "note": "请两日内答复"},
    f"POST {_R}/verify": {"result": "valid", "note": "已查看录像，群众所述属实"},
    f"POST {_R}/rectify": {"note": "已向群众致歉并重新办理"},
    f"POST {_R}/revisit": {"result": "satisfied", "comment": "处理得很快"},
    f"POST {_R}/close": {},
    f"POST {_R}/appeal": {"reason": "群众误按，当场已说明"},
    f"POST {_R}/uphold": {"reason": "录像中未见说明"},
    f"POST {_R}/exclude": {"reason": "确系误评"},
    f"POST {H}/cases/{{case}}/complete": {"note": "证件已送达"},
}
"""Bodies that work."""

ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "GET /livez": {"status": "ok"},
    "GET /readyz": {"status": "ok"},
    f"POST {H}/tickets": {
        "ticket": TICKET
        | dict.fromkeys(("window", "staff", "first_called_ms", "called_ms", "wait_ms"))
        | {"state": "waiting", "calls": 0, "legs": []},
        "ahead": 4,
        "wait_estimate_ms": [320000, 840000],
        "url": "https://hall.example/t/demo.20261122-A001.9vJq3mX0sT5bLw2Zr8kYh1cU",
    },
    f"GET {H}/tickets/{{no}}": {"ticket": TICKET},
    f"POST {_W}/call": {"ticket": TICKET, "finished": None},
    f"GET {_W}": {"window": WINDOW},
    f"GET {H}/windows": {"windows": [WINDOW]},
    "POST /api/v1/tokens": {
        "id": "5f0c2a9be1d4",
        "role": "clerk",
        "hall": "demo",
        "window": "w3",
        "name": "3 号窗口电脑",
        "created_ms": 1795310000000,
        "expires_ms": None,
        "revoked_ms": None,
        "staff": None,
        "token": "qs_5f0c2a9be1d4_k7v1Zq0bW3mT8sYxJ2hR5cLnU9aPdEgF",
    },
    "POST /api/v1/webhooks": _WEBHOOK | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="},
    "GET /api/v1/webhooks": {"webhooks": [_WEBHOOK]},
    "POST /api/v1/webhooks/{id}/test": {
        "delivered": False,
        "id": "demo:9c41d07e55ab:webhook.test:77b0e2c9",
        "status": 503,
        "error": "answered 503",
        "took_ms": 41,
    },
    "GET /api/v1/webhooks/{id}/dead": {
        "letters": [
            {
                "letter": 17,
                "event": {
                    "specversion": "1.0",
                    "id": "demo:2026-11-22:A001:1:ticket.called:2",
                    "source": "/halls/demo",
                    "type": "qserver.ticket.called",
                    "time": "2026-11-22T01:30:00.000Z",
                    "subject": "20261122-A001",
                    "sequence": "41",
                    "partitionkey": "demo",
                    "datacontenttype": "application/json",
                    "data": {"at_ms": 1795311000000, "hall": "demo", "ticket": "20261122-A001", "window": "w3"},
                },
                "attempts": 10,
                "tried_ms": 1795583110000,
                "dead_ms": 1795583110000,
                "error": "no answer in time",
            }
        ],
        "next": None,
    },
    "POST /api/v1/webhooks/{id}/redeliver": {"letters": 1},
    "POST /api/v1/login": {
        "token": "qs_5f0c2a9be1d4_k7v1Zq0bW3mT8sYxJ2hR5cLnU9aPdEgF",
        "role": "clerk",
        "hall": "demo",
        "window": "w3",
        "staff": "1024",
        "name": "李敏",
        "expires_ms": 1795353200000,
    },
    f"GET {_S}": {
        "staff": {
            "id": "1024",
            "name": "李敏",
            "role": "clerk",
            "windows": ["w3"],
            "created_ms": 1795310000000,
            "password_ms": 1795310000000,
            "disabled_ms": None,
            "locked_until_ms": None,
            "login_ms": 1795310000000,
        }
    },
    f"POST {H}/ratings": {
        "results": [{"rid": "pad3-81", "status": "recorded"}],
        "now_ms": 1795312000000,
        "shown": ["recorded"],
    },
    f"POST {_R}/assign": {"review": REVIEW, "steps": ["assign", "verify", "appeal"]},
    f"GET {_R}": {
        "review": REVIEW,
        "steps": ["assign", "verify", "appeal"],
        "actors": {"5f0c2a9be1d4": {"role": "pad", "name": "", "person": False}},
    },
    f"GET {H}/pads": {
        "pads": [
            {
                "window": "w1",
                "device": "5f0c2a9be1d4a3b2",
                "known": [{"device": "5f0c2a9be1d4a3b2", "number": 1024}],
                "doubts": 1,
                "doubt": {"why": "unsigned", "at_ms": 1795312000000, "device": None, "number": 0},
            }
        ]
    },
    f"GET {H}/cases": {"cases": [CASE], "next": None},
    f"GET {H}/cases/{{case}}": {"case": CASE},
    f"GET {H}/workdays/{{month}}": {"month": "2026-10", "workdays": ["2026-10-08", "2026-10-09", "2026-10-10"]},
}
"""What comes back."""
