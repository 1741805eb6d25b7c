"""The Muse codec: published commands, round trips, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.ble import muse_profile as muse
from plethprint.errors import ControlError, FrameError, ProtocolError


@pytest.mark.parametrize(
    ("command", "published"),
    # As the client `amused` lists them (muse_stream_client.py, COMMANDS).
    [("s", "02730a"), ("h", "02680a"), ("v6", "0376360a"), ("p1034", "0670313033340a")],
)
def test_published_commands(command: str, published: str) -> None:
    assert muse.command_to_bytes(command).hex() == published
    assert muse.command_from_bytes(bytes.fromhex(published)) == command


def test_a_notification_is_read_as_muse_lsl_reads_it() -> None:
    """``uint:16,uint:24 x 6``, big-endian (muse-lsl, muse.py, _unpack_ppg_channel)."""
    packet = bytes.fromhex("01020000010000ff00ffffffffff123456000000")
    frame = muse.MuseFrame.from_bytes(packet)
    assert frame.sequence == 0x0102
    assert frame.counts[:, 0].tolist() == [1, 255, 65535, 16777215, 0x123456, 0]


@given(
    st.integers(0, 0xFFFF),
    st.integers(1, 3).flatmap(
        lambda n: hnp.arrays(np.int32, (6, n), elements=st.integers(0, 0xFFFFFF))
    ),
)
def test_frames_survive_a_round_trip(sequence: int, counts: np.ndarray) -> None:
    frame = muse.MuseFrame(sequence, counts)
    assert muse.MuseFrame.from_bytes(frame.to_bytes()) == frame
    np.testing.assert_array_equal(
        muse.MuseFrame.from_bytes(frame.to_bytes()).counts, counts
    )


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=18))
def test_commands_survive_a_round_trip(text: str) -> None:
    assert muse.command_from_bytes(muse.command_to_bytes(text)) == text


@pytest.mark.parametrize("bad", [b"", bytes(19), bytes(21)])
def test_what_is_no_notification_is_refused(bad: bytes) -> None:
    with pytest.raises(FrameError):
        muse.MuseFrame.from_bytes(bad)


def test_notifications_of_different_numbers_are_no_frame() -> None:
    one = muse.MuseFrame(1, np.zeros((6, 1), int)).to_bytes()
    other = muse.MuseFrame(2, np.zeros((6, 1), int)).to_bytes()
    with pytest.raises(FrameError, match="different numbers"):
        muse.MuseFrame.from_bytes(one + other)


@pytest.mark.parametrize("bad", ["", "x" * 19, "ü"])
def test_commands_that_do_not_fit_are_refused(bad: str) -> None:
    with pytest.raises(ProtocolError):
        muse.command_to_bytes(bad)


def test_a_reply_in_pieces_is_put_together() -> None:
    replies = muse.MuseReplies()
    text = b'{"hn":"Muse-0A1B","sn":"6002","rc":0}'
    pieces = [text[at : at + 19] for at in range(0, len(text), 19)]
    answers = [replies.feed(bytes([len(piece)]) + piece) for piece in pieces]
    assert answers == [None, {"hn": "Muse-0A1B", "sn": "6002", "rc": 0}]


def test_noise_instead_of_a_reply_is_refused_and_does_not_pile_up() -> None:
    replies = muse.MuseReplies()
    with pytest.raises(ControlError, match="not a Muse reply"):
        replies.feed(b"\x03oh}")
    for _ in range(53):
        replies.feed(b"\x13" + b"x" * 19)
    with pytest.raises(ControlError, match="longer than"):
        replies.feed(b"\x13" + b"x" * 19)
    assert replies.feed(b'\x08{"rc":0}') == {"rc": 0}


def test_channels_are_put_together_whatever_their_order() -> None:
    assembler = muse.MuseAssembler([0, 1, 2])
    frames = [muse.MuseFrame(n, np.full((6, 3), n)) for n in (65_535, 0)]
    parts = [(at, packet) for f in frames for at, packet in enumerate(f.packets())]
    whole = [assembler.feed(*parts[i]) for i in (0, 3, 1, 5, 4, 2)]
    assert [w for w in whole if w] == [frames[1].to_bytes(), frames[0].to_bytes()]


def test_a_frame_that_lacks_a_channel_is_given_up_in_bounded_memory() -> None:
    assembler = muse.MuseAssembler([0, 1])
    for n in range(10_000):
        frame = muse.MuseFrame(n % 65_536, np.zeros((6, 2), int))
        assert assembler.feed(0, frame.packets()[0]) is None
    assert len(assembler._waiting) <= 9
