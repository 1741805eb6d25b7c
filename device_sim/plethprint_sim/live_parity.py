"""The teacher's view of the moments that a wearable fingerprints, and the agreement."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plethprint.agreement import agreement
from plethprint.package import Golden
from plethprint.signal import ECG, PPG, SignalSpec, windows_of
from plethprint.teacher import TeacherEncoder
from plethprint_sim.source import SignalSource

__all__ = ["LiveParity"]

_WARM_UP_S = 10
"""The band-pass has forgotten its start after this many seconds."""
_LOOK_AHEAD_S = 1.0
"""The resampler needs a few samples more than the window."""


class LiveParity:
    """Compare the fingerprints of a stream with a teacher that saw the very same samples.

    Parameters
    ----------
    source : SignalSource
        What the wearable streams; its ECG, where it has one, goes to the teacher too.
    golden : Golden
        The package's reference bank: fingerprints of student and teacher side by side.
    teacher : TeacherEncoder
        The teacher that the package's student was distilled from.
    ecg_lead_s : float
        By how much the ECG runs ahead of the PPG beyond what arteries take: monitors
        delay the optical channel by a constant of their own, and the teacher learned
        from pairs without it.
    """

    def __init__(
        self,
        source: SignalSource,
        golden: Golden,
        teacher: TeacherEncoder,
        *,
        ecg_lead_s: float = 0.0,
    ) -> None:
        self._source = source
        self._ecg_lead = round(ecg_lead_s * source.sample_rate_hz)
        self._teacher = teacher
        self._student_bank = golden.vectors
        has_ecg = source.read(0, 1)[1] is not None
        self.teacher_sees = "both" if has_ecg else "ppg"
        """``both`` when the teacher gets ECG and PPG, ``ppg`` when there is no ECG."""
        self._teacher_bank = golden.teacher_both if has_ecg else golden.teacher_ppg
        self._device: list[npt.NDArray[np.int8]] = []
        self._reference: list[npt.NDArray[np.float32]] = []

    def compare(self, vector: npt.NDArray[np.int8], first_index: int) -> dict[str, float]:
        """Compare one device fingerprint with the teacher's of the same samples.

        Parameters
        ----------
        vector : ndarray of int8, shape (D,)
            The device's fingerprint.
        first_index : int
            Sample of the source with which the fingerprint's window starts.

        Returns
        -------
        dict of str to float
            The measures of `plethprint.agreement`, banks being the package's own.
        """
        reference = self.teacher_fingerprint(first_index)
        self._device.append(vector)
        self._reference.append(reference)
        return self._agreement(vector[None], reference[None])

    def overall(self) -> dict[str, float]:
        """The measures over all windows compared so far; empty before the first."""
        if not self._device:
            return {}
        return self._agreement(np.stack(self._device), np.stack(self._reference))

    def teacher_fingerprint(self, first_index: int) -> npt.NDArray[np.float32]:
        """The teacher's own of the window at `first_index`: shape (D,), unit length."""
        ppg = self._window(first_index, PPG)[None]
        ecg = self._window(first_index, ECG)[None] if self.teacher_sees == "both" else None
        vector: npt.NDArray[np.float32] = self._teacher.run(ppg, ecg)[0]
        return vector

    def _agreement(
        self, device: npt.NDArray[np.int8], reference: npt.NDArray[np.float32]
    ) -> dict[str, float]:
        return agreement(
            device, reference, bank_a=self._student_bank, bank_b=self._teacher_bank
        )

    def _window(self, first_index: int, spec: SignalSpec) -> npt.NDArray[np.int8]:
        """The window at a sample of the source, its filter warmed on what came before."""
        rate_hz = self._source.sample_rate_hz
        warm_up_s = min(_WARM_UP_S, int(first_index / rate_hz))
        warm_up = round(warm_up_s * rate_hz)
        length = warm_up + round((spec.window_s + _LOOK_AHEAD_S) * rate_hz)
        first = first_index - warm_up - (self._ecg_lead if spec is ECG else 0)
        # Before the recording's first sample there is nothing: missing, and bridged.
        absent = max(-first, 0)
        ppg, ecg = self._source.read(first + absent, length - absent)
        signal = ppg if spec is PPG else ecg
        if signal is None:
            raise ValueError(f"the source has no {spec.name}")
        signal = np.concatenate([np.full(absent, np.nan, dtype=np.float32), signal])
        windows = windows_of(signal, rate_hz, spec=spec, hop_s=warm_up_s or spec.window_s)
        return windows[1 if warm_up_s else 0].samples
