"""The heart-rate head that ships beside a model: fitted, and asked of people held out.

Truth is the ECG's own beats in the same ten seconds (Welltory: a chest strap's). It is
fitted on the training people of BIDMC and UCI cuff-less and asked of those held out, and of
another sensor whose people it never saw. UCI names no people: those it is fitted on are the
corpus's guesses, and only the split by file is sure.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import Fingerprinter
from plethprint.head import HEADS_FOLDER, Head
from plethprint.signal import Window
from plethprint_distill.evaluation_sets import SETS
from plethprint_distill.folds import thinned
from plethprint_distill.labelled_windows import Library, corpus_folders
from plethprint_distill.physiology import TARGETS
from plethprint_distill.splits import test_mask, training_mask
from plethprint_distill.statistics import mean_over_people
from plethprint_distill.windows import WindowSet

__all__ = ["RatedWindows", "add_verb", "fit_heart_rate", "measured", "windows_with_rates"]

_LOGGER = logging.getLogger(__name__)

_RATE = TARGETS.index("log_heart_rate")
_TRAINING_ROWS = 4000
_TEST_ROWS = 1500
_FITTED_ON = ("bidmc", "uci_cuffless")
_ASKED_OF = ("bidmc", "uci_cuffless", "welltory")


@dataclass(frozen=True)
class RatedWindows:
    """N windows whose heart rate is known without looking at the pulse."""

    ppg: npt.NDArray[np.int8]
    """(N, T)."""
    rate_bpm: npt.NDArray[np.float64]
    """(N,)."""
    person: npt.NDArray[np.str_]
    """(N,)."""

    def __len__(self) -> int:
        return len(self.ppg)


def windows_with_rates(library: Library, corpus: str, *, test: bool) -> RatedWindows:
    """Windows of a corpus's people who train, or of those held out, evenly over people.

    Raises
    ------
    RecordingError
        If the corpus is not there.
    """
    labelled = library.get(corpus)
    windows: WindowSet = labelled.windows
    person, record = np.asarray(windows.person), np.asarray(windows.record)
    if corpus == "welltory":
        # Who stands behind a record is not known: a record is a "person".
        rate, person = labelled.number("heart_rate_bpm"), record
        wanted = np.full(len(rate), test)
    else:
        rate = np.exp(np.asarray(windows.targets[:, _RATE], np.float64))
        wanted = test_mask(person) if test else training_mask(person, record)
    rows = np.flatnonzero(np.isfinite(rate) & wanted)
    rows = thinned(rows, person, _TEST_ROWS if test else _TRAINING_ROWS, seed=0)
    return RatedWindows(
        np.ascontiguousarray(windows.ppg[rows]), rate[rows], person[rows].astype(str)
    )


def fingerprints_of(
    fingerprinter: Fingerprinter, windows: npt.NDArray[np.int8], what: str
) -> list[Fingerprint]:
    """Fingerprints of int8 windows (N, T), as a stream gives them."""
    return [
        fingerprinter.encode(Window(0.0, samples, 0.0, 1.0))
        for samples in tqdm(windows, desc=f"fingerprints of {what}", mininterval=2)
    ]


def fit_heart_rate(
    fingerprinter: Fingerprinter, sets: Sequence[RatedWindows], *, confidence: float = 0.9
) -> Head:
    """Fit the head on windows of people who train."""
    ppg = np.concatenate([s.ppg for s in sets])
    return Head.fit(
        fingerprints_of(fingerprinter, ppg, "training people"),
        np.concatenate([s.rate_bpm for s in sets]),
        np.concatenate([s.person for s in sets]),
        name="heart_rate",
        unit="bpm",
        log=True,
        confidence=confidence,
    )


def measured(
    head: Head, prints: Sequence[Fingerprint], rated: RatedWindows
) -> dict[str, Any]:
    """What a head gives on people it was not fitted on; intervals are over people.

    Returns
    -------
    dict
        Absolute errors (bpm) and coverage of the windows that it answers, and of all;
        beat counting on the windows where both answer.
    """
    told = head.predict(prints)
    value = np.array([float(t.value) for t in told])
    low = np.array([-np.inf if t.low is None else t.low for t in told])
    high = np.array([np.inf if t.high is None else t.high for t in told])
    answered = np.array([not t.abstained for t in told], dtype=np.bool_)
    counted = np.array([p.heart_rate_bpm or np.nan for p in prints])
    truth = rated.rate_bpm
    error = np.abs(value - truth)
    covered = ((low <= truth) & (truth <= high)).astype(np.float64)
    both = answered & np.isfinite(counted)

    def over_people(figure: npt.NDArray[np.float64], rows: npt.NDArray[np.bool_]) -> Any:
        if not rows.any():
            return None
        return asdict(mean_over_people(figure[rows], rated.person[rows]))

    return {
        "windows": len(rated),
        "answered": float(answered.mean()),
        "mae": over_people(error, answered),
        "mae_all": over_people(error, np.ones(len(error), np.bool_)),
        "coverage": over_people(covered, answered),
        "median_interval_bpm": float(np.median((high - low)[answered]))
        if answered.any()
        else None,
        "mae_where_beats_were_counted": over_people(error, both),
        "mae_of_beat_counting": over_people(np.abs(counted - truth), both),
        "mae_of_training_mean": over_people(np.abs(head_mean(head) - truth), answered),
    }


def head_mean(head: Head) -> float:
    """What a head says of the average fingerprint: the best guess that looks at nothing."""
    centre = head.parameters.centre[None]
    value, _, _ = head.parameters.numbers(centre, head.confidence)
    return float(value[0])


def add_verb(verbs: Any) -> None:
    """Add `heads` to the command line."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "heads", help="the heart-rate head of a model package, with its figures"
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--package", type=Path, help="default: the shipped model")
    parser.add_argument(
        "--out", type=Path, help="folder; default: where heads ship, by the model's name"
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/evaluation"))
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    library = Library(corpus_folders(arguments.data), SETS, arguments.cache)
    fingerprinter = Fingerprinter(arguments.package, "onnx")
    sets = []
    for corpus in _FITTED_ON:
        if reason := library.missing(corpus):
            raise RecordingError(f"the heart-rate head is fitted on {corpus}: {reason}")
        sets.append(windows_with_rates(library, corpus, test=False))
    head = fit_heart_rate(fingerprinter, sets)
    asked = {}
    for corpus in _ASKED_OF:
        if reason := library.missing(corpus):
            _LOGGER.warning("%s is left out: %s", corpus, reason)
            continue
        rated = windows_with_rates(library, corpus, test=True)
        asked[corpus] = measured(
            head, fingerprints_of(fingerprinter, rated.ppg, f"{corpus}, held out"), rated
        )
    head = replace(
        head, figures={**head.figures, "fitted_on": list(_FITTED_ON), "tested": asked}
    )
    manifest = fingerprinter.package.manifest
    folder = arguments.out or HEADS_FOLDER / f"{manifest.name}_v{manifest.version}"
    folder.mkdir(parents=True, exist_ok=True)
    head.save(folder / "heart_rate.json")
    return {
        "head": str(folder / "heart_rate.json"),
        "model": head.model,
        "people": head.people,
        "rows": head.rows,
        **head.figures,
    }
