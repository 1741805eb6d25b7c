"""MIT-BIH Arrhythmia Database: 48 half-hours of ambulatory ECG with every beat annotated.

Form: WFDB, `100.hea`, `100.dat`, `100.atr`; MLII is read where there is one, else the first
lead that is known. Labels: `beats` is the time in seconds and the symbol of every annotated
beat ("0.214:N 1.028:V"), `rhythms` the time and name of every rhythm change ("0.050:(N").
Records 201 and 202 are of one man, as the database's directory says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from plethprint.errors import RecordingError
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, first_form, moving
from plethprint_distill.corpora.wfdb_records import ECG_LEADS, channels, comments, wfdb

__all__ = ["MIT_BIH"]

_BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
_SAME_PERSON = {"202": "201"}
_LEADS = ("MLII", *ECG_LEADS)


def _sources(folder: Path) -> list[str]:
    return first_form(folder, "**/[12][0-9][0-9].hea")


def _read(folder: Path, sources: Sequence[str]) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        (lead,) = channels(path, _LEADS)
        if lead is None:
            raise RecordingError(f"{path} has none of the leads {', '.join(_LEADS)}")
        yield CorpusRecording(
            "mit_bih",
            _SAME_PERSON.get(path.stem, path.stem),
            path.stem,
            ecg=moving(lead.samples),
            ecg_rate_hz=lead.rate_hz,
            labels=_labels(path, lead.rate_hz),
        )


def _labels(path: Path, rate_hz: float) -> dict[str, str | float]:
    try:
        marks = wfdb().rdann(str(path.with_suffix("")), "atr")
        times = [float(sample) / rate_hz for sample in marks.sample]
        symbols = [str(symbol) for symbol in marks.symbol]
        notes = [str(note).rstrip("\x00") for note in marks.aux_note]
    except Exception as error:  # wfdb lets through what its parsing meets
        raise RecordingError(
            f"{path.with_suffix('.atr')} is not readable as annotations: {error}"
        ) from error
    labels: dict[str, str | float] = {
        "beats": " ".join(
            f"{t:.3f}:{s}" for t, s in zip(times, symbols, strict=True) if s in _BEATS
        ),
        "rhythms": " ".join(
            f"{t:.3f}:{n}" for t, n in zip(times, notes, strict=True) if n.startswith("(")
        ),
    }
    # The first comment of a header begins with age and sex: "69 M 1085 1629 x1".
    words = next(iter(comments(path)), "").split()
    if len(words) >= 2 and words[0].isdigit() and words[1] in ("M", "F"):
        labels |= {"age": words[0], "sex": words[1]}
    return labels


MIT_BIH = Corpus(
    "mit_bih",
    "ODC-By 1.0",
    True,
    _sources,
    _read,
    {"ecg": 360.0},
    "https://physionet.org/content/mitdb/1.0.0/",
    "Moody and Mark, IEEE EMB Mag. 20(3):45, 2001; Goldberger et al., Circulation 2000",
)
