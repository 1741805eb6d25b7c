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
    """Virtual pairs, and the same windows as if of a corpus without ECG."""
    alone = dataclasses.replace(
        virtual,
        ecg=np.zeros_like(virtual.ecg),
        has_ecg=np.zeros(len(virtual), dtype=np.bool_),
        rhythm=np.full(len(virtual), -1, np.int8),
    )
    return {"virtual": virtual, "stress_predict": alone}
