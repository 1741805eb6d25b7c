"""The claim gate says that the teacher helps only where it was shown."""

from __future__ import annotations

import numpy as np
import pytest

from plethprint_distill.claim_gate import claims, over_seeds
from plethprint_distill.statistics import Estimate, Interval


def _estimate(mean: float, spread: float = 0.02, seed: int = 0) -> Estimate:
    draws = mean + spread * np.random.default_rng(seed).standard_normal(500)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(Interval(mean, float(low), float(high), 20), draws)


def _table(taught: list[float], without: list[float]) -> dict[str, Estimate]:
    rows = {f"distilled-micro-s{k}": _estimate(m) for k, m in enumerate(taught)}
    return rows | {f"masked-micro-s{k}": _estimate(m) for k, m in enumerate(without)}


def test_a_clear_gain_is_a_claim_and_a_null_is_none() -> None:
    (gain,) = claims("rate", _table([0.6, 0.61, 0.62], [0.4, 0.41, 0.42]))
    assert (gain.control, gain.seeds, gain.helps) == ("masked-micro", (3, 3), True)
    assert gain.difference.difference == pytest.approx(0.2)
    (null,) = claims("rate", _table([0.5, 0.51], [0.5, 0.51]))
    assert not null.helps
    (loss,) = claims("rate", _table([0.4], [0.6]))
    assert not loss.helps


def test_seeds_that_disagree_widen_the_interval() -> None:
    alike = over_seeds([_estimate(0.5), _estimate(0.5)]).interval
    apart = over_seeds([_estimate(0.4), _estimate(0.6)]).interval
    assert alike.mean == apart.mean == pytest.approx(0.5)
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_other_shapes_and_rows_without_a_seed_are_not_compared() -> None:
    rows = _table([0.6], [0.4]) | {
        "simclr-mini-s0": _estimate(0.1),
        "catch22": _estimate(1),
    }
    assert [claim.control for claim in claims("rate", rows)] == ["masked-micro"]
    assert claims("rate", {"masked-micro-s0": _estimate(0.1)}) == []
