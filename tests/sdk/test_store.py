"""The log keeps every fingerprint once, survives its writer's death and finds forgeries."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import plethprint
from plethprint.errors import StoreError, StoreIntegrityError, StoreKeyError
from plethprint.fingerprint import Fingerprint, unit_scale
from plethprint.store import (
    FingerprintStore,
    StoredFingerprint,
    create_key_file,
    fhir,
    read_key_file,
)
from plethprint.store.table import COLUMNS, utc_text, write_csv, write_parquet

KEY = bytes(range(32))
SDK = str(Path(plethprint.__file__).parents[1])


def fingerprint(start=1.7e9, seed=0, **changes):
    vector = np.random.default_rng(seed).integers(-128, 128, 64).astype(np.int8)
    fields = {"quality": 0.75, "model": "toy@1+00000000", **changes}
    return Fingerprint(vector, unit_scale(vector), start=start, duration_s=10.0, **fields)


def row(index=0, wearer="ada", **changes):
    return StoredFingerprint(
        fingerprint(1.7e9 + 5.0 * index, int(index)),
        wearer=wearer,
        **{"wearable": "AA:BB", "device_time_s": 5.0 * index, **changes},
    )


@pytest.fixture(params=[None, KEY], ids=["open", "encrypted"])
def key(request):
    return request.param


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log.db"


def test_what_goes_in_comes_out(path, key):
    print_ = fingerprint(inverted=0.25, quality_reason="motion", heart_rate_bpm=61.0)
    given_row = StoredFingerprint(print_, "ada", "AA:BB", 12.5, 0.125)
    with FingerprintStore(path, key=key) as store:
        assert store.append(given_row)
    with FingerprintStore(path, key=key, create=False) as store:
        (found,) = store.query()
    assert found == given_row
    assert found.fingerprint.inverted == 0.25
    assert found.fingerprint.quality_reason == "motion"
    assert (found.device_time_s, found.gap_fraction) == (12.5, 0.125)


def test_a_fingerprint_without_its_wearer_is_refused(path, key):
    with FingerprintStore(path, key=key) as store:
        with pytest.raises(StoreError, match=r"StoredFingerprint.*not Fingerprint"):
            store.append(fingerprint())
        assert store.summary().rows == 0


def test_the_same_row_twice_is_one_row(path, key):
    with FingerprintStore(path, key=key) as store:
        assert store.append(row(1))
        assert not store.append(row(1))
        assert store.append_many([row(1), row(2), row(2)]) == 1
    with FingerprintStore(path, key=key) as store:
        assert not store.append(row(2))
        assert store.verify() == 2


def test_rows_are_found_by_time_wearer_model_and_quality(path, key):
    with FingerprintStore(path, key=key) as store:
        store.append_many([row(i, "ada") for i in (4, 2, 0)])
        store.append_many([row(i, "bob") for i in (1, 3)])
        store.append(StoredFingerprint(fingerprint(2e9, model="b@1+1", quality=0.1), "bob"))
        starts = [r.fingerprint.start - 1.7e9 for r in store.query(to_s=1.8e9)]
        assert starts == [0.0, 5.0, 10.0, 15.0, 20.0]
        assert [r.wearer for r in store.query(wearer="bob", to_s=1.8e9)] == ["bob"] * 2
        between = store.query(from_s=1.7e9 + 5, to_s=1.7e9 + 15)
        assert [r.fingerprint.start - 1.7e9 for r in between] == [5.0, 10.0]
        assert [r.fingerprint.model for r in store.query(model="b@1+1")] == ["b@1+1"]
        assert len(list(store.query(min_quality=0.5))) == 5
        assert list(store.query(wearer="nobody")) == []


def test_more_rows_than_a_page_come_once_each_and_in_order(path):
    rows = [row(i % 700, wearer=f"w{i // 700}") for i in range(1400)]  # equal starts too
    with FingerprintStore(path) as store:
        assert store.append_many(rows) == 1400
        found = [(r.fingerprint.start, r.wearer) for r in store.query()]
        assert store.verify() == 1400
    assert len(set(found)) == 1400
    assert [start for start, _ in found] == sorted(start for start, _ in found)


def test_an_encrypted_file_shows_neither_wearer_nor_vector(path):
    with FingerprintStore(path, key=KEY) as store:
        store.append(row(0, wearer="countess-lovelace"))
        bytes_ = b"".join(p.read_bytes() for p in path.parent.glob("log.db*"))
    for secret in (b"countess", b"AA:BB", b"toy@1", row(0).fingerprint.vector.tobytes()):
        assert secret not in bytes_
    assert KEY not in bytes_


def test_the_wrong_key_and_no_key_and_a_needless_key_are_told_apart(path, tmp_path):
    with FingerprintStore(path, key=KEY) as store:
        store.append(row())
    for wrong in (bytes(32), KEY[:31], KEY + b"\0"):
        with pytest.raises(StoreKeyError, match="not the key"):
            FingerprintStore(path, key=wrong)
    with pytest.raises(StoreKeyError, match="encrypted"):
        FingerprintStore(path)
    with pytest.raises(StoreKeyError, match="16 random bytes"):
        FingerprintStore(tmp_path / "new.db", key=b"short")
    FingerprintStore(tmp_path / "open.db").close()
    with pytest.raises(StoreKeyError, match="not encrypted"):
        FingerprintStore(tmp_path / "open.db", key=KEY)


def forge(path, statement, *values):
    """Change the file as somebody does who knows SQLite but not the key."""
    database = sqlite3.connect(path)
    for trigger in ("only_appended", "only_pruned"):
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute(statement, values)
    database.commit()
    database.close()


FORGERIES = {
    "content": "UPDATE fingerprints SET content = zeroblob(200) WHERE sequence = 2",
    "one bit": "UPDATE fingerprints SET content = substr(content, 1, 40) || x'00' || "
    "substr(content, 42) WHERE sequence = 2",
    "time": "UPDATE fingerprints SET start_s = start_s + 1 WHERE sequence = 2",
    "wearer": "UPDATE fingerprints SET wearer = (SELECT wearer FROM fingerprints "
    "WHERE sequence = 4) WHERE sequence = 2",
    "number": "UPDATE fingerprints SET sequence = 9 WHERE sequence = 2",
    "content of another row": "UPDATE fingerprints SET content = (SELECT content FROM "
    "fingerprints WHERE sequence = 3) WHERE sequence = 2",
    "deleted": "DELETE FROM fingerprints WHERE sequence = 2",
    "type": "UPDATE fingerprints SET content = 'text' WHERE sequence = 2",
    "type of time": "UPDATE fingerprints SET start_s = 'noon' WHERE sequence = 2",
    "null": "UPDATE fingerprints SET content = x'' WHERE sequence = 2",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_tampering_is_found(path, key, forgery):
    with FingerprintStore(path, key=key) as store:
        store.append_many([row(1), row(2), row(3), row(4, wearer="bob")])
        assert store.verify() == 4
    forge(path, FORGERIES[forgery])
    with (
        FingerprintStore(path, key=key) as store,
        pytest.raises(StoreIntegrityError) as told,
    ):
        store.verify()
    assert told.value.sequence in (2, 9)


def test_a_forged_note_of_removal_is_found_where_there_is_a_key(path):
    with FingerprintStore(path, key=KEY) as store:
        store.append_many([row(i) for i in range(4)])
    forge(path, "DELETE FROM fingerprints WHERE sequence = 2")
    database = sqlite3.connect(path)
    database.execute("INSERT INTO removed VALUES (2, 2, zeroblob(28))")
    database.commit()
    database.close()
    with (
        FingerprintStore(path, key=KEY) as store,
        pytest.raises(StoreIntegrityError, match="not genuine"),
    ):
        store.verify()


def test_a_row_of_another_log_with_the_same_key_does_not_pass(tmp_path):
    for name in ("a.db", "b.db"):
        with FingerprintStore(tmp_path / name, key=KEY) as store:
            store.append(row(1))
    with closing(sqlite3.connect(tmp_path / "b.db")) as database:
        other = database.execute("SELECT * FROM fingerprints").fetchone()
    forge(tmp_path / "a.db", "DELETE FROM fingerprints")
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("INSERT INTO fingerprints VALUES (?, ?, ?, ?, ?)", other)
        database.commit()
    with (
        FingerprintStore(tmp_path / "a.db", key=KEY) as store,
        pytest.raises(StoreIntegrityError),
    ):
        list(store.query())


def test_sqlite_itself_refuses_to_change_or_delete_rows(path):
    with FingerprintStore(path) as store:
        store.append(row())
    with closing(sqlite3.connect(path)) as database:
        for change in ("UPDATE fingerprints SET start_s = 0", "DELETE FROM fingerprints"):
            with pytest.raises(sqlite3.IntegrityError, match="this log"):
                database.execute(change)


def test_old_rows_and_wearers_are_taken_out_for_good_and_the_rest_still_verifies(path, key):
    with FingerprintStore(path, key=key) as store:
        store.append_many([row(i, wearer=("ada", "bob")[i % 2]) for i in range(10)])
        with closing(sqlite3.connect(path)) as database:
            removed_bytes = database.execute(
                "SELECT content FROM fingerprints WHERE sequence = 1"
            ).fetchone()[0]
        assert store.prune(before_s=1.7e9 + 20) == 4
        assert store.prune(wearer="bob") == 3
        assert [r.fingerprint.start - 1.7e9 for r in store.query()] == [20.0, 30.0, 40.0]
        assert store.verify() == 3
        assert store.summary().removed_rows == 7
        assert store.prune(wearer="bob") == 0
        assert store.append(row(11))
        assert store.verify() == 4
        files = b"".join(p.read_bytes() for p in path.parent.glob("log.db*"))
    assert removed_bytes not in files
    with (
        FingerprintStore(path, key=key) as store,
        pytest.raises(StoreError, match="say what"),
    ):
        store.prune()


def test_numbers_are_not_given_twice_when_the_newest_rows_were_pruned(path, key):
    with FingerprintStore(path, key=key) as store:
        store.append_many([row(0), row(1, wearer="bob")])
        store.prune(wearer="bob")
        store.append(row(2))
        assert store.verify() == 2


def test_the_summary_names_wearers_and_time(path, key):
    with FingerprintStore(path, key=key) as store:
        assert store.summary().rows == 0
        assert store.summary().first_start_s is None
        store.append_many([row(0, wearer="bob"), row(3, wearer="ada")])
        summary = store.summary()
    assert summary.wearers == ("ada", "bob")
    assert (summary.first_start_s, summary.last_start_s) == (1.7e9, 1.7e9 + 15)
    assert summary.encrypted is (key is not None)


def run_writer(code, path, key):
    header = (
        f"import sys, os, signal; sys.path[:0] = [{SDK!r}]\n"
        f"import numpy as np\n"
        "from plethprint.fingerprint import Fingerprint, unit_scale\n"
        "from plethprint.store import FingerprintStore, StoredFingerprint\n"
        "v = np.arange(64).astype(np.int8)\n"
        "def row(i): return StoredFingerprint(Fingerprint(v, unit_scale(v), start=5.0*i,"
        " duration_s=10.0, quality=.5, model='toy@1+0'), 'ada')\n"
        f"store = FingerprintStore({str(path)!r}, key={key!r})\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", header + code], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_writer_killed_at_any_moment_loses_no_row_it_had_reported(path, key):
    written = 0
    for kill_after in (1, 37):
        code = (
            f"i = {1000 * kill_after}\n"
            "while True:\n    store.append(row(i)); print(i, flush=True); i += 1\n"
        )
        writer = run_writer(code, path, key)
        for _ in range(kill_after):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        reported = kill_after + len(writer.stdout.read().splitlines())
        writer.wait()
        writer.stdout.close()
        with FingerprintStore(path, key=key) as store:
            rows = store.verify()
        # One row may have been committed and not yet reported.
        assert reported <= rows - written <= reported + 1
        written = rows


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_writer_killed_inside_a_transaction_loses_that_transaction_alone(path, key):
    code = """
store.append_many(row(i) for i in range(3))
seal, close = store._seal, store._seal.close
def dying(content, facts, calls=[]):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return close(content, facts)
seal.close = dying
store.append_many(row(i) for i in range(3, 9))
"""
    with run_writer(code, path, key) as writer:
        assert writer.wait() == -signal.SIGKILL
    with FingerprintStore(path, key=key) as store:
        assert store.verify() == 3
        assert [r.fingerprint.start for r in store.query()] == [0.0, 5.0, 10.0]
        assert store.append(row(3))


def test_two_writers_and_a_reader_share_a_log(path, key):
    stores = [FingerprintStore(path, key=key) for _ in range(2)]

    def write(place):
        for index in range(20):
            stores[place].append(row(index, wearer=f"w{place}"))

    threads = [threading.Thread(target=write, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    with FingerprintStore(path, key=key) as reader:
        assert all(r.wearer in ("w0", "w1") for r in reader.query())
    for thread in threads:
        thread.join()
    assert stores[0].verify() == 40
    for store in stores:
        store.close()


def test_other_files_are_refused_and_left_as_they_are(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no database, but long enough to be looked at as one\n" * 20)
    foreign = tmp_path / "foreign.db"
    database = sqlite3.connect(foreign)
    database.execute("CREATE TABLE t (x)")
    database.commit()
    database.close()
    before = foreign.read_bytes()
    for file, words in ((text, "not a database"), (foreign, "no log")):
        with pytest.raises(StoreError, match=words):
            FingerprintStore(file)
    assert foreign.read_bytes() == before
    with pytest.raises(StoreError, match="no regular file"):
        FingerprintStore(tmp_path)
    with pytest.raises(StoreError, match="there is no log"):
        FingerprintStore(tmp_path / "none.db", create=False)
    with pytest.raises(StoreError, match="cannot make"):
        FingerprintStore(tmp_path / "no" / "folder.db")


def test_a_closed_log_says_so(path):
    store = FingerprintStore(path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append(row())


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_new_log_is_readable_by_its_owner_alone(path):
    with FingerprintStore(path, key=KEY) as store:
        store.append(row())
        for file in path.parent.glob("log.db*"):
            assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"wearer": ""},
        {"wearer": "x" * 256},
        {"wearer": "\udc80"},
        {"wearer": 5},
        {"wearable": None},
        {"device_time_s": float("nan")},
        {"gap_fraction": 1.5},
    ],
    ids=str,
)
def test_labels_and_numbers_out_of_range_are_refused(changes):
    with pytest.raises(StoreError):
        row(**changes)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_row_give_one_typed_error(data):
    with pytest.raises(StoreIntegrityError):
        StoredFingerprint.from_bytes(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_of_a_row_gives_the_typed_error_or_another_row(place, change):
    data = bytearray(row(3).to_bytes())
    data[place % len(data)] ^= change
    try:
        changed = StoredFingerprint.from_bytes(bytes(data))
    except StoreIntegrityError:
        return
    assert changed.to_bytes() != row(3).to_bytes()


def test_a_key_file_is_made_once_read_back_and_private(tmp_path, caplog):
    file = tmp_path / "key"
    key = create_key_file(file)
    assert read_key_file(file) == key
    assert len(key) == 32
    assert not caplog.records
    with pytest.raises(StoreKeyError, match="exists"):
        create_key_file(file)
    (tmp_path / "raw").write_bytes(bytes(range(128, 160)))
    assert read_key_file(tmp_path / "raw") == bytes(range(128, 160))
    (tmp_path / "short").write_bytes(b"abcd")
    for name, words in (("short", "holds 2 bytes"), ("none", "cannot read")):
        with pytest.raises(StoreKeyError, match=words):
            read_key_file(tmp_path / name)
    with pytest.raises(StoreKeyError, match="no regular file"):
        read_key_file(tmp_path)
    if os.name == "posix":
        file.chmod(0o644)
        read_key_file(file)
        assert "chmod 600" in caplog.text


def test_csv_holds_every_column_and_disarms_formulas():
    file = io.StringIO()
    assert write_csv([row(0, wearer="=cmd()"), row(1)], file) == 2
    lines = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert tuple(lines[0]) == COLUMNS
    assert lines[0]["wearer"] == "'=cmd()"
    assert lines[0]["heart_rate_bpm"] == ""
    assert lines[1]["start_utc"] == "2023-11-14T22:13:25.000000Z"
    vector = np.array(lines[1]["vector"].split(), np.int8)
    assert np.array_equal(vector, row(1).fingerprint.vector)
    assert float(lines[1]["start_s"]) == 1.7e9 + 5


def test_parquet_holds_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the `store` extra")
    file = tmp_path / "rows.parquet"
    assert write_parquet([row(i) for i in range(3)], file) == 3
    table = parquet.read_table(file)
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert rows[2]["vector"] == row(2).fingerprint.vector.tolist()
    assert (rows[2]["start_s"], rows[2]["heart_rate_bpm"]) == (1.7e9 + 10, None)
    assert write_parquet([], tmp_path / "none.parquet") == 0
    assert tuple(parquet.read_table(tmp_path / "none.parquet").column_names) == COLUMNS


def test_observations_are_valid_fhir_r5_and_hold_the_numbers():
    pytest.importorskip("fhir.resources", reason="needs fhir.resources")
    from fhir.resources.bundle import Bundle
    from fhir.resources.observation import Observation

    rows = [row(0), row(1), row(2, wearer="bob"), row(100), row(100.5, wearable="")]
    file = io.StringIO()
    assert fhir.write_bundle(rows, file) == 4  # ada, bob, ada after a pause, no wearable
    bundle = Bundle.model_validate_json(file.getvalue())
    first = bundle.entry[0].resource
    assert isinstance(first, Observation)
    assert first.subject.identifier.value == "ada"
    assert first.device.identifier.value == "AA:BB"
    sampled = first.valueSampledData
    numbers = np.array(sampled.data.split(), np.int8).reshape(-1, sampled.dimensions)
    assert np.array_equal(numbers, [row(i).fingerprint.vector for i in (0, 1)])
    assert sampled.offsets == "0 5"
    assert [c.valueSampledData.data for c in first.component] == ["E E", "0.75 0.75", "0 0"]
    assert first.effectivePeriod.start.isoformat().startswith("2023-11-14T22:13:20")
    empty = io.StringIO()
    assert fhir.write_bundle([], empty) == 0
    Bundle.model_validate_json(empty.getvalue())
    lines = io.StringIO()
    assert fhir.write_ndjson(rows, lines) == 4
    for line in lines.getvalue().splitlines():
        Observation.model_validate_json(line)
        assert json.loads(line)["status"] == "final"


def test_a_long_wearing_is_cut_into_observations_of_an_hour():
    made = list(fhir.observations(row(i) for i in range(fhir.MAX_WINDOWS + 1)))
    lengths = [len(o["valueSampledData"]["offsets"].split()) for o in made]
    assert lengths == [fhir.MAX_WINDOWS, 1]


def test_a_time_beyond_the_calendar_has_no_text():
    assert utc_text(1e300) == ""
    assert utc_text(float("-1e12")) == ""


def test_fingerprints_travel_over_lab_streaming_layer():
    try:
        import pylsl
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"needs the `lsl` extra: {error}")
    from plethprint.errors import FingerprintMismatchError
    from plethprint.store.lsl import LslOutlet

    source = f"test-{os.getpid()}"
    outlet = LslOutlet("toy@1+00000000", 64, source=source)
    found = pylsl.resolve_byprop("source_id", f"plethprint-{source}", timeout=5)
    if not found:
        pytest.skip("LSL finds no stream here: no network interface for it")
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=5)
    sent = fingerprint()
    outlet.push(sent)
    values, _ = inlet.pull_sample(timeout=5)
    assert values is not None
    assert values[0] == 0.75
    assert np.isnan(values[1])
    assert np.allclose(values[3:], sent.unit())
    with pytest.raises(FingerprintMismatchError):
        outlet.push(fingerprint(model="b@1+1"))
    outlet.close()
