"""Can the pulse wave be had back from its fingerprint? A decoder that tries.

An attacker with a sensor of his own and the open model makes any number of pairs of
fingerprint and window. A fingerprint barely says *when* beats fall, so a decoder that must
hit the samples paints their mean, which is flat. This one is given windows turned
(circularly) so that a pulse's peak stands in the middle, and everything is judged at the
best turn: the decoder, and its nulls alike.

Nulls say what a figure is worth: the training people's mean window, a window of somebody
else, another window of the same person (at least a minute away), and *rate alone*: the
training people's mean pulse, repeated at the true window's heart rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from plethprint.quality import heart_rate_bpm
from plethprint.signal import PPG
from plethprint_distill.privacy.embedders import pulse_peaks
from plethprint_distill.reconstruction import peak_f1
from plethprint_distill.statistics import Interval, mean_over_people
from plethprint_distill.windows import WindowSet

__all__ = [
    "Decoder",
    "Inversion",
    "fit_decoder",
    "invert",
    "judge",
    "painted",
    "turned_to_peak",
]

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

_MIDDLE = PPG.window_samples // 2
_BEAT_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Inversion:
    """How like the true windows some waves are, each at its best turn."""

    pearson: Interval
    coherence: Interval
    """Magnitude-squared coherence, weighted by the true window's power."""
    beat_f1: Interval
    """Pulse peaks within 0.1 s."""
    heart_rate_error_bpm: Interval
    """Where both show a rate."""
    shows_a_rate: Interval
    """Share of windows, of those whose truth shows a rate, where the wave does as well."""
    shape_pearson: Interval
    """Mean pulse against mean pulse, each from its peak on: shape without rate."""


class Decoder(nn.Module):
    """Fingerprints (N, F) -> windows (N, T) in standard deviations, peak in the middle."""

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, dim: int, centre: torch.Tensor, spread: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("spread", spread)
        self.layers = nn.Sequential(
            nn.Linear(dim, 384),
            nn.GELU(),
            nn.Linear(384, 384),
            nn.GELU(),
            nn.Linear(384, PPG.window_samples),
        )

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """See the class."""
        painted: torch.Tensor = self.layers((vectors - self.centre) / self.spread)
        return painted


def turned_to_peak(ppg: npt.NDArray[np.int8]) -> Float32Array:
    """Windows (N, T) in sd, turned so that the pulse peak nearest the middle is there."""
    rows = np.asarray(ppg, np.float32) * np.float32(PPG.input_scale)
    for row in range(len(rows)):
        peaks = pulse_peaks(rows[row]) * PPG.rate_hz
        if peaks.size:
            nearest = int(peaks[np.argmin(np.abs(peaks - _MIDDLE))])
            rows[row] = np.roll(rows[row], _MIDDLE - nearest)
    turned: Float32Array = rows.astype(np.float32, copy=False)
    return turned


def fit_decoder(
    vectors: npt.NDArray[np.floating],
    ppg: npt.NDArray[np.int8],
    *,
    epochs: int = 40,
    batch: int = 256,
    seed: int = 0,
) -> Decoder:
    """Learn the way back from pairs of fingerprint (N, F) and window (N, T)."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    seen = torch.from_numpy(np.asarray(vectors, np.float32))
    target = torch.from_numpy(turned_to_peak(ppg))
    decoder = Decoder(seen.shape[1], seen.mean(dim=0), seen.std(dim=0) + 1e-6)
    steps = epochs * -(-len(seen) // batch)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(seen)))
        for first in range(0, len(order), batch):
            some = order[first : first + batch]
            # A little noise, so that it does not learn the training people by heart.
            noisy = seen[some] + 0.1 * decoder.spread * torch.randn(
                len(some), seen.shape[1]
            )
            loss = nn.functional.mse_loss(decoder(noisy), target[some])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return decoder.eval()


@torch.inference_mode()
def painted(decoder: Decoder, vectors: npt.NDArray[np.floating]) -> Float32Array:
    """Windows (N, T) as the decoder sees them."""
    rows = decoder(torch.from_numpy(np.asarray(vectors, np.float32)))
    return np.asarray(rows.numpy(), np.float32)


def invert(
    decoder: Decoder,
    vectors: npt.NDArray[np.floating],
    windows: WindowSet,
    training: npt.NDArray[np.int8],
    *,
    nulls: bool = True,
    seed: int = 0,
) -> dict[str, Inversion]:
    """Figures of the decoder and of every null, on people it never saw.

    Parameters
    ----------
    vectors, windows
        (N, F) fingerprints and the windows they are of.
    training
        (M, T) windows of training people, for the nulls' means.
    nulls
        False for the decoder alone: nulls look at no fingerprint.
    """
    truth, person = np.asarray(windows.ppg), np.asarray(windows.person)
    waves: dict[str, npt.NDArray[Any]] = {"decoder": painted(decoder, vectors)}
    if nulls:
        waves |= _nulls(windows, turned_to_peak(training), np.random.default_rng(seed))
    return {name: judge(wave, truth, person) for name, wave in waves.items()}


def _nulls(
    windows: WindowSet, known: Float32Array, rng: np.random.Generator
) -> dict[str, npt.NDArray[Any]]:
    truth, person = np.asarray(windows.ppg), np.asarray(windows.person)
    pulse = mean_pulse(known)
    strangers = np.array([rng.choice(np.flatnonzero(person != p)) for p in person])
    rate = heart_rate_bpm(truth).astype(np.float64)
    rate = np.where(np.isfinite(rate), rate, np.nanmedian(rate))
    return {
        "mean window": np.broadcast_to(known.mean(axis=0), truth.shape),
        "window of somebody else": truth[strangers],
        "another window of the same person": truth[_own_other(windows, rng)],
        "rate alone": np.stack([pulse_train(pulse, r) for r in rate]),
    }


def _own_other(windows: WindowSet, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    person, record = np.asarray(windows.person), np.asarray(windows.record)
    start = np.asarray(windows.start_s)
    picks = np.arange(len(windows))
    for row in range(len(windows)):
        mine = person == person[row]
        far = np.flatnonzero(
            mine & ((record != record[row]) | (np.abs(start - start[row]) >= 60.0))
        )
        if not far.size:  # a recording too short for a minute's distance
            far = np.flatnonzero(mine & (np.arange(len(windows)) != row))
        if far.size:
            picks[row] = rng.choice(far)
    return picks


def mean_pulse(rows: npt.NDArray[np.floating]) -> FloatArray:
    """Mean pulse (64,), from its peak over one beat, of windows (N, T)."""
    pulses = [one for one in map(_own_pulse, rows) if one is not None]
    return np.mean(pulses, axis=0) if pulses else np.cos(np.arange(64) * 2 * np.pi / 64)


def _own_pulse(row: npt.NDArray[np.floating]) -> FloatArray | None:
    beats = pulse_peaks(row)
    if beats.size < 3:
        return None
    phase = np.arange(64) / 64
    cuts = beats[:-1, None] + np.diff(beats)[:, None] * phase
    time_s = np.arange(len(row)) / PPG.rate_hz
    pulse: FloatArray = np.interp(cuts, time_s, row).mean(axis=0)
    return pulse


def pulse_train(pulse: FloatArray, rate_bpm: float) -> FloatArray:
    """A window (T,) that repeats one pulse (64,) at a rate."""
    time_s = (np.arange(PPG.window_samples) - _MIDDLE) / PPG.rate_hz
    phase = time_s * rate_bpm / 60.0 % 1.0
    train: FloatArray = np.interp(phase * 64, np.arange(65), np.append(pulse, pulse[0]))
    return train


def judge(
    waves: npt.NDArray[Any], truth: npt.NDArray[np.int8], person: npt.NDArray[np.str_]
) -> Inversion:
    """Figures of waves (N, T) against true windows (N, T), at each one's best turn."""
    from scipy.signal import coherence, welch

    columns: dict[str, list[float]] = {name: [] for name in Inversion.__dataclass_fields__}
    for wave, true in zip(waves, truth, strict=True):
        ours, theirs = _standard(wave), _standard(true)
        turn, pearson = _best_turn(ours, theirs)
        ours = np.roll(ours, turn)
        frequency, power = welch(theirs, PPG.rate_hz, nperseg=256)
        band = (frequency >= 0.5) & (frequency <= PPG.band_hz[1])
        weighted = 0.0
        if ours.any() and theirs.any():
            _, shared = coherence(ours, theirs, PPG.rate_hz, nperseg=256)
            weighted = float((shared[band] * power[band]).sum() / power[band].sum())
        beats = pulse_peaks(theirs)
        rates = heart_rate_bpm(np.stack([_steps(ours), _steps(theirs)]))
        own, other = _own_pulse(ours), _own_pulse(theirs)
        columns["pearson"].append(pearson)
        columns["coherence"].append(weighted)
        columns["beat_f1"].append(peak_f1(pulse_peaks(ours), beats, _BEAT_TOLERANCE_S))
        columns["heart_rate_error_bpm"].append(float(abs(rates[0] - rates[1])))
        columns["shows_a_rate"].append(
            float(np.isfinite(rates[0])) if np.isfinite(rates[1]) else float("nan")
        )
        columns["shape_pearson"].append(
            float("nan")
            if own is None or other is None
            else float(np.corrcoef(own, other)[0, 1])
        )
    return Inversion(**{k: mean_over_people(v, person) for k, v in columns.items()})


def _standard(row: npt.NDArray[Any]) -> FloatArray:
    values = np.asarray(row, np.float64)
    values = values - values.mean()
    spread = values.std()
    scaled: FloatArray = values / spread if spread > 1e-9 else np.zeros_like(values)
    return scaled


def _steps(row: FloatArray) -> npt.NDArray[np.int8]:
    return np.clip(np.rint(row / PPG.input_scale), -127, 127).astype(np.int8)


def _best_turn(ours: FloatArray, theirs: FloatArray) -> tuple[int, float]:
    """Circular turn of `ours` that correlates best with `theirs`, and how well."""
    product = np.fft.irfft(np.fft.rfft(theirs) * np.conj(np.fft.rfft(ours)), len(ours))
    turn = int(np.argmax(product))
    return turn, float(product[turn] / len(ours))
