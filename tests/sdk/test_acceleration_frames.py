"""Acceleration as wearables send it: published vectors, round trips, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.ble.muse_profile import MuseAcceleration
from plethprint.ble.polar_profile import PmdAcceleration
from plethprint.errors import FrameError

HEAD = "02 00 94 35 77 00 00 00 00"
# The test vectors of polar-ble-sdk (AccDataTest.kt); of the first and third, the beginning.
RAW_1 = HEAD + "01 F7FF FFFF E703 F8FF FEFF E503 F9FF FFFF E503"
COMPRESSED_0 = HEAD + "80 7107 F06A 9E8D 0A 02 BE 5C BE BA 2F 96 B3 EE"
COMPRESSED_1 = "02 65 00 00 00 00 00 00 00 81 F1FF 1400 F003 06 01 7B 0F 08"
# Begins like frames that people got from a Verity Sense (polar-ble-sdk issues 331, 443).
AT_REST = HEAD + "81 FAFF 2100 F403"
WORN = HEAD + "81 EE02 1FFE 82FF"


def decoded(text: str) -> PmdAcceleration:
    return PmdAcceleration.from_bytes(bytes.fromhex(text))


def test_polars_raw_vector_is_in_milli_g() -> None:
    frame = decoded(RAW_1)
    assert frame.last_s == 2.0
    assert frame.milli_g().tolist() == [[-9, -1, 999], [-8, -2, 997], [-7, -1, 997]]


def test_polars_compressed_vector_of_type_0_is_in_g_times_the_factor() -> None:
    frame = decoded(COMPRESSED_0)
    factor = np.float32(2.44e-4)
    assert frame.counts[0].tolist() == [1905, 27376, -29282]
    assert frame.counts[1].tolist() == [1905 + 190, 27376 - 105, -29282 - 85]
    wanted = (frame.counts[:2] * np.float64(factor) * 1000.0).astype(int)
    np.testing.assert_array_equal(frame.milli_g(float(factor))[:2], wanted)
    assert np.abs(frame.milli_g(float(factor))).max() <= 8000  # its range


def test_polars_compressed_vector_of_type_1_is_in_milli_g() -> None:
    assert decoded(COMPRESSED_1).milli_g().tolist() == [[-15, 20, 1008], [-20, 17, 1008]]


@pytest.mark.parametrize("text", [AT_REST, WORN], ids=["at rest", "worn"])
def test_what_a_verity_sense_sends_is_about_one_g_long(text: str) -> None:
    assert np.linalg.norm(decoded(text).milli_g()[0]) == pytest.approx(1000, rel=0.11)


def test_polar_python_reads_the_same() -> None:
    pytest.importorskip("polar_python", reason="needs polar-python (PyPI)")
    from polar_python.models.acc_data import ACCData
    from polar_python.models.pmd_data_frame import PmdDataFrame

    rng = np.random.default_rng(4)
    walk = 500 + rng.integers(-60, 60, (30, 3)).cumsum(axis=0)
    for frame in (
        PmdAcceleration(10**9, 1, walk),
        PmdAcceleration(10**9, 1, walk, compressed=True),
    ):
        read = PmdDataFrame.from_bytes(bytearray(frame.to_bytes()), lambda _: 1.0)
        theirs = ACCData.from_dataframe(read)
        np.testing.assert_array_equal(np.array(theirs.data), frame.milli_g())


@given(
    walk=hnp.arrays(
        np.int64,
        st.tuples(st.integers(1, 40), st.just(3)),
        elements=st.integers(-(1 << 15), (1 << 15) - 1),
    ),
    time_ns=st.integers(0, (1 << 64) - 1),
    kind=st.sampled_from([(1, False), (2, False), (0, True), (1, True)]),
)
def test_what_is_encoded_comes_back(
    walk: np.ndarray, time_ns: int, kind: tuple[int, bool]
) -> None:
    frame = PmdAcceleration(time_ns, kind[0], walk, kind[1])
    assert PmdAcceleration.from_bytes(frame.to_bytes()) == frame


@given(
    counts=hnp.arrays(np.int64, (3, 3), elements=st.integers(-(1 << 15), (1 << 15) - 1)),
    sequence=st.integers(0, (1 << 16) - 1),
)
def test_a_muse_notification_comes_back(counts: np.ndarray, sequence: int) -> None:
    frame = MuseAcceleration(sequence, counts)
    assert MuseAcceleration.from_bytes(frame.to_bytes()) == frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02",
        HEAD + "01",
        HEAD + "01 0102",
        HEAD + "03 010203",
        HEAD + "82 010203",
        "01" + HEAD[2:] + "01 010203040506",
        HEAD + "81 F1FF 1400 F003 06 FF 7B",
    ],
    ids=[
        "empty",
        "cut",
        "no samples",
        "half a sample",
        "raw 3",
        "packed 2",
        "ppg",
        "short",
    ],
)
def test_what_is_no_acceleration_is_refused(text: str) -> None:
    with pytest.raises(FrameError):
        decoded(text)


def test_a_factor_that_makes_nonsense_is_refused() -> None:
    for factor in (float("nan"), float("inf"), 1e30):
        with pytest.raises(FrameError, match="1000 g"):
            decoded(COMPRESSED_0).milli_g(factor)


def test_a_muse_notification_of_another_length_is_refused() -> None:
    with pytest.raises(FrameError, match="20 bytes"):
        MuseAcceleration.from_bytes(bytes(19))
