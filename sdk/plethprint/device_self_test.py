"""A wearable's own encoder, asked to run the golden windows of a model package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plethprint.ble.personality import Driver
from plethprint.errors import FingerprintMismatchError, ProtocolError

if TYPE_CHECKING:
    from plethprint.package import ModelPackage

__all__ = ["SelfTestReport", "run_self_test"]


@dataclass(frozen=True)
class SelfTestReport:
    """How a wearable's own encoder agrees with the model package."""

    windows: int
    """Golden windows that the wearable encoded."""
    exact: int
    """Windows whose vector came back bit for bit."""
    max_lsb: int
    """Largest difference of any number of any vector, int8 steps."""
    model: str
    """Model identity that both run."""


async def run_self_test(
    driver: Driver, package: ModelPackage, windows: int | None = None
) -> SelfTestReport:
    """Send golden windows, compare what comes back; the arguments of `Wearable.self_test`.

    Raises
    ------
    FingerprintMismatchError
        The wearable runs another model than the package's.
    ProtocolError
        It has no encoder, or answered nonsense.
    LinkError
        The link failed.
    """
    golden = package.golden()
    if driver.info.model and driver.info.model != package.model_id:
        raise FingerprintMismatchError(
            f"the wearable runs {driver.info.model!r}, here is {package.model_id}; "
            "install the same model on both sides"
        )
    count = len(golden.windows) if windows is None else min(windows, len(golden.windows))
    if count < 1:
        raise ValueError(f"a self-test needs at least one window, not {windows}")
    worst: list[int] = []
    for window, expected in zip(golden.windows, golden.vectors, strict=True):
        if len(worst) == count:
            break
        vector = await driver.self_test(window)
        if vector.shape != expected.shape:
            raise ProtocolError(
                f"the wearable's fingerprint has {vector.size} numbers, "
                f"the model has {expected.size}"
            )
        difference = vector.astype(np.int16) - expected.astype(np.int16)
        worst.append(int(np.abs(difference).max()))
    return SelfTestReport(len(worst), worst.count(0), max(worst), package.model_id)
