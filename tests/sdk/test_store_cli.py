"""Logs on the command line: export, prune, info; recordings in EDF+."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from plethprint.cli.app import run
from plethprint.cli.store_options import moment_s, open_store
from plethprint.errors import RecordingError, StoreKeyError
from plethprint.fingerprint import Fingerprint, unit_scale
from plethprint.io import read_recording
from plethprint.store import FingerprintStore, StoredFingerprint

VECTOR = np.arange(-32, 32).astype(np.int8)


def row(index, wearer="ada"):
    print_ = Fingerprint(
        VECTOR,
        unit_scale(VECTOR),
        start=1.7e9 + 5 * index,
        duration_s=10.0,
        quality=0.25 * (index % 4),
        model="toy@1+00000000",
    )
    return StoredFingerprint(print_, wearer, "AA:BB")


@pytest.fixture
def log(tmp_path):
    """An encrypted log of 8 rows of two people; the arguments that open it."""
    path, key_file = tmp_path / "log.db", tmp_path / "log.key"
    with open_store(path, key_file, create=True) as store:
        store.append_many(row(i, ("ada", "bob")[i % 2]) for i in range(8))
    return ["--store", str(path), "--key-file", str(key_file)]


def test_export_writes_each_format_and_says_how_much(log, tmp_path, capsys):
    for format_, name, count in (("csv", "a.csv", 8), ("fhir", "a.ndjson", 2)):
        out = tmp_path / name
        arguments = ["export", *log, "--format", format_, "--out", str(out), "--json"]
        assert run(arguments) == 0
        assert json.loads(capsys.readouterr().out)["written"] == count
        assert out.stat().st_size > 100
        if os.name == "posix":
            assert out.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob(".*"))


def test_export_to_stdout_can_be_narrowed(log, capsys):
    narrow = ["--wearer", "ada", "--from", "1700000005", "--min-quality", "0.5"]
    assert run(["export", *log, *narrow, "--to", "2023-11-14T23:00:00Z"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3  # the header; windows 2 and 6
    assert run(["export", *log, "--format", "fhir", "--wearer", "bob"]) == 0
    bundle = json.loads(capsys.readouterr().out)
    assert len(bundle["entry"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--format", "parquet"],
        ["--json"],
        ["--from", "yesterday"],
        ["--format", "xml"],
        ["--min-quality", "2"],
    ],
    ids=str,
)
def test_export_refuses_what_makes_no_sense(log, arguments, capsys):
    assert run(["export", *log, *arguments]) == 2
    assert capsys.readouterr().out == ""


def test_a_wrong_key_and_a_missing_log_are_one_sentence(log, tmp_path, capsys):
    wrong = tmp_path / "wrong.key"
    wrong.write_text("00" * 32)
    assert run(["export", *log[:3], str(wrong)]) == 1
    assert "not the key" in capsys.readouterr().err
    assert run(["export", "--store", str(tmp_path / "none.db")]) == 1
    assert "there is no log" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_a_failed_export_leaves_the_old_file_and_no_part(log, tmp_path, capsys):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(log[1])) as database:
        database.execute("DROP TRIGGER only_appended")
        database.execute("UPDATE fingerprints SET start_s = 0 WHERE sequence = 5")
        database.commit()
    out = tmp_path / "kept.csv"
    out.write_text("old")
    assert run(["export", *log, "--out", str(out)]) == 1
    assert "row 5" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".*"))
    assert run(["info", *log]) == 1


def test_info_and_prune_tell_of_a_log(log, capsys):
    assert run(["info", *log, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["verified_rows"], told["wearers"]) == (8, 8, ["ada", "bob"])
    assert told["encrypted"] is True
    assert run(["prune", *log, "--wearer", "bob", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"removed": 4, "left": 4}
    assert run(["info", *log]) == 0
    assert "ada" in capsys.readouterr().out
    assert run(["prune", *log, "--older-than-days", "1"]) == 0
    assert "took out 4" in capsys.readouterr().out
    assert run(["prune", *log]) == 2


def test_a_key_is_made_for_a_new_log_only(tmp_path, capsys):
    path, key_file = tmp_path / "log.db", tmp_path / "log.key"
    FingerprintStore(path, key=bytes(16)).close()
    with pytest.raises(StoreKeyError, match="cannot read"):
        open_store(path, key_file, create=True)
    assert not key_file.exists()
    with open_store(tmp_path / "new.db", key_file, create=True) as store:
        assert store.encrypted
    assert "keep a copy" in capsys.readouterr().err


def test_moments_are_unix_or_iso():
    assert moment_s(None) is None
    assert moment_s("1e9") == 1e9
    assert moment_s("2023-11-14T22:13:20Z") == 1.7e9


def test_stream_refuses_a_key_without_a_log(capsys):
    assert run(["stream", "--key-file", "k"]) == 2
    assert "--store" in capsys.readouterr().err


def test_a_recording_goes_to_edf_and_back(tmp_path):
    pytest.importorskip("edfio", reason="needs the `io` extra")
    from plethprint.io.edf import write_edf

    rng = np.random.default_rng(0)
    ppg = 50_000 + 400 * np.sin(np.arange(1337) / 9) + rng.normal(0, 3, 1337)
    ppg[:4] = ppg[500:730] = np.nan
    file = tmp_path / "walk.edf"
    write_edf(file, ppg, 125.0, start=1.7e9 + 0.25, name="my ring é")
    recording = read_recording(file)
    assert recording.sample_rate_hz == 125.0
    assert recording.start == pytest.approx(1.7e9 + 0.25, abs=1e-3)
    assert recording.ppg.size == 1337
    assert np.array_equal(np.isnan(recording.ppg), np.isnan(ppg))
    assert np.nanmax(np.abs(recording.ppg - ppg)) < np.ptp(ppg[4:500]) / 10_000
    write_edf(file, ppg, 62.5)
    assert read_recording(file).sample_rate_hz == 62.5
    assert read_recording(file).start == 0.0
    with pytest.raises(RecordingError, match="no signal 'ecg'"):
        read_recording(file, column="ecg")
    for bad, rate in ((np.full(9, np.nan), 64.0), (ppg * 1e4, 64.0), (ppg, 64.0123)):
        with pytest.raises(RecordingError):
            write_edf(file, bad, rate)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(RecordingError):
        read_recording(file)
    file.write_bytes(b"no header at all")
    with pytest.raises(RecordingError):
        read_recording(file)
