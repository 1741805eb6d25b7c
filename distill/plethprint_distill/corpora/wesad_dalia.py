"""WESAD and PPG-DaLiA: wrist PPG (64 Hz) with a chest ECG (700 Hz), stress and daily life.

Form: one pickle a person, `S2/S2.pkl`, made by Python 2: a dict with `subject`, `label` and
`signal`, where signal["chest"]["ECG"] is (T, 1) at 700 Hz and signal["wrist"]["BVP"] at
64 Hz. It is read by `array_pickles`, which builds arrays and containers and nothing else.
The file of one person (up to a gigabyte in WESAD) is the smallest thing that can be read.

WESAD's label (700 Hz) becomes `conditions`: start and code of every stretch ("0.0:0 214.3
:1"; 1 baseline, 2 stress, 3 amusement, 4 meditation). PPG-DaLiA's label (heart rate of
8-second windows every 2 seconds) becomes `heart_rates_bpm`, its `activity` (4 Hz) becomes
`activities` in the form of the conditions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from plethprint.errors import RecordingError
from plethprint_distill.corpora.array_pickles import load_arrays
from plethprint_distill.corpora.recording import (
    Corpus,
    CorpusRecording,
    first_form,
    moving,
    stretches,
)

__all__ = ["PPG_DALIA", "WESAD"]

_PPG_RATE_HZ, _ECG_RATE_HZ = 64.0, 700.0
_ACTIVITY_RATE_HZ = 4.0


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "**/S[0-9]*.pkl")


def _read(corpus: str, folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        data = load_arrays(path)
        try:
            chest, wrist = data["signal"]["chest"], data["signal"]["wrist"]
            whole = CorpusRecording(
                corpus,
                path.stem,
                path.stem,
                moving(np.ravel(wrist["BVP"])),
                _PPG_RATE_HZ,
                moving(np.ravel(chest["ECG"])),
                _ECG_RATE_HZ,
                _wesad(data) if corpus == "wesad" else _dalia(data),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise RecordingError(
                f"{path} does not hold the signals of {corpus}: {error!r}"
            ) from error
        del data  # a gigabyte of other sensors
        yield from stretches(whole)


def _wesad(data: Any) -> dict[str, str | float]:
    return {"conditions": _changes(data["label"], _ECG_RATE_HZ)}


def _dalia(data: Any) -> dict[str, str | float]:
    rates = np.ravel(np.asarray(data["label"], dtype=np.float64))
    labels: dict[str, str | float] = {
        "heart_rates_bpm": " ".join(f"{rate:.1f}" for rate in rates)
    }
    if "activity" in data:
        labels["activities"] = _changes(data["activity"], _ACTIVITY_RATE_HZ)
    person = data.get("questionnaire", {})
    for key, name in (("age", "AGE"), ("sex", "Gender")):
        if name in person:
            labels[key] = str(person[name]).strip()[: 3 if key == "age" else 1].upper()
    return labels


def _changes(codes: Any, rate_hz: float) -> str:
    """Start in seconds and code of every stretch of equal codes."""
    values = np.ravel(np.asarray(codes, dtype=np.int64))
    starts = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
    return " ".join(f"{start / rate_hz:.1f}:{values[start]}" for start in starts.tolist())


def _corpus(name: str, licence: str, url: str, citation: str) -> Corpus:
    return Corpus(
        name,
        licence,
        False,
        _sources,
        partial(_read, name),
        {"ppg": _PPG_RATE_HZ, "ecg": _ECG_RATE_HZ},
        url,
        citation,
        "its own readme allows scientific, non-commercial use",
        sources_per_task=1,
    )


WESAD = _corpus(
    "wesad",
    "scientific, non-commercial use (readme)",
    "https://archive.ics.uci.edu/dataset/465/wesad",
    "Schmidt et al., ICMI 2018",
)
PPG_DALIA = _corpus(
    "ppg_dalia",
    "CC BY 4.0 (UCI page); scientific, non-commercial use (readme)",
    "https://archive.ics.uci.edu/dataset/495/ppg+dalia",
    "Reiss et al., Sensors 19(14):3079, 2019",
)
