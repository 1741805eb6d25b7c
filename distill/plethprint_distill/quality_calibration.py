"""The host's signal quality: its weights fitted, its figures on people held out.

Fitted on training people, so that clean and damaged windows weigh the same, each kind of
damage as much as another, and motion half by made-up bursts and half by moving wrists.
Asked of people held out: AUROC, calibration, the reason given; and of two truths that
nobody made up: whether the wrist moved, and whether the rate counted in the window is the
ECG's.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import RecordingError
from plethprint.fingerprint import LOW_QUALITY
from plethprint.quality import assess, heart_rate_bpm
from plethprint.signal_quality import (
    MEASURES,
    WEIGHTS_FILE,
    judge,
    quality_of_measures,
    read_weights,
    regressors,
)
from plethprint_distill.damage import DAMAGE
from plethprint_distill.evaluation_sets import SETS
from plethprint_distill.heart_rate_head import windows_with_rates
from plethprint_distill.labelled_windows import Library, corpus_folders
from plethprint_distill.metrics import auroc_of_people, calibration_error
from plethprint_distill.quality_windows import MOVING, QualityWindows, quality_windows
from plethprint_distill.splits import test_mask
from plethprint_distill.statistics import estimate, mean_over_people

__all__ = ["REASON_OF", "add_verb", "figures", "fitted_weights"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

REASON_OF = {
    "clean": "",
    "noise": "noise",
    "motion": "motion",
    MOVING: "motion",
    "contact": "contact",
    "clipping": "clipping",
    "walk": "baseline",
}
"""The reason that is right for each kind of window."""

_CLASSES = ("", "noise", "motion", "contact", "clipping", "baseline")
# Of the penalty, rows weighing one in all: chosen on training people. Less of it tells
# made-up damage better, and windows whose rate cannot be counted worse.
_STRENGTH = 0.04
_RATE_ERROR_BPM = 5.0
_BINS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)


def fitted_weights(windows: QualityWindows) -> dict[str, Any]:
    """Fit the multinomial logistic regression of `plethprint.signal_quality`.

    Returns
    -------
    dict
        As ``signal_quality.json`` holds it.
    """
    from sklearn.linear_model import LogisticRegression

    answer = np.array([_CLASSES.index(REASON_OF[k]) for k in windows.kind.tolist()])
    centre = windows.measures.mean(axis=0)
    spread = np.maximum(windows.measures.std(axis=0), 1e-6)
    weight = _weights(windows.kind)
    x = regressors(windows.measures, centre, spread)
    model = LogisticRegression(C=1.0 / _STRENGTH, max_iter=2000, tol=1e-6).fit(
        x, answer, sample_weight=weight
    )
    # The penalty makes it say less than it knows; two numbers put that right.
    log_odds = _log_odds(model.predict_proba(x)[:, 0])
    curve = LogisticRegression(C=1e6).fit(
        log_odds[:, None], answer == 0, sample_weight=weight
    )
    told = {"centre": centre, "spread": spread, "weights": model.coef_}
    told["bias"] = model.intercept_
    told["calibration"] = np.array([curve.coef_[0, 0], curve.intercept_[0]])
    return {
        "measures": list(MEASURES),
        "classes": list(_CLASSES),
        **{name: _rounded(values) for name, values in told.items()},
    }


def figures(windows: QualityWindows) -> dict[str, Any]:
    """Figures of people held out, by corpus; 95 % intervals are over people."""
    told: dict[str, Any] = {}
    quality, reasons = quality_of_measures(windows.measures)
    said = np.array(reasons)
    for corpus in np.unique(windows.corpus).tolist():
        rows = windows.corpus == corpus
        some, q = windows.take(rows), quality[rows]
        made_up = some.kind != MOVING
        clean = some.kind == "clean"
        groups = {"every damage": made_up}
        groups |= {kind: clean | (some.kind == kind) for kind in DAMAGE}
        groups["weakest of each"] = clean | (some.weakest & made_up)
        if not made_up.all():
            groups[MOVING] = clean | ~made_up
        told[corpus] = {
            "windows": int(rows.sum()),
            "people": len(np.unique(some.person)),
            "host": {name: _auroc(some, q, g) for name, g in groups.items()},
            "on_device": {
                name: _auroc(some, some.on_device, g) for name, g in groups.items()
            },
            "share_at_or_above_half": {
                kind: _share(some, q >= LOW_QUALITY, some.kind == kind)
                for kind in np.unique(some.kind).tolist()
            },
            "calibration": _calibration(some.take(made_up), q[made_up]),
            "calibration_of_on_device": _calibration(
                some.take(made_up), some.on_device[made_up]
            )["error"],
            "reason": _reasons(some, q, said[rows]),
        }
    return told


def heart_rate_figures(library: Library) -> dict[str, Any]:
    """Whether the quality tells windows whose counted rate is right from others.

    Nothing is damaged here: what was recorded is what there is.
    """
    told: dict[str, Any] = {}
    for corpus in ("bidmc", "uci_cuffless", "welltory"):
        if library.missing(corpus):
            continue
        rated = windows_with_rates(library, corpus, test=True)
        error = np.abs(heart_rate_bpm(rated.ppg).astype(np.float64) - rated.rate_bpm)
        right = error <= _RATE_ERROR_BPM  # also false where no rate was found
        host, _ = judge(rated.ppg)
        scores = {"host": host, "on_device": assess(rated.ppg)}
        told[corpus] = {"windows": len(rated), "right": float(right.mean())}
        for name, score in scores.items():
            area = auroc_of_people(right, score.astype(np.float64), rated.person)
            told[corpus][name] = asdict(estimate(area, rated.person).interval)
            kept = score >= LOW_QUALITY
            told[corpus][f"{name}_right_where_not_flagged"] = float(right[kept].mean())
            told[corpus][f"{name}_flagged"] = float(1 - kept.mean())
    return told


def add_verb(verbs: Any) -> None:
    """Add `quality` to the command line."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "quality", help="the host's signal quality: figures, and with --fit its weights"
    )
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path("runs/evaluation"))
    parser.add_argument(
        "--fit", action="store_true", help="first make the weights that ship anew"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    folders = corpus_folders(arguments.data)
    windows = quality_windows(folders)
    held_out = test_mask(windows.person)
    if arguments.fit:
        if held_out.all():
            raise RecordingError("there is nobody to fit on: BIDMC and Stress-Predict are")
        weights = fitted_weights(windows.take(~held_out))
        WEIGHTS_FILE.write_text(json.dumps(weights, indent=1) + "\n", encoding="utf-8")
        read_weights.cache_clear()
    return {
        "damage": figures(windows.take(held_out)),
        "heart_rate": heart_rate_figures(Library(folders, SETS, arguments.cache)),
    }


def _log_odds(probability: FloatArray) -> FloatArray:
    clipped = np.clip(probability, 1e-9, 1 - 1e-9)
    odds: FloatArray = np.log(clipped) - np.log1p(-clipped)
    return odds


def _weights(kind: npt.NDArray[np.str_]) -> FloatArray:
    """Clean as much as damaged, each damage alike, motion half made up and half real."""
    share = {"clean": 0.5, **dict.fromkeys(DAMAGE, 0.1)}
    if (kind == MOVING).any():
        share |= {"motion": 0.05, MOVING: 0.05}
    names, inverse, counts = np.unique(kind, return_inverse=True, return_counts=True)
    each = np.array(
        [share[n] / c for n, c in zip(names.tolist(), counts.tolist(), strict=True)]
    )
    weights: FloatArray = each[inverse]
    return weights


def _auroc(windows: QualityWindows, score: FloatArray, rows: BoolArray) -> dict[str, Any]:
    clean, person = windows.kind[rows] == "clean", windows.person[rows]
    area = auroc_of_people(clean, score[rows].astype(np.float64), person)
    return asdict(estimate(area, person).interval)


def _share(windows: QualityWindows, hit: BoolArray, rows: BoolArray) -> dict[str, Any]:
    share = hit[rows].astype(np.float64)
    return asdict(mean_over_people(share, windows.person[rows]))


def _calibration(windows: QualityWindows, quality: FloatArray) -> dict[str, Any]:
    """What was said against what was so, half of all windows being clean."""
    clean = windows.kind == "clean"
    # Every clean window as often as it was damaged: the mixture the quality speaks of.
    often = np.where(clean, len(DAMAGE), 1)
    truth, said = np.repeat(clean, often), np.repeat(quality, often).astype(np.float64)
    person = np.repeat(windows.person, often)
    bins = []
    for low, high in pairwise(_BINS):
        rows = (said >= low) & ((said < high) | (high == 1.0))
        if not rows.any():
            continue
        share = estimate(_weighted_share(truth[rows]), person[rows]).interval
        bins.append(
            {"from": low, "to": high, "said": float(said[rows].mean()), **asdict(share)}
        )
    return {"error": calibration_error(truth, said), "bins": bins}


def _weighted_share(truth: BoolArray) -> Any:
    def share(weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=1)
        found: FloatArray = weights @ truth / np.where(total > 0, total, np.nan)
        return found

    return share


def _reasons(
    windows: QualityWindows, quality: FloatArray, said: npt.NDArray[np.str_]
) -> dict[str, Any]:
    """Of damaged windows that are flagged, how often the reason is the right one."""
    told = {}
    for kind in np.unique(windows.kind).tolist():
        rows = (windows.kind == kind) & (quality < LOW_QUALITY)
        if kind != "clean" and rows.any():
            right = said[rows] == REASON_OF[kind]
            told[kind] = {"flagged": int(rows.sum()), "right": float(right.mean())}
    return told


def _rounded(values: npt.ArrayLike) -> Any:
    return np.vectorize(lambda v: float(f"{v:.6g}"))(np.asarray(values)).tolist()
