"""ECG painted from PPG: recordings without a beat to find."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the `train` extra")

from plethprint_distill import reconstruction as room
from plethprint_distill.teacher import M2AE, TeacherConfig
from plethprint_distill.virtual import virtual_windows


def test_a_recording_without_a_beat_has_no_score_and_spoils_no_other() -> None:
    windows = virtual_windows(6, seed=4)
    windows.record[:] = np.array(["beats"] * 3 + ["flat"] * 3)
    windows.ecg[3:] = 0
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
    )
    found = room.reconstruction(M2AE(shape), windows)
    assert np.isnan(found.f1_50ms[3:]).all()
    assert np.isfinite(found.f1_50ms[:3]).all()
    assert (found.pearson[3:] == 0.0).all()


def test_an_interval_error_is_of_neighbours_that_both_match() -> None:
    true = np.array([1.0, 2.0, 3.0, 4.0])
    late = true + 0.05  # a constant delay is no error of an interval
    assert room.interval_error_s(late, true, 0.1) == pytest.approx(0.0)
    assert room.interval_error_s(np.array([1.0, 2.04, 4.0]), true, 0.1) == pytest.approx(
        0.04
    )
    assert np.isnan(room.interval_error_s(np.array([1.0, 3.0]), true, 0.1))
    assert np.isnan(room.interval_error_s(np.empty(0), true, 0.1))
