"""Signatures, verified by another's reading of the specification."""

from __future__ import annotations

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from qserver.auth.secrets import webhook_secret
from qserver.hooks import signing

KEY = bytes(range(32))
BODY = '{"type":"qserver.ticket.called","data":{"text":"综合受理"}}'.encode()
ID = "h1:2026-11-24:A001:1:ticket.called:2"


def test_the_specifications_own_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = signing.signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_verifies_what_was_signed_and_nothing_else() -> None:
    secret = webhook_secret(KEY, "one", 1)
    headers = signing.headers([secret], ID, int(time.time()), BODY)
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert Webhook(secret).verify(BODY, headers)["type"] == "qserver.ticket.called"
    for changed in ({"webhook-id": ID + "x"}, {"webhook-timestamp": str(int(time.time()) - 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"called", b"missed"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook_secret(KEY, "two", 1)).verify(BODY, headers)


def test_while_secrets_change_either_verifies() -> None:
    old, new = webhook_secret(KEY, "one", 1), webhook_secret(KEY, "one", 2)
    headers = signing.headers([new, old], ID, int(time.time()), BODY)
    assert headers["webhook-signature"].count("v1,") == 2 and headers["webhook-signature"].count(" ") == 1
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


def test_secrets_are_of_the_form_receivers_take_and_each_is_another() -> None:
    texts = {webhook_secret(KEY, hook, version) for hook in ("one", "two") for version in (1, 2)}
    texts.add(webhook_secret(bytes(32), "one", 1))
    assert len(texts) == 5
    for text in texts:
        assert len(base64.b64decode(text.removeprefix("whsec_"), validate=True)) == 32
    assert webhook_secret(KEY, "one", 1) in texts, "the same again"
