"""The status registers answer AXI-Lite reads, count frames and waits, and refuse writes."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator

from deepdive.hardware.rtl.axi import SLAVE_ERROR
from deepdive.hardware.rtl.status import MAGIC, RegisterMap, StatusComponent

FINGERPRINT = "00112233445566778899aabbccddeeff" * 2


def simulate(process: Any, bases: tuple[str, ...] = (), masters: tuple[str, ...] = ()) -> None:
    dut = StatusComponent(FINGERPRINT, RegisterMap(("image", "result"), bases, masters))
    simulator = Simulator(dut)
    simulator.add_clock(1e-9)

    async def testbench(context: Any) -> None:
        await process(dut, context)

    simulator.add_testbench(testbench)
    simulator.run()


async def read(dut: StatusComponent, context: Any, address: int) -> int:
    context.set(dut.araddr, address)
    context.set(dut.arvalid, 1)
    context.set(dut.rready, 0)
    await context.tick().until(dut.arready)
    context.set(dut.arvalid, 0)
    for _ in range(3):  # the answer waits until it is taken
        await context.tick()
        assert context.get(dut.rvalid) == 1
    value: int = context.get(dut.rdata)
    context.set(dut.rready, 1)
    await context.tick()
    assert context.get(dut.rvalid) == 0
    assert context.get(dut.rresp) == 0
    return value


def test_identity() -> None:
    async def process(dut: StatusComponent, context: Any) -> None:
        words = dut.map.words
        assert await read(dut, context, words["magic"]) == MAGIC
        fingerprint = [await read(dut, context, words[f"fingerprint{i}"]) for i in range(4)]
        assert "".join(f"{word:08x}" for word in fingerprint) == FINGERPRINT[:32]
        assert await read(dut, context, 0xFF0) == 0

    simulate(process)


def test_counters() -> None:
    async def process(dut: StatusComponent, context: Any) -> None:
        words = dut.map.words
        # (valid, ready) of image and result, for so many cycles
        for cycles, valid, ready, done in ((5, 0b01, 0b10, 0), (3, 0b10, 0b11, 1), (2, 0b11, 0b11, 0)):
            for signal, value in ((dut.valid, valid), (dut.ready, ready), (dut.frame_done, done)):
                context.set(signal, value)
            for _ in range(cycles):
                await context.tick()
        context.set(dut.valid, 0)
        context.set(dut.ready, 0)
        assert await read(dut, context, words["image_blocked"]) == 5
        assert await read(dut, context, words["image_starved"]) == 3
        assert await read(dut, context, words["result_blocked"]) == 0
        assert await read(dut, context, words["result_starved"]) == 5
        assert await read(dut, context, words["frames"]) == 3
        assert await read(dut, context, words["cycles"]) > 10

    simulate(process)


@pytest.mark.parametrize("address_first", [True, False])
def test_writes_are_refused(address_first: bool) -> None:
    async def process(dut: StatusComponent, context: Any) -> None:
        context.set(dut.bready, 0)
        first, second = (dut.awvalid, dut.wvalid) if address_first else (dut.wvalid, dut.awvalid)
        context.set(first, 1)
        await context.tick()
        assert context.get(dut.bvalid) == 0
        context.set(second, 1)
        await context.tick()
        context.set(first, 0)
        context.set(second, 0)
        assert context.get(dut.bvalid) == 1
        assert context.get(dut.bresp) == SLAVE_ERROR
        context.set(dut.bready, 1)
        await context.tick()
        assert context.get(dut.bvalid) == 0

    simulate(process)


async def write(dut: StatusComponent, context: Any, address: int, value: int) -> int:
    """Returns the response."""
    context.set(dut.bready, 1)
    for signal, given in ((dut.awaddr, address), (dut.wdata, value), (dut.awvalid, 1), (dut.wvalid, 1)):
        context.set(signal, given)
    await context.tick()
    context.set(dut.awvalid, 0)
    context.set(dut.wvalid, 0)
    assert context.get(dut.bvalid) == 1
    response: int = context.get(dut.bresp)
    await context.tick()
    return response


def test_bases_can_be_written() -> None:
    async def process(dut: StatusComponent, context: Any) -> None:
        words = dut.map.words
        places = (("maps_low", 0x8765_4000, 0), ("maps_high", 0x43, 0), ("weights_low", 0x1000, 0), ("frames", 7, 2))
        for name, value, response in places:
            assert await write(dut, context, words[name], value) == response
        assert context.get(dut.base("maps")) == 0x43_8765_4000
        assert context.get(dut.base("weights")) == 0x1000
        assert [await read(dut, context, words[name]) for name, _, _ in places] == [0x8765_4000, 0x43, 0x1000, 0]

    simulate(process, ("maps", "weights"))


def test_errors_stay_until_they_are_cleared() -> None:
    async def process(dut: StatusComponent, context: Any) -> None:
        words = dut.map.words
        for failures in (0b0000_0010, 0, 0b1000_0000, 0b0000_0001):  # four bits a master, the first one lowest
            context.set(dut.failures, failures)
            await context.tick()
        context.set(dut.failures, 0)
        assert await read(dut, context, words["maps_errors"]) == 0b0011
        assert await read(dut, context, words["ends_errors"]) == 0b1000
        assert await write(dut, context, words["maps_errors"], 0xFFFF_FFFF) == 0
        assert await read(dut, context, words["maps_errors"]) == 0
        assert await read(dut, context, words["ends_errors"]) == 0b1000

    simulate(process, masters=("maps", "ends"))
