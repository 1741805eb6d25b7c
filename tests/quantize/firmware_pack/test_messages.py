"""The pack's answers to the messages of ``self-test``: those of the reference device."""

from __future__ import annotations

import asyncio
import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from plethprint.ble import open_profile as profile
from plethprint.ble.firmware_check import window_requests
from plethprint_quantize.firmware.golden_source import stream_counts
from plethprint_quantize.firmware.native import NativeFirmware
from plethprint_sim.self_test_service import SelfTestService

PAGE = Path(__file__).parents[3] / "docs" / "ble-profile.md"
RATE_MHZ = 100_000
LONGEST = 512
GUARD = 0xA5


class Device:
    """A workspace and its messages, compiled; and the reference device beside it."""

    def __init__(self, native: NativeFirmware) -> None:
        self._c = native.library
        for name in ("take", "next", "busy"):
            getattr(self._c, f"pp_messages_{name}").restype = ctypes.c_bool
        self.workspace = ctypes.create_string_buffer(int(self._c.pp_workspace_bytes()))
        assert self._c.pp_init(self.workspace, RATE_MHZ) == 0
        self._messages = ctypes.create_string_buffer(int(self._c.pp_messages_bytes()))
        refused = self._c.pp_messages_init(self._messages, self.workspace, None, None)
        assert refused == 0
        self._reference = SelfTestService(native, native, 0.0)

    def answers(self, message: bytes, mtu: int = 247) -> list[bytes]:
        """Notifications of the C for one write, which reads no byte beyond it."""
        self._c.pp_messages_take(self._messages, message, ctypes.c_size_t(len(message)))
        got = []
        out = (ctypes.c_uint8 * (LONGEST + 8))(*[GUARD] * (LONGEST + 8))
        length = ctypes.c_size_t()
        while self._c.pp_messages_next(
            self._messages, mtu, out, ctypes.c_size_t(LONGEST), ctypes.byref(length)
        ):
            assert set(out[length.value if not got else LONGEST :]) == {GUARD}
            got.append(bytes(out[: length.value]))
        return got

    def expected(self, message: bytes, mtu: int = 247) -> list[bytes]:
        """Notifications of the reference device for one write."""
        result = asyncio.run(self._reference.answer(message))
        return [] if result is None else result.to_messages(mtu)

    @property
    def is_busy(self) -> bool:
        """Whether the workspace is lent to counts."""
        return bool(self._c.pp_messages_busy(self._messages))

    def forget(self) -> None:
        """Lose the link."""
        self._c.pp_messages_forget(self._messages)
        self._reference.forget()


@pytest.fixture
def device(native: NativeFirmware) -> Device:
    return Device(native)


def page(name: str) -> bytes:
    found = re.search(rf"```hex {name}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return bytes.fromhex(found[1])


@pytest.mark.parametrize("mtu", [23, 60, 247, 517])
def test_a_window_over_the_air_gets_its_golden_fingerprint(device, shipped, mtu):
    golden = shipped.golden()
    collector = profile.SelfTestCollector(9)
    requests = profile.self_test_requests(golden.windows[3], mtu=mtu, test_id=9)
    told = [answer for request in requests for answer in device.answers(request, mtu)]
    assert max(map(len, told)) <= mtu - 3
    results = [collector.feed(message) for message in told]
    assert results[:-1] == [None] * (len(results) - 1)
    assert np.array_equal(results[-1].vector, golden.vectors[3])
    assert told == [a for request in requests for a in device.expected(request, mtu)]


def test_the_frames_of_the_page_get_the_answers_of_the_page(device, pack, compiler):
    assert device.answers(page("self-test-run")) == [bytes([0x80, 5, 5]) + bytes(13)]
    healthy = bytes([0x80, 7, 0]) + bytes(13)
    assert device.answers(page("firmware-check")) == [healthy]
    assert device.answers(page("firmware-check-counts")) == []
    too_few = bytes([0x80, 7, 2]) + bytes(13)
    assert device.answers(page("firmware-check-window")) == [too_few]
    wrong = Device(NativeFirmware.build(pack, options=("-O0",), fault="filter"))
    assert wrong.answers(page("firmware-check")) == [page("firmware-check-result")]


@pytest.mark.parametrize("rate_mhz", [64_000, 100_000, 125_000])
def test_counts_over_the_air_become_the_window_of_the_preprocessing(
    device, native, rate_mhz
):
    counts = stream_counts()[: 13 * rate_mhz // 1000]
    requests = window_requests(counts, rate_mhz=rate_mhz, mtu=247, test_id=3)
    assert [a for request in requests[:-1] for a in device.answers(request)] == []
    assert device.is_busy
    collector = profile.SelfTestCollector(3)
    results = [collector.feed(message) for message in device.answers(requests[-1])]
    assert not device.is_busy
    expected = native.window_of(counts, rate_mhz / 1000)
    assert np.array_equal(results[-1].vector, expected)


def test_a_workspace_comes_back_at_its_own_rate_polarity_and_hop(device, native):
    c = native.library
    assert c.pp_set_polarity(device.workspace, -1) == 0
    assert c.pp_set_hop(device.workspace, 128) == 0
    fresh = bytes(device.workspace)
    requests = window_requests(np.arange(900), rate_mhz=64_000, mtu=247, test_id=3)
    for end in (requests[-1], None):
        for request in requests[:-1]:
            device.answers(request)
        assert bytes(device.workspace) != fresh
        if end is None:
            device.forget()
        else:
            device.answers(end)
        assert bytes(device.workspace) == fresh


def test_a_window_of_another_length_is_refused_at_once(device):
    begin, *_ = profile.self_test_requests(np.zeros(639, np.int8), mtu=247, test_id=4)
    assert device.answers(begin) == [bytes([0x80, 4, 2]) + bytes(13)]


def test_two_thousand_good_and_bad_messages_get_the_answers_of_the_reference_device(
    device, shipped
):
    rng = np.random.default_rng(2026)
    window = shipped.golden().windows[0]
    answered: set[int] = set()
    for _ in range(400):
        test_id = int(rng.integers(0, 3))
        if rng.random() < 0.5:
            messages = profile.self_test_requests(window, mtu=247, test_id=test_id)
        else:
            counts = rng.integers(-(1 << 23), 1 << 23, int(rng.integers(1, 700)))
            rate_mhz = int(rng.choice([64_000, 100_000, 1000]))
            messages = window_requests(counts, rate_mhz=rate_mhz, mtu=247, test_id=test_id)
        for original in messages:
            message = bytearray(original)
            for _ in range(int(rng.choice([0, 0, 0, 1, 2]))):
                at = int(rng.integers(0, len(message) + 1))
                match int(rng.integers(0, 4)):
                    case 0:
                        del message[at:]
                    case 1:
                        message[at:at] = rng.bytes(int(rng.integers(1, 4)))
                    case _ if at < len(message):
                        message[at] = int(rng.integers(0, 256))
            sent = bytes(message)
            another_length = sent[:1] == b"\x01" and sent[2:4] != b"\x80\x02"
            if another_length or sent[:1] == b"\x04":
                continue  # refused sooner here, and what forgets the counts here
            told = device.answers(sent)
            assert told == device.expected(sent), sent.hex()
            answered.update(answer[2] for answer in told)
    assert answered >= {0, 1, 2, 3, 4, 5}


def test_null_pointers_and_no_room_are_refused(native, device):
    c = native.library
    assert c.pp_messages_init(None, device.workspace, None, None) == -1
    assert not c.pp_messages_take(None, b"\x03\x01", ctypes.c_size_t(2))
    assert not c.pp_messages_busy(None)
    c.pp_messages_forget(None)
    assert device.answers(b"\x03\x01", mtu=18) == []
    assert device.answers(b"", mtu=23) == [bytes([0x80, 0, 1]) + bytes(13)]
