"""Keeping a wearable's raw PPG, safe from the first second on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

from plethprint.errors import MissingExtraError, RecordingError, RecordingWriteError
from plethprint.recording.finish import RecordingSummary, finish_recording
from plethprint.recording.journal import (
    JournalWriter,
    demand_no_journal,
    journal_path,
)
from plethprint.recording.journal_codec import (
    JournalBlock,
    JournalEnd,
    JournalHead,
    JournalStatistics,
)

if TYPE_CHECKING:
    from plethprint.block import Block
    from plethprint.wearable import Wearable

__all__ = ["SYNC_S", "Recorder", "record"]

_LOGGER = logging.getLogger(__name__)

SYNC_S = 1.0
"""Seconds from one sync of the disk to the next: what a power cut may take."""
_STATISTICS_EVERY = 10  # syncs


class Recorder:
    """Writes one channel of a live stream to a journal, and in the end the recording.

    Every block is handed to the operating system as it comes, so the process may be
    killed at any moment; every second it is synced, so the power may fail. The journal
    (``walk.npz.journal``) becomes the recording by `finish`, or after an unclean end by
    `plethprint.recording.finish_recording` or the command ``plethprint recover``.

    Parameters
    ----------
    path : path-like
        The .npz to make: ``ppg`` float32 (T,) in counts, upright (more blood, more
        counts), NaN where absent; ``fs_ppg`` Hz, ``start`` Unix s, ``subject`` the
        wearable's name, ``blocks`` (`BLOCKS`), ``statistics`` JSON; or the .edf, see
        `plethprint.io.edf`, with ``blocks`` and ``statistics`` in a .edf.blocks.npz.

    Raises
    ------
    RecordingError
        The file has another suffix, or its folder does not exist.
    RecordingWriteError
        The file is there already, or its folder cannot be written.
    UnfinishedRecordingError
        An earlier recording of this name was not finished.
    MissingExtraError
        For .edf without the ``io`` extra: all of them told before connecting.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if path.suffix.lower() not in (".npz", ".edf"):
            raise RecordingError(f"a recording is written as .npz or .edf, not {path.name}")
        if not path.parent.is_dir():
            raise RecordingError(f"{path.parent} is no folder to write {path.name} into")
        if path.suffix.lower() == ".edf" and find_spec("edfio") is None:
            raise MissingExtraError("io", "EDF+")
        demand_no_journal(path)
        if path.exists():
            raise RecordingWriteError(
                f"{path} is there already: record under another name, or remove it"
            )
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise RecordingWriteError(
                f"cannot write into {path.parent}: {error.strerror}"
            ) from error
        self.path = path
        self.failure: RecordingError | None = None
        """Why the recording stopped before the stream did; None while it goes on."""
        self.summary: RecordingSummary | None = None
        """What was written; None before `finish`, and where no sample came."""
        self._journal: JournalWriter | None = None
        self._wearable: Wearable | None = None

    async def keep(self, wearable: Wearable) -> None:
        """Write until the stream ends or this task is cancelled.

        When the disk fails, the recording stops (`failure` says why, a warning is logged)
        and the session goes on.

        Raises
        ------
        LinkLostError
            The link was lost and did not come back. What came is in the journal.
        """
        self._wearable = wearable
        syncing = asyncio.create_task(self._sync(), name="plethprint recording sync")
        try:
            async with contextlib.aclosing(wearable.frames()) as frames:
                async for block in frames:
                    if self.failure is not None:
                        return
                    await self._written(wearable, block)
        except RecordingError as error:  # the disk's, or somebody else records here
            self._fail(error)
        finally:
            syncing.cancel()
            await asyncio.wait({syncing})

    def finish(self, reason: str = "ended") -> RecordingSummary | None:
        """Make the recording of the journal; None when no sample came.

        Raises
        ------
        RecordingError
            It does not fit EDF+; the journal stays.
        RecordingWriteError
            The disk failed while recording (what came until then is in `path`) or now
            (then it is in the journal).
        """
        journal, self._journal = self._journal, None
        if journal is not None:
            if self.failure is None:
                try:
                    if self._wearable is not None:
                        counts = self._wearable.statistics().to_dict()
                        journal.append(JournalStatistics(counts))
                    journal.append(JournalEnd(reason))
                    journal.sync()
                except RecordingWriteError as error:
                    self._fail(error)
            journal.close()
            _, self.summary = finish_recording(self.path)
        summary = self.summary
        if self.failure is not None:
            kept_s = 0.0 if summary is None else summary.duration_s
            raise RecordingWriteError(
                f"the recording stopped early: {self.failure}; {kept_s:.1f} s were kept"
                + ("" if summary is None else f" in {self.path}")
            ) from self.failure
        return summary

    async def _written(self, wearable: Wearable, block: Block) -> None:
        # In a thread: a disk that takes its time must not keep the radio waiting.
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, wearable, block))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            # The thread goes on, and `finish` must not come before it.
            await asyncio.wait({writing})
            if not writing.cancelled() and isinstance(writing.exception(), RecordingError):
                self._fail(cast("RecordingError", writing.exception()))
            raise

    def _write(self, wearable: Wearable, block: Block) -> None:
        column, channel = wearable.pulse_channel()
        if self._journal is None:
            head = JournalHead(
                name=wearable.name or wearable.address,
                address=wearable.address,
                sample_rate_hz=wearable.sample_rate_hz or 0.0,
                channel=channel.kind.name.lower(),
                polarity=channel.polarity,
                target=self.path.name,
            )
            self._journal = JournalWriter(journal_path(self.path), head)
        self._journal.append(
            JournalBlock(
                epoch=block.epoch,
                index=block.index,
                start_s=block.start_s,
                host_period_s=block.host_period_s,
                device_time_us=block.frame.device_time_us,
                gap=block.gap,
                on_skin=block.frame.on_skin,
                counts=block.samples[:, column],
            )
        )

    async def _sync(self) -> None:
        syncs = 0
        while self.failure is None:
            await asyncio.sleep(SYNC_S)
            journal, wearable = self._journal, self._wearable
            if journal is None or wearable is None:
                continue
            syncs += 1
            try:
                if syncs % _STATISTICS_EVERY == 0:
                    statistics = JournalStatistics(wearable.statistics().to_dict())
                    await asyncio.to_thread(journal.append, statistics)
                await asyncio.to_thread(journal.sync)
            except RecordingWriteError as error:
                self._fail(error)

    def _fail(self, error: RecordingError) -> None:
        if self.failure is None:
            self.failure = error
            _LOGGER.warning("the recording stops, the stream goes on: %s", error)


@contextlib.asynccontextmanager
async def record(wearable: Wearable, path: str | Path) -> AsyncIterator[Recorder]:
    """Record while the block runs; the recording is made when it ends, by whatever.

    Parameters
    ----------
    wearable : Wearable
        Connected.
    path : path-like
        See `Recorder`.

    Raises
    ------
    RecordingError, RecordingWriteError, UnfinishedRecordingError, MissingExtraError
        See `Recorder` and `Recorder.finish`; at the end only where the block did not
        itself raise: that one is not to be hidden, and ours is logged.

    Examples
    --------
    ::

        async with plethprint.connect() as wearable, record(wearable, "walk.npz"):
            async for fingerprint in wearable.fingerprints():
                print(fingerprint.quality)
    """
    recorder = Recorder(path)
    async with recording(recorder, wearable):
        yield recorder


@contextlib.asynccontextmanager
async def recording(recorder: Recorder, wearable: Wearable) -> AsyncIterator[None]:
    """Have a recorder keep while the block runs, and finish after it."""
    keeping = asyncio.create_task(recorder.keep(wearable), name="plethprint recording")
    reason = "interrupted"
    try:
        yield
        reason = "ended"
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        try:
            await asyncio.to_thread(recorder.finish, reason)
        except RecordingError as error:
            if reason == "ended":
                raise
            _LOGGER.warning("%s", error)
