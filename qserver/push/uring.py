"""A round of `send`s in one system call, by Linux's io_uring, where the kernel has it and lets us.

What entering and leaving the kernel costs per `send`, and Python's part of each, is about a quarter of a delivery. Here
the requests of a whole chunk of sockets stand ready as they are given to the kernel; a round copies them behind one
another, sets the length, and asks once. The kernel sends each at once or says what it could not take; what it took
needs no answer. Nothing stays under way when `send` returns, so the bytes may be overwritten and no descriptor outlives
its socket here.

Man pages io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_prep_send(3); numbers from linux/io_uring.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import mmap
import os
import socket
import struct
from array import array
from collections.abc import Iterator, Sequence

_log = logging.getLogger(__name__)

_SETUP, _ENTER = 425, 426  # the same on every architecture
_SQES_AT = 0x10000000
_SEND, _SKIP_SUCCESS = 26, 1 << 6  # opcode; flag: an answer only if it failed
_HAS_SINGLE_MMAP, _HAS_SKIP = 1 << 0, 1 << 11  # features; the second since Linux 5.17
_SQE = struct.Struct("<BBHiQQIIQ24x")  # opcode, flags, priority, descriptor, offset, address, length, flags, user data
_LENGTH_AT = 24
_CQE = struct.Struct("<QiI")
_FLAGS = socket.MSG_DONTWAIT | socket.MSG_WAITALL | socket.MSG_NOSIGNAL
"""Never later; and what was not taken whole is a failure, which is answered."""
LARGEST = 65_536
"""Bytes that are sent by a ring; more is rare, and goes socket by socket."""


class Requests:
    """Ready requests: one `send` for each of these descriptors."""

    __slots__ = ("bytes", "count", "length")

    def __init__(self, ring: Uring, descriptors: Sequence[int]) -> None:
        self.count = len(descriptors)
        self.length = 0
        self.bytes = bytearray(_SQE.size * self.count)
        for number, descriptor in enumerate(descriptors):
            _SQE.pack_into(
                self.bytes, number * _SQE.size, _SEND, _SKIP_SUCCESS, 0, descriptor, 0, ring.address, 0, _FLAGS, number
            )

    def lengthen(self, length: int) -> None:
        """Sets how many bytes each sends."""
        if length != self.length:
            self.length = length
            words = memoryview(self.bytes).cast("I")
            words[_LENGTH_AT // 4 :: _SQE.size // 4] = memoryview(array("I", [length]) * self.count)


class Uring:
    """One ring of the kernel's, for at most `size` (a power of two) requests at a time.

    Raises OSError where the kernel has none, is too old, or does not let us.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._libc = ctypes.CDLL(None, use_errno=True)
        params = ctypes.create_string_buffer(120)
        self._fd = self._libc.syscall(_SETUP, size, params)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "io_uring_setup")
        try:
            entries, answers, _, _, _, features = struct.unpack_from("<6I", params.raw)
            if entries != size or not (features & _HAS_SINGLE_MMAP and features & _HAS_SKIP):
                raise OSError("the kernel's io_uring is too old")
            _, tail, mask, _, _, _, order = struct.unpack_from("<7I", params.raw, 40)
            head, end, answer_mask, _, _, cqes = struct.unpack_from("<6I", params.raw, 80)
            length = max(order + entries * 4, cqes + answers * _CQE.size)
            flags, access = mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ | mmap.PROT_WRITE
            self._shared = mmap.mmap(self._fd, length, flags, access)
            self._sqes = mmap.mmap(self._fd, entries * _SQE.size, flags, access, offset=_SQES_AT)
        except BaseException:
            os.close(self._fd)
            raise
        self._words = memoryview(self._shared)[: length // 4 * 4].cast("I")
        self._tail, self._head, self._end = tail // 4, head // 4, end // 4
        self._mask, self._answer_mask = self._words[mask // 4], self._words[answer_mask // 4]
        self._cqes = cqes
        self._words[order // 4 : order // 4 + entries] = memoryview(array("I", range(entries)))
        self._data = ctypes.create_string_buffer(LARGEST)
        self.address = ctypes.addressof(self._data)

    def close(self) -> None:
        """Gives the ring back."""
        self._words.release()
        self._sqes.close()
        self._shared.close()
        os.close(self._fd)

    def send(self, requests: Requests, data: bytes) -> tuple[int, list[tuple[int, int]]]:
        """Sends the data by each of the requests. Answers how many were given to the kernel, from the first, and of
        those which it did not take whole: their number, and how many bytes it took (below 0: none, and why).
        """
        count = requests.count
        requests.lengthen(len(data))
        ctypes.memmove(self.address, data, len(data))
        words = self._words
        tail = words[self._tail]
        first = tail & self._mask
        whole = min(count, self.size - first) * _SQE.size
        self._sqes[first * _SQE.size : first * _SQE.size + whole] = requests.bytes[:whole]
        if whole < len(requests.bytes):
            self._sqes[: len(requests.bytes) - whole] = requests.bytes[whole:]
        words[self._tail] = (tail + count) & 0xFFFFFFFF
        given = max(0, self._libc.syscall(_ENTER, self._fd, count, 0, 0, None, 0))
        if given < count:
            words[self._tail] = (tail + given) & 0xFFFFFFFF
        return given, list(self._answers())

    def _answers(self) -> Iterator[tuple[int, int]]:
        words = self._words
        head, end = words[self._head], words[self._end]
        while head != end:
            number, result, _ = _CQE.unpack_from(self._shared, self._cqes + (head & self._answer_mask) * _CQE.size)
            yield number, result
            head = (head + 1) & 0xFFFFFFFF
        words[self._head] = head


def opened(size: int) -> Uring | None:
    """A ring that was seen to work, or None."""
    try:
        ring = Uring(1 << max(0, size - 1).bit_length())
    except (OSError, AttributeError, ValueError) as error:  # no Linux, an old one, or one that forbids it
        _log.info("frames go socket by socket", extra={"why": str(error)})
        return None
    with contextlib.suppress(OSError):
        if _works(ring):
            return ring
    ring.close()
    _log.info("frames go socket by socket", extra={"why": "io_uring does not answer as it should"})
    return None


def _works(ring: Uring) -> bool:
    """Whether bytes arrive, and what is not taken whole is told: all that the channels rest on."""
    data = bytes(range(251)) * (LARGEST // 251)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(1.0)  # what is said to have been sent is there already
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        requests = Requests(ring, [ours.fileno()])
        if ring.send(requests, b"abc") != (1, []) or theirs.recv(10) != b"abc":
            return False
        took = 0
        for _ in range(1000):
            given, failed = ring.send(requests, data)
            if failed:
                took += max(0, failed[0][1])
                break
            took += len(data)
        else:
            return False
        ours.shutdown(socket.SHUT_WR)
        arrived = 0
        while chunk := theirs.recv(1 << 20):
            arrived += len(chunk)
    return given == 1 and arrived == took
