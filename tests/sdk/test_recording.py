"""Recordings from files: what is there comes out, what is wrong gets one sentence."""

import sys
import time
import tracemalloc
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plethprint.errors import MissingExtraError, RecordingError, SampleRateError
from plethprint.io import Recording, read_recording

DATA = Path(__file__).parents[3] / "shared" / "data"
PPG = np.round(np.sin(np.arange(200) / 7.0), 4)


@pytest.fixture
def write(tmp_path):
    """Write a text file and return its path."""

    def _write(text, name="walk.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def table(header, *columns, sep=","):
    rows = [sep.join(str(cell) for cell in row) for row in zip(*columns, strict=True)]
    return "\n".join(([header] if header else []) + rows) + "\n"


# --- text tables ---------------------------------------------------------------------


@pytest.mark.parametrize("sep", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", ["time_s{}ppg", ""])
def test_a_table_with_time_gives_its_rate(write, sep, header):
    times = np.arange(PPG.size) / 64
    text = table(header.format(sep), times, PPG, sep=sep)
    recording = read_recording(write(text))
    assert recording.sample_rate_hz == pytest.approx(64.0)
    assert recording.ppg.dtype == np.float32
    assert recording.ppg == pytest.approx(PPG)
    assert (recording.name, recording.gap_samples, recording.missing) == ("walk", 0, 0.0)
    assert recording.ecg is None
    assert recording.start == 0.0


@pytest.mark.parametrize("header", ["", "ppg", "value", "PPG [counts]", "\ufeffppg"])
def test_a_single_column_needs_only_a_rate(write, header):
    path = write(table(header, PPG))
    assert read_recording(path, sample_rate_hz=50).ppg == pytest.approx(PPG)
    with pytest.raises(RecordingError, match="give it as sample_rate_hz"):
        read_recording(path)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("time", 1), ("t_s", 1), ("seconds", 1), ("time_ms", 1e3), ("Time [ms]", 1e3),
        ("timestamp", 1e3), ("timestamp_us", 1e6), ("ts", 1e9),
    ],
)  # fmt: skip
def test_the_unit_of_time_is_told_by_the_name_or_by_the_steps(write, name, unit):
    times = np.rint(np.arange(PPG.size) / 64 * unit * 1e3) / 1e3
    recording = read_recording(write(table(f"{name},ppg", times, PPG)))
    assert recording.sample_rate_hz == pytest.approx(64.0, rel=1e-3)


def test_stamps_in_whole_milliseconds_still_give_the_true_rate(write):
    stamps = np.rint(np.arange(PPG.size) / 64 * 1000).astype(int) + 1_700_000_000_000
    recording = read_recording(write(table("timestamp_ms,bvp", stamps, PPG)))
    assert recording.sample_rate_hz == pytest.approx(64.0, rel=1e-3)
    assert recording.start == pytest.approx(1.7e9)
    assert recording.gap_samples == 0


def test_iso_time_is_read_as_utc(write):
    start = np.datetime64("2024-05-01T10:00:00", "ms")
    stamps = [f"{start + np.timedelta64(20 * n, 'ms')}Z" for n in range(PPG.size)]
    recording = read_recording(write(table("time,ppg", stamps, PPG)))
    assert recording.sample_rate_hz == pytest.approx(50.0)
    assert recording.start == 1714557600.0


def test_a_gap_in_time_becomes_missing_samples_that_are_counted(write):
    times = np.arange(PPG.size) / 64
    keep = np.ones(PPG.size, bool)
    keep[50:60] = keep[100] = False
    recording = read_recording(write(table("t_s,ppg", times[keep], PPG[keep])))
    assert recording.gap_samples == 11
    assert np.isnan(recording.ppg).tolist() == (~keep).tolist()
    assert recording.ppg[keep] == pytest.approx(PPG[keep])
    assert recording.missing == pytest.approx(11 / 200)


@settings(max_examples=30, deadline=None)
@given(
    rate_hz=st.floats(20.5, 490),
    dropped=st.sets(st.integers(1, 198), max_size=30),
    jitter=st.floats(0, 0.2),
)
def test_whatever_is_dropped_from_a_table_is_found_again(
    tmp_path_factory, rate_hz, dropped, jitter
):
    rng = np.random.default_rng(0)
    times = (np.arange(PPG.size) + rng.uniform(-jitter, jitter, PPG.size)) / rate_hz
    keep = np.array([n not in dropped for n in range(PPG.size)])
    path = tmp_path_factory.mktemp("gaps") / "gaps.csv"
    path.write_text(table("t_s,ppg", times[keep], PPG[keep]))
    recording = read_recording(path)
    assert recording.sample_rate_hz == pytest.approx(rate_hz, rel=0.02)
    assert np.flatnonzero(np.isnan(recording.ppg)).tolist() == sorted(dropped)


@pytest.mark.parametrize(
    ("cell", "zone"), [("{:.2f}", ""), ("{:.9f}", "+0000"), ("{:.3f}", " Z"), ("{:f}", "")]
)
def test_iso_time_of_any_precision_is_read_on_every_python(write, cell, zone):
    times = np.arange(50) / 50
    cells = [f"2024-05-01 10:00:0{cell.format(time)}{zone}" for time in times]
    recording = read_recording(write(table("time,ppg", cells, PPG[:50])))
    assert recording.sample_rate_hz == pytest.approx(50.0)
    assert recording.start == 1714557600.0


@pytest.mark.parametrize("cell", ["", '""', "NaN", "#N/A"])
@pytest.mark.parametrize("quoted", [False, True])
def test_nothing_amid_a_single_column_is_a_missing_sample(write, cell, quoted):
    cells = [f'"{value}"' if quoted else str(value) for value in PPG]
    cells[3] = cells[7] = cell
    text = table('"PPG [counts]"' if quoted else "ppg", cells) + "\n\n"
    recording = read_recording(write(text), sample_rate_hz=64)
    assert np.flatnonzero(np.isnan(recording.ppg)).tolist() == [3, 7]
    assert recording.ppg[8:] == pytest.approx(PPG[8:])


def test_a_spreadsheet_s_errors_in_the_first_column_are_no_comments(write):
    cells = [str(value) for value in PPG]
    cells[3] = "#N/A"
    text = "# a comment\n" + table("ppg,marker", cells, PPG)
    recording = read_recording(write(text), sample_rate_hz=64)
    assert np.flatnonzero(np.isnan(recording.ppg)).tolist() == [3]
    assert recording.ppg.size == PPG.size


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_line_end_and_any_byte_order_mark_is_read(write, end, encoding):
    text = table("time\tppg", np.arange(PPG.size) / 64, PPG, sep="\t")
    path = write(text.replace("\n", end).encode(encoding))
    assert read_recording(path).ppg == pytest.approx(PPG)
    path = write(table("ppg", PPG).replace("\n", end).encode(encoding))
    assert read_recording(path, sample_rate_hz=64).ppg == pytest.approx(PPG)


@pytest.mark.parametrize("name", ["ppg_quality", "PPG SQI", "ppg_time_ms", "ppg_valid"])
def test_a_column_about_the_ppg_is_not_taken_for_it(write, name):
    times = np.arange(PPG.size) / 64
    text = table(f"time,{name},ppg_green", times, 1000 * times, PPG)
    assert read_recording(write(text)).ppg == pytest.approx(PPG)


def test_a_first_column_that_counts_lines_is_no_time(write):
    path = write(table("", range(PPG.size), PPG))
    with pytest.raises(RecordingError, match="which column is the PPG"):
        read_recording(path, sample_rate_hz=64)
    recording = read_recording(path, sample_rate_hz=64, column="1")
    assert recording.ppg == pytest.approx(PPG)


@pytest.mark.parametrize("value", [1e39, -1e300, 3.4028234663852886e38])
def test_numbers_no_sensor_gives_are_missing_samples(write, save, value):
    values = PPG.copy()
    values[3] = value
    for path in (write(table("ppg", values)), save(ppg=values)):
        recording = read_recording(path, sample_rate_hz=64)
        assert np.flatnonzero(np.isnan(recording.ppg)).tolist() == [3]


def test_digits_in_groups_are_not_read_as_one_number(write):
    with pytest.raises(RecordingError, match="'1_000' in column 'ppg'"):
        read_recording(write("ppg\n1\n1_000\n"), sample_rate_hz=64)


@pytest.mark.parametrize("word", ["NaN", "nan", "", "NA", "null", "None", "-", "inf"])
def test_words_for_nothing_are_missing_samples(write, word):
    cells = [str(value) for value in PPG]
    cells[3] = word
    recording = read_recording(
        write(table("a,ppg", range(PPG.size), cells)), sample_rate_hz=64
    )
    assert np.flatnonzero(np.isnan(recording.ppg)).tolist() == [3]


def test_a_decimal_comma_is_read(write):
    cells = [str(value).replace(".", ",") for value in PPG]
    times = [f"{n / 64:.6f}".replace(".", ",") for n in range(PPG.size)]
    recording = read_recording(write(table("Zeit (s);PPG", times, cells, sep=";")))
    assert recording.ppg == pytest.approx(PPG)
    assert recording.sample_rate_hz == pytest.approx(64.0, rel=1e-3)


def test_comments_empty_lines_windows_line_ends_and_trailing_commas_do_no_harm(write):
    body = "".join(f"{n / 50},{v},\r\n" for n, v in enumerate(PPG))
    recording = read_recording(write("# made by hand\r\n\r\ntime,ppg\r\n" + body))
    assert recording.ppg == pytest.approx(PPG)


def test_the_likeliest_column_is_the_ppg_and_ecg_comes_along(write):
    times = np.arange(PPG.size) / 125
    text = table("time_s,red,ir,green,acc_x,ecg", times, PPG + 1, PPG + 2, PPG, PPG, -PPG)
    recording = read_recording(write(text))
    assert recording.ppg == pytest.approx(PPG)
    assert recording.ecg == pytest.approx(-PPG)
    assert recording.ecg_rate_hz == recording.sample_rate_hz == pytest.approx(125.0)
    assert read_recording(write(text), column="IR").ppg == pytest.approx(PPG + 2)


def test_a_monitor_s_table_is_read_as_it_is(write):
    times = np.arange(PPG.size) / 125
    text = table("Time [s], RESP, PLETH, V, AVR, II", times, PPG, PPG, PPG, PPG, -PPG)
    recording = read_recording(write(text))
    assert recording.ppg == pytest.approx(PPG)
    assert recording.ecg == pytest.approx(-PPG)


def test_a_wrong_column_lists_the_columns_there_are(write):
    path = write(table("time,left,right", PPG, PPG, PPG))
    with pytest.raises(
        RecordingError, match=r"no column 'ppg'; it has 'time', 'left', 'right'"
    ):
        read_recording(path, column="ppg", sample_rate_hz=64)
    with pytest.raises(
        RecordingError, match=r"choose one with column: it has 'time', 'left'"
    ):
        read_recording(path, sample_rate_hz=64)
    bare = write(table("", PPG, PPG, PPG))
    with pytest.raises(RecordingError, match="no header and 3 columns, counted from 0"):
        read_recording(bare, sample_rate_hz=64)
    assert read_recording(bare, sample_rate_hz=64, column="2").ppg == pytest.approx(PPG)


@pytest.mark.parametrize(
    "header",
    ["elapsed_ms,raw_ppg", "unix_timestamp_ms,led_green", "timestamp (ms),acc,led_ir"],
)
def test_names_as_loggers_give_them_are_understood(write, header):
    columns = [np.arange(PPG.size) * 20, *[0 * PPG] * (header.count(",") - 1), PPG]
    recording = read_recording(write(table(header, *columns)))
    assert recording.sample_rate_hz == pytest.approx(50)
    assert recording.ppg == pytest.approx(PPG)


def test_the_column_of_time_can_be_chosen_or_passed_over(write):
    path = write(table("clock,time,ppg", np.arange(PPG.size) * 20, PPG, PPG))
    with pytest.raises(RecordingError, match="time_column none"):
        read_recording(path)
    assert read_recording(path, time_column="Clock").sample_rate_hz == pytest.approx(50)
    passed_over = read_recording(path, time_column="none", sample_rate_hz=64)
    assert passed_over.sample_rate_hz == 64
    assert passed_over.ppg == pytest.approx(PPG)
    with pytest.raises(RecordingError, match="no column 'when'; it has 'clock'"):
        read_recording(path, time_column="when")


def test_times_that_count_samples_are_not_praised_as_a_rate(write):
    path = write(table("timestamp,ppg", np.arange(PPG.size), PPG))
    with pytest.raises(RecordingError, match=r"1 Hz by its times.*time_column none"):
        read_recording(path, sample_rate_hz=64)


def test_a_time_of_day_is_refused_with_what_is_read(write):
    stamps = [f"12:00:{n / 50:06.3f}" for n in range(PPG.size)]
    with pytest.raises(RecordingError, match="a time such as 2026-01-31T12:00"):
        read_recording(write(table("time,ppg", stamps, PPG)))


def test_the_head_of_an_empatica_column_is_no_pair_of_samples(write):
    text = "1544027337.000000\n64.000000\n" + table("", PPG)
    recording = read_recording(write(text, "BVP.csv"))
    assert (recording.sample_rate_hz, recording.start) == (64.0, 1544027337.0)
    assert recording.ppg == pytest.approx(PPG)
    with pytest.raises(RecordingError, match="a rate of 64 Hz, but 100 Hz was given"):
        read_recording(write(text, "BVP.csv"), sample_rate_hz=100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("time,ppg\n", "a header but no samples"),
        (b"\x00\x01\x02binary", "binary"),
        ("time,ppg\n0,1\n0.02\n", "line 3 .* has 1 cells, not 2"),
        ("time,ppg\n0,1\n0.02,high\n", "line 3 .* has 'high' in column 'ppg'"),
        ("time,ppg\n0,1\n0.02,2\n0.01,3\n", "line 4 .* time does not go on"),
        ("time,ppg\n0,1\n0,2\n0,3\n", "line 3 .* time does not go on"),
        ("time,ppg\n0,1\n,2\n0.04,3\n", "line 3 .* has no time stamp"),
        ("time,ppg\n0,1\n", "a single sample"),
        ("time,ppg\n0,1\n5e-324,2\n1e-323,3\n", "is no PPG"),
        ("time,ppg\n-1e308,1\n1e308,2\n1.5e308,3\n", "line 2 .* no time stamp"),
        ("time,ppg\n0,1\n0.02,2\n0.04,3\n9e9,4\n9e9,4\n", "time does not go on"),
        ("time,ppg\n0,nan\n0.02,\n0.04,NA\n", "holds no samples"),
        ('time,ppg\n0,1\n0.02,"2\n0.04,3\n', "quotation mark"),
    ],
)
def test_a_broken_table_is_one_clear_sentence(write, text, message):
    with pytest.raises(RecordingError, match=message):
        read_recording(write(text))


def test_a_long_table_takes_little_more_memory_than_its_text(write):
    path = write(table("time,ppg", np.arange(20_000) / 64, np.tile(PPG, 100)))
    read_recording(path)  # what is loaded once is not counted
    tracemalloc.start()
    read_recording(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 200 * 20_000  # it was 500 bytes a row: 4 GB for a day at 100 Hz


def test_a_gap_of_years_does_not_fill_the_memory(write):
    times = np.arange(PPG.size) / 64
    times[100:] += 1e9
    with pytest.raises(RecordingError, match=r"a gap of 277777\.8 h; split it"):
        read_recording(write(table("time_s,ppg", times, PPG)))


def test_nobody_is_told_to_drop_samples_that_share_the_stamp_of_their_packet(write):
    times = np.repeat(np.arange(20) * 0.2, 10)
    with pytest.raises(RecordingError, match=r"180 of 200 .* in packets: .*column none"):
        read_recording(write(table("time_s,ppg", times, PPG)))


@pytest.mark.parametrize(("burst", "step_s"), [(4, 1e-4), (10, 3e-3), (20, 4e-3)])
def test_stamps_of_arrival_in_bursts_are_refused_and_not_guessed(write, burst, step_s):
    count = PPG.size // burst
    times = np.repeat(np.arange(count) * 0.2, burst)
    times += np.tile(np.arange(burst) * step_s, count)
    with pytest.raises(RecordingError, match="too uneven"):
        read_recording(write(table("time_s,ppg", times, PPG)))


def _camera_times(frames, jitter, seed=0):
    """Frames of a phone: even on the whole, each off by up to `jitter` periods."""
    rng = np.random.default_rng(seed)
    return np.sort(np.arange(frames) + rng.uniform(-jitter, jitter, frames)) / 30.0


@pytest.mark.parametrize("jitter", [0.1, 0.3, 0.5])
def test_frames_that_come_early_or_late_do_not_stretch_time(write, jitter):
    times_s = _camera_times(1800, jitter)
    recording = read_recording(
        write(table("time_ms,ppg", times_s * 1e3, np.sin(2 * np.pi * 1.2 * times_s)))
    )
    assert recording.duration_s == pytest.approx(60.0, abs=0.2)
    assert recording.missing < 0.03
    even_s = times_s[0] + np.arange(recording.ppg.size) / recording.sample_rate_hz
    error = recording.ppg - np.sin(2 * np.pi * 1.2 * even_s)
    assert np.sqrt(np.nanmean(error**2)) < 0.12


def test_a_camera_that_slows_down_in_the_dark_keeps_its_time(write):
    times_s = np.concatenate([np.arange(900) / 30, 30 + np.arange(720) / 24])
    recording = read_recording(
        write(table("time_s,ppg", times_s, np.sin(2 * np.pi * 1.2 * times_s)))
    )
    even_s = np.arange(recording.ppg.size) / recording.sample_rate_hz
    error = recording.ppg - np.sin(2 * np.pi * 1.2 * even_s)
    assert np.abs(error).max() < 0.05
    assert recording.duration_s == pytest.approx(60.0, abs=0.1)
    assert recording.gap_samples == 0


def test_a_pause_between_uneven_frames_is_missing_and_not_drawn_through(write):
    times_s = _camera_times(1800, 0.5)
    times_s[900:] += 3.0
    recording = read_recording(write(table("time_s,ppg", times_s, np.cos(times_s))))
    assert recording.duration_s == pytest.approx(63.0, abs=0.2)
    first = int(30.5 * recording.sample_rate_hz)
    assert np.isnan(recording.ppg[first : first + 60]).all()
    assert recording.gap_samples == np.isnan(recording.ppg).sum()


def test_moments_of_numpy_are_times(write):
    moments = np.datetime64("2026-01-31T12:00:00") + np.arange(600) * np.timedelta64(
        20, "ms"
    )
    recording = Recording.from_times(np.cos(np.arange(600)), moments)
    assert recording.sample_rate_hz == pytest.approx(50.0)
    assert recording.start == 1769860800.0


def test_samples_with_times_of_their_own_make_a_recording(write):
    times_s = 1.7e9 + _camera_times(600, 0.5)
    ppg = np.cos(times_s - 1.7e9)
    recording = Recording.from_times(ppg, times_s, name="camera")
    assert recording.start == times_s[0]
    assert recording.name == "camera"
    same = read_recording(write(table("time_s,ppg", times_s, ppg)))
    assert recording.ppg == pytest.approx(same.ppg, nan_ok=True, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda times_s: times_s[:-1], "a time for each sample"),
        (lambda times_s: times_s[::-1], "on sample 1 of recording time does not go on"),
        (lambda times_s: np.maximum(times_s, 0.1), "on sample 1 .* time does not go on"),
        (lambda times_s: np.where(times_s == 1.0, np.nan, times_s), "sample 30 .* no time"),
    ],
)
def test_times_that_show_no_order_are_refused(change, message):
    times_s = np.arange(600) / 30
    with pytest.raises(RecordingError, match=message):
        Recording.from_times(np.cos(times_s), change(times_s))


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
@pytest.mark.parametrize("record", ["record_02", "record_09", "record_12", "record_18"])
def test_real_phones_keep_their_time(record):
    with np.load(DATA / "welltory" / f"{record}.npz") as arrays:
        times_s = arrays["time_ms"].astype(np.float64) / 1e3
        red = arrays["ppg"][0].astype(np.float64)
    recording = Recording.from_times(red, times_s)
    assert recording.duration_s == pytest.approx(times_s[-1] - times_s[0], abs=0.1)
    assert recording.missing < 0.08


def test_a_rate_that_contradicts_the_time_column_is_refused(write):
    path = write(table("time_s,ppg", np.arange(PPG.size) / 64, PPG))
    assert read_recording(path, sample_rate_hz=64).sample_rate_hz == pytest.approx(64)
    with pytest.raises(RecordingError, match="rate of 64 Hz, but 100 Hz was given"):
        read_recording(path, sample_rate_hz=100)


@pytest.mark.parametrize("rate_hz", [7, 0, -3, float("nan"), 501, 1e9])
def test_a_rate_out_of_range_is_refused(write, rate_hz):
    with pytest.raises(SampleRateError):
        read_recording(write(table("ppg", PPG)), sample_rate_hz=rate_hz)


def test_a_time_column_that_shows_a_rate_out_of_range_is_refused(write):
    with pytest.raises(SampleRateError, match="7 Hz"):
        read_recording(write(table("time_s,ppg", np.arange(PPG.size) / 7, PPG)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_foreign_bytes_raise_nothing_but_our_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("foreign")
    for name in ("x.csv", "x.npz"):
        (folder / name).write_bytes(data)
        try:
            recording = read_recording(folder / name, sample_rate_hz=64)
        except (RecordingError, SampleRateError):
            continue
        assert np.isfinite(recording.ppg).any()


# --- numpy archives ------------------------------------------------------------------


@pytest.fixture
def save(tmp_path):
    """Write an archive and return its path."""

    def _save(**arrays):
        np.savez(tmp_path / "walk.npz", **arrays)
        return tmp_path / "walk.npz"

    return _save


def test_codes_are_decoded_with_gain_and_offset(save):
    codes = np.array([[0, 100, -32768, -200]], np.int16)[0]
    recording = read_recording(
        save(ppg=codes, ppg_gain=0.5, ppg_offset=3.0, fs_ppg=125.0, subject="s1")
    )
    assert recording.ppg[[0, 1, 3]].tolist() == [3.0, 53.0, -97.0]
    assert np.isnan(recording.ppg[2])
    assert (recording.sample_rate_hz, recording.name) == (125.0, "s1")
    assert recording.missing == 0.25
    assert recording.duration_s == pytest.approx(4 / 125)


def test_plain_numbers_need_no_gain_and_a_rate_by_any_usual_name(save):
    for key in ("fs_ppg", "ppg_rate_hz", "sample_rate_hz", "fs"):
        recording = read_recording(save(ppg=PPG, **{key: 64}))
        assert recording.ppg == pytest.approx(PPG)
        assert recording.sample_rate_hz == 64.0
        assert recording.name == "walk"


def test_raw_counts_without_a_gain_have_no_code_for_missing(save):
    codes = np.array([-32768, 0, 32767], np.int16)
    recording = read_recording(save(ppg=codes), sample_rate_hz=64)
    assert recording.ppg.tolist() == [-32768.0, 0.0, 32767.0]


def test_an_archive_without_a_rate_says_so(save):
    with pytest.raises(RecordingError, match="does not say its sample rate"):
        read_recording(save(ppg=PPG))


def test_ecg_comes_along_with_its_own_rate(save):
    recording = read_recording(save(ppg=PPG, fs_ppg=64.0, ecg=-PPG, fs_ecg=256.0))
    assert recording.ecg == pytest.approx(-PPG)
    assert recording.ecg_rate_hz == 256.0


def test_of_an_array_of_rows_one_is_chosen(save):
    rows = np.stack([PPG, PPG + 1, PPG + 2])
    path = save(ppg=rows, fs_ppg=64.0, ecg=-rows, fs_ecg=64.0)
    with pytest.raises(
        RecordingError, match=r"3 rows of 200 samples.*'ppg\[0\]' to 'ppg\[2\]'"
    ):
        read_recording(path)
    recording = read_recording(path, column="ppg[1]")
    assert recording.ppg == pytest.approx(PPG + 1)
    assert recording.ecg == pytest.approx(-PPG - 1)
    with pytest.raises(RecordingError, match="3 rows, no row 3"):
        read_recording(path, column="ppg[3]")


@pytest.mark.parametrize("shape", [(1, -1), (-1, 1)])
def test_an_only_row_or_column_is_the_signal(save, shape):
    path = save(ppg=PPG.reshape(shape), fs=50)
    assert read_recording(path).ppg == pytest.approx(PPG)


def test_when_an_archive_began_is_told(save):
    path = save(ppg=PPG, fs_ppg=50.0, start=1.7e9)
    assert read_recording(path).start == 1.7e9
    assert read_recording(save(ppg=PPG, fs_ppg=50.0, start="monday")).start == 0.0


def test_the_padding_of_a_short_row_is_cut_off(save):
    rows = np.full((2, 50), -32768, np.int16)
    rows[:, :30] = 5
    path = save(ppg=rows, ppg_gain=1.0, ppg_offset=0.0, fs_ppg=64.0)
    assert read_recording(path, column="ppg[0]").ppg.size == 30


@pytest.mark.parametrize(
    ("arrays", "column", "message"),
    [
        ({"green": PPG, "fs": 64}, None, "no array 'ppg'; it has green"),
        ({"ppg": PPG, "fs": 64}, "red", "no array 'red'; it has ppg"),
        ({"ppg": PPG, "fs": 64}, "ppg[", "name or name"),
        ({"ppg": PPG, "fs": 64}, "ppg[0]", "without rows"),
        ({"ppg": PPG.astype(str), "fs": 64}, None, "is no signal"),
        ({"ppg": np.zeros((2, 2, 2)), "fs": 64}, None, "is no signal"),
        ({"ppg": np.float64(3), "fs": 64}, None, "is no signal"),
        ({"ppg": np.zeros(0), "fs": 64}, None, "holds no samples"),
        ({"ppg": np.zeros((0, 640)), "fs": 64}, None, "has no rows"),
        ({"ppg": np.full(9, np.nan), "fs": 64}, None, "holds no samples"),
        ({"ppg": PPG, "fs": [64, 65]}, None, "fs in .* must be one number"),
        ({"ppg": PPG, "fs": "64"}, None, "fs in .* must be one number"),
    ],
)
def test_a_wrong_archive_is_one_clear_sentence(save, arrays, column, message):
    with pytest.raises(RecordingError, match=message):
        read_recording(save(**arrays), column=column)


def test_an_archive_of_objects_is_refused_without_unpickling(save):
    with pytest.raises(RecordingError, match="not a numpy archive"):
        read_recording(save(ppg=np.array([{}], dtype=object)))


def test_a_rate_stated_out_of_range_is_refused(save):
    with pytest.raises(SampleRateError, match="1000 Hz"):
        read_recording(save(ppg=PPG, fs=1000))


# --- the rest ------------------------------------------------------------------------


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="is not a file"):
        read_recording(tmp_path / "nothing.csv")
    for folder in (tmp_path, ".", "/", ""):
        with pytest.raises(RecordingError, match="is not a file"):
            read_recording(folder)
    (tmp_path / "x.npz").write_bytes(b"x")
    with pytest.raises(RecordingError, match="no text table"):
        read_recording(tmp_path / "x.npz", time_column="t")
    (tmp_path / "x.mp3").write_bytes(b"x")
    with pytest.raises(RecordingError, match=r"must be \.npz"):
        read_recording(tmp_path / "x.mp3")


def test_wfdb_without_its_extra_says_what_to_install(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "wfdb", None)
    with pytest.raises(MissingExtraError, match=r"plethprint\[io\]"):
        read_recording(write("100 1 125 10\n", "100.hea"))


@pytest.fixture
def far_away(monkeypatch):
    """A machine in another time zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_wfdb_record_is_read_by_its_header_or_its_name(tmp_path, far_away):
    wfdb = pytest.importorskip("wfdb", reason="needs the `io` extra")
    signals = np.stack([PPG, -PPG], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about what wfdb does with it
        wfdb.wrsamp(
            "100",
            fs=125,
            units=["NU", "mV"],
            sig_name=["PLETH", "II"],
            p_signal=signals,
            fmt=["16", "16"],
            write_dir=str(tmp_path),
            base_datetime=datetime(2024, 5, 1, 10),
        )
    for name in ("100.hea", "100.dat", "100"):
        recording = read_recording(tmp_path / name)
        assert recording.ppg == pytest.approx(PPG, abs=1e-3)
        assert recording.ecg == pytest.approx(-PPG, abs=1e-3)
        assert (recording.sample_rate_hz, recording.ecg_rate_hz) == (125.0, 125.0)
        assert recording.start == 1714557600.0
    assert read_recording(tmp_path / "100", column="ii").ppg == pytest.approx(
        -PPG, abs=1e-3
    )
    with pytest.raises(RecordingError, match="no channel red; it has PLETH, II"):
        read_recording(tmp_path / "100", column="red")
    (tmp_path / "100.dat").unlink()
    with pytest.raises(RecordingError, match="not a readable WFDB record"):
        read_recording(tmp_path / "100.hea")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
@pytest.mark.parametrize(
    ("name", "column", "rate_hz", "paired"),
    [
        ("bidmc/bidmc05.npz", None, 125.0, True),
        ("wrist_exercise/s8_walk.npz", None, 256.0, True),
        ("stress_predict/S02.npz", None, 64.0, False),
        ("uci_cuffless/part1.npz", "ppg[3]", 125.0, True),
    ],
)
def test_real_recordings_are_read(name, column, rate_hz, paired):
    recording = read_recording(DATA / name, column=column)
    assert recording.sample_rate_hz == rate_hz
    assert recording.duration_s > 25
    assert recording.missing < 0.1
    assert (recording.ecg is not None) is paired
