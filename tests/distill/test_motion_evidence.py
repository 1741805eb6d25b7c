"""What acceleration says of the pulse, on made-up wrists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plethprint.errors import RecordingError
from plethprint_distill.motion_evidence import motion_figures

PPG_HZ, MOTION_HZ, SECONDS = 64.0, 32.0, 100.0


def write(folder: Path, name: str, *, moved_g: float, **more: np.ndarray) -> None:
    at_s = np.arange(0, SECONDS, 1 / PPG_HZ)
    moved_s = np.arange(0, SECONDS, 1 / MOTION_HZ)
    down = 1.0 + moved_g * np.sin(2 * np.pi * 1.7 * moved_s)
    np.savez(
        folder / f"{name}.npz",
        ppg=np.exp(np.sin(2 * np.pi * 1.2 * at_s)).astype(np.float32),
        acc=np.stack([0 * down, 0 * down, 64 * down]).astype(np.float32),
        fs_ppg=np.float64(PPG_HZ),
        fs_acc=np.float64(MOTION_HZ),
        **more,
    )


def test_a_clean_pulse_of_a_moving_wrist_is_flagged_by_its_acceleration_alone(
    tmp_path: Path,
) -> None:
    write(tmp_path, "S01", moved_g=0.0)
    write(tmp_path, "S02", moved_g=0.5)
    told = motion_figures("stress_predict", tmp_path)
    rest, moving = told["0 to 0.02 g"], told["0.2 to inf g"]
    assert told["all"]["people"] == 2
    assert rest["people"] == moving["people"] == 1
    assert rest["windows"] == moving["windows"] == 5
    assert rest["flagged_with_motion"]["mean"] == 0.0
    assert moving["flagged_by_pulse"]["mean"] == 0.0
    assert moving["flagged_with_motion"]["mean"] == 1.0
    assert "rate_right" not in rest  # there is no ECG to ask


def test_recordings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no recordings"):
        motion_figures("stress_predict", tmp_path)
    np.savez(tmp_path / "S01.npz", ppg=np.zeros(10), fs_ppg=64.0)
    with pytest.raises(RecordingError, match="no acceleration"):
        motion_figures("stress_predict", tmp_path)
