"""Raw PPG kept in a file while it streams, and found again after a crash."""

from __future__ import annotations

from plethprint.recording.finish import (
    BLOCKS,
    RecordingSummary,
    finish_recording,
    read_summary,
)
from plethprint.recording.journal import journal_path
from plethprint.recording.recorder import Recorder, record, recording

__all__ = [
    "BLOCKS",
    "Recorder",
    "RecordingSummary",
    "finish_recording",
    "journal_path",
    "read_summary",
    "record",
    "recording",
]
