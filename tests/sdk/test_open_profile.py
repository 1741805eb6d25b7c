"""The open profile's codec: round trips, refusals, and the example in its document."""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.ble import open_profile as profile
from plethprint.errors import ControlError, FrameError, ProtocolError

DOCUMENT = Path(__file__).parents[2] / "docs" / "ble-profile.md"

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
counts = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 40), st.integers(1, profile.MAX_CHANNELS)),
    elements=st.integers(profile.COUNT_MIN, profile.COUNT_MAX),
)
frames = st.builds(
    profile.PpgFrame,
    sequence=u16,
    first_index=u32,
    device_time_us=u32,
    counts=counts,
    overflow_frames=u16,
    status=u8.map(profile.FrameStatus),
)
channels = st.builds(
    profile.Channel, st.sampled_from(profile.ChannelKind), st.sampled_from([1, -1]), u16
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=16)
infos = st.builds(
    profile.Info,
    channels=st.lists(channels, min_size=1, max_size=4).map(tuple),
    rates_mhz=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=16).map(tuple),
    bits=st.integers(8, 24),
    features=u16.map(profile.Features),
    fingerprint_dim=u16,
    window_samples=u16,
    buffer_ms=u16,
    linger_s=u16,
    firmware=texts,
    model=texts,
)
requests = st.one_of(
    st.builds(
        profile.ControlRequest,
        st.just(profile.Opcode.START),
        rate_mhz=u32,
        channel_mask=u8,
    ),
    st.builds(
        profile.ControlRequest, st.just(profile.Opcode.CAPABILITIES), channel_mask=u8
    ),
    st.builds(
        profile.ControlRequest, st.just(profile.Opcode.START_FINGERPRINTS), hop_ms=u16
    ),
    st.builds(
        profile.ControlRequest,
        st.just(profile.Opcode.SET_TIME),
        unix_time_us=st.integers(0, 2**64 - 1),
    ),
    st.sampled_from(
        [
            profile.Opcode.STATE,
            profile.Opcode.STOP,
            profile.Opcode.STOP_FINGERPRINTS,
        ]
    ).map(profile.ControlRequest),
)
states = st.builds(profile.StreamState, u8.map(profile.StreamFlags), u8, u32, u32, u32, u16)
responses = st.one_of(
    st.builds(
        profile.ControlResponse,
        st.sampled_from([o for o in profile.Opcode if o != profile.Opcode.CAPABILITIES]),
        st.just(profile.ControlStatus.OK),
        state=states,
    ),
    st.builds(
        profile.ControlResponse,
        st.just(profile.Opcode.CAPABILITIES),
        st.just(profile.ControlStatus.OK),
        capabilities=st.builds(
            profile.Capabilities, u8, u8, st.lists(u32, max_size=16).map(tuple)
        ),
    ),
    st.builds(
        profile.ControlResponse,
        u8,
        st.sampled_from([s for s in profile.ControlStatus if s]),
    ),
)
calibrations = st.builds(
    profile.Calibration,
    st.lists(
        st.builds(
            profile.ChannelCalibration,
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.integers(-(2**31), 2**31 - 1),
            u16,
            st.integers(-(2**15), 2**15 - 1),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    u16,
)


@given(frames)
def test_a_frame_survives_the_round_trip(frame: profile.PpgFrame) -> None:
    decoded = profile.PpgFrame.from_bytes(frame.to_bytes())
    assert decoded == frame
    assert decoded.counts.dtype == np.int32
    assert np.array_equal(decoded.counts, frame.counts)
    assert decoded.status == frame.status


@given(infos)
def test_info_survives_the_round_trip(info: profile.Info) -> None:
    assert profile.Info.from_bytes(info.to_bytes()) == info


@given(requests)
def test_a_control_request_survives_the_round_trip(request: Any) -> None:
    assert profile.ControlRequest.from_bytes(request.to_bytes()) == request


@given(responses)
def test_a_control_response_survives_the_round_trip(response: Any) -> None:
    assert profile.ControlResponse.from_bytes(response.to_bytes()) == response


@given(calibrations)
def test_a_calibration_survives_the_round_trip(calibration: profile.Calibration) -> None:
    assert profile.Calibration.from_bytes(calibration.to_bytes()) == calibration


@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_frame_error(data: bytes) -> None:
    try:
        frame = profile.PpgFrame.from_bytes(data)
    except FrameError:
        return
    assert frame.to_bytes() == data


@given(frames, st.data())
def test_a_damaged_frame_is_a_frame_or_a_frame_error(
    frame: profile.PpgFrame, data: st.DataObject
) -> None:
    raw = bytearray(frame.to_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        damaged = profile.PpgFrame.from_bytes(raw)
    except FrameError:
        return
    assert damaged.to_bytes() == bytes(raw)


@given(st.binary(max_size=80), st.sampled_from(["Info", "Calibration"]))
def test_any_bytes_are_a_value_or_a_protocol_error(data: bytes, name: str) -> None:
    try:
        value = getattr(profile, name).from_bytes(data)
    except ProtocolError:
        return
    assert getattr(profile, name).from_bytes(value.to_bytes()) == value


@given(st.one_of(st.binary(max_size=30), st.binary(max_size=30).map(lambda b: b"\xf0" + b)))
def test_any_bytes_are_a_control_message_or_a_control_error(data: bytes) -> None:
    answerable = {profile.ControlStatus.UNKNOWN_OPCODE, profile.ControlStatus.BAD_LENGTH}
    for decode, statuses in (
        (profile.ControlRequest.from_bytes, answerable),
        (profile.ControlResponse.from_bytes, {-1, *range(256)}),
    ):
        refusal = None
        try:
            decode(data)
        except ControlError as error:
            refusal = error
        assert refusal is None or refusal.status in statuses


@given(frames)
def test_a_frame_that_lost_its_last_byte_is_refused(frame: profile.PpgFrame) -> None:
    with pytest.raises(FrameError, match="longer than the MTU"):
        profile.PpgFrame.from_bytes(frame.to_bytes()[:-1])
    with pytest.raises(FrameError):
        profile.PpgFrame.from_bytes(frame.to_bytes() + b"\0")


def test_a_frame_of_another_version_is_refused() -> None:
    raw = bytearray(_frame().to_bytes())
    raw[0] = 9
    with pytest.raises(FrameError, match="version 1, got 9"):
        profile.PpgFrame.from_bytes(raw)


@pytest.mark.parametrize(
    "field",
    [
        {"sequence": 65536},
        {"first_index": -1},
        {"device_time_us": 2**32},
        {"overflow_frames": -1},
        {"counts": np.array([[1 << 23]])},
        {"counts": np.array([[-(1 << 23) - 1]])},
        {"counts": np.zeros((1, 5), np.int32)},
        {"counts": np.zeros((0, 1), np.int32)},
        {"counts": np.zeros((256, 1), np.int32)},
        {"counts": np.zeros(4, np.int32)},
        {"counts": np.zeros((4, 1), np.float32)},
    ],
)
def test_a_frame_that_does_not_fit_its_fields_cannot_be_made(field: dict[str, Any]) -> None:
    with pytest.raises(FrameError):
        _frame(**field)


@pytest.mark.parametrize(
    ("mtu", "n", "expected"), [(247, 1, 76), (247, 4, 19), (23, 1, 1), (517, 1, 165)]
)
def test_the_samples_of_a_frame_fill_the_mtu_and_no_more(
    mtu: int, n: int, expected: int
) -> None:
    assert profile.samples_per_frame(mtu, n) == expected
    full = _frame(counts=np.zeros((expected, n), np.int32))
    longest = min(mtu - 3, 512)
    assert longest - 3 * n < len(full.to_bytes()) <= longest


def test_a_small_mtu_leaves_no_room_for_four_channels() -> None:
    assert profile.samples_per_frame(23, 4) == 0


def test_info_of_a_later_minor_version_is_read_and_its_new_fields_skipped() -> None:
    info = _info()
    raw = bytearray(info.to_bytes() + b"new field")
    raw[1] = 7
    assert profile.Info.from_bytes(raw).version == (1, 7)
    assert profile.Info.from_bytes(raw).rates_hz == info.rates_hz


def test_info_of_another_major_version_is_refused() -> None:
    raw = bytearray(_info().to_bytes())
    raw[0] = 2
    with pytest.raises(ProtocolError, match=r"open profile 2\.1, this is 1\.x"):
        profile.Info.from_bytes(raw)


def test_a_truncated_info_is_refused_at_every_length() -> None:
    raw = _info().to_bytes()
    for length in range(len(raw)):
        with pytest.raises(ProtocolError):
            profile.Info.from_bytes(raw[:length])


def test_a_flipped_bit_in_the_calibration_is_noticed() -> None:
    raw = profile.Calibration((profile.ChannelCalibration(30.5, -7, 8000),)).to_bytes()
    for position in range(len(raw)):
        damaged = bytearray(raw)
        damaged[position] ^= 0x10
        with pytest.raises(ProtocolError):
            profile.Calibration.from_bytes(damaged)


def test_a_refusal_names_opcode_and_status() -> None:
    refusal = profile.ControlResponse.from_bytes(bytes.fromhex("f01004"))
    with pytest.raises(ControlError, match="START: UNSUPPORTED_RATE") as caught:
        refusal.raise_for_status()
    assert (caught.value.opcode, caught.value.status) == (0x10, 4)


def test_an_unknown_opcode_asks_for_the_unknown_opcode_response() -> None:
    with pytest.raises(ControlError) as caught:
        profile.ControlRequest.from_bytes(b"\x77")
    assert (caught.value.opcode, caught.value.status) == (0x77, 1)


def test_a_request_parameter_out_of_range_is_refused() -> None:
    with pytest.raises(ControlError):
        profile.ControlRequest(profile.Opcode.START, rate_mhz=-1).to_bytes()


def int8_of(data: bytes) -> Any:
    return np.frombuffer(data, np.int8)


@given(
    st.binary(min_size=1, max_size=1300).map(int8_of),
    st.binary(min_size=1, max_size=128).map(int8_of),
    st.integers(23, 517),
    u8,
)
def test_a_self_test_survives_the_round_trip_at_any_mtu(
    window: Any, vector: Any, mtu: int, test_id: int
) -> None:
    device, host = profile.SelfTestReceiver(), profile.SelfTestCollector(test_id)
    messages = profile.self_test_requests(window, mtu=mtu, test_id=test_id)
    assert max(map(len, messages)) <= min(mtu - 3, 512)
    assert all(device.feed(message) is None for message in messages[:-1])
    arrived = device.feed(messages[-1])
    assert arrived is not None
    assert arrived[0] == test_id
    assert np.array_equal(arrived[1], window)

    answer = profile.SelfTestResult(test_id, profile.SelfTestStatus.OK, vector, 1234)
    parts = answer.to_messages(mtu)
    assert max(map(len, parts)) <= min(mtu - 3, 512)
    assert all(host.feed(part) is None for part in parts[:-1])
    result = host.feed(parts[-1])
    assert result is not None
    assert np.array_equal(result.vector, vector)
    assert (result.status, result.run_time_us) == (profile.SelfTestStatus.OK, 1234)


@given(st.lists(st.binary(max_size=12), max_size=6), st.sampled_from(range(4)))
def test_any_self_test_bytes_are_taken_or_refused(parts: list[bytes], kind: int) -> None:
    device, host = profile.SelfTestReceiver(), profile.SelfTestCollector(0)
    head = [b"", b"\x01\x00", b"\x02\x00", b"\x03\x00"][kind]
    for part in parts:
        for feed in (device.feed, host.feed):
            with contextlib.suppress(ProtocolError):
                feed(head + part)
    # Whatever came before, a proper request is understood.
    window = np.arange(64, dtype=np.int8)
    messages = profile.self_test_requests(window, mtu=100)
    arrived = [device.feed(message) for message in messages][-1]
    assert arrived is not None
    np.testing.assert_array_equal(arrived[1], window)


def test_a_self_test_with_a_missing_chunk_is_incomplete() -> None:
    begin, _, *rest = profile.self_test_requests(np.ones(625, np.int8), mtu=247)
    assert _refusal([begin, *rest]) is profile.SelfTestStatus.INCOMPLETE


def test_a_self_test_with_a_wrong_checksum_is_refused() -> None:
    begin, first, *rest = profile.self_test_requests(np.ones(625, np.int8), mtu=247)
    damaged = first[:-1] + b"\x7f"
    assert _refusal([begin, damaged, *rest]) is profile.SelfTestStatus.BAD_CHECKSUM


def test_a_self_test_chunk_outside_the_window_is_refused() -> None:
    begin = struct.pack("<BBHI", 1, 1, 4, zlib.crc32(b"abcd"))
    outside = struct.pack("<BBH", 2, 1, 3) + b"xx"
    assert _refusal([begin, outside]) is profile.SelfTestStatus.BAD_MESSAGE


def test_self_test_data_without_a_beginning_is_refused() -> None:
    assert _refusal([b"\x02\x01\x00\x00x"]) is profile.SelfTestStatus.NOT_BEGUN


def test_a_self_test_answer_with_a_wrong_checksum_is_refused() -> None:
    vector = np.arange(64, dtype=np.int8)
    (message,) = profile.SelfTestResult(1, profile.SelfTestStatus.OK, vector).to_messages(
        247
    )
    with pytest.raises(ProtocolError, match="checksum"):
        profile.SelfTestCollector(1).feed(message[:-1] + b"\x00")


def test_the_answer_to_an_earlier_self_test_is_skipped() -> None:
    vector = np.arange(64, dtype=np.int8)
    (message,) = profile.SelfTestResult(1, profile.SelfTestStatus.OK, vector).to_messages(
        247
    )
    assert profile.SelfTestCollector(2).feed(message) is None


def test_a_failed_self_test_raises_with_its_reason() -> None:
    failed = profile.SelfTestResult(
        1, profile.SelfTestStatus.NO_MODEL, np.empty(0, np.int8)
    )
    result = profile.SelfTestCollector(1).feed(failed.to_messages(23)[0])
    assert result is not None
    with pytest.raises(ProtocolError, match="NO_MODEL"):
        result.raise_for_status()


def test_the_uuids_in_the_document_are_the_ones_in_the_code() -> None:
    document = DOCUMENT.read_text()
    for name in dir(profile):
        if name.endswith("_UUID"):
            assert getattr(profile, name) in document, name


def test_the_example_frame_in_the_document_decodes_to_the_values_beside_it() -> None:
    frame = profile.PpgFrame.from_bytes(_example("ppg-frame"))
    assert frame.sequence == 513
    assert frame.first_index == 125_000
    assert frame.device_time_us == 1_000_020_000
    assert frame.overflow_frames == 2
    assert frame.status == profile.FrameStatus.CONTACT | profile.FrameStatus.MOTION
    assert frame.counts.tolist() == [[1000, -2], [-8388608, 8388607], [65536, -65536]]


def test_the_example_messages_in_the_document_decode_to_the_values_beside_them() -> None:
    start = profile.ControlRequest.from_bytes(_example("start-request"))
    assert start == profile.ControlRequest(
        profile.Opcode.START, rate_mhz=125_000, channel_mask=0b11
    )
    state = profile.ControlResponse.from_bytes(_example("start-response")).state
    assert state == profile.StreamState(
        profile.StreamFlags.STREAMING, 0b11, 125_000, 125_000, 1_000_020_000, 0
    )
    refused = profile.ControlResponse.from_bytes(_example("unknown-opcode-response"))
    assert (refused.opcode, refused.status) == (0x77, profile.ControlStatus.UNKNOWN_OPCODE)
    info = profile.Info.from_bytes(_example("info"))
    assert info == profile.Info(
        channels=(
            profile.Channel(profile.ChannelKind.GREEN, -1, 525),
            profile.Channel(profile.ChannelKind.INFRARED, -1, 940),
        ),
        rates_mhz=(62_500, 125_000),
        bits=19,
        features=profile.Features.SELF_TEST | profile.Features.CALIBRATION,
        fingerprint_dim=64,
        window_samples=640,
        buffer_ms=2000,
        linger_s=60,
        firmware="1.4.0",
        model="plethprint-micro@1+0a1b2c3d",
    )
    calibration = profile.Calibration.from_bytes(_example("calibration"))
    assert calibration == profile.Calibration(
        (profile.ChannelCalibration(30.5, -120, 8000, 2550),), serial=3
    )


def test_the_self_test_in_the_document_runs_as_it_says() -> None:
    device, host = profile.SelfTestReceiver(), profile.SelfTestCollector(5)
    assert device.feed(_example("self-test-begin")) is None
    assert device.feed(_example("self-test-data")) is None
    arrived = device.feed(_example("self-test-run"))
    assert arrived is not None
    assert arrived[0] == 5
    assert arrived[1].tolist() == [-3, -2, -1, 0, 1, 2]
    result = host.feed(_example("self-test-result"))
    assert result is not None
    assert result.vector.tolist() == [1, -2, 3, -4]
    assert result.run_time_us == 40_000


def test_the_firmware_check_in_the_document_runs_as_it_says() -> None:
    device, host = profile.FirmwareCheckReceiver(), profile.SelfTestCollector(7)
    wanted = device.feed(_example("firmware-check"))
    assert wanted == profile.CheckItself(7)
    assert profile.check_request(7) == _example("firmware-check")
    result = host.feed(_example("firmware-check-result"))
    assert result is not None
    assert result.status is profile.SelfTestStatus.FAULT_SIGNAL
    assert device.feed(_example("firmware-check-counts")) is None
    window = device.feed(_example("firmware-check-window"))
    assert isinstance(window, profile.MakeWindow)
    assert (window.test_id, window.rate_mhz) == (7, 64_000)
    assert window.counts.tolist() == [1, -1]


@given(
    hnp.arrays(
        np.int32,
        st.integers(1, 700),
        elements=st.integers(profile.COUNT_MIN, profile.COUNT_MAX),
    ),
    u32,
    st.integers(23, 517),
    u8,
)
def test_counts_for_a_window_arrive_whatever_the_mtu(
    given_counts: Any, rate_mhz: int, mtu: int, test_id: int
) -> None:
    device = profile.FirmwareCheckReceiver()
    *first, last = profile.window_requests(
        given_counts, rate_mhz=rate_mhz, mtu=mtu, test_id=test_id
    )
    assert max(map(len, first)) <= profile.longest_value(mtu)
    assert all(device.feed(message) is None for message in first)
    wanted = device.feed(last)
    assert isinstance(wanted, profile.MakeWindow)
    assert (wanted.test_id, wanted.rate_mhz) == (test_id, rate_mhz)
    np.testing.assert_array_equal(wanted.counts, given_counts)


def test_counts_out_of_order_and_windows_of_nothing_are_refused() -> None:
    counts_given = np.arange(40, dtype=np.int32)
    one, two, three, *_, run = profile.window_requests(
        counts_given, rate_mhz=64_000, mtu=40, test_id=3
    )
    statuses = profile.SelfTestStatus
    other_rate = three[:2] + b"\1" + three[3:]
    for messages, status in (
        ([one, three], statuses.BAD_MESSAGE),
        ([one, one, two, two], statuses.BAD_MESSAGE),
        ([one, two, other_rate], statuses.BAD_MESSAGE),
        ([one[:-1]], statuses.BAD_MESSAGE),
        ([one[:10]], statuses.BAD_MESSAGE),
        ([run + b"x"], statuses.BAD_MESSAGE),
        ([b""], statuses.BAD_MESSAGE),
        ([two], statuses.NOT_BEGUN),
        ([run], statuses.NOT_BEGUN),
        ([one, bytes([run[0], 4])], statuses.NOT_BEGUN),
    ):
        device = profile.FirmwareCheckReceiver()
        for message in messages[:-1]:
            assert device.feed(message) is None
        with pytest.raises(profile.SelfTestRefused) as caught:
            device.feed(messages[-1])
        assert caught.value.status is status


@given(st.binary(max_size=40))
def test_any_bytes_are_a_firmware_check_or_refused(data: bytes) -> None:
    with contextlib.suppress(profile.SelfTestRefused):
        profile.FirmwareCheckReceiver().feed(data)


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2), np.int32), np.zeros(0, np.int32), np.zeros(3), [1 << 23]]
)
def test_what_is_no_vector_of_counts_is_not_sent(bad: Any) -> None:
    with pytest.raises(ProtocolError, match="24 bits"):
        profile.window_requests(np.asarray(bad), rate_mhz=64_000, mtu=247, test_id=1)


def test_the_codes_in_the_document_are_the_ones_in_the_code() -> None:
    document = DOCUMENT.read_text()
    codes = [*profile.Opcode, *profile.ControlStatus, *profile.SelfTestStatus]
    for code in codes:
        row = rf"\| 0x{code.value:02X} \| {code.name} \|"
        assert re.search(row, document), code


def _example(name: str) -> bytes:
    found = re.search(rf"```hex {name}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None, f"no example named {name} in {DOCUMENT}"
    return bytes.fromhex(found.group(1))


def _frame(**fields: Any) -> profile.PpgFrame:
    defaults: dict[str, Any] = {
        "sequence": 1,
        "first_index": 2,
        "device_time_us": 3,
        "counts": np.array([[1, -1]]),
    }
    return profile.PpgFrame(**(defaults | fields))


def _info() -> profile.Info:
    return profile.Info(
        channels=(profile.Channel(profile.ChannelKind.GREEN, -1, 525),),
        rates_mhz=(125_000,),
        firmware="1.0",
        model="m@1+00000000",
    )


def _refusal(messages: list[bytes]) -> profile.SelfTestStatus:
    device = profile.SelfTestReceiver()
    for message in messages[:-1]:
        device.feed(message)
    with pytest.raises(profile.SelfTestRefused) as caught:
        device.feed(messages[-1])
    return caught.value.status


def _self_test_answer(test_id: int) -> bytes:
    vector = np.arange(64, dtype=np.int8)
    result = profile.SelfTestResult(test_id, profile.SelfTestStatus.OK, vector)
    (message,) = result.to_messages(247)
    return message
