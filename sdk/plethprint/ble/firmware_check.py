"""Check of a wearable's whole firmware, beside the self-test of its encoder.

Messages on the same ``self-test`` characteristic, for wearables with
`Features.FIRMWARE_CHECK`: the wearable is asked what it finds wrong with itself, and is
given raw counts, of which its own preprocessing makes a window. Both are answered with a
`SelfTestResult`. A device feeds each write to a `FirmwareCheckReceiver`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.frame import COUNT_MAX, COUNT_MIN, longest_value
from plethprint.ble.self_test import SelfTestRefused, SelfTestStatus
from plethprint.errors import ProtocolError

__all__ = [
    "CheckItself",
    "FirmwareCheckReceiver",
    "MakeWindow",
    "check_request",
    "window_requests",
]

_CHECK = struct.Struct("<BB")  # kind, test id
_COUNTS = struct.Struct("<BBII")  # kind, test id, rate in mHz, index; then counts
_WINDOW = struct.Struct("<BB")  # kind, test id
_CHECK_KIND, _COUNTS_KIND, _WINDOW_KIND = 0x04, 0x05, 0x06
_COUNT_BYTES = 3
_MOST_COUNTS = 0xFFFF


@dataclass(frozen=True)
class CheckItself:
    """The device is to check tables, encoder and preprocessing itself."""

    test_id: int


@dataclass(frozen=True, eq=False)
class MakeWindow:
    """The device is to make a window of raw counts."""

    test_id: int
    rate_mhz: int
    """Rate of the counts, thousandths of a hertz."""
    counts: npt.NDArray[np.int32]
    """Shape (n,)."""


def check_request(test_id: int) -> bytes:
    """Message that has the device check itself.

    Examples
    --------
    >>> check_request(7).hex()
    '0407'
    """
    return _CHECK.pack(_CHECK_KIND, test_id)


def window_requests(
    counts: npt.NDArray[np.int32], *, rate_mhz: int, mtu: int, test_id: int
) -> list[bytes]:
    """Messages that give the device raw counts and ask for the window, in order.

    Parameters
    ----------
    counts : ndarray of int32, shape (n,)
        Within 24 bits; 10 s and a little more, which the resampler looks ahead.
    rate_mhz : int
        Their rate, thousandths of a hertz.
    mtu : int
        ATT MTU of the connection, 23..517.
    test_id : int
        0..255, comes back in the answer.

    Raises
    ------
    ProtocolError
        The counts do not fit, or the MTU is below 23.

    Examples
    --------
    >>> [m.hex() for m in window_requests(
    ...     np.array([1, -1], np.int32), rate_mhz=64_000, mtu=247, test_id=7)]
    ['050700fa000000000000010000ffffff', '0607']
    """
    values = np.asarray(counts)
    if (
        values.ndim != 1
        or not 0 < values.size <= _MOST_COUNTS
        or not np.issubdtype(values.dtype, np.integer)
        or values.min() < COUNT_MIN
        or values.max() > COUNT_MAX
    ):
        raise ProtocolError("raw counts are a vector of 1..65535 integers of 24 bits")
    if mtu < 23 or not 0 <= test_id <= 0xFF or not 0 <= rate_mhz < 1 << 32:
        raise ProtocolError(
            f"expected mtu >= 23, test_id 0..255 and a rate, got {mtu}, {test_id} "
            f"and {rate_mhz} mHz"
        )
    words = np.ascontiguousarray(values, dtype="<i4").view(np.uint8).reshape(-1, 4)
    body = np.ascontiguousarray(words[:, :_COUNT_BYTES])
    step = (longest_value(mtu) - _COUNTS.size) // _COUNT_BYTES
    messages = [
        _COUNTS.pack(_COUNTS_KIND, test_id, rate_mhz, at) + body[at : at + step].tobytes()
        for at in range(0, len(body), step)
    ]
    return [*messages, _WINDOW.pack(_WINDOW_KIND, test_id)]


class FirmwareCheckReceiver:
    """Device side: takes the messages of this module.

    This one keeps the counts until WINDOW; a microcontroller pushes them as they come.
    """

    def __init__(self) -> None:
        self._test_id = -1
        self._rate_mhz = 0
        self._counts: list[npt.NDArray[np.int32]] = []
        self._given = 0

    @staticmethod
    def knows(message: bytes) -> bool:
        """Whether a message is one of these, whatever its length."""
        return bool(message) and message[0] in (_CHECK_KIND, _COUNTS_KIND, _WINDOW_KIND)

    def feed(self, message: bytes) -> CheckItself | MakeWindow | None:
        """Take one write; what is to be done now, None while counts are still coming.

        Raises
        ------
        SelfTestRefused
            The message is not acceptable; the test is then forgotten.
        """
        kind = message[0] if message else -1
        test_id = message[1] if len(message) > 1 else 0
        if kind == _CHECK_KIND and len(message) == _CHECK.size:
            return CheckItself(test_id)
        if kind == _COUNTS_KIND:
            self._take(test_id, message)
            return None
        if kind != _WINDOW_KIND or len(message) != _WINDOW.size:
            raise self._refused(test_id, SelfTestStatus.BAD_MESSAGE)
        if test_id != self._test_id:
            raise self._refused(test_id, SelfTestStatus.NOT_BEGUN)
        wanted = MakeWindow(test_id, self._rate_mhz, np.concatenate(self._counts))
        self._forget()
        return wanted

    def _take(self, test_id: int, message: bytes) -> None:
        body = message[_COUNTS.size :]
        if not body or len(body) % _COUNT_BYTES:
            raise self._refused(test_id, SelfTestStatus.BAD_MESSAGE)
        _, _, rate_mhz, index = _COUNTS.unpack_from(message)
        if index == 0:
            self._forget()
            self._test_id, self._rate_mhz = test_id, rate_mhz
        if test_id != self._test_id:
            raise self._refused(test_id, SelfTestStatus.NOT_BEGUN)
        if (
            index != self._given
            or rate_mhz != self._rate_mhz
            or self._given + len(body) // _COUNT_BYTES > _MOST_COUNTS
        ):
            raise self._refused(test_id, SelfTestStatus.BAD_MESSAGE)
        triples = np.frombuffer(body, np.uint8).reshape(-1, _COUNT_BYTES)
        words = np.zeros((len(triples), 4), np.uint8)
        words[:, 1:] = triples  # in the upper bytes: shifted down, the sign comes along
        self._counts.append(words.view("<i4")[:, 0].astype(np.int32) >> 8)
        self._given += len(triples)

    def _refused(self, test_id: int, status: SelfTestStatus) -> SelfTestRefused:
        self._forget()
        return SelfTestRefused(test_id, status)

    def _forget(self) -> None:
        self._test_id, self._counts, self._given = -1, [], 0
