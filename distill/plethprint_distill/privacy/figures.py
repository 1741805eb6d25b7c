"""Pictures of a privacy report: the DET curves and what a decoder makes of fingerprints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from plethprint.signal import PPG
from plethprint_distill.privacy.report import PrivacyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["det_figure", "inversion_figure", "save_figures"]


def det_figure(report: PrivacyReport, *, scorer: str = "learnt") -> Figure:
    """DET curves of one-minute probes, a panel for each corpus and protocol."""
    from matplotlib.figure import Figure
    from scipy.stats import norm

    rows = [r for r in report.reidentification if r.scorer == scorer and r.probe_s > 10.0]
    panels = sorted({(r.corpus, r.protocol) for r in rows})
    down = -(-len(panels) // 3)
    figure = Figure(figsize=(12.0, 4.2 * max(down, 1)), layout="constrained")
    ticks = np.array([0.001, 0.01, 0.05, 0.2, 0.5, 0.8])
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(down, 3, number + 1)
        for row in (r for r in rows if (r.corpus, r.protocol) == panel):
            curve = row.verification
            accept, reject = (
                norm.ppf(np.clip(share, 5e-4, 1 - 5e-4))
                for share in (curve.false_accept, curve.false_reject)
            )
            rate = f"{100 * curve.equal_error_rate.mean:.0f} %"
            axes.plot(accept, reject, label=f"{row.features}, EER {rate}")
        axes.plot(norm.ppf(ticks), norm.ppf(1 - ticks), ":", color="grey", label="chance")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(norm.ppf(ticks).tolist(), [f"{100 * t:g}" for t in ticks])
        low, high = norm.ppf(0.0008), norm.ppf(0.9)
        axes.set(xlim=(low, high), ylim=(low, high))
        axes.set(xlabel="strangers let in, %", ylabel="wearers turned away, %")
        axes.set_title("\n".join(panel), fontsize=9)
        axes.legend(fontsize=7)
    return figure


def inversion_figure(report: PrivacyReport) -> Figure:
    """True windows and what the decoder paints from their fingerprints, at best turn."""
    from matplotlib.figure import Figure

    rows = report.examples
    figure = Figure(figsize=(9, 1.5 * max(len(rows), 1)), layout="constrained")
    time_s = np.arange(PPG.window_samples) / PPG.rate_hz
    for number, row in enumerate(rows):
        axes = figure.add_subplot(len(rows), 1, number + 1)
        truth, decoded = _standard(row.truth), _standard(row.decoded)
        spectrum = np.fft.rfft(truth) * np.conj(np.fft.rfft(decoded))
        turn = int(np.argmax(np.fft.irfft(spectrum, len(truth))))
        axes.plot(time_s, truth, color="0.6", label="true")
        axes.plot(time_s, np.roll(decoded, turn), label="from the fingerprint")
        axes.set_ylabel(f"{row.corpus}\nquality {row.quality:.2f}", fontsize=7)
        axes.set_yticks([])
        if not number:
            axes.legend(fontsize=7, ncols=2, loc="upper right")
    if rows:
        axes.set_xlabel("s")
    return figure


def save_figures(report: PrivacyReport, folder: Path) -> list[Path]:
    """Write `privacy-det.svg` and `privacy-inversion.svg` where there is what to draw."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    if report.reidentification:
        made.append(folder / "privacy-det.svg")
        det_figure(report).savefig(made[-1])
    if report.examples:
        made.append(folder / "privacy-inversion.svg")
        inversion_figure(report).savefig(made[-1])
    return made


def _standard(row: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    values = row.astype(np.float64) - row.mean()
    scaled: npt.NDArray[np.float64] = values / (values.std() + 1e-12)
    return scaled
