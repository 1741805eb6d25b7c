"""Polar's PMD codec: published frames, round trips, refusals.

Frames named *published* are the test vectors of polarofficial/polar-ble-sdk
(``PpgDataTest.kt`` and ``PpgDataTest.swift``); *captured* is the real Verity Sense frame in
the docstring of bleakheart 0.2.0's ``_decode_ppg_data``. For type 13 nobody publishes one.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.ble import polar_profile as pmd
from plethprint.ble.delta_frames import decode_deltas, encode_deltas
from plethprint.errors import ControlError, FrameError, ProtocolError

AT_2_S = "0100943577 00000000"  # PPG, 2 000 000 000 ns

RAW_0 = AT_2_S + "00 010203 040506 ffff7f 000000 ffffff 0fefef 000080 0fefef"

COMPRESSED_0 = (
    AT_2_S + "80 2c2d00 c27700 d3d2ff 3d88ff 0a29"
    "b2f0ee3411 b2ecee7411 b1e8feb411 b1e8feb411 b1e0fe3412 b0dc0e7512 b0d80eb512"
    "afd41ef512 afd01e3513 aecc2e7513 aec82eb513 adc43ef513 adbc3e7514 adbc3e7514"
    "acb84eb514 acb44ef514 abb05e3515 aaac6e7515 aaa86eb515 aaa46ef515 a9a07e3516"
    "a99c7e7516 a8988eb516 a7949ef516 a7909e3517 a78c9e7517 a688aeb517 a588beb517"
    "a580be3518 a47cce7518 a478ceb518 a378deb518 a270ee3519 a26cee7519 a26cee7519"
    "a168feb519 a0600e361a 9f601e361a 9f5c1e761a 9f581eb61a 9d543ef61a"
)

COMPRESSED_7 = (
    AT_2_S + "87 09ae20 8a7c23 583b19 80b918 db2e22 fa881d d7bb18 c2b81f 7a4426 48df23"
    "a1f217 3a371b ffff00 7c0800 70f502 ffff00 28c411 18 01"
    "87feff ec0200 01feff fb0000 8df9ff b1ffff 0cfeff 26feff eefeff 890200 df0200"
    "51feff 000000 000000 000000 000000 aea68f"
)

COMPRESSED_8 = (
    AT_2_S + "88 031001 051002 ffffff 091004 0b1005 031006 051007 071008 091009 0b100a"
    "03100b 05100c 07100d 09100e 0b100f 031010 051011 071012 091013 0b1014 031015"
    "051016 071017 091018 ffffff 03 01 49922449922449922400"
)

COMPRESSED_10 = (
    "01 c06e6a43e161ee0a 8a 350b18 6bdf1d c58d1a 6ce11a 4d931b 48ba16 a21018 3bd01b"
    "321d1e 63bd1a 08f317 fb2f11 000100 a00714 c27f19 700a22 977d19 cc0822 a00714"
    "57f3a5 ffcf03 18 06"
    "52b3ff 8ef9ff aeefff 5ffbff b1a6ff 75f8ff a7f0ff 32f1ff b80000 1e0000 970200"
    "08feff 00ffff 60f8eb 8e0700 8a0000 ae0800 970000 60f8eb 328afd 000000"
    "4b2aff a70400 bc0f00 d0feff 64f5fe 94e8ff 5e0700 2f1700 342700 e71100 7b0800"
    "2c0300 000100 a00714 093c00 d08600 ce3b00 ca8600 a00714 ce7502 000000"
    "f0a4ff aa0800 451900 8bffff 9a8bff 65f4ff 921100 402000 c52300 8e0f00 010600"
    "6f0500 d40219 b82d38 bf2d00 2c7800 232e00 a37700 6ccab5 328afd 000000"
    "def1ff 240600 2b1200 78feff 89e9ff 08fdff 310b00 490f00 e20600 3c0400 500200"
    "530100 2cfde6 48d2c7 2e0c00 111c00 0f0d00 2e1c00 94354a ce7502 000000"
    "9c0600 330400 5f0600 e1fbff 150600 b90000 1c0600 ce0100 6ffcff cdffff d10100"
    "6affff d40219 b82d38 68feff b5f6ff d8fdff a6f6ff 6ccab5 328afd 000000"
    "6edcff c70000 0f0600 c5f8ff 9fdeff e7fbff 0efeff 61f9ff 9d0400 b80000 7e0200"
    "670100 2cfde6 48d2c7 7e0700 f50e00 140700 f10e00 94354a ce7502 000000"
)

CAPTURED_VERITY = """
01 2d 3b ba ac ab 31 18 0b 80 bb 1a f8 7d 9b f8 94 b9 f8 df 20
f6 08 2a cb ea d5 e2 00 d2 de 2c cc da b6 ee f5 d5 f9 11 17 fa
f1 ef bf 99 ca a7 ec 05 e2 4c e2 df e3 fe 19 31 66 36 e8 0e d6
c2 39 cb f6 27 da 2f 2c 11 24 ce d8 e2 ec 3e 0d 21 1e 0f f1 dd
d3 8e 19 2d f9 3f be a3 07 08 f3 30 11 ee 1e 32 cd 06 11 d8 11
12 e0 14 19 c9 05 00 1d 39 f8 e9 97 8f bb ea 14 f9 db 0e 1c 25
28 fe c7 cb d5 00 34 fc 11 fe ee 16 ff 18 de ec d0 07 e3 db ed
17 5a 3d 66 db c5 dc 06 f1 30 1a 9b 1a 03 34 5f 1c eb f0 fb c9
0f 16 fc 3b 18 3b da 1c 1f d5 19 d1 11 11 de 08 f5 29 2a fa fc
0f 20 e3 0a 07 03 74 af 41 01 f2 f7 d0 bf fc 35 10 e0 c3 fc 2b
88 31 00 03 0b 5c bf c2 01 2b 20 41 80 04 0d 38 50 c3 fc
"""


def decoded(text: str) -> pmd.PmdFrame:
    return pmd.PmdFrame.from_bytes(bytes.fromhex(text))


def test_the_published_raw_frame_of_type_0() -> None:
    frame = decoded(RAW_0)
    assert frame.timestamp_ns == 2_000_000_000
    assert frame.status is None
    assert frame.counts.tolist() == [
        [197121, 394500, 8388607, 0],
        [-1, -1052913, -8388608, -1052913],
    ]
    assert frame.to_bytes() == bytes.fromhex(RAW_0)


def test_the_published_compressed_frame_of_type_0() -> None:
    frame = decoded(COMPRESSED_0)
    assert frame.counts.shape == (42, 4)
    assert frame.counts[0].tolist() == [11564, 30658, -11565, -30659]
    assert (frame.counts[1] - frame.counts[0]).tolist() == [178, -68, -178, 68]
    # A slow sine by its published bytes: 10-bit differences shrink without a jump.
    assert np.abs(np.diff(frame.counts, n=2, axis=0)).max() <= 4


def test_the_published_compressed_frame_of_type_7() -> None:
    frame = decoded(COMPRESSED_7)
    assert frame.counts.shape == (2, 16)
    assert frame.counts[0, [0, 1, 15]].tolist() == [2141705, 2325642, 65535]
    assert frame.status is not None
    assert frame.status[0] == 1164328
    assert (frame.counts[1, :2] - frame.counts[0, :2]).tolist() == [-377, 748]


def test_the_published_compressed_frame_of_type_8() -> None:
    frame = decoded(COMPRESSED_8)
    assert frame.counts.shape == (2, 24)
    assert frame.counts[0, [0, 1, 2, 23]].tolist() == [69635, 135173, -1, 1576969]
    assert frame.status is not None
    assert frame.status[0] == 16777215
    assert (frame.counts[1, :2] - frame.counts[0, :2]).tolist() == [1, 1]


def test_the_published_compressed_frame_of_type_10() -> None:
    frame = decoded(COMPRESSED_10)
    green = [1575733, 1957739, 1740229, 1761644, 1807181, 1489480, 1577122, 1822779]
    red = [1973554, 1752419, 1569544, 1126395, 256, 1312672]
    infrared = [1671106, 2230896, 1670551, 2230476, 1312672, -5901481]
    assert frame.counts.shape == (7, 20)
    assert frame.counts[0].tolist() == green + red + infrared
    assert frame.status is not None
    assert frame.status[0] == 249855
    kinds = [kind.name for kind in pmd.LAYOUTS[10].kinds]
    assert kinds == ["GREEN"] * 8 + ["RED"] * 6 + ["INFRARED"] * 6


def test_a_captured_verity_sense_frame_is_smooth() -> None:
    frame = decoded(CAPTURED_VERITY)
    assert frame.counts[0, 0] == -517445
    assert frame.counts.shape == (50, 4)
    # Its last blocks have widths that are no whole bytes: read from the wrong end of each
    # byte, the differences jump by 511.
    assert np.abs(np.diff(frame.counts, axis=0)).max() <= 127
    assert frame.timestamp_ns // 10**9 + pmd.PMD_EPOCH_UNIX_S == 1_746_128_347


def test_a_frame_of_type_13_has_two_channels_and_status() -> None:
    frame = pmd.PmdFrame(
        5, 13, np.array([[1, -2], [3, -5]]), np.array([7, 0xFFFFFF]), compressed=True
    )
    assert pmd.PmdFrame.from_bytes(frame.to_bytes()) == frame


@pytest.mark.parametrize(
    "kind", ["04", "05", "06", "09", "0a", "0e", "84", "86", "89", "ff"]
)
def test_frames_without_samples_are_refused_by_their_type(kind: str) -> None:
    with pytest.raises(FrameError, match="hold no samples"):
        decoded(AT_2_S + kind + "ffffffff")


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "01",
        AT_2_S + "00",
        RAW_0[:-2],
        COMPRESSED_0[:-2],
        COMPRESSED_7[:-4],
        AT_2_S + "80 2c2d00",
        AT_2_S + "80 2c2d00 c27700 d3d2ff 3d88ff 0a",
        AT_2_S + "80 2c2d00 c27700 d3d2ff 3d88ff 0001",
        AT_2_S + "80 2c2d00 c27700 d3d2ff 3d88ff 0a00",
        AT_2_S + "80 2c2d00 c27700 d3d2ff 3d88ff 2101",
        "02" + RAW_0[2:],
    ],
)
def test_broken_frames_are_refused(broken: str) -> None:
    with pytest.raises(FrameError):
        decoded(broken)


def test_differences_that_add_up_beyond_32_bits_are_refused() -> None:
    block = bytes([32, 2]) + struct.pack("<ii", 2**31 - 1, 2**31 - 1)
    with pytest.raises(FrameError, match="beyond 32 bits"):
        decode_deltas(bytes(3) + block, channels=1)


@given(
    hnp.arrays(
        np.int32,
        st.tuples(st.integers(1, 60), st.integers(1, 25)),
        elements=st.integers(-(1 << 23), (1 << 23) - 1),
    )
)
def test_compression_gives_every_sample_back(samples: np.ndarray) -> None:
    packed = encode_deltas(samples)
    np.testing.assert_array_equal(decode_deltas(packed, samples.shape[1]), samples)


@given(
    st.data(),
    st.integers(0, 2**64 - 1),
    st.sampled_from([(0, False), *((t, True) for t in pmd.LAYOUTS)]),
)
def test_frames_survive_a_round_trip(
    data: st.DataObject, timestamp_ns: int, kind: tuple[int, bool]
) -> None:
    frame_type, compressed = kind
    layout = pmd.LAYOUTS[frame_type]
    n = data.draw(st.integers(1, 30))
    counts = data.draw(
        hnp.arrays(
            np.int32,
            (n, len(layout.kinds)),
            elements=st.integers(-(1 << 23), (1 << 23) - 1),
        )
    )
    bits = hnp.arrays(np.int32, n, elements=st.integers(0, 0xFFFFFF))
    status = data.draw(bits) if layout.has_status else None
    frame = pmd.PmdFrame(timestamp_ns, frame_type, counts, status, compressed)
    assert pmd.PmdFrame.from_bytes(frame.to_bytes()) == frame


settings = st.dictionaries(
    st.sampled_from(pmd.PmdSetting),
    st.lists(st.integers(0, 255), min_size=1, max_size=8).map(tuple),
)


@given(st.sampled_from(pmd.PmdOpcode), st.sampled_from(pmd.PmdMeasurement), settings)
def test_requests_survive_a_round_trip(
    opcode: pmd.PmdOpcode, measurement: pmd.PmdMeasurement, chosen: pmd.PmdSettings
) -> None:
    request = pmd.PmdRequest(opcode, measurement, chosen)
    assert pmd.PmdRequest.from_bytes(request.to_bytes()) == request


@given(st.sets(st.sampled_from(pmd.PmdMeasurement)))
def test_features_survive_a_round_trip(features: set[pmd.PmdMeasurement]) -> None:
    assert pmd.features_from_bytes(pmd.features_to_bytes(features)) == features


def test_the_settings_of_a_verity_sense_in_sdk_mode() -> None:
    """Rates, resolution and channels as bleakheart's pull request 11 reports them."""
    answer = pmd.PmdResponse.from_bytes(
        bytes.fromhex("f0 01 01 00 00 0005 1c00 2c00 3700 8700 b000 0101 1600 0401 04")
    ).raise_for_status()
    assert answer.settings == {
        pmd.PmdSetting.SAMPLE_RATE: (28, 44, 55, 135, 176),
        pmd.PmdSetting.RESOLUTION: (22,),
        pmd.PmdSetting.CHANNELS: (4,),
    }


def test_settings_of_a_kind_that_is_not_known_end_the_list() -> None:
    answer = pmd.PmdResponse(1, 1, 0, bytes.fromhex("0001 3700 0901 0000"))
    assert answer.settings == {pmd.PmdSetting.SAMPLE_RATE: (55,)}


@pytest.mark.parametrize("cut", ["00", "0001", "000137", "0002 3700", "0000"])
def test_settings_that_are_cut_are_refused(cut: str) -> None:
    with pytest.raises(ProtocolError, match="SAMPLE_RATE"):
        _ = pmd.PmdResponse(1, 1, 0, bytes.fromhex(cut)).settings


def test_a_refusal_is_a_typed_error_with_polars_own_name() -> None:
    with pytest.raises(ControlError, match="ERROR_ALREADY_IN_STATE") as caught:
        pmd.PmdResponse.from_bytes(b"\xf0\x02\x01\x06\x00").raise_for_status()
    assert caught.value.status == pmd.PmdStatus.ERROR_ALREADY_IN_STATE
    assert caught.value.opcode == pmd.PmdOpcode.START
    with pytest.raises(ControlError, match="unknown status 200"):
        pmd.PmdResponse.from_bytes(b"\xf0\x02\x01\xc8\x00").raise_for_status()


@pytest.mark.parametrize("bad", [b"", b"\xf0\x02\x01", b"\x0f\x02\x01\x00\x00"])
def test_what_is_no_response_is_refused(bad: bytes) -> None:
    with pytest.raises(ControlError, match="not a PMD response"):
        pmd.PmdResponse.from_bytes(bad)


def test_a_factor_scales_towards_zero() -> None:
    frame = pmd.PmdFrame(0, 0, np.array([[3, -3, 1, 0]]))
    assert frame.scaled(1.0) is frame.counts
    assert frame.scaled(0.5).tolist() == [[1, -1, 0, 0]]
    with pytest.raises(FrameError, match="factor"):
        frame.scaled(float("nan"))
    with pytest.raises(FrameError, match="factor"):
        frame.scaled(1e30)
