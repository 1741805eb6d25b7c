"""How far virtual windows are from real ones, and whether the real lie among them.

Two questions of one set of hand-made features: can a classifier tell real from virtual
(a classifier two-sample test; 0.5 would say that it cannot), and has every real window
a virtual one near by (coverage)? A virtual set is meant to be wider than the real one,
so coverage is what it is judged by; the classifier says what still sets them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import MissingExtraError, RecordingError
from plethprint.resample import MAX_RATE_HZ
from plethprint.signal import ECG, PPG, SignalSpec
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.splits import TRAINING_CORPORA, is_test_person
from plethprint_distill.window_features import FEATURES, features_of
from plethprint_distill.windows import WindowSet, windows_of_recording

__all__ = [
    "Coverage",
    "Realism",
    "coverage",
    "draw_figure",
    "measure",
    "real_windows",
    "tell_apart",
]

FloatArray = npt.NDArray[np.float64]

REALISM_CORPORA = {
    "ppg": (
        "bidmc",
        "uci_cuffless",
        "stress_predict",
        "welltory",
        "ppg_bp",
        "wrist_exercise",
        "ppg_arrhythmia_valid",
    ),
    "ecg": ("bidmc", "uci_cuffless", "cinc2017", "ptbxl500"),
}
"""Corpora that hold each signal. `ppg_arrhythmia_valid` is looked at, never fitted to."""

_LOOPED_S = 14.0
_FALLING = ("wrist_exercise",)
"""Raw light, which falls when the vessel fills, as far as can be told in so much motion:
turned over."""
_LEAST_VARIANCE = 0.1
"""Directions with less than a tenth of one feature's variance are not whitened: they are
nearly sums of others, and blowing them up would measure rounding."""


@dataclass(frozen=True)
class Coverage:
    """Whether the real windows lie among the virtual ones."""

    near: float
    """Share of real windows nearer to a virtual one than 95 % of the virtual ones are to
    theirs, in whitened feature space."""
    near_as_real: float
    """The same by a stricter ruler that a wider virtual set does not lengthen: real
    windows nearer to a virtual one than 95 % of the real ones are to the nearest of
    another person, in the space whitened by the real windows."""
    inside: dict[str, float]
    """Feature name -> share of real windows within the virtual 1 to 99 %."""


@dataclass(frozen=True)
class Realism:
    """One corpus against the virtual windows, one signal."""

    corpus: str
    signal: str
    windows: int
    people: int
    auroc_linear: float
    """Logistic regression, folds disjoint in people; 0.5: cannot tell."""
    auroc_trees: float
    """Gradient-boosted trees, likewise."""
    coverage: float
    """`Coverage.near`."""
    coverage_as_real: float
    """`Coverage.near_as_real`."""
    inside_mean: float
    inside_worst: tuple[tuple[str, float], ...]
    telling: tuple[tuple[str, float, float], ...]
    """Features that tell best, with their importance and how far, in virtual standard
    deviations, the real median lies from the virtual one."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def real_windows(
    corpus: str,
    folder: Path,
    *,
    signal: str = "ppg",
    most: int = 600,
    seed: int = 0,
    test: bool = False,
) -> WindowSet:
    """About `most` windows of a corpus, spread evenly over its recordings.

    Of the training corpora only people who train, unless `test`. Segments too short for
    a window (PPG-BP) are looped over whole beats.

    Raises
    ------
    plethprint.errors.RecordingError
        The folder gives no window.
    """
    rng = np.random.default_rng([seed, *corpus.encode()])
    recordings = [
        recording
        for recording in CORPORA[corpus].read(folder / corpus)
        if corpus not in TRAINING_CORPORA
        or is_test_person(f"{corpus}/{recording.person}") == test
    ]
    order = rng.permutation(len(recordings))[:most]
    each = -(-most // max(1, len(order)))
    parts = []
    for index in order.tolist():
        # A minute or two around is plenty; hours would only take time.
        part = windows_of_recording(
            _one_signal(recordings[index], signal, each, rng), hop_s=5.0, seed=seed
        )
        if part is not None:
            keep = rng.permutation(len(part))[:each]
            parts.append(part.take(np.sort(keep)))
    if not parts:
        raise RecordingError(f"{folder / corpus} gives no window of {signal}")
    whole = WindowSet(
        **{
            key: np.concatenate([getattr(part, key) for part in parts])
            for key in WindowSet.__dataclass_fields__
        }
    )
    return whole.take(np.sort(rng.permutation(len(whole))[:most]))


def _one_signal(
    recording: CorpusRecording, signal: str, windows: int, rng: np.random.Generator
) -> CorpusRecording:
    samples = recording.ppg if signal == "ppg" else recording.ecg
    rate_hz = recording.ppg_rate_hz if signal == "ppg" else recording.ecg_rate_hz
    if samples is None:
        raise RecordingError(f"{recording.record} has no {signal}")
    if recording.corpus in _FALLING and signal == "ppg":
        samples = -samples
    if rate_hz > MAX_RATE_HZ:
        every = int(np.ceil(rate_hz / MAX_RATE_HZ))
        whole = samples.size // every * every
        samples = samples[:whole].reshape(-1, every).mean(axis=1)
        rate_hz /= every
    length = round(rate_hz * (5.0 * windows * 2 + 15.0))
    if samples.size > length:
        first = int(rng.integers(0, samples.size - length))
        samples = samples[first : first + length]
    elif samples.size < PPG.window_s * 0.98 * rate_hz:
        samples = looped(samples, rate_hz, _LOOPED_S)
    else:
        # A segment of exactly one window ends before the resampler's last sample.
        samples = np.concatenate([samples, np.repeat(samples[-1:], round(0.2 * rate_hz))])
    samples = samples.astype(np.float32)
    alone = CorpusRecording(recording.corpus, recording.person, recording.record)
    if signal == "ppg":
        return replace(alone, ppg=samples, ppg_rate_hz=rate_hz)
    return replace(alone, ecg=samples, ecg_rate_hz=rate_hz)


def looped(
    samples: npt.NDArray[np.float32], rate_hz: float, length_s: float
) -> npt.NDArray[np.float32]:
    """A short segment repeated over whole beats until it lasts `length_s`.

    The seam lies where the signal best repeats itself in value and slope; what is left
    of a step is spread over the loop.
    """
    reach, edge = round(0.15 * rate_hz), round(0.5 * rate_hz)
    step = max(1, round(rate_hz / 125))
    best, cut = np.inf, (0, samples.size - reach)
    for first in range(0, edge, step):
        head = samples[first : first + reach] - samples[first : first + reach].mean()
        for last in range(max(edge, samples.size - 2 * edge), samples.size - reach, step):
            tail = samples[last : last + reach] - samples[last : last + reach].mean()
            miss = float(np.square(head - tail).sum())
            if miss < best:
                best, cut = miss, (first, last)
    loop = samples[cut[0] : cut[1]]
    drift = samples[cut[1]] - samples[cut[0]]
    loop = loop - drift * np.arange(loop.size) / loop.size
    count = int(np.ceil(length_s * rate_hz / loop.size))
    return np.tile(loop, count).astype(np.float32)


def tell_apart(
    real: FloatArray, people: npt.NDArray[np.str_], virtual: FloatArray, *, folds: int = 5
) -> tuple[float, float, FloatArray]:
    """AUROC of a linear and of a tree classifier between real and virtual features.

    Folds are disjoint in people; where nobody knows the people (fewer of them than
    folds), in windows. Returns the two AUROC and each feature's importance (permutation,
    on the trees' test folds).
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.inspection import permutation_importance
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.concatenate([real, virtual])
    label = np.concatenate([np.ones(len(real)), np.zeros(len(virtual))])
    _, who = np.unique(people, return_inverse=True)
    if who.max() + 1 < folds:
        who = np.arange(len(real))
    groups = np.concatenate([who, who.max() + 1 + np.arange(len(virtual))])
    linear, trees = [], []
    importance: list[FloatArray] = []
    for train, test in GroupKFold(folds, shuffle=True, random_state=0).split(
        values, label, groups
    ):
        plain = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=0.3, max_iter=500, class_weight="balanced"),
        ).fit(values[train], label[train])
        boosted = HistGradientBoostingClassifier(
            max_iter=80, max_depth=4, random_state=0, class_weight="balanced"
        ).fit(values[train], label[train])
        linear.append(roc_auc_score(label[test], plain.decision_function(values[test])))
        trees.append(roc_auc_score(label[test], boosted.decision_function(values[test])))
        if not importance:
            gain = permutation_importance(
                boosted, values[test], label[test], scoring="roc_auc", n_repeats=2,
                random_state=0,
            )  # fmt: skip
            importance.append(gain.importances_mean)
    return float(np.mean(linear)), float(np.mean(trees)), np.asarray(importance[0])


def coverage(
    real: FloatArray,
    people: npt.NDArray[np.str_],
    virtual: FloatArray,
    names: tuple[str, ...],
) -> Coverage:
    """Whether the real windows (R, F) of people (R,) lie among the virtual ones (V, F)."""
    from sklearn.neighbors import NearestNeighbors

    wide, seen = _whitened(virtual, by=virtual), _whitened(real, by=virtual)
    tree = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(wide)
    among = tree.kneighbors(wide)[0][:, 1]
    to_virtual = tree.kneighbors(seen, n_neighbors=1)[0][:, 0]
    own, made = _whitened(real, by=real), _whitened(virtual, by=real)
    tree = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(made)
    by_real = tree.kneighbors(own)[0][:, 0]
    _, who = np.unique(people, return_inverse=True)
    if who.max() == 0:  # nobody knows who they are: every window is its own person
        who = np.arange(len(real))
    apart = np.linalg.norm(own[:, None] - own[None], axis=2)
    apart[who[:, None] == who[None]] = np.inf
    to_others = apart.min(axis=1)
    low, high = np.percentile(virtual, (1, 99), axis=0)
    inside = ((real >= low - 1e-9) & (real <= high + 1e-9)).mean(axis=0)
    return Coverage(
        near=float(np.mean(to_virtual <= np.percentile(among, 95))),
        near_as_real=float(np.mean(by_real <= np.percentile(to_others, 95))),
        inside={name: float(share) for name, share in zip(names, inside, strict=True)},
    )


def _whitened(values: FloatArray, *, by: FloatArray) -> FloatArray:
    centre, spread = by.mean(axis=0), by.std(axis=0) + 1e-3
    variance, axes = np.linalg.eigh(np.cov((by - centre) / spread, rowvar=False))
    kept = variance > _LEAST_VARIANCE
    whiten = axes[:, kept] / np.sqrt(variance[kept])
    return np.asarray((values - centre) / spread @ whiten)


def measure(
    corpora: Mapping[str, WindowSet], virtual: WindowSet, *, signal: str = "ppg"
) -> Iterator[Realism]:
    """Each corpus against the same virtual windows."""
    spec: SignalSpec = PPG if signal == "ppg" else ECG
    names = FEATURES[signal]
    made = features_of(getattr(virtual, signal), spec)
    centre, spread = np.median(made, axis=0), made.std(axis=0) + 1e-9
    for corpus, windows in corpora.items():
        real = features_of(getattr(windows, signal), spec)
        linear, trees, importance = tell_apart(
            real, np.asarray(windows.person), made[: max(1500, 2 * len(real))]
        )
        covered = coverage(real, np.asarray(windows.person), made, names)
        away = (np.median(real, axis=0) - centre) / spread
        order = np.argsort(-importance)[:6].tolist()
        worst = sorted(covered.inside.items(), key=lambda pair: pair[1])[:5]
        yield Realism(
            corpus=corpus,
            signal=signal,
            windows=len(windows),
            people=len(np.unique(windows.person)),
            auroc_linear=linear,
            auroc_trees=trees,
            coverage=covered.near,
            coverage_as_real=covered.near_as_real,
            inside_mean=float(np.mean(list(covered.inside.values()))),
            inside_worst=tuple(worst),
            telling=tuple((names[k], float(importance[k]), float(away[k])) for k in order),
        )


def draw_figure(found: Sequence[Realism], path: Path) -> None:
    """Coverage and AUROC of every corpus as a picture (needs matplotlib).

    Raises
    ------
    plethprint.errors.MissingExtraError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("train", "A figure") from error
    figure = Figure(figsize=(9, 0.45 * len(found) + 1.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(found))
    left.barh(rows - 0.2, [one.coverage for one in found], 0.38, label="ruler: virtual")
    left.barh(
        rows + 0.2, [one.coverage_as_real for one in found], 0.38, label="ruler: real"
    )
    left.axvline(0.95, color="black", linewidth=0.8)
    left.set(xlim=(0.5, 1.0), xlabel="real windows near a virtual one")
    left.set_yticks(rows, [f"{one.corpus} ({one.signal})" for one in found])
    left.invert_yaxis()
    left.legend(loc="lower left", fontsize="small")
    right.plot([one.auroc_linear for one in found], rows, "o", label="logistic")
    right.plot([one.auroc_trees for one in found], rows, "s", label="boosted trees")
    right.axvline(0.5, color="black", linewidth=0.8)
    right.set(xlim=(0.45, 1.0), xlabel="AUROC real against virtual")
    right.legend(loc="lower left", fontsize="small")
    figure.savefig(path, dpi=150)
