"""TLS to a real server, whose TLS is ended by a proxy: the embedded build has none of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from qserver.domain.errors import Unavailable
from qserver.store.address import Address
from tests.proxies import Proxy, server_tls
from tests.servers import DataServer
from tests.store.test_link import linked

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


async def test_a_server_is_reached_and_checked(valkey: DataServer, tmp_path: Path) -> None:
    context, cert = server_tls(tmp_path)
    async with Proxy(valkey.path, tls=context) as proxy:
        for url in (
            f"rediss://localhost:{proxy.port}?ssl_ca_certs={cert}",
            f"rediss://127.0.0.1:{proxy.port}?ssl_cert_reqs=none",
        ):
            async with linked(Address.from_url(url)) as (link, _):
                assert await link.call("SET", "k", b"v" * 100_000) == b"OK"
                assert await link.call("STRLEN", "k") == 100_000


async def test_a_stranger_is_refused(valkey: DataServer, tmp_path: Path) -> None:
    context, _ = server_tls(tmp_path)
    async with Proxy(valkey.path, tls=context) as proxy:
        address = Address.from_url(f"rediss://localhost:{proxy.port}")
        async with linked(address, connect_wait_s=0.5) as (link, _):
            with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await link.call("PING")


async def test_a_missing_certificate_file_is_named(valkey: DataServer, tmp_path: Path) -> None:
    address = Address.from_url(f"rediss://localhost:1?ssl_ca_certs={tmp_path / 'none.pem'}")
    async with linked(address, connect_wait_s=0.2) as (link, _):
        with pytest.raises(Unavailable, match="No such file"):
            await link.call("PING")
