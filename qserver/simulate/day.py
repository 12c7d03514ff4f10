"""A day nobody recorded: people come by chance, as many as the windows can just serve. The same seed, the same day.

Only chance and arithmetic live here: no clock, no network.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from qserver.domain.hall import Hall, Service

from .trace import Arrival, Change, Day

OPENS_S, LAST_S, CLOSES_S = 600.0, 10_200.0, 10_800.0
"""Windows open ten minutes into the day; the last people come ten minutes before the end, three hours later."""
LUNCH_S, LUNCH_LASTS_S = 5_400.0, 1_200.0
LOAD = 0.8
"""Share of the windows' time that the people who come ask for: some queues, none endless."""
SPREAD = 0.8
"""Coefficient of variation of the service times, log-normal: most are short, a few are very long."""
IMPATIENT = 0.08
"""Share of people who leave when it takes too long."""


def generated(halls: Sequence[Hall], seed: int) -> Day:
    """A three-hour day over the halls: Poisson arrivals with a rush in the middle of the morning, windows that open
    together and go to lunch in turn. Times in seconds of that day.
    """
    chance = random.Random(seed)
    arrivals = [one for hall in halls for one in _people(hall, chance)]
    changes = [one for hall in halls for one in _windows(hall)]
    return Day(
        tuple(halls),
        tuple(sorted(arrivals, key=lambda one: one.at_s)),
        tuple(sorted(changes, key=lambda one: one.at_s)),
        f"generated, seed {seed}",
    )


def mean_service_s(service: Service) -> float:
    """How long a service takes on average: a third of its limit, as limits are usually set; 240 s without one."""
    return service.service_limit_s / 3 if service.service_limit_s else 240.0


def _windows(hall: Hall) -> list[Change]:
    found = []
    for number, window in enumerate(hall.windows):
        found.append(Change(OPENS_S, hall.id, window.id, tuple(window.services)))
        if number % 3 == 2:  # a third of the windows has lunch, one after the other
            leaves = LUNCH_S + number * 60
            found.append(Change(leaves, hall.id, window.id, ()))
            found.append(Change(leaves + LUNCH_LASTS_S, hall.id, window.id, tuple(window.services)))
        found.append(Change(CLOSES_S, hall.id, window.id, ()))
    return found


def _rates(hall: Hall) -> dict[str, float]:
    """People per second of each service: every window shares its time equally among its services."""
    rates = dict.fromkeys((service.id for service in hall.services), 0.0)
    for window in hall.windows:
        for name in window.services:
            service = hall.service(name)
            if service is not None:
                rates[name] += LOAD / len(window.services) / mean_service_s(service)
    return rates


def _rush(at_s: float) -> float:
    """How busy it is at an instant, 0.5 to 1.5, 1 on average."""
    return 1 - 0.5 * math.cos(2 * math.pi * (at_s - OPENS_S) / (LAST_S - OPENS_S))


def _people(hall: Hall, chance: random.Random) -> list[Arrival]:
    sigma = math.sqrt(math.log(1 + SPREAD * SPREAD))
    found = []
    for name, rate in _rates(hall).items():
        service = hall.service(name)
        if service is None or rate <= 0:
            continue
        quota = math.inf if service.daily_quota is None else service.daily_quota
        mean = mean_service_s(service)
        at, came = OPENS_S - 300, 0
        while came < quota:
            at += chance.expovariate(rate * 1.5)
            if at >= LAST_S:
                break
            if chance.random() * 1.5 > _rush(max(at, OPENS_S)):  # thinning makes the steady stream follow the rush
                continue
            came += 1
            length = mean * math.exp(chance.gauss(-sigma * sigma / 2, sigma))
            patience = chance.uniform(300, 2400) if chance.random() < IMPATIENT else None
            priority = "normal"
            if hall.priorities and chance.random() < 0.1:
                priority = chance.choice(hall.priorities).id
            found.append(Arrival(at, hall.id, name, priority, min(max(length, 10.0), 7200.0), patience))
    return found
