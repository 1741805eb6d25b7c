"""The codecs of two kinds of ring, OpenRing and Colmi: captures, round trips, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.ble import colmi_profile as colmi
from plethprint.ble import openring_profile as ring
from plethprint.errors import ControlError, FrameError, PlethprintError, ProtocolError

u8 = st.integers(0, 0xFF)
i16 = st.integers(-(1 << 15), (1 << 15) - 1)


@st.composite
def ring_frames(draw: st.DrawFn) -> ring.RingFrame:
    n = draw(st.integers(1, 20))
    light = hnp.arrays(np.int64, (n, 3), elements=st.integers(0, 2**31 - 1))
    triples = hnp.arrays(np.int32, (n, 3), elements=i16)
    return ring.RingFrame(
        draw(u8),
        draw(st.integers(0, 2**64 - 1)),
        draw(light),
        draw(triples),
        draw(triples),
        draw(triples),
        draw(u8),
    )


@given(ring_frames())
def test_ring_frames_survive_a_round_trip(frame: ring.RingFrame) -> None:
    again = ring.RingFrame.from_bytes(frame.to_bytes())
    assert again == frame
    np.testing.assert_array_equal(again.counts, frame.counts)
    np.testing.assert_array_equal(again.temperature, frame.temperature)


@given(
    st.builds(
        ring.RingStart, u8, u8, u8, st.tuples(u8, u8, u8), st.booleans(), st.booleans()
    )
)
def test_ring_requests_survive_a_round_trip(start: ring.RingStart) -> None:
    assert ring.ring_request_from_bytes(start.to_bytes()) == start
    stop = ring.RingStop(start.frame_id)
    assert ring.ring_request_from_bytes(stop.to_bytes()) == stop


def test_a_ring_frame_is_read_as_the_openring_app_reads_it() -> None:
    """Offsets of NotificationHandler.java: 4 + 10 bytes of header, 30 bytes a sample."""
    frame = bytes.fromhex(
        "01 2a 3c 01"
        "05 01"
        "0068e5cf8b010000"
        "40e20100 39300000 a0860100"
        "0100 ffff e803"
        "0200 feff 0000"
        "e40c e50c e60c"
    )
    decoded = ring.RingFrame.from_bytes(frame)
    assert (decoded.sequence, decoded.frame_id) == (5, 0x2A)
    assert decoded.time_ms == 1_700_000_000_000
    assert decoded.counts.tolist() == [[123456, 12345, 100000]]
    assert decoded.acceleration.tolist() == [[1, -1, 1000]]
    assert decoded.rotation.tolist() == [[2, -2, 0]]
    assert decoded.temperature.tolist() == [[3300, 3301, 3302]]


@pytest.mark.parametrize(
    "bad",
    ["", "013c", "01013c01", "01013c010500" + "00" * 8, "01013c0105010000000000000000"],
)
def test_what_is_no_ring_frame_is_refused(bad: str) -> None:
    with pytest.raises(FrameError):
        ring.RingFrame.from_bytes(bytes.fromhex(bad))


def test_light_beyond_31_bits_is_refused() -> None:
    frame = bytearray(ring.RingFrame(0, 0, np.ones((1, 3), int)).to_bytes())
    frame[ring.RING_HEADER_BYTES + 3] = 0x80
    with pytest.raises(FrameError, match="31 bits"):
        ring.RingFrame.from_bytes(frame)


def test_a_time_response_and_progress_are_no_samples() -> None:
    assert not ring.is_ring_frame(bytes.fromhex("00013c01" + "00" * 9))
    assert not ring.is_ring_frame(bytes.fromhex("00013cff05"))
    with pytest.raises(ControlError, match="not a ring request"):
        ring.ring_request_from_bytes(b"\x00\x01\x3c\x00")
    with pytest.raises(ProtocolError):
        ring.RingStart(time_s=300).to_bytes()


# Packets in the README of edgeimpulse/example-data-collection-colmi-r02, as captured.
CAPTURED_PPG = {
    "a10229812acd29c1010c01000000003c": (10625, 10957, 10689, 268),
    "a10229942acd29c1010c01000000004f": (10644, 10957, 10689, 268),
    "a10229972acd29c1010c010000000052": (10647, 10957, 10689, 268),
    "a10200002acd29c1010c010000000092": (0, 10957, 10689, 268),
}
CAPTURED_SPO2 = "a10100a000c20072009501000000000c"
CAPTURED_ACCELERATION = [
    "a10312030b0d170400000000000000ec",
    "a103110a0b01160800000000000000e9",
    "a10312010c00160e00000000000000e7",
]


@pytest.mark.parametrize("packet", CAPTURED_PPG)
def test_captured_colmi_light(packet: str) -> None:
    reading = colmi.reading_from_bytes(bytes.fromhex(packet))
    assert reading == colmi.ColmiPpg(*CAPTURED_PPG[packet])
    assert reading.to_bytes()[:10] == bytes.fromhex(packet)[:10]


def test_captured_colmi_blood_oxygen() -> None:
    reading = colmi.reading_from_bytes(bytes.fromhex(CAPTURED_SPO2))
    assert reading == colmi.ColmiSpo2(160, 194, 114, 149)


@pytest.mark.parametrize("packet", CAPTURED_ACCELERATION)
def test_captured_colmi_movement_is_as_long_as_gravity(packet: str) -> None:
    reading = colmi.reading_from_bytes(bytes.fromhex(packet))
    assert isinstance(reading, colmi.ColmiAcceleration)
    length = math.hypot(reading.x, reading.y, reading.z)
    assert length == pytest.approx(512, rel=0.05)
    assert reading.to_bytes() == bytes.fromhex(packet)


axis = st.integers(-2048, 2047)
u16 = st.integers(0, 0xFFFF)


@given(
    st.one_of(
        st.builds(colmi.ColmiPpg, u16, u16, u16, u16),
        st.builds(colmi.ColmiSpo2, u16, u16, u16, u16),
        st.builds(colmi.ColmiAcceleration, axis, axis, axis),
    )
)
def test_colmi_readings_survive_a_round_trip(
    reading: colmi.ColmiPpg | colmi.ColmiSpo2 | colmi.ColmiAcceleration,
) -> None:
    assert colmi.reading_from_bytes(reading.to_bytes()) == reading


@given(st.binary(min_size=1, max_size=15))
def test_colmi_commands_survive_a_round_trip(command: bytes) -> None:
    packet = colmi.command_to_bytes(command)
    assert len(packet) == 16
    assert colmi.command_from_bytes(packet) == command.ljust(15, b"\0")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "a10229812acd29c1010c01000000003d",
        "a10229812acd29c1010c010000000000",
        "a10229812acd29c1010c0100000000",
        "a104000000000000000000000000 00a5",
        "03570000000000000000000000000 05a",
    ],
)
def test_what_is_no_colmi_reading_is_refused(bad: str) -> None:
    with pytest.raises(FrameError):
        colmi.reading_from_bytes(bytes.fromhex(bad.replace(" ", "")))


def test_values_that_do_not_fit_are_refused() -> None:
    for make in (
        lambda: colmi.ColmiPpg(70_000, 0, 0, 0).to_bytes(),
        lambda: colmi.ColmiAcceleration(3000, 0, 0).to_bytes(),
        lambda: colmi.command_to_bytes(bytes(16)),
        lambda: colmi.command_from_bytes(bytes(3)),
    ):
        with pytest.raises(PlethprintError):
            make()
