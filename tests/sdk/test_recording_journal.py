"""A recording's journal: what was written is found again, however it was cut off."""

from __future__ import annotations

import asyncio
import io
import json
import math
import os
import struct
import time
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plethprint.block import Gap, GapCause
from plethprint.cli.app import run
from plethprint.errors import (
    RecordingError,
    RecordingWriteError,
    UnfinishedRecordingError,
)
from plethprint.io import read_recording
from plethprint.recording import (
    Recorder,
    finish_recording,
    journal_path,
    read_summary,
    recording,
)
from plethprint.recording import journal as journal_module
from plethprint.recording.journal import JournalWriter
from plethprint.recording.journal_codec import (
    MAGIC,
    JournalBlock,
    JournalEnd,
    JournalHead,
    JournalReader,
    JournalStatistics,
)

HEAD = JournalHead("ring", "AA:BB", 125.0, "green", -1, "walk.npz")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
INT64 = st.integers(-(2**63), 2**63 - 1)

heads = st.builds(
    JournalHead,
    name=st.text(),
    address=st.text(),
    sample_rate_hz=st.floats(1e-3, 1e6),
    channel=st.text(),
    polarity=st.sampled_from([-1, 0, 1]),
    target=st.text(),
)
blocks = st.builds(
    JournalBlock,
    epoch=st.integers(0, 2**32 - 1),
    index=INT64,
    start_s=FINITE,
    host_period_s=FINITE,
    device_time_us=st.none() | st.integers(0, 2**32 - 1),
    gap=st.none()
    | st.builds(Gap, st.sampled_from(list(GapCause)), st.integers(0, 2**63 - 1)),
    on_skin=st.booleans(),
    counts=hnp.arrays(np.int32, st.integers(1, 40)),
)
others = st.builds(
    JournalStatistics, st.dictionaries(st.text(), st.none() | st.integers() | st.text())
) | st.builds(JournalEnd, st.text())


def a_block(index: int, epoch: int = 0, gap: Gap | None = None) -> JournalBlock:
    counts = np.arange(16, dtype=np.int32) + index % 10_000 + 1000 * epoch
    return JournalBlock(
        epoch, index, 1e9 + index / 125, 1 / 125, 8000 * index, gap, True, counts
    )


def write_journal(path: Path, *records, end: bool = False) -> None:
    writer = JournalWriter(journal_path(path), HEAD)
    for record in records:
        writer.append(record)
    if end:
        writer.append(JournalEnd("ended"))
    writer.close()


@given(heads, st.lists(blocks | others, max_size=5))
def test_records_come_back_as_they_were(head, records):
    content = MAGIC + head.to_bytes() + b"".join(r.to_bytes() for r in records)
    reader = JournalReader(io.BytesIO(content))
    back = list(reader)
    assert back[0] == head
    assert [r.to_bytes() for r in back[1:]] == [r.to_bytes() for r in records]
    for was, now in zip(records, back[1:], strict=True):
        if isinstance(was, JournalBlock):
            assert (now.gap, now.device_time_us, now.index) == (
                was.gap,
                was.device_time_us,
                was.index,
            )
            assert np.array_equal(now.counts, was.counts)
    assert reader.whole_bytes == len(content)


def test_cut_off_at_every_byte_what_was_whole_is_read():
    parts = [MAGIC, HEAD.to_bytes(), *(a_block(16 * i).to_bytes() for i in range(3))]
    content, ends = b"".join(parts), np.cumsum([len(part) for part in parts])
    for size in range(len(content) + 1):
        reader = JournalReader(io.BytesIO(content[:size]))
        whole = int((ends <= size).sum())
        assert len(list(reader)) == max(0, whole - 1)
        assert reader.whole_bytes == (ends[whole - 1] if whole else size)


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_byte_costs_what_follows_and_never_more(data):
    parts = [MAGIC, HEAD.to_bytes(), *(a_block(16 * i).to_bytes() for i in range(3))]
    content = bytearray(b"".join(parts))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    if at < len(MAGIC):
        with pytest.raises(RecordingError, match="no journal"):
            JournalReader(io.BytesIO(content))
        return
    ends = np.cumsum([len(part) for part in parts])
    assert len(list(JournalReader(io.BytesIO(content)))) == int((ends <= at).sum()) - 1


@given(st.binary(max_size=200))
def test_bytes_of_anybody_are_read_or_refused(content):
    list(JournalReader(io.BytesIO(MAGIC + HEAD.to_bytes() + content)))


def test_a_journal_becomes_the_recording_with_gaps_epochs_and_times(tmp_path):
    path = tmp_path / "walk.npz"
    lost = Gap(GapCause.LOST, 8)
    reset = Gap(GapCause.RESET, 0)
    told = JournalStatistics({"frames": 3, "missing_samples": 8})
    write_journal(path, a_block(0), a_block(24, gap=lost), a_block(5, 1, reset), told)
    written, summary = finish_recording(path)
    assert written == path
    assert not journal_path(path).exists()
    assert (summary.samples, summary.received, summary.epochs) == (57, 48, 2)
    assert summary.ended is None
    kept = read_recording(path)
    assert kept.sample_rate_hz == 125.0
    assert kept.name == "ring"
    assert np.flatnonzero(np.isnan(kept.ppg)).tolist() == [*range(16, 24), 40]
    assert kept.ppg[41] == -1005  # upright
    with np.load(path) as archive:
        rows = archive["blocks"]
        assert json.loads(str(archive["statistics"])) == told.counts
        assert float(archive["start"]) == 1e9
    assert rows["sample"].tolist() == [0, 24, 41]
    assert rows["epoch"].tolist() == [0, 0, 1]
    assert rows["index"].tolist() == [0, 24, 5]
    assert rows["gap_cause"].tolist() == [b"", b"lost", b"reset"]
    assert rows["gap_samples"].tolist() == [0, 8, 0]
    assert rows["device_time_us"].tolist() == [0, 192000, 40000]
    assert rows["host_time_s"].tolist() == [1e9, 1e9 + 24 / 125, 1e9 + 5 / 125]
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_an_index_that_jumps_by_years_does_not_fill_the_disk(tmp_path):
    path = tmp_path / "walk.npz"
    write_journal(path, a_block(0), a_block(2**45))
    assert finish_recording(path)[1].samples == 33
    with np.load(path) as archive:
        assert archive["blocks"]["index"].tolist() == [0, 2**45]


def test_edf_keeps_blocks_and_statistics_beside_it(tmp_path):
    pytest.importorskip("edfio", reason="needs the `io` extra")
    path = tmp_path / "walk.edf"
    write_journal(path, *(a_block(16 * i) for i in range(10)), JournalStatistics({"a": 1}))
    assert finish_recording(path)[0] == path
    assert read_recording(path).ppg.size == 160
    with np.load(tmp_path / "walk.edf.blocks.npz") as archive:
        assert len(archive["blocks"]) == 10
        assert json.loads(str(archive["statistics"])) == {"a": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walk.edf", "walk.edf.blocks.npz"]


def test_recording_again_over_what_was_not_finished_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "walk.npz"
    write_journal(path, a_block(0))
    before = journal_path(path).read_bytes()
    with pytest.raises(UnfinishedRecordingError, match="plethprint recover") as caught:
        Recorder(path)
    assert caught.value.path == str(journal_path(path))
    with pytest.raises(UnfinishedRecordingError):
        JournalWriter(journal_path(path), HEAD)
    assert journal_path(path).read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="locks are POSIX's")
def test_a_journal_that_is_being_written_is_left_alone(tmp_path):
    path = tmp_path / "walk.npz"
    writer = JournalWriter(journal_path(path), HEAD)
    writer.append(a_block(0))
    for use in (Recorder, finish_recording, read_summary):
        with pytest.raises(RecordingError, match="being written by another"):
            use(path)
    writer.close()
    assert finish_recording(path)[1].received == 16


def test_a_recording_that_is_there_is_never_written_over(tmp_path):
    path = tmp_path / "walk.npz"
    path.write_bytes(b"yesterday")
    with pytest.raises(RecordingWriteError, match="is there already"):
        Recorder(path)
    write_journal(path, a_block(0))
    with pytest.raises(RecordingWriteError, match="is there already"):
        finish_recording(path)
    assert path.read_bytes() == b"yesterday"
    assert finish_recording(path, tmp_path / "today.npz")[1].received == 16


def test_a_folder_that_cannot_be_written_is_told_before_connecting(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    with pytest.raises(RecordingWriteError, match="Permission denied"):
        Recorder(tmp_path / "walk.npz")


def test_a_disk_that_is_full_while_finishing_leaves_the_journal(tmp_path, monkeypatch):
    path = tmp_path / "walk.npz"
    write_journal(path, a_block(0))
    before = journal_path(path).read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RecordingWriteError, match="stays in"):
            finish_recording(path)
    assert [p.name for p in tmp_path.iterdir()] == ["walk.npz.journal"]
    assert journal_path(path).read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_while_writing_is_one_typed_error(tmp_path):
    writer = JournalWriter(tmp_path / "walk.npz.journal", HEAD)
    writer._file.close()
    writer._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    with pytest.raises(RecordingWriteError, match="No space left"):
        writer.append(a_block(0))
    writer.close()


def test_the_command_finishes_a_journal_and_first_shows_what_is_in_it(tmp_path, capsys):
    path = tmp_path / "walk.npz"
    write_journal(path, a_block(0), a_block(16))
    with journal_path(path).open("ab") as file:
        file.write(a_block(32).to_bytes()[:-1])
    assert run(["recover", str(journal_path(path)), "--look", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["samples"], told["ended"], told["out"]) == (32, None, None)
    assert told["unread_bytes"] == len(a_block(32).to_bytes()) - 1
    assert run(["recover", str(path)]) == 0
    assert str(path) in capsys.readouterr().out
    assert math.isclose(read_recording(path).duration_s, 32 / 125)
    assert run(["recover", str(path)]) == 1
    assert "cannot read" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", MAGIC[:3], MAGIC, MAGIC + HEAD.to_bytes()])
def test_a_journal_without_a_sample_is_told_and_kept(content, tmp_path):
    journal = tmp_path / "walk.npz.journal"
    journal.write_bytes(content)
    with pytest.raises(RecordingError, match="holds no sample"):
        finish_recording(journal)
    assert journal.exists()
    assert journal_module.journal_path(journal) == journal


class AWearable:
    """As much of a wearable as a recorder asks for."""

    name = address = "ring"
    sample_rate_hz = 125.0

    def pulse_channel(self):
        return 0, SimpleNamespace(kind=SimpleNamespace(name="GREEN"), polarity=1)

    def statistics(self):
        return SimpleNamespace(to_dict=dict)

    async def frames(self):
        frame = SimpleNamespace(device_time_us=None, on_skin=True)
        yield SimpleNamespace(
            epoch=0, index=0, start_s=1e9, host_period_s=1 / 125, gap=None, frame=frame,
            samples=np.ones((16, 1), np.int32),
        )  # fmt: skip
        await asyncio.Event().wait()


def test_two_that_record_under_one_name_are_not_both_told_that_all_is_well(tmp_path):
    async def both() -> None:
        first, second = Recorder(tmp_path / "a.npz"), Recorder(tmp_path / "a.npz")
        async with recording(first, AWearable()):
            await asyncio.sleep(0.1)
            with pytest.raises(RecordingWriteError, match="somebody else records here"):
                async with recording(second, AWearable()):
                    await asyncio.sleep(0.1)
        assert first.summary is not None
        assert first.summary.received == 16

    asyncio.run(both())


def test_a_block_being_written_when_the_stream_ends_is_in_the_recording(
    tmp_path, monkeypatch
):
    write = Recorder._write

    def slowly(self, wearable, block):
        time.sleep(0.2)
        write(self, wearable, block)

    monkeypatch.setattr(Recorder, "_write", slowly)

    async def briefly() -> None:
        recorder = Recorder(tmp_path / "a.npz")
        async with recording(recorder, AWearable()):
            await asyncio.sleep(0.05)
        assert recorder.summary is not None
        assert recorder.summary.received == 16

    asyncio.run(briefly())
    time.sleep(0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("path", [".", "/"])
def test_a_folder_to_recover_is_one_clear_sentence(path, capsys):
    assert run(["recover", path]) == 1
    assert "is a folder; name a recording" in capsys.readouterr().err


def test_a_journal_that_was_renamed_says_how_to_name_its_recording(tmp_path, capsys):
    write_journal(tmp_path / "notes", a_block(0))
    assert run(["recover", str(tmp_path / "notes.journal")]) == 1
    assert "--out NAME.npz" in capsys.readouterr().err


def test_a_journal_on_a_card_that_is_read_only_is_recovered_elsewhere(
    tmp_path, monkeypatch, caplog
):
    write_journal(tmp_path / "walk.npz", a_block(0))
    unlink = Path.unlink

    def refusing(path, missing_ok=False):
        if path.suffix == ".journal":
            raise OSError(30, "Read-only file system")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)
    written, summary = finish_recording(tmp_path / "walk.npz", tmp_path / "out.npz")
    assert written.exists()
    assert summary.received == 16
    assert "remove it yourself" in caplog.text


def test_a_head_of_numbers_beyond_all_is_no_head():
    content = json.dumps({**vars(HEAD), "polarity": math.inf}).encode()
    whole = struct.pack("<BI", ord("H"), len(content)) + content
    file = io.BytesIO(MAGIC + whole + struct.pack("<I", zlib.crc32(whole)))
    assert list(JournalReader(file)) == []
