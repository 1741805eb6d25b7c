"""How each corpus becomes a labelled set of windows for the tasks.

Continuous recordings give settled windows ten seconds apart; segments as short as a
window start the filter cold, as they would on a device that was just switched on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import SignalError
from plethprint.signal import ECG, PPG, window_rows
from plethprint_distill.beat_loop import loop_whole_beats
from plethprint_distill.corpora import CORPORA, CorpusRecording, decode
from plethprint_distill.damage import DAMAGE, damaged
from plethprint_distill.labelled_windows import (
    LabelledWindows,
    Maker,
    joined,
    ppg_windows,
)
from plethprint_distill.splits import is_cinc_test_record
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import WindowSet, windows_of_recording

__all__ = ["SETS", "number"]

_WARM_UP_S = 4.0
_VIRTUAL_WEARERS = 1500
_VIRTUAL_SEED = 555_001
"""Not among the seeds of training wearers: `prepare` uses 2000 to 2019."""


def number(text: object) -> float:
    """A number of a labels.csv: "90+" is 90, what is none is NaN."""
    try:
        return float(str(text).rstrip("+"))
    except ValueError:
        return float("nan")


def _columns(count: int, **values: Any) -> dict[str, npt.NDArray[Any]]:
    return {name: np.full(count, value) for name, value in values.items()}


def _settled(
    recordings: Iterator[CorpusRecording], hop_s: float
) -> Iterator[tuple[CorpusRecording, WindowSet]]:
    for recording in recordings:
        windows = windows_of_recording(recording, hop_s=hop_s, cold_share=0.0)
        if windows is not None:
            yield recording, windows


def _raw_levels(recording: CorpusRecording, windows: WindowSet) -> dict[str, Any]:
    """Logarithms of the raw level and spread: what normalisation takes off."""
    assert recording.ppg is not None
    rate_hz = recording.ppg_rate_hz
    cuts = [
        recording.ppg[round(float(s) * rate_hz) :][: round(PPG.window_s * rate_hz)]
        for s in windows.start_s
    ]
    level = [np.log(abs(np.nanmean(c)) + 1e-6) for c in cuts]
    spread = [np.log(np.nanstd(c) + 1e-6) for c in cuts]
    return {"raw_level": np.array(level), "raw_spread": np.array(spread)}


def _bidmc(folder: Path) -> LabelledWindows:
    return joined(
        LabelledWindows(
            windows,
            {
                **_columns(
                    len(windows),
                    age=number(recording.labels["age"]),
                    sex=str(recording.labels["sex"]),
                ),
                **_raw_levels(recording, windows),
            },
        )
        for recording, windows in _settled(CORPORA["bidmc"].read(folder), 10.0)
    )


def _bidmc_damaged(folder: Path) -> LabelledWindows:
    """Every other ten seconds twice: as recorded, and damaged before preprocessing."""
    parts = []
    kinds = [(kind, s) for kind, strengths in DAMAGE.items() for s in strengths]
    for recording in CORPORA["bidmc"].read(folder):
        assert recording.ppg is not None
        rate_hz = recording.ppg_rate_hz
        before, span = round(_WARM_UP_S * rate_hz), round(PPG.window_s * rate_hz)
        starts = np.arange(before, recording.ppg.size - span, 2 * span)
        raw = np.stack([recording.ppg[s - before : s + span] for s in starts])
        whole = np.isfinite(raw).all(axis=1) & (np.ptp(raw[:, before:], axis=1) > 0)
        starts, raw = starts[whole], raw[whole].astype(np.float64)
        if not len(raw):
            continue
        rng = np.random.default_rng([5, *recording.record.encode()])
        chosen = rng.permutation(np.resize(rng.permutation(len(kinds)), len(raw)))
        worse = raw.copy()
        for row, kind in enumerate(chosen):
            name, strength = kinds[kind]
            worse[row, before:] = damaged(raw[row, before:], rate_hz, name, strength, rng)
        rows = np.concatenate([raw, worse])
        ppg, _ = window_rows(rows, rate_hz, warm_up_s=_WARM_UP_S)
        start_s = np.tile(starts / rate_hz, 2)
        windows = ppg_windows(ppg, f"bidmc/{recording.person}", recording.record, start_s)
        n = len(raw)
        labels = {
            "damaged": np.repeat([0.0, 1.0], n),
            "kind": np.array(["clean"] * n + [kinds[k][0] for k in chosen]),
            "strength": np.concatenate([np.zeros(n), [kinds[k][1] for k in chosen]]),
            "raw_level": np.log(np.abs(rows[:, before:].mean(axis=1)) + 1e-6),
            "raw_spread": np.log(rows[:, before:].std(axis=1) + 1e-6),
        }
        parts.append(LabelledWindows(windows, labels))
    return joined(parts)


def _uci_cuffless(folder: Path) -> LabelledWindows:
    """Three windows of each minute: neighbours tell little new of a blood pressure."""
    return joined(
        LabelledWindows(
            windows,
            _columns(
                len(windows),
                part=str(recording.labels["part"]),
                **{key: number(recording.labels.get(key)) for key in ("sbp", "dbp", "hr")},
            ),
        )
        for recording, windows in _settled(CORPORA["uci_cuffless"].read(folder), 20.0)
    )


def _stress_predict(folder: Path) -> LabelledWindows:
    parts = []
    for recording, windows in _settled(CORPORA["stress_predict"].read(folder), 20.0):
        arrays = decode(folder / f"{recording.record}.npz")
        task = arrays["stress_1hz"].astype(np.float64)
        rate_hz = float(arrays["fs_acc"].item())
        motion = np.asarray(arrays["acc"], np.float64)
        rows = []
        for start in windows.start_s.astype(float):
            seconds = task[int(start) : int(start + PPG.window_s)]
            one = seconds.size > 0 and np.ptp(seconds) == 0 and seconds[0] >= 0
            cut = motion[:, round(start * rate_hz) :][:, : round(PPG.window_s * rate_hz)]
            size = np.sqrt((cut**2).sum(axis=0)) if cut.shape[1] > 1 else np.zeros(2)
            rows.append(
                (
                    seconds[0] if one else np.nan,
                    np.log(size.std() + 1.0),
                    np.log(np.abs(np.diff(size)).mean() + 1.0),
                    size.mean(),
                )
            )
        names = ("stress", "motion_sd", "motion_jerk", "motion_mean")
        table = np.array(rows, np.float64)
        labels = {name: table[:, k] for k, name in enumerate(names)}
        parts.append(LabelledWindows(windows, labels))
    return joined(parts)


def _welltory(folder: Path) -> LabelledWindows:
    parts = []
    for recording, windows in _settled(CORPORA["welltory"].read(folder), 10.0):
        intervals_ms = np.array(str(recording.labels["rr_ms"]).split(), np.float64)
        ends_s = np.cumsum(intervals_ms) / 1000.0
        rate = []
        for start in windows.start_s.astype(float):
            inside = (ends_s - intervals_ms / 1000.0 >= start) & (
                ends_s <= start + PPG.window_s
            )
            rate.append(60e3 / intervals_ms[inside].mean() if inside.sum() > 2 else np.nan)
        parts.append(LabelledWindows(windows, {"heart_rate_bpm": np.array(rate)}))
    return joined(parts)


def _ppg_arrhythmia(folder: Path) -> LabelledWindows:
    return _rows(CORPORA["ppg_arrhythmia_valid"].read(folder), ("rhythm",))


def _rows(recordings: Iterator[CorpusRecording], keys: tuple[str, ...]) -> LabelledWindows:
    """Recordings as long as a window, one each; flat ones are left out."""
    kept = [r for r in recordings if r.ppg is not None and np.ptp(r.ppg) > 0]
    rows = np.stack([np.asarray(r.ppg, np.float64) for r in kept])
    ppg, _ = window_rows(rows, kept[0].ppg_rate_hz)
    windows = ppg_windows(ppg, "", "")
    return LabelledWindows(
        WindowSet(
            **{
                **vars(windows),
                "person": np.array([f"{r.corpus}/{r.person}" for r in kept]),
                "record": np.array([r.record for r in kept]),
            }
        ),
        {key: np.array([number(r.labels[key]) for r in kept]) for key in keys},
    )


def _ppg_bp(folder: Path) -> LabelledWindows:
    """Segments of 2.1 s, brought to 250 Hz and looped over whole beats."""
    from scipy.signal import resample_poly

    parts = []
    for recording in CORPORA["ppg_bp"].read(folder):
        assert recording.ppg is not None
        down = round(recording.ppg_rate_hz / 250.0)
        quarter = resample_poly(
            np.asarray(recording.ppg, np.float64), 1, down, padtype="line"
        )
        try:
            loop = loop_whole_beats(quarter, 250.0, _WARM_UP_S + PPG.window_s)
        except SignalError:  # no beat is whole in it
            continue
        ppg, _ = window_rows(loop[None], 250.0, warm_up_s=_WARM_UP_S)
        person = f"ppg_bp/{recording.person}"
        row = recording.labels
        labels = {
            **{k: number(row[k]) for k in ("age", "bmi", "hr", "sbp", "dbp")},
            "sex": str(row["sex"]),
            "hypertension": str(row["hypertension"]),
            "raw_level": float(np.log(abs(np.mean(recording.ppg)) + 1e-6)),
        }
        parts.append(
            LabelledWindows(
                ppg_windows(ppg, person, recording.record), _columns(1, **labels)
            )
        )
    return joined(parts)


def _ptbxl(folder: Path) -> LabelledWindows:
    kept = [
        r for r in CORPORA["ptbxl500"].read(folder) if r.ecg is not None and np.ptp(r.ecg)
    ]
    rows = np.stack([np.asarray(r.ecg, np.float64) for r in kept])
    ecg, _ = window_rows(rows, kept[0].ecg_rate_hz, spec=ECG)
    return LabelledWindows(
        _ecg_windows(ecg, kept),
        {
            "superclass": np.array([str(r.labels["superclass"]) for r in kept]),
            "age": np.array([number(r.labels["age"]) for r in kept]),
            "sex": np.array([str(r.labels["sex"]) for r in kept]),
        },
    )


def _ecg_windows(ecg: npt.NDArray[np.int8], kept: list[CorpusRecording]) -> WindowSet:
    from plethprint_distill.physiology import beats_of_ecg, interval_targets

    blank = ppg_windows(np.zeros((len(ecg), PPG.window_samples), np.int8), "", "")
    targets = blank.targets.copy()
    for row, samples in enumerate(ecg):
        found = interval_targets(beats_of_ecg(samples, ECG.rate_hz))
        targets[row, : len(found)] = found
    return WindowSet(
        **{
            **vars(blank),
            "ecg": ecg,
            "has_ppg": np.zeros(len(ecg), np.bool_),
            "has_ecg": np.ones(len(ecg), np.bool_),
            "targets": targets,
            "person": np.array([f"{r.corpus}/{r.person}" for r in kept]),
            "record": np.array([r.record for r in kept]),
        }
    )


def _cinc2017(folder: Path) -> LabelledWindows:
    """All test records, and about as many of the others to fit probes on."""
    wanted = (
        recording
        for number_, recording in enumerate(CORPORA["cinc2017"].read(folder))
        if is_cinc_test_record(recording.record) or number_ % 3 == 0
    )
    return joined(
        LabelledWindows(
            windows,
            _columns(
                len(windows),
                rhythm=str(recording.labels["rhythm"]),
                test=is_cinc_test_record(recording.record),
            ),
        )
        for recording, windows in _settled(wanted, 10.0)
    )


def _virtual(_: Path) -> LabelledWindows:
    windows = virtual_windows(_VIRTUAL_WEARERS, seed=_VIRTUAL_SEED, chunk=150)
    return LabelledWindows(windows, {})


SETS: dict[str, tuple[str, Maker]] = {
    "bidmc": ("bidmc", _bidmc),
    "bidmc_damaged": ("bidmc", _bidmc_damaged),
    "uci_cuffless": ("uci_cuffless", _uci_cuffless),
    "stress_predict": ("stress_predict", _stress_predict),
    "welltory": ("welltory", _welltory),
    "ppg_arrhythmia_valid": ("ppg_arrhythmia_valid", _ppg_arrhythmia),
    "ppg_bp": ("ppg_bp", _ppg_bp),
    "ptbxl500": ("ptbxl500", _ptbxl),
    "cinc2017": ("cinc2017", _cinc2017),
    "virtual": ("", _virtual),
}
"""Every set by name: the corpus it needs, and its maker."""
