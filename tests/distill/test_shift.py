"""What another device does, how far a fingerprint moves, and where a task breaks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plethprint.errors import RecordingError, SignalError
from plethprint.polarity import sign_shares
from plethprint.quality import assess, heart_rate_bpm
from plethprint_distill.device_changes import CURVES, INVARIANCES, pulse_sd
from plethprint_distill.invariance import invariance, table
from plethprint_distill.polarity import fit_weights, polarity_figures
from plethprint_distill.shift import (
    LabelledWindows,
    across_people,
    damaged,
    degradation,
    leave_one_corpus_out,
    leave_one_corpus_out_damage,
    quantile_groups,
    subgroups,
)
from plethprint_distill.shift_report import PARTS, draw_curves, shift_report, tables
from plethprint_distill.splits import test_mask as held_out
from plethprint_distill.stretches import StretchSet, looped, read_stretches
from plethprint_distill.windows import WindowSet

RATE_HZ = 100.0
DATA = Path(__file__).parents[3] / "shared" / "data"


def stretches(people=6, each=4, corpus="bidmc", rate_hz=RATE_HZ, seed=0):
    """Upright pulses of another rate in each stretch, another shape in each person."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(16.5 * rate_hz)) / rate_hz
    rows, rates, person = [], [], []
    for p in range(people):
        decay = rng.uniform(0.2, 0.5)
        for _ in range(each):
            rate = rng.uniform(55, 110)
            phase = (t * rate / 60 + rng.uniform()) % 1.0
            rise = np.clip(phase / 0.15, 0, 1)
            pulse = rise * np.exp(-np.clip(phase - 0.15, 0, None) / decay)
            rows.append(500 + 20 * (pulse + 0.01 * rng.normal(size=t.size)))
            rates.append(rate)
            person.append(f"{corpus}/s{p:05d}")
    return StretchSet(corpus, np.stack(rows), rate_hz, np.array(person), np.array(rates))


def rate_and_shape(windows):
    """A toy embedder: what a fingerprint would know, unit length."""
    steps = windows.astype(np.float64)
    rate = np.nan_to_num(heart_rate_bpm(windows).astype(np.float64), nan=70.0) / 70.0
    skew = np.mean(steps**3, axis=1) / np.maximum(np.mean(steps**2, axis=1), 1) ** 1.5
    rough = np.square(np.diff(steps, axis=1)).sum(axis=1) / np.square(steps).sum(axis=1)
    rows = np.stack([rate, skew, 5 * rough, np.ones(len(windows))], axis=1)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


EVERY_CHANGE = [*INVARIANCES, *(change for curve in CURVES.values() for change in curve)]


@pytest.mark.parametrize("change", EVERY_CHANGE, ids=lambda change: change.name)
def test_a_change_keeps_the_stretches_and_leaves_its_input_alone(change):
    given = stretches(2, 1)
    before = given.rows.copy()
    rows, rate_hz = change.apply(given.rows, given.rate_hz)
    assert len(rows) == 2
    assert rows.shape[1] / rate_hz >= 15.0  # warm-up and window are still there
    assert np.array_equal(given.rows, before)
    again, _ = change.apply(given.rows, given.rate_hz)
    assert np.array_equal(rows, again, equal_nan=True)


def change_of(family, level):
    return next(c for c in EVERY_CHANGE if c.family == family and c.level == level)


def test_changes_do_what_they_are_called():
    given = stretches(3, 2)
    sd = pulse_sd(given.rows, RATE_HZ)

    def changed(family, level):
        return change_of(family, level).apply(given.rows, RATE_HZ)[0]

    assert np.isnan(changed("loss in gaps", 0.05)).mean() == pytest.approx(0.05, abs=0.01)
    assert np.isnan(changed("loss in a burst", 0.05)).mean() == pytest.approx(
        0.05, abs=0.02
    )
    clipped = changed("saturation", 0.2)
    extreme = (clipped == clipped.max(axis=1, keepdims=True)) | (
        clipped == clipped.min(axis=1, keepdims=True)
    )
    assert extreme.mean() == pytest.approx(0.2, abs=0.02)
    noise = changed("white noise", 0.2) - given.rows
    assert (noise.std(axis=1) / sd[:, 0]).tolist() == pytest.approx([0.2] * 6, rel=0.1)
    hum = changed("hum 50 Hz", 0.5) - given.rows
    # At 100 Hz a hum of 50 Hz that starts at 0 is taken at its zeros alone.
    assert np.abs(hum).max() < 1e-6
    assert len(np.unique(changed("bits", 8)[0])) <= 2**8 / 4 + 1
    assert (pulse_sd(changed("colour", 1.0), RATE_HZ) < sd).all()
    assert (pulse_sd(changed("colour", -1.0), RATE_HZ) > sd).all()


@pytest.mark.parametrize("rate_hz", [25.0, 30.0, 64.0, 250.0])
def test_another_rate_shows_the_same_pulse(rate_hz):
    given = stretches(2, 1)
    rows, new_hz = change_of("rate", rate_hz).apply(given.rows, RATE_HZ)
    assert new_hz == rate_hz
    at = np.arange(round(5 * rate_hz), round(10 * rate_hz)) / rate_hz
    smooth = pytest.approx(np.interp(at, np.arange(1650) / RATE_HZ, given.rows[0]), abs=6)
    assert rows[0][round(5 * rate_hz) : round(10 * rate_hz)] == smooth


def test_a_short_segment_is_looped_over_whole_beats():
    t = np.arange(0, 2.1, 1 / 125)
    beat = np.sin(2 * np.pi * 1.3 * t) + 0.3 * np.sin(4 * np.pi * 1.3 * t)
    longer = looped(beat + 0.2 * t, 125.0, 15.0)
    assert longer.size == 1875
    assert np.abs(np.diff(longer)).max() < 1.2 * np.abs(np.diff(beat)).max()
    with pytest.raises(RecordingError, match="no beat"):
        looped(beat[:60], 125.0, 15.0)


def test_gain_moves_no_fingerprint_and_a_turn_of_the_pulse_is_found_out():
    rows = invariance(rate_and_shape, stretches(), progress=False)
    found = {row.change: row for row in rows}
    assert found["gain 10 x"].movement.mean == pytest.approx(0.0, abs=1e-3)
    assert found["gain 10 x"].reached
    assert found["polarity -1"].movement.mean > 0.5
    assert found["polarity -1, found out"].movement.mean == 0.0
    for row in rows:
        assert 0 <= row.movement.low <= row.movement.mean <= row.movement.high + 1e-9
        assert row.movement.people == 6
    assert "| gain 10 x | 0.000" in table(rows)


def test_the_distance_between_two_people_is_the_unit():
    # Four people on a circle, 0.5 rad from one to the next; the change turns all by 0.1.
    angles = np.repeat(np.arange(4) * 0.5, 3)
    turns = iter((0.0, 0.1))

    def on_a_circle(windows):
        at = angles + next(turns)
        return np.stack([np.cos(at), np.sin(at)], axis=1).astype(np.float32)

    given = stretches(4, 3)
    change = change_of("gain", 10.0)
    moved, same_person = invariance(on_a_circle, given, [change], progress=False)
    chord = lambda angle: 2 * np.sin(angle / 2)
    unit = np.median([chord(0.5 * d) for d in (1, 1, 1, 2, 2, 3)])
    assert moved.between_people == pytest.approx(unit, abs=1e-5)
    assert moved.movement.mean == pytest.approx(chord(0.1) / unit, abs=1e-4)
    assert moved.worst == pytest.approx(chord(0.1) / unit, abs=1e-4)
    assert same_person.movement.mean == pytest.approx(0.0, abs=1e-3)


def test_three_people_have_an_interval_though_some_draws_hold_one_alone():
    change = change_of("gain", 10.0)
    rows = invariance(rate_and_shape, stretches(3, 2), [change], progress=False)
    assert all(np.isfinite([row.movement.low, row.movement.high]).all() for row in rows)


def test_two_people_are_too_few_to_lie_apart():
    with pytest.raises(SignalError, match="three"):
        invariance(rate_and_shape, stretches(2), progress=False)


def labelled(given):
    return LabelledWindows(given.windows(), given.heart_rate_bpm, given.person)


def test_a_probe_of_other_corpora_is_tested_on_the_one_left_out():
    corpora = {
        "bidmc": labelled(stretches(12, 6, seed=1)),
        "welltory": labelled(stretches(3, 8, corpus="welltory", seed=2)),
    }
    rows = {row.tested_on: row for row in leave_one_corpus_out(
        rate_and_shape, corpora, task="heart rate")}  # fmt: skip
    assert rows["bidmc"].trained_on == ("welltory",)
    assert rows["bidmc"].within is not None
    assert rows["welltory"].within is None  # nobody of it may train
    assert rows["bidmc"].error.people == held_out(corpora["bidmc"].person).reshape(
        12, 6)[:, 0].sum()  # fmt: skip
    for row in rows.values():
        assert row.error.mean < 8.0
        assert row.control is not None
        assert row.control.mean < 2.0


def test_a_probe_that_knows_nothing_is_no_better_than_the_mean():
    rng = np.random.default_rng(0)
    corpora = {
        name: labelled(stretches(6, 6, corpus=name, seed=seed))
        for seed, name in enumerate(("welltory", "ppg_bp"))
    }
    noise = lambda windows: rng.normal(size=(len(windows), 4)).astype(np.float32)
    for row in leave_one_corpus_out(noise, corpora, task="sbp"):
        assert row.control is not None
        assert row.error.mean > 0.8 * row.control.mean


def test_damage_is_told_across_corpora():
    corpora = {
        name: stretches(5, 6, corpus=name, seed=seed)
        for seed, name in enumerate(("bidmc", "ppg_bp"))
    }
    assert (damaged(corpora["bidmc"]) != corpora["bidmc"].windows()).any(axis=1).all()
    trust = lambda windows: assess(windows)[:, None]
    rows = leave_one_corpus_out_damage(trust, corpora)
    assert [row.tested_on for row in rows] == ["bidmc", "ppg_bp"]
    assert all(row.error.mean > 0.9 for row in rows)


def test_a_curve_says_where_the_error_doubles():
    given = stretches(14, 6, seed=3)
    curves = {"white noise": CURVES["white noise"], "gain": CURVES["gain"]}
    noise, gain = degradation(rate_and_shape, given, curves, progress=False)
    assert gain.breaks_at is None
    assert noise.error[-1].mean > noise.error[0].mean
    assert noise.error[0].people == held_out(given.person).reshape(14, 6)[:, 0].sum()


def test_subgroups_are_means_over_the_people_in_them():
    person = np.array(["a", "a", "b", "c"])
    rows = subgroups([1.0, 3.0, 4.0, 9.0], person, {"sex": np.array(["F", "F", "F", ""])})
    assert [(r.group, r.error.mean, r.error.people, r.windows) for r in rows] == [
        ("F", 3.0, 2, 3)
    ]


def test_quantile_groups_hold_equal_numbers_and_leave_out_what_is_unknown():
    groups = quantile_groups([*range(30), np.nan], 10)
    names, counts = np.unique(groups[:-1], return_counts=True)
    assert counts.tolist() == [3] * 10
    assert names[0].startswith("01/10 (0..")
    assert groups[-1] == ""


def test_nobody_is_predicted_by_a_probe_that_saw_them():
    person = np.repeat([f"p{i}" for i in range(10)], 4)
    secret = np.repeat(np.random.default_rng(0).normal(size=10), 4)
    secret[0] = np.nan
    one_hot = np.repeat(np.eye(10, dtype=np.float32), 4, axis=0)
    guess = across_people(one_hot, secret, person)
    assert np.isnan(guess[0])
    known = np.isfinite(secret)
    assert np.corrcoef(guess[known], secret[known])[0, 1] < 0.3


def test_the_weights_of_the_evidence_come_from_upright_pulses(virtual: WindowSet):
    windows = np.asarray(virtual.ppg)
    good = windows[assess(windows) >= 0.5]
    fitted = fit_weights({"virtual": good})
    # Round and dicrotic pulses are hard, and virtual wearers are rich in them.
    assert (sign_shares(good) @ fitted > 0).mean() > 0.75
    np.testing.assert_allclose(fit_weights({"virtual": -good}), -fitted, atol=0.05)


def test_curves_are_drawn(tmp_path):
    point = {"mean": 2.0, "low": 1.0, "high": 3.0, "people": 3}
    curve = {
        "family": "rate", "levels": ["125 Hz", "25 Hz"], "error": [point, point],
        "control": [point, point], "breaks_at": None, "control_breaks_at": "25 Hz",
    }  # fmt: skip
    alone = {**point, "low": None, "high": None, "people": 1}  # no interval
    other = {**curve, "family": "polarity", "control": [alone, alone]}
    draw_curves([curve, other], tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").stat().st_size > 1000
    text = tables({"model": "toy@1", "curves": [curve]})
    assert "rate: breaks at no level (beat counting: 25 Hz)" in text


def test_a_folder_without_corpora_is_refused(tmp_path):
    for part in PARTS:
        with pytest.raises(RecordingError, match="holds none of"):
            shift_report(tmp_path, parts=[part])


def test_where_nobody_knows_who_it_is_a_recording_stands_for_a_person(tmp_path):
    time_s = np.arange(0, 40, 1 / 30)
    for number in (1, 2):
        np.savez(
            tmp_path / f"record_0{number}.npz",
            ppg=np.rint(1000 * np.sin(2 * np.pi * 1.2 * time_s)[None] * np.ones((3, 1))),
            ppg_gain=np.float64(1e-3),
            ppg_offset=np.float64(0.0),
            fs_ppg=np.float64(30.0),
            time_ms=1000 * time_s,
            rr_ms=np.full(40, 833.0),
        )
    found = read_stretches("welltory", tmp_path)
    assert np.unique(found.person).tolist() == ["welltory/record_01", "welltory/record_02"]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
def test_stretches_of_real_recordings_know_their_heart_rate():
    found = read_stretches("wrist_exercise", DATA / "wrist_exercise")
    assert found.rows.shape[1] == 16.5 * found.rate_hz
    assert np.isfinite(found.heart_rate_bpm).mean() > 0.7
    assert json.dumps(found.labels["activity"].tolist())


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real recordings")
def test_phone_cameras_are_read_upright():
    figures = polarity_figures("welltory", DATA / "welltory")
    assert figures.good_window.mean > 0.97
    assert figures.strong_and_wrong == 0.0
