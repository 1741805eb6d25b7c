"""Window sets: every corpus in one form, ready to train on.

A set is a folder of plain .npy arrays (read by memory map) and one JSON file with its
corpora, licences and people. Windows come from the SDK's own preprocessing: settled ones
out of the running filter, and cold ones cut from the raw signal as a row of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.alignment import align_pair
from plethprint.errors import RecordingError, SignalError
from plethprint.quality import assess
from plethprint.signal import ECG, PPG, window_rows, windows_of
from plethprint_distill.corpora import CorpusRecording
from plethprint_distill.crops import crop, room_samples, with_context
from plethprint_distill.physiology import (
    INTERVAL_TARGETS,
    PRESSURE_TARGETS,
    TARGETS,
    beats_of_ecg,
    interval_targets,
    log_with_floor,
    pulse_shape,
    target_column,
)

__all__ = [
    "Signals",
    "WindowSet",
    "aligned_signals",
    "apart",
    "concatenate",
    "cut_windows",
    "windows_of_recording",
]

FloatArray = npt.NDArray[np.float64]

MAX_MISSING = 0.05
"""Windows with a larger share of missing samples are left out, flat ones as well."""

UNDISTURBED_QUALITY = 0.9
"""A real window of at least this quality counts as undisturbed..."""
UNDISTURBED_RATIO = 0.02
"""...which is to say that its disturbance has this share of the pulse's energy."""


@dataclass(frozen=True)
class WindowSet:
    """N windows with their people and what is known of them."""

    ppg: npt.NDArray[np.int8]
    """(N, PPG.window_samples), or longer with context; zeros where `has_ppg` is false."""
    ecg: npt.NDArray[np.int8]
    """(N, ECG.window_samples), or longer with context; zeros where `has_ecg` is false."""
    has_ppg: npt.NDArray[np.bool_]
    has_ecg: npt.NDArray[np.bool_]
    targets: npt.NDArray[np.float32]
    """(N, len(TARGETS)); NaN where unknown."""
    rhythm: npt.NDArray[np.int8]
    """(N,) code of the virtual wearer's rhythm, -1 where unknown."""
    person: npt.NDArray[np.str_]
    """(N,) "corpus/person"."""
    record: npt.NDArray[np.str_]
    start_s: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ppg)

    def take(self, index: npt.NDArray[Any]) -> WindowSet:
        """The windows at `index` (a mask or positions)."""
        return WindowSet(**{key: value[index] for key, value in self._arrays()})

    def centred(self) -> WindowSet:
        """The same without context before and behind: windows as a device sees them."""
        if not room_samples(self.ppg, PPG):
            return self
        rows = {}
        for spec in (PPG, ECG):
            whole = np.asarray(getattr(self, spec.name))
            first = np.full(len(self), room_samples(whole, spec) // 2)
            steps = np.rint(crop(whole, spec, first) / np.float32(spec.input_scale))
            rows[spec.name] = steps.astype(np.int8)
        return replace(self, **rows)

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        return ((key, getattr(self, key)) for key in self.__dataclass_fields__)

    def save(self, folder: Path, *, about: dict[str, Any] | None = None) -> None:
        """Write the arrays and, last, `about.json`: a set without it is not finished."""
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in self._arrays():
            np.save(folder / f"{key}.npy", value)
        people = {str(p) for p in self.person}
        facts = {"windows": len(self), "people": len(people), **(about or {})}
        (folder / "about.json").write_text(json.dumps(facts, indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> WindowSet:
        """Read a set by memory map.

        Raises
        ------
        RecordingError
            If the folder holds no finished set.
        """
        if not (folder / "about.json").is_file():
            raise RecordingError(f"{folder} holds no finished window set: prepare it first")
        return cls(
            **{
                key: np.load(folder / f"{key}.npy", mmap_mode="r")
                for key in cls.__dataclass_fields__
            }
        )


def concatenate(sets: Iterable[WindowSet]) -> WindowSet:
    """One set of several, in their order."""
    parts = [dict(part._arrays()) for part in sets]
    return WindowSet(**{key: np.concatenate([p[key] for p in parts]) for key in parts[0]})


def apart(windows: WindowSet) -> WindowSet:
    """Windows of which no two of a record share a sample.

    Training windows overlap; for figures that would make a window's neighbours its own
    signal moved by a hop, and neighbour overlap a gift.
    """
    keep = np.zeros(len(windows), dtype=np.bool_)
    ends: dict[str, float] = {}
    order = np.lexsort((np.asarray(windows.start_s), np.asarray(windows.record)))
    for row in order.tolist():
        record, start_s = str(windows.record[row]), float(windows.start_s[row])
        if start_s >= ends.get(record, 0.0) - 1e-3:
            keep[row] = True
            ends[record] = start_s + PPG.window_s
    return windows.take(keep)


@dataclass(frozen=True)
class Signals:
    """What one recording holds, its pair brought to one lag; both begin at one moment."""

    ppg: FloatArray | None
    ppg_rate_hz: float
    ecg: FloatArray | None
    ecg_rate_hz: float


def aligned_signals(recording: CorpusRecording) -> Signals:
    """The signals of a recording, a pair brought to one physiological lag.

    An ECG that no lag can be found for (flat, too short) is left out.

    Raises
    ------
    RecordingError
        If the two signals of a pair have different rates.
    """
    pulse, heart = (
        None if x is None else np.asarray(x, dtype=np.float64)
        for x in (recording.ppg, recording.ecg)
    )
    if pulse is not None and heart is not None:
        if recording.ecg_rate_hz != recording.ppg_rate_hz:
            raise RecordingError(
                f"{recording.record}: ECG and PPG of one rate are needed, not "
                f"{recording.ecg_rate_hz:g} and {recording.ppg_rate_hz:g} Hz"
            )
        length = min(heart.size, pulse.size)
        try:
            heart, pulse, _ = align_pair(
                heart[:length], pulse[:length], recording.ppg_rate_hz
            )
            # The shift eats an end. A pair of just one window would have none left: what
            # was eaten is marked missing, and the window stands if that is little.
            eaten = np.full(length - pulse.size, np.nan)
            heart, pulse = (np.concatenate([x, eaten]) for x in (heart, pulse))
        except SignalError:
            heart = None  # what is left is a PPG
    return Signals(pulse, recording.ppg_rate_hz, heart, recording.ecg_rate_hz)


def windows_of_recording(
    recording: CorpusRecording,
    *,
    hop_s: float = 2.5,
    cold_share: float = 0.3,
    seed: int = 0,
    context_s: float = 0.0,
) -> WindowSet | None:
    """Windows of a recording of PPG, ECG or both, without gaps; None when none is left.

    A pair is first brought to one physiological lag. `cold_share` of the PPG windows are
    cut raw and filtered from a cold start, as rows of an evaluation set are. `context_s`
    seconds more are kept before and behind each window, for `plethprint_distill.crops`;
    what is told of a window is told of its middle.

    Raises
    ------
    RecordingError
        If the two signals of a pair have different rates.
    """
    signals = aligned_signals(recording)
    return cut_windows(
        recording,
        signals,
        hop_s=hop_s,
        cold_share=cold_share,
        seed=seed,
        context_s=context_s,
    )


def cut_windows(
    recording: CorpusRecording,
    signals: Signals,
    *,
    hop_s: float = 2.5,
    cold_share: float = 0.3,
    seed: int = 0,
    context_s: float = 0.0,
) -> WindowSet | None:
    """Windows of `signals`, which are `recording`'s or were made from them."""
    long_ppg, long_ecg = (with_context(spec, context_s) for spec in (PPG, ECG))
    found = {
        spec.name: windows_of(signal, rate_hz, spec=spec, hop_s=hop_s)
        for spec, signal, rate_hz in (
            (long_ppg, signals.ppg, signals.ppg_rate_hz),
            (long_ecg, signals.ecg, signals.ecg_rate_hz),
        )
        if signal is not None
    }
    count = min((len(runs) for runs in found.values()), default=0)
    if not count:
        return None
    rows = {
        spec.name: np.stack([w.samples for w in found[spec.name][:count]])
        if spec.name in found
        else np.zeros((count, spec.window_samples), np.int8)
        for spec in (long_ppg, long_ecg)
    }
    starts = np.array([w.start_s for w in next(iter(found.values()))[:count]])
    missing = np.max([[w.missing for w in runs[:count]] for runs in found.values()], axis=0)
    if signals.ppg is not None:
        rng = np.random.default_rng([seed, *recording.record.encode()])
        cold = np.flatnonzero(rng.random(count) < cold_share)
        span = long_ppg.window_s * signals.ppg_rate_hz
        for row in cold.tolist():
            first = round(float(starts[row]) * signals.ppg_rate_hz)
            raw = signals.ppg[first : first + round(span)]
            if raw.size >= 0.98 * span:
                rows["ppg"][row] = window_rows(
                    raw[None], signals.ppg_rate_hz, spec=long_ppg
                )[0][0]
    keep = missing <= MAX_MISSING
    for name in found:
        keep &= rows[name].any(axis=1)
    if not keep.any():
        return None
    starts = starts + context_s
    whole = WindowSet(
        ppg=rows["ppg"],
        ecg=rows["ecg"],
        has_ppg=np.full(count, "ppg" in found),
        has_ecg=np.full(count, "ecg" in found),
        targets=np.full((count, len(TARGETS)), np.nan, np.float32),
        rhythm=np.full(count, -1, np.int8),
        person=np.full(count, f"{recording.corpus}/{recording.person}"),
        record=np.full(count, recording.record),
        start_s=starts.astype(np.float32),
    )
    middle = np.asarray(whole.centred().ppg)
    targets = _targets(recording, signals, middle, starts, missing)
    return replace(whole, targets=targets).take(keep)


def _targets(
    recording: CorpusRecording,
    signals: Signals,
    ppg: npt.NDArray[np.int8],
    starts: FloatArray,
    missing: FloatArray,
) -> npt.NDArray[np.float32]:
    """(N, len(TARGETS)): what the ECG's beats and the recording's labels tell."""
    targets = np.full((len(starts), len(TARGETS)), np.nan, np.float32)
    if signals.ecg is not None:
        beats = beats_of_ecg(signals.ecg, signals.ecg_rate_hz)
        for row, start in enumerate(starts):
            inside = beats[(beats >= start) & (beats < start + PPG.window_s)] - start
            targets[row, : len(INTERVAL_TARGETS)] = interval_targets(inside)
            shape = pulse_shape(ppg[row], inside)
            targets[row, -len(shape) :] = shape
    for name in PRESSURE_TARGETS:
        value = recording.labels.get(name.removeprefix("log_"))
        if isinstance(value, float) and value > 0.0:
            targets[:, target_column(name)] = np.log(value)
    if signals.ppg is not None:
        undisturbed = assess(ppg, np.minimum(missing, 1.0)) >= UNDISTURBED_QUALITY
        column = target_column("log_disturbance")
        targets[undisturbed, column] = log_with_floor(UNDISTURBED_RATIO)
    return targets


def about(corpora: Iterable[Any], **facts: Any) -> dict[str, Any]:
    """What a set's JSON says of its corpora."""
    return {
        "corpora": [{"name": c.name, "licence": c.licence} for c in corpora],
        "ppg": asdict(PPG),
        "ecg": asdict(ECG),
        "targets": list(TARGETS),
        **facts,
    }
