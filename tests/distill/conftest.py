"""Small window sets made of virtual wearers, once per run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import WindowSet


@pytest.fixture(scope="session")
def virtual() -> WindowSet:
    """192 windows of as many virtual wearers."""
    return virtual_windows(192, seed=5, chunk=64)


@pytest.fixture(scope="session")
def sets(virtual: WindowSet) -> dict[str, WindowSet]:
    """Virtual pairs; and the same windows as if of corpora of one modality, few people."""
    never = np.zeros(len(virtual), dtype=np.bool_)
    unknown = np.full(len(virtual), -1, np.int8)
    few = np.array([f"{row % 24}" for row in range(len(virtual))])
    pulses = dataclasses.replace(
        virtual, ecg=np.zeros_like(virtual.ecg), has_ecg=never, rhythm=unknown, person=few
    )
    hearts = dataclasses.replace(
        virtual, ppg=np.zeros_like(virtual.ppg), has_ppg=never, person=few
    )
    return {"virtual": virtual, "stress_predict": pulses, "cinc2017": hearts}
