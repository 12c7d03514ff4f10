"""A proxy between a client and a real server that can do what networks do: end TLS, lose answers, cut, add noise."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from pathlib import Path


class Proxy:
    """Listens on 127.0.0.1:`port` and passes everything on to the unix socket `path`.

    `deaf`: bytes of the server are swallowed, and the connection is cut when the first of them come.
    """

    def __init__(self, path: Path, tls: ssl.SSLContext | None = None) -> None:
        self.path, self.tls = path, tls
        self.deaf = False
        self.port = 0
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        up_reader, up_writer = await asyncio.open_unix_connection(str(self.path))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
            while data := await source.read(65536):
                if answers and self.deaf:
                    break
                sink.write(data)
                await sink.drain()

        pumps = [asyncio.ensure_future(pump(*p)) for p in ((reader, up_writer, False), (up_reader, writer, True))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for one in pumps:
            one.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for end in (writer, up_writer):
            end.close()
            with contextlib.suppress(OSError):
                await end.wait_closed()
        self._clients.discard(writer)

    def inject(self, data: bytes) -> None:
        """Send bytes to every client that the server never sent."""
        for client in self._clients:
            client.write(data)

    def cut(self) -> None:
        """Break every connection."""
        for client in list(self._clients):
            client.transport.abort()


def certificate(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A fresh self-signed certificate for `name` and 127.0.0.1: paths of (certificate, key)."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
            "-keyout", key, "-out", cert,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def server_tls(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """The TLS settings of a server with a fresh certificate, and the certificate's path for its clients."""
    cert, key = certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert
