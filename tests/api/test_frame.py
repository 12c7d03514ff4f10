"""What every request goes through."""

from __future__ import annotations

from tests.api.conftest import Api


async def test_a_request_goes_through(api: Api) -> None:
    answer = await api.ask("POST", "/api/v1/halls/h1/tickets", {"service": "a"}, key="k1")
    assert answer.status == 201, answer
    again = await api.ask("POST", "/api/v1/halls/h1/tickets", {"service": "a"}, key="k1")
    assert again.replayed and again.content == answer.content and again.status == 201
    assert (await api.ask("GET", "/livez", by="")).status == 200
    assert (await api.ask("GET", "/openapi.json", by="")).status == 200
