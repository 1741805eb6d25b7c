"""What a recording's journal is made of: records, each whole or not there.

A journal begins with eight bytes of magic. Records follow, little-endian::

    u8 kind | u32 length of the content | content | u32 CRC-32 of all before it

The first is the head (JSON), then come blocks of samples, now and then the statistics
(JSON), and after a clean end an end (JSON). Whoever is killed in mid-write leaves a last
record that is not whole: a reader takes everything up to it and says how much that was.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from plethprint.block import Gap, GapCause
from plethprint.errors import RecordingError

__all__ = [
    "JournalBlock",
    "JournalEnd",
    "JournalHead",
    "JournalReader",
    "JournalRecord",
    "JournalStatistics",
]

MAGIC = b"PLPRJ\x01\r\n"  # the line end shows a transfer that took it for text
_PREFIX = struct.Struct("<BI")
_CHECK = struct.Struct("<I")
_MAX_CONTENT = 1 << 22
# epoch, index, start_s, host_period_s, device time, gap cause, gap samples, on skin
_BLOCK = struct.Struct("<IqddqBqB")
_NO_DEVICE_TIME = -1
_CAUSES = (None, GapCause.LOST, GapCause.OVERFLOW, GapCause.LINK, GapCause.RESET)
_HEAD, _SAMPLES, _STATISTICS, _END = b"HBSE"


@dataclass(frozen=True)
class JournalHead:
    """What holds for a whole recording."""

    name: str
    """The wearable's advertised name, or its address where it has none."""
    address: str
    """Its Bluetooth address."""
    sample_rate_hz: float
    """Nominal rate of the stream, above 0."""
    channel: str
    """Kind of the recorded channel, such as ``"green"``."""
    polarity: int
    """What counts were multiplied with to be upright: 1 or -1; 0: nobody knows, as 1."""
    target: str
    """Name of the file that the recording is to become, without its folder."""

    def to_bytes(self) -> bytes:
        """Encode as a record."""
        return _record(_HEAD, _json(asdict(self)))


@dataclass(frozen=True, eq=False)
class JournalBlock:
    """Consecutive samples of one channel in their place."""

    epoch: int
    """Counts device resets and pauses, 0..2^32 - 1."""
    index: int
    """Absolute index of the first sample in its epoch, as in `plethprint.block.Block`."""
    start_s: float
    """Host time of the first sample, Unix s."""
    host_period_s: float
    """Host time from one sample to the next, s."""
    device_time_us: int | None
    """Device time of the first sample, microseconds; None where it tells none."""
    gap: Gap | None
    """What is absent before it."""
    on_skin: bool
    """Whether the sensor sat on skin; True where the device cannot tell."""
    counts: npt.NDArray[np.int32]
    """Shape (n,), n >= 1, sensor counts as they came: not yet upright."""

    def to_bytes(self) -> bytes:
        """Encode as a record."""
        fields = _BLOCK.pack(
            self.epoch,
            self.index,
            self.start_s,
            self.host_period_s,
            _NO_DEVICE_TIME if self.device_time_us is None else self.device_time_us,
            0 if self.gap is None else _CAUSES.index(self.gap.cause),
            0 if self.gap is None else self.gap.samples,
            int(self.on_skin),
        )
        return _record(_SAMPLES, fields + self.counts.astype("<i4").tobytes())


@dataclass(frozen=True)
class JournalStatistics:
    """The stream's counts so far, `StreamStatistics.to_dict`."""

    counts: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Encode as a record."""
        return _record(_STATISTICS, _json(self.counts))


@dataclass(frozen=True)
class JournalEnd:
    """The stream ended, and this is why; without it the recording was cut off."""

    reason: str

    def to_bytes(self) -> bytes:
        """Encode as a record."""
        return _record(_END, _json({"reason": self.reason}))


JournalRecord = JournalHead | JournalBlock | JournalStatistics | JournalEnd
"""Any of them."""


class JournalReader:
    """Reads a journal record by record, in the memory of one.

    Parameters
    ----------
    file : binary file
        At its beginning.

    Raises
    ------
    RecordingError
        If it is no journal. (One that is cut off, even in its first byte, is one.)

    Examples
    --------
    >>> import io
    >>> head = JournalHead("ring", "AA:BB", 125.0, "green", 1, "walk.npz")
    >>> reader = JournalReader(io.BytesIO(MAGIC + head.to_bytes() + b"half a rec"))
    >>> [record.name for record in reader], reader.whole_bytes
    (['ring'], 128)
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        magic = file.read(len(MAGIC))
        if not MAGIC.startswith(magic):
            raise RecordingError("this is no journal of a recording, or of another release")
        self.whole_bytes = len(magic)
        """Bytes of the records read so far; after the iteration, all that hold."""

    def __iter__(self) -> Iterator[JournalRecord]:
        """Give whole records; stop at the first that is cut off or damaged."""
        first = True
        while (found := self._next()) is not None:
            record, size = found
            # A head, and it alone, comes first: anything else is damage.
            if isinstance(record, JournalHead) is not first:
                return
            first = False
            self.whole_bytes += size
            yield record

    def _next(self) -> tuple[JournalRecord, int] | None:
        prefix = self._file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size:
            return None
        kind, length = _PREFIX.unpack(prefix)
        if length > _MAX_CONTENT:
            return None
        rest = self._file.read(length + _CHECK.size)
        if len(rest) < length + _CHECK.size:
            return None
        content = rest[:length]
        if _CHECK.unpack(rest[length:])[0] != zlib.crc32(prefix + content):
            return None
        try:
            return _decoded(kind, content), _PREFIX.size + len(rest)
        except (
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
            struct.error,
        ):
            return None  # whole, but by somebody else


def _decoded(kind: int, content: bytes) -> JournalRecord:
    if kind == _SAMPLES:
        return _block(content)
    facts = json.loads(content)
    if not isinstance(facts, dict):
        raise ValueError("no object")
    if kind == _HEAD:
        head = JournalHead(
            name=str(facts["name"]),
            address=str(facts["address"]),
            sample_rate_hz=float(facts["sample_rate_hz"]),
            channel=str(facts["channel"]),
            polarity=int(facts["polarity"]),
            target=str(facts["target"]),
        )
        if not 0 < head.sample_rate_hz < math.inf or head.polarity not in (-1, 0, 1):
            raise ValueError("no rate or polarity")
        return head
    if kind == _STATISTICS:
        return JournalStatistics(facts)
    if kind == _END:
        return JournalEnd(str(facts["reason"]))
    raise ValueError("no known kind")


def _block(content: bytes) -> JournalBlock:
    epoch, index, start_s, period_s, device_us, cause, absent, on_skin = _BLOCK.unpack_from(
        content
    )
    counts = np.frombuffer(content, "<i4", offset=_BLOCK.size).astype(np.int32)
    times_hold = math.isfinite(start_s) and math.isfinite(period_s)
    if not counts.size or not times_hold or cause >= len(_CAUSES) or absent < 0:
        raise ValueError("no block")
    found = _CAUSES[cause]
    return JournalBlock(
        epoch=epoch,
        index=index,
        start_s=start_s,
        host_period_s=period_s,
        device_time_us=None if device_us == _NO_DEVICE_TIME else device_us,
        gap=None if found is None else Gap(found, absent),
        on_skin=bool(on_skin),
        counts=counts,
    )


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, separators=(",", ":")).encode("ascii")


def _record(kind: int, content: bytes) -> bytes:
    if len(content) > _MAX_CONTENT:
        raise RecordingError(f"a record of {len(content)} bytes is too long for a journal")
    whole = _PREFIX.pack(kind, len(content)) + content
    return whole + _CHECK.pack(zlib.crc32(whole))
