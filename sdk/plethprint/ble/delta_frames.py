"""Polar's delta compression: a reference sample, then blocks of packed differences.

::

    reference    ceil(resolution / 8) bytes for each channel, little-endian, signed
    then blocks  u8 width (bits of a difference), u8 count (samples), then count x channels
                 signed differences to the sample before, packed from the least
                 significant bit of each byte on, the last byte padded

The bit order is easy to get wrong: with widths of 8, 16 and 24 both orders look the same.
Source: Polar's ``online_measurement.pdf`` and the parser of polar-ble-sdk.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.errors import FrameError

__all__ = ["decode_deltas", "encode_deltas"]

IntArray = npt.NDArray[np.int32]

_MAX_WIDTH = 32
_MAX_COUNT = 255
_RUN = 8  # samples for which a width is chosen
_INT32 = np.iinfo(np.int32)


def decode_deltas(data: bytes, channels: int, *, resolution: int = 24) -> IntArray:
    """Unpack a compressed payload.

    Parameters
    ----------
    data : bytes
        What follows the frame's header.
    channels : int
        Channels of a sample.
    resolution : int, optional
        Bits of the reference sample.

    Returns
    -------
    ndarray of int32, shape (n, channels)
        At least the reference sample; never more samples than there are bits for.

    Raises
    ------
    FrameError
        Cut in the middle, a width or count that cannot be, or sums beyond 32 bits.

    Examples
    --------
    One channel, reference 5, one block of two 4-bit differences, +1 and -2:

    >>> decode_deltas(bytes([5, 0, 0, 4, 2, 0xE1]), channels=1).ravel().tolist()
    [5, 6, 4]
    """
    size = -(-resolution // 8)
    at = size * channels
    if len(data) < at:
        raise FrameError(
            f"a reference sample of {channels} channels has {at} bytes, got {len(data)}"
        )
    rows = [_reference(data[:at], size)]
    while at < len(data):
        if len(data) - at < 2:
            raise FrameError("a delta block ends before its width and count")
        width, count = data[at], data[at + 1]
        if not 1 <= width <= _MAX_WIDTH or count == 0:
            raise FrameError(
                f"a delta block has 1..{_MAX_WIDTH} bits and at least one sample, got "
                f"{width} bits and {count} samples"
            )
        values = count * channels
        packed = -(-values * width // 8)
        at += 2
        if len(data) - at < packed:
            raise FrameError(
                f"a delta block of {count} samples x {channels} channels x {width} bits "
                f"has {packed} bytes, got {len(data) - at}; was the notification cut?"
            )
        rows.append(_unpacked(data[at : at + packed], values, width, channels))
        at += packed
    samples = np.cumsum(np.concatenate(rows), axis=0, dtype=np.int64)
    if samples.min() < _INT32.min or samples.max() > _INT32.max:
        raise FrameError("the differences of a compressed frame add up beyond 32 bits")
    return samples.astype(np.int32)


def encode_deltas(samples: npt.ArrayLike, *, resolution: int = 24) -> bytes:
    """Pack samples, shape (n, channels), n >= 1; `decode_deltas` gives them back.

    Raises
    ------
    FrameError
        No samples, or a reference sample beyond the resolution.
    """
    rows = np.asarray(samples, np.int64)
    if rows.ndim != 2 or not rows.size:
        raise FrameError(f"samples have shape (n, channels), n >= 1, got {rows.shape}")
    limit = 1 << (resolution - 1)
    if rows[0].min() < -limit or rows[0].max() >= limit:
        raise FrameError(f"a reference sample has {resolution} bits, got {rows[0]}")
    size = -(-resolution // 8)
    out = bytearray(b"".join(int(v).to_bytes(size, "little", signed=True) for v in rows[0]))
    for width, block in _blocks(np.diff(rows, axis=0)):
        out += bytes([width, len(block)]) + _packed(block, width)
    return bytes(out)


def _reference(data: bytes, size: int) -> npt.NDArray[np.int64]:
    words = np.zeros((len(data) // size, 4), np.uint8)
    words[:, 4 - size :] = np.frombuffer(data, np.uint8).reshape(-1, size)
    signed = words.view("<i4").ravel() >> 8 * (4 - size)
    return signed.astype(np.int64)[np.newaxis]


def _unpacked(data: bytes, values: int, width: int, channels: int) -> npt.NDArray[np.int64]:
    bits = np.unpackbits(
        np.frombuffer(data, np.uint8), count=values * width, bitorder="little"
    ).reshape(values, width)
    weights = 1 << np.arange(width, dtype=np.int64)
    weights[-1] = -weights[-1]  # two's complement
    return (bits @ weights).reshape(-1, channels)


def _packed(block: npt.NDArray[np.int64], width: int) -> bytes:
    bits = (block.reshape(-1, 1) >> np.arange(width)) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def _blocks(
    deltas: npt.NDArray[np.int64],
) -> list[tuple[int, npt.NDArray[np.int64]]]:
    """Runs of differences with a width each; neighbours of one width are joined."""
    blocks: list[tuple[int, npt.NDArray[np.int64]]] = []
    for at in range(0, len(deltas), _RUN):
        run = deltas[at : at + _RUN]
        most, least = int(run.max()), int(run.min())
        width = 1 + max(most.bit_length(), (-least - 1).bit_length() if least < 0 else 0)
        if width > _MAX_WIDTH:
            raise FrameError(f"differences have at most {_MAX_WIDTH} bits, got {width}")
        if (
            blocks
            and blocks[-1][0] == width
            and len(blocks[-1][1]) + len(run) <= _MAX_COUNT
        ):
            blocks[-1] = width, np.concatenate([blocks[-1][1], run])
        else:
            blocks.append((width, run))
    return blocks
