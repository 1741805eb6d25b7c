"""Self-test of the open profile: a golden window in, the device's own fingerprint out.

The host writes the messages of `self_test_requests` in order; a device feeds each write
to a `SelfTestReceiver` and sends the `SelfTestResult` it computes in the notifications
of `SelfTestResult.to_messages`; the host feeds those to a `SelfTestCollector`.
"""

from __future__ import annotations

import enum
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plethprint.ble.frame import longest_value
from plethprint.errors import ProtocolError

__all__ = [
    "SelfTestCollector",
    "SelfTestReceiver",
    "SelfTestRefused",
    "SelfTestResult",
    "SelfTestStatus",
    "self_test_requests",
]

_BEGIN = struct.Struct("<BBHI")  # kind, test id, samples, CRC-32 of the window
_DATA = struct.Struct("<BBH")  # kind, test id, offset; then samples
_RUN = struct.Struct("<BB")  # kind, test id
_RESULT = struct.Struct("<BBBBHHII")  # kind, id, status, 0, dim, offset, CRC-32, run time
_BEGIN_KIND, _DATA_KIND, _RUN_KIND, _RESULT_KIND = 0x01, 0x02, 0x03, 0x80
_MAX_SAMPLES = 0xFFFF


class SelfTestStatus(enum.IntEnum):
    """Result of a self-test."""

    OK = 0x00
    BAD_MESSAGE = 0x01
    """Unknown kind, wrong length, or data outside the window."""
    WRONG_SIZE = 0x02
    """The window is not as long as the model's input."""
    INCOMPLETE = 0x03
    """RUN came before every sample of the window."""
    BAD_CHECKSUM = 0x04
    """The window does not match the CRC-32 of BEGIN."""
    NOT_BEGUN = 0x05
    """DATA or RUN for a test that no BEGIN announced."""
    NO_MODEL = 0x06
    """The device has no encoder."""
    INTERNAL = 0x07
    """The encoder failed."""
    FAULT_MODEL = 0x08
    """Checked by itself: the weights in flash are not those that were generated."""
    FAULT_ENCODER = 0x09
    """Checked by itself: the encoder gives other numbers for a window it knows."""
    FAULT_SIGNAL = 0x0A
    """Checked by itself: the preprocessing makes another window of counts it knows."""


class SelfTestRefused(ProtocolError):
    """The device's side refuses a message; `test_id` and `status` are its answer."""

    def __init__(self, test_id: int, status: SelfTestStatus) -> None:
        super().__init__(f"self-test {test_id} refused: {status.name}")
        self.test_id = test_id
        """Test that the message belongs to."""
        self.status = status
        """Why it was refused."""


def self_test_requests(
    window: npt.NDArray[np.int8], *, mtu: int, test_id: int = 1
) -> list[bytes]:
    """Messages that carry one window to the device, in the order to write them.

    Parameters
    ----------
    window : ndarray of int8, shape (T,)
        Normalised input window of the model.
    mtu : int
        ATT MTU of the connection, 23..517.
    test_id : int
        0..255, comes back in the answer; take a new one for each test.

    Raises
    ------
    ProtocolError
        The window is not a vector of 1..65535 int8, or the MTU is below 23.

    Examples
    --------
    >>> len(self_test_requests(np.zeros(625, np.int8), mtu=247))
    5
    """
    if window.dtype != np.int8 or window.ndim != 1 or not 0 < window.size <= _MAX_SAMPLES:
        raise ProtocolError(
            "a self-test window is an int8 vector, got "
            f"{window.dtype} of shape {window.shape}"
        )
    if mtu < 23 or not 0 <= test_id <= 0xFF:
        raise ProtocolError(
            f"expected mtu >= 23 and test_id 0..255, got {mtu} and {test_id}"
        )
    body = window.tobytes()
    step = longest_value(mtu) - _DATA.size
    chunks = [
        _DATA.pack(_DATA_KIND, test_id, at) + body[at : at + step]
        for at in range(0, len(body), step)
    ]
    begin = _BEGIN.pack(_BEGIN_KIND, test_id, len(body), zlib.crc32(body))
    return [begin, *chunks, _RUN.pack(_RUN_KIND, test_id)]


class SelfTestReceiver:
    """Device side: gathers writes until RUN, then hands over the window."""

    def __init__(self) -> None:
        self._test_id = -1
        self._checksum = 0
        self._window = bytearray()
        self._present = bytearray()

    def feed(self, message: bytes | bytearray) -> tuple[int, npt.NDArray[np.int8]] | None:
        """Take one write.

        Returns
        -------
        (test_id, window) or None
            The complete, verified window on RUN; None while it is still coming.

        Raises
        ------
        SelfTestRefused
            The message, or the test at RUN, is not acceptable. The test is then forgotten.
        """
        message = bytes(message)
        kind = message[0] if message else -1
        test_id = message[1] if len(message) > 1 else 0
        if kind == _BEGIN_KIND and len(message) == _BEGIN.size:
            _, self._test_id, samples, self._checksum = _BEGIN.unpack(message)
            self._window, self._present = bytearray(samples), bytearray(samples)
            return None
        data = kind == _DATA_KIND and len(message) > _DATA.size
        run = kind == _RUN_KIND and len(message) == _RUN.size
        if not data and not run:
            raise self._refuse(test_id, SelfTestStatus.BAD_MESSAGE)
        if test_id != self._test_id:
            raise self._refuse(test_id, SelfTestStatus.NOT_BEGUN)
        if data:
            offset, samples = _DATA.unpack_from(message)[2], len(message) - _DATA.size
            if offset + samples > len(self._window):
                raise self._refuse(test_id, SelfTestStatus.BAD_MESSAGE)
            self._window[offset : offset + samples] = message[_DATA.size :]
            self._present[offset : offset + samples] = b"\x01" * samples
            return None
        if not all(self._present):
            raise self._refuse(test_id, SelfTestStatus.INCOMPLETE)
        if zlib.crc32(self._window) != self._checksum:
            raise self._refuse(test_id, SelfTestStatus.BAD_CHECKSUM)
        self._test_id = -1
        return test_id, np.frombuffer(bytes(self._window), np.int8)

    def _refuse(self, test_id: int, status: SelfTestStatus) -> SelfTestRefused:
        self._test_id = -1
        return SelfTestRefused(test_id, status)


@dataclass(frozen=True, eq=False)
class SelfTestResult:
    """What the device's own encoder made of the window."""

    test_id: int
    """Test that this answers."""
    status: SelfTestStatus
    """OK, or why there is no vector."""
    vector: npt.NDArray[np.int8]
    """int8 fingerprint, shape (D,); empty unless `status` is OK."""
    run_time_us: int = 0
    """Time that the encoder took on the device, microseconds."""

    def to_messages(self, mtu: int) -> list[bytes]:
        """Notifications to send, one unless the MTU is small.

        Parameters
        ----------
        mtu : int
            ATT MTU of the connection, 23..517.
        """
        body = np.asarray(self.vector, np.int8).tobytes()
        step = longest_value(mtu) - _RESULT.size
        return [
            _RESULT.pack(
                _RESULT_KIND,
                self.test_id,
                self.status,
                0,
                len(body),
                at,
                zlib.crc32(body),
                self.run_time_us,
            )
            + body[at : at + step]
            for at in range(0, max(1, len(body)), step)
        ]

    def raise_for_status(self) -> SelfTestResult:
        """Return self when OK.

        Raises
        ------
        ProtocolError
            The device refused or failed; the message says why.
        """
        if self.status is not SelfTestStatus.OK:
            raise ProtocolError(f"the wearable's self-test failed: {self.status.name}")
        return self


class SelfTestCollector:
    """Host side: gathers notifications until the vector of one test is whole."""

    def __init__(self, test_id: int = 1) -> None:
        self._test_id = test_id
        self._head: tuple[int, int, int] | None = None
        self._body = bytearray()
        self._present = bytearray()

    def feed(self, message: bytes | bytearray) -> SelfTestResult | None:
        """Take one notification; the result once it is complete, else None.

        Answers to other tests (left over from an earlier one) are skipped.

        Raises
        ------
        ProtocolError
            The notification is malformed or the vector's checksum is wrong.
        """
        message = bytes(message)
        if len(message) < _RESULT.size or message[0] != _RESULT_KIND:
            raise ProtocolError(f"not a self-test result: {message[:20].hex() or 'empty'}")
        _, test_id, code, _, dim, offset, checksum, run_time = _RESULT.unpack_from(message)
        if test_id != self._test_id:
            return None
        if code not in set(SelfTestStatus):
            raise ProtocolError(f"unknown self-test status 0x{code:02x}")
        head = (dim, checksum, run_time)
        if self._head != head:
            self._head, self._body, self._present = head, bytearray(dim), bytearray(dim)
        part = message[_RESULT.size :]
        if offset + len(part) > dim:
            raise ProtocolError(f"self-test result runs past its {dim} numbers")
        self._body[offset : offset + len(part)] = part
        self._present[offset : offset + len(part)] = b"\x01" * len(part)
        if not all(self._present):
            return None
        if zlib.crc32(self._body) != checksum:
            raise ProtocolError("the self-test result's checksum is wrong; run it again")
        vector = np.frombuffer(bytes(self._body), np.int8)
        return SelfTestResult(test_id, SelfTestStatus(code), vector, run_time)
