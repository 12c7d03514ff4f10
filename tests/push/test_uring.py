"""Sends given to the kernel together: the same bytes to everybody in order, nothing lost of what it did not take."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

import pytest

from qserver.push import uring
from qserver.push.uring import Requests, Uring

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def ring() -> Iterator[Uring]:
    try:
        found = Uring(8)
    except OSError as error:
        pytest.skip(f"this kernel has no io_uring for us: {error}")
    yield found
    found.close()


@contextlib.contextmanager
def connected(count: int) -> Iterator[list[Pair]]:
    """Connections: our end, which does not block, and theirs."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pairs = []
        for _ in range(count):
            theirs = stack.enter_context(socket.create_connection(server.getsockname()))
            ours = stack.enter_context(server.accept()[0])
            ours.setblocking(False)
            pairs.append((ours, theirs))
        yield pairs


def requests(ring: Uring, pairs: list[Pair]) -> Requests:
    return Requests(ring, [ours.fileno() for ours, _ in pairs])


def whole(theirs: socket.socket) -> bytes:
    """Everything until the end."""
    found = bytearray()
    while chunk := theirs.recv(1 << 16):
        found += chunk
    return bytes(found)


def test_everybody_gets_the_same_bytes_in_order_round_the_ring(ring: Uring) -> None:
    with connected(5) as pairs:  # five of eight places: each second round goes over the ring's end
        ready = requests(ring, pairs)
        rounds = [b"%d " % n * (n % 7 + 1) for n in range(100)]
        for data in rounds:
            assert ring.send(ready, data) == (5, [])
        for ours, theirs in pairs:
            ours.shutdown(socket.SHUT_WR)
            assert whole(theirs) == b"".join(rounds)


def test_what_the_kernel_does_not_take_is_told_to_the_byte(ring: Uring) -> None:
    with connected(3) as pairs:
        slow, theirs = pairs[1]
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        ready, data = requests(ring, pairs), bytes(range(256)) * 40
        taken = [0, 0, 0]
        for n in range(2000):
            given, failed = ring.send(ready, data)
            assert given == 3 and {number for number, _ in failed} <= {1}
            told = dict(failed)
            for number in range(3):
                taken[number] += max(0, told.get(number, len(data)))
            if n > 100 and told:
                assert told[1] in (-errno.EAGAIN, *range(1, len(data)))
            for _, reader in (pairs[0], pairs[2]):
                left = len(data)
                while left:
                    left -= len(reader.recv(left))
        assert 0 < taken[1] < taken[0] == 2000 * len(data)
        slow.shutdown(socket.SHUT_WR)
        found = whole(theirs)
    assert len(found) == taken[1]


def test_bytes_taken_in_part_go_on_where_they_were_left(ring: Uring) -> None:
    with connected(1) as pairs:
        ours, theirs = pairs[0]
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        ready, data = requests(ring, pairs), bytes(range(251)) * 40
        said = b""
        while True:
            _, failed = ring.send(ready, data)
            said += data
            if failed:
                break
        rest = data[max(0, failed[0][1]) :]
        ours.setblocking(True)
        found = bytearray()
        while len(found) < len(said) - len(rest):
            found += theirs.recv(1 << 16)
        ours.sendall(rest)
        ours.shutdown(socket.SHUT_WR)
        assert bytes(found) + whole(theirs) == said


def test_who_has_left_fails_alone(ring: Uring) -> None:
    with connected(3) as pairs:
        ready = requests(ring, pairs)
        pairs[1][1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        pairs[1][1].close()
        given, failed = ring.send(ready, b"x")
        assert given == 3 and [number for number, _ in failed] == [1] and failed[0][1] < 0
        assert pairs[0][1].recv(9) == pairs[2][1].recv(9) == b"x"


def test_where_there_is_one_it_is_taken_and_else_it_is_said(ring: Uring, monkeypatch: pytest.MonkeyPatch) -> None:
    found = uring.opened(500)
    assert found is not None and found.size == 512
    found.close()
    monkeypatch.setattr(Uring, "send", lambda *_: (1, []))  # a kernel that says so and sends nothing
    assert uring.opened(500) is None


def test_a_kernel_without_it_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uring, "_SETUP", 1_000_000)  # no such system call
    assert uring.opened(8) is None
