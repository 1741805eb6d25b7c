"""Corpora: files in each corpus's own form, people that never mix, honest windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plethprint.errors import RecordingError
from plethprint.signal import PPG
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.overlap import best_match, find_overlaps
from plethprint_distill.prepare import load_training_sets, prepare
from plethprint_distill.splits import (
    LEFT_OUT_RECORDS,
    TRAINING_CORPORA,
    is_test_person,
    test_mask,
    training_mask,
)
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import WindowSet, apart, windows_of_recording
from plethprint_sim import Wearer, WearerStream

DATA = Path(__file__).parents[3] / "shared" / "data"


def coded(name: str, values: np.ndarray) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    codes = np.where(np.isnan(values), -32768, np.rint(values / 0.01)).astype(np.int16)
    return {name: codes, f"{name}_gain": np.array(0.01), f"{name}_offset": np.array(0.0)}


def worn(seconds: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    ppg, ecg = WearerStream(Wearer(), seed=seed).read(0, int(125 * seconds))
    assert ecg is not None
    return 100.0 * ppg, ecg


def write_bidmc(folder: Path) -> None:
    folder.mkdir()
    ppg, ecg = worn(40.0)
    ppg[1000:1010] = np.nan
    np.savez(
        folder / "bidmc01.npz",
        fs_ppg=125.0,
        fs_ecg=125.0,
        **coded("ppg", ppg),
        **coded("ecg", ecg),
    )
    (folder / "labels.csv").write_text("subject,age,sex,mimic_id\nbidmc01,88,M,s01182\n")


def test_a_bidmc_file_is_read_with_its_person_and_its_gaps(tmp_path: Path) -> None:
    write_bidmc(tmp_path / "bidmc")
    (recording,) = CORPORA["bidmc"].read(tmp_path / "bidmc")
    assert recording.person == "s01182"
    assert recording.ppg is not None
    assert np.isnan(recording.ppg[1000:1010]).all()
    assert np.isfinite(recording.ppg[:1000]).all()
    assert recording.ppg_rate_hz == recording.ecg_rate_hz == 125.0


def test_uci_rows_are_cut_to_their_length_and_split_by_file(tmp_path: Path) -> None:
    ppg, ecg = worn(60.0)
    rows = {"length": np.array([7500, 4000]), "person_guess": np.array(["g0", "g1"])}
    for part in (1, 3):
        np.savez(
            tmp_path / f"part{part}.npz",
            fs_ppg=125.0,
            fs_ecg=125.0,
            **coded("ppg", np.stack([ppg, ppg])),
            **coded("ecg", np.stack([ecg, ecg])),
            **rows,
        )
    (tmp_path / "labels.csv").write_text("part,row,sbp,dbp,hr\n1,1,120.5,60.0,71.0\n")
    found = list(CORPORA["uci_cuffless"].read(tmp_path))
    assert found[1].labels == {"part": "part1", "sbp": 120.5, "dbp": 60.0, "hr": 71.0}
    assert [len(r.ppg) for r in found if r.ppg is not None] == [7500, 4000, 7500, 4000]
    held_out = [is_test_person(f"uci_cuffless/{r.person}") for r in found]
    assert held_out == [False, False, True, True]


def test_a_recording_of_ecg_alone_gives_windows_without_ppg() -> None:
    _, ecg = worn(60.0)
    recording = CorpusRecording("cinc2017", "A1", "A1", ecg=ecg, ecg_rate_hz=125.0)
    windows = windows_of_recording(recording)
    assert windows is not None
    assert windows.has_ecg.all()
    assert not windows.has_ppg.any()
    assert not windows.ppg.any()
    assert np.isfinite(windows.targets[:, 0]).all()  # its beats tell the heart rate


def test_a_pair_of_just_one_window_is_a_window() -> None:
    ppg, ecg = worn(10.0)
    recording = CorpusRecording("pulsedb", "p", "1", ppg, 125.0, ecg, 125.0)
    windows = windows_of_recording(recording)
    assert windows is not None
    assert len(windows) == 1
    assert windows.has_ecg.all()


def test_a_torn_file_and_an_empty_folder_give_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no S"):
        list(CORPORA["stress_predict"].read(tmp_path))
    (tmp_path / "S01.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(RecordingError, match="not a readable npz"):
        list(CORPORA["stress_predict"].read(tmp_path))
    with pytest.raises(RecordingError, match="no prepared window set"):
        load_training_sets(tmp_path)


def test_of_virtual_wearers_nobody_is_held_out(tmp_path: Path, virtual: WindowSet) -> None:
    virtual.save(tmp_path / "virtual")
    assert set(load_training_sets(tmp_path)) == {"virtual"}
    assert load_training_sets(tmp_path, test=True) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "labels.csv").unlink(), "labels.csv"),
        (lambda folder: (folder / "labels.csv").write_text("subject,age\n"), "bidmc01"),
        (lambda folder: np.savez(folder / "bidmc01.npz", ppg=np.zeros(9)), "fs_ppg"),
        (lambda folder: (folder / "bidmc01.npz").write_bytes(b"PK\x03\x04"), "npz"),
    ],
)
def test_a_corpus_that_is_not_as_expected_is_told_by_its_folder(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    write_bidmc(tmp_path / "bidmc")
    change(tmp_path / "bidmc")
    with pytest.raises(RecordingError, match=message) as caught:
        prepare(tmp_path, tmp_path / "out", virtual=0, jobs=1, progress=False)
    assert str(tmp_path / "bidmc") in str(caught.value)


def test_a_pair_becomes_windows_with_beats_read_from_its_ecg() -> None:
    ppg, ecg = worn(60.0)
    recording = CorpusRecording("bidmc", "p", "r", ppg, 125.0, ecg, 125.0)
    windows = windows_of_recording(recording, hop_s=5.0)
    assert windows is not None
    assert len(windows) >= 10
    assert windows.has_ecg.mean() > 0.9  # the very last one may lack its end
    rates = np.exp(windows.targets[:, 0])
    assert np.nanmedian(rates) == pytest.approx(Wearer().heart_rate_bpm, rel=0.1)
    assert set(windows.person) == {"bidmc/p"}


def test_windows_with_gaps_and_flat_ones_are_left_out() -> None:
    ppg, _ = worn(60.0)
    ppg[3000:3600] = np.nan
    ppg[5000:] = ppg[5000]
    windows = windows_of_recording(CorpusRecording("x", "p", "r", ppg, 125.0), hop_s=1.0)
    assert windows is not None
    ends = windows.start_s + PPG.window_s
    assert not ((windows.start_s < 24.0) & (ends > 28.8)).any()
    assert windows.start_s.max() < 41.0
    flat = CorpusRecording("x", "p", "r", np.full(5000, 3.0, np.float32), 125.0)
    assert windows_of_recording(flat) is None


def test_windows_for_figures_share_no_sample() -> None:
    ppg, _ = worn(60.0)
    windows = windows_of_recording(CorpusRecording("x", "p", "r", ppg, 125.0), hop_s=2.5)
    assert windows is not None
    assert np.diff(windows.start_s).min() < PPG.window_s
    chosen = apart(windows)
    assert len(chosen) == 6
    assert np.diff(chosen.start_s).min() >= PPG.window_s


def test_a_window_set_comes_back_from_disk_as_it_was(
    tmp_path: Path, virtual: WindowSet
) -> None:
    virtual.save(tmp_path / "virtual")
    again = WindowSet.load(tmp_path / "virtual")
    for key in WindowSet.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, key), getattr(virtual, key))


def test_virtual_windows_are_the_same_for_the_same_seed() -> None:
    first, again, other = (virtual_windows(20, seed=s, chunk=10) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.ppg, again.ppg)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert (first.ppg != other.ppg).any()


def test_no_person_trains_and_tests() -> None:
    person = np.array(["bidmc/a", "bidmc/b", "uci_cuffless/part3/g1", "stress_predict/S30"])
    record = np.array(["1", "2", "3", "4"])
    assert not (test_mask(person) & training_mask(person, record)).any()
    assert is_test_person("ppg_arrhythmia_valid/x")
    assert not is_test_person("stress_predict/S01")
    left = sorted(LEFT_OUT_RECORDS)[0]
    assert not training_mask(np.array(["uci_cuffless/part1/g0"]), np.array([left])).any()


def test_corpora_that_may_not_train_do_not() -> None:
    assert all(CORPORA[name].may_train for name in TRAINING_CORPORA)
    assert not CORPORA["ppg_arrhythmia_valid"].may_train
    assert not CORPORA["mimic_perform"].may_train


def test_a_stretch_of_the_same_recording_is_found_and_another_is_not() -> None:
    _, ecg = worn(120.0)
    _, other = worn(120.0, seed=9)
    stretch = -2.0 + 3.0 * ecg[5000:6250]
    assert best_match(stretch, ecg) == pytest.approx(1.0, abs=1e-6)
    found = find_overlaps([stretch], [other, ecg])
    assert [(o.record, o.stretch) for o in found] == [(1, 0)]


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_the_open_recordings_are_read(name: str) -> None:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip("the open recordings are not here (../shared/data)")
    recording = next(iter(CORPORA[name].read(folder)))
    signals = [x for x in (recording.ppg, recording.ecg) if x is not None]
    assert signals
    assert all(np.isfinite(x).mean() > 0.5 for x in signals)
    assert recording.person
