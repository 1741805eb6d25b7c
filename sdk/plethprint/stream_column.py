"""Which channel of a stream is fingerprinted, and what it counts in the dark."""

from __future__ import annotations

from collections.abc import Sequence

from plethprint.ble.calibration import Calibration
from plethprint.ble.info import Channel, ChannelKind, Info
from plethprint.ble.personality import StreamFormat
from plethprint.errors import ProtocolError

__all__ = ["chosen_column", "dark_counts_of"]

# Green sees the pulse best at the wrist, infrared at the finger.
_PREFERRED = (ChannelKind.GREEN, ChannelKind.INFRARED, ChannelKind.RED, ChannelKind.OTHER)


def chosen_column(channels: Sequence[Channel], wanted: int | None) -> int:
    """Column of the wanted channel, or of the light that sees a pulse best.

    Parameters
    ----------
    channels : sequence of Channel
        Of the stream.
    wanted : int or None
        Column that was asked for.

    Raises
    ------
    ProtocolError
        There is no such column.

    Examples
    --------
    >>> red, green = Channel(ChannelKind.RED, -1, 660), Channel(ChannelKind.GREEN, -1, 525)
    >>> chosen_column([red, green], None)
    1
    """
    if wanted is not None:
        if not 0 <= wanted < len(channels):
            raise ProtocolError(
                f"the stream has channels 0..{len(channels) - 1}, not {wanted}"
            )
        return wanted
    kinds = [channel.kind for channel in channels]
    return next((kinds.index(kind) for kind in _PREFERRED if kind in kinds), 0)


def dark_counts_of(
    stream_format: StreamFormat, column: int, info: Info, calibration: Calibration | None
) -> float | None:
    """Counts of a column in the dark, if the protocol or the unit's calibration says.

    Parameters
    ----------
    stream_format : StreamFormat
        What streams.
    column : int
        Column of it.
    info : Info
        All channels of the wearable, in the order of its calibration.
    calibration : Calibration or None
        Of this very unit; None where it has none, or the link is not encrypted.

    Returns
    -------
    float or None
        None where nobody knows.
    """
    if column < len(stream_format.dark_counts):
        return stream_format.dark_counts[column]
    channel = stream_format.channels[column]
    # Of two channels alike the stream does not say which one it carries.
    if calibration is None or info.channels.count(channel) != 1:
        return None
    place = info.channels.index(channel)
    if place >= len(calibration.channels):
        return None
    return float(calibration.channels[place].offset_counts)
