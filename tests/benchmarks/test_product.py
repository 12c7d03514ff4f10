"""A child that is killed comes back in the same place."""

import os

import pytest

from benchmarks.load import Pool, request
from benchmarks.product import Floor


async def test_a_killed_child_runs_again_on_its_port() -> None:
    async with Floor(min(os.sched_getaffinity(0))) as child:
        first = child.pid
        pool = await Pool.open(child.port, 1)
        await child.kill()
        with pytest.raises(RuntimeError, match="ended"):
            _ = child.pid
        assert (await pool.closed([request("POST", "/")])).bad == {"0": 1}
        await child.start()
        assert child.pid != first
        (await (await Pool.open(child.port, 1)).closed([request("POST", "/")])).must_be_good()
