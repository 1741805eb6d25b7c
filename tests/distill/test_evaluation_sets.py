"""Labels of the sets: right for windows whose answer was written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="needs the `train` extra")
pytest.importorskip("sleepecg", reason="needs the `train` extra")

from plethprint_distill.evaluation_sets import SETS, number
from plethprint_distill.splits import is_cinc_test_record


def _pulse(seconds: float, rate_hz: float, bpm: float = 72.0) -> np.ndarray:
    beat = (bpm / 60 * np.arange(0, seconds, 1 / rate_hz)) % 1
    return np.exp(-(((beat - 0.3) / 0.12) ** 2))


def _heart(seconds: float, rate_hz: float, bpm: float = 72.0) -> np.ndarray:
    beat = (bpm / 60 * np.arange(0, seconds, 1 / rate_hz)) % 1
    return np.exp(-(((beat - 0.5) / 0.015) ** 2)) + 0.2 * np.exp(
        -(((beat - 0.8) / 0.05) ** 2)
    )


def _codes(name: str, signal: np.ndarray, rate_hz: float) -> dict[str, np.ndarray]:
    return {
        name: np.rint(1000 * signal).astype(np.int16),
        f"{name}_gain": np.float64(1e-3),
        f"{name}_offset": np.float64(0.0),
        f"fs_{name}": np.float64(rate_hz),
    }


def _made(name: str, folder: Path):
    return SETS[name][1](folder)


def test_stress_is_told_only_where_all_ten_seconds_agree(tmp_path: Path) -> None:
    stress = np.repeat(np.array([0, 1, -1], np.int8), [45, 60, 45])
    still = np.tile(np.array([[0], [0], [64]], np.int8), (1, 150 * 32))
    still[2, 60 * 32 :: 2] = 90  # motion from the second minute on
    np.savez(
        tmp_path / "S27.npz",
        **_codes("ppg", _pulse(150, 64.0), 64.0),
        stress_1hz=stress,
        acc=still,
        acc_gain=np.float64(1 / 64),
        acc_offset=np.float64(0.0),
        fs_acc=np.float64(32.0),
    )
    made = _made("stress_predict", tmp_path)
    told = dict(zip(made.windows.start_s.tolist(), made.number("stress"), strict=True))
    assert told[0.0] == told[20.0] == 0.0
    assert np.isnan(told[40.0])  # five seconds of each
    assert told[60.0] == told[80.0] == 1.0
    assert np.isnan(told[120.0])
    motion = made.number("motion_sd")
    assert (
        motion[made.windows.start_s < 40].max() < motion[made.windows.start_s >= 60].min()
    )


def test_welltory_truth_is_the_mean_of_the_intervals_inside_the_window(
    tmp_path: Path,
) -> None:
    # A minute of 1000 ms, then a minute of 750 ms.
    intervals = np.concatenate([np.full(60, 1000.0), np.full(80, 750.0)])
    frames = np.arange(0, 120_000, 1000 / 30).astype(np.float32)
    np.savez(
        tmp_path / "record_01.npz",
        **_codes("ppg", np.stack([_pulse(120, 30.0)] * 3), 30.0),
        time_ms=frames,
        rr_ms=intervals,
    )
    made = _made("welltory", tmp_path)
    rate = dict(
        zip(made.windows.start_s.tolist(), made.number("heart_rate_bpm"), strict=True)
    )
    assert rate[0.0] == pytest.approx(60.0)
    assert rate[70.0] == pytest.approx(80.0)


def test_short_segments_are_looped_and_keep_their_people(tmp_path: Path) -> None:
    rows = np.stack([_pulse(2.1, 1000.0), _pulse(2.1, 1000.0, 95.0), np.zeros(2100)])
    np.savez(
        tmp_path / "ppg_bp.npz",
        **_codes("ppg", rows, 1000.0),
        subject=np.array([2, 3, 3]),
        segment=np.array([1, 1, 2]),
    )
    (tmp_path / "labels.csv").write_text(
        "subject,sex,age,bmi,hr,sbp,dbp,hypertension\n"
        "2,Female,45,27.2,72,161,89,Stage 2 hypertension\n"
        "3,Male,50,20.2,95,120,76,Normal\n"
    )
    made = _made("ppg_bp", tmp_path)
    assert made.windows.person.tolist() == ["ppg_bp/2", "ppg_bp/3"]  # the flat one is gone
    assert made.number("sbp").tolist() == [161.0, 120.0]
    assert made.word("hypertension").tolist() == ["Stage 2 hypertension", "Normal"]


def test_cinc_keeps_every_test_record_and_marks_it(tmp_path: Path) -> None:
    names = np.array([f"A{n:05d}" for n in range(1, 13)])
    ecg = np.stack([_heart(30, 100.0, 60 + 3 * n) for n in range(12)])
    np.savez(
        tmp_path / "cinc2017_0.npz",
        **_codes("ecg", ecg, 100.0),
        record=names,
        label=np.array(list("NAO~" * 3)),
        length=np.full(12, 3000),
    )
    made = _made("cinc2017", tmp_path)
    marked = set(made.windows.record[np.asarray(made.labels["test"], bool)].tolist())
    assert marked == {name for name in names.tolist() if is_cinc_test_record(name)}
    assert not made.windows.has_ppg.any()
    assert made.windows.has_ecg.all()
    assert len(set(made.windows.record.tolist()) - marked) >= 1


def test_each_moment_of_bidmc_is_there_clean_and_damaged(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "bidmc01.npz",
        **_codes("ppg", _pulse(130, 125.0), 125.0),
        **_codes("ecg", _heart(130, 125.0), 125.0),
    )
    (tmp_path / "labels.csv").write_text("subject,age,sex,mimic_id\nbidmc01,90+,F,s1\n")
    made = _made("bidmc_damaged", tmp_path)
    half = len(made) // 2
    assert made.number("damaged").tolist() == [0.0] * half + [1.0] * half
    assert (made.windows.start_s[:half] == made.windows.start_s[half:]).all()
    assert (made.word("kind")[half:] != "clean").all()
    changed = (made.windows.ppg[:half] != made.windows.ppg[half:]).any(axis=1)
    assert changed.all()
    whole = _made("bidmc", tmp_path)
    assert whole.number("age")[0] == 90.0
    assert np.isfinite(whole.number("raw_spread")).all()


def test_a_label_that_is_no_number_is_unknown() -> None:
    assert number("90+") == 90.0
    assert np.isnan(number(""))
    assert np.isnan(number(None))
