"""Does the teacher help? Students distilled, against the same student without a teacher.

Rows whose names end in a seed (``distilled-micro-s0``) stand for a way of training, not
for one network: figures are means over seeds, and intervals draw people *and* seeds anew.
"The teacher helps" may be said of a task, or of the macro-average, only where the
difference at equal windows excludes zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from plethprint_distill.statistics import (
    Comparison,
    Estimate,
    Interval,
    middle_95,
    paired_bootstrap,
)

__all__ = ["DISTILLED", "Claim", "claims", "over_seeds"]

DISTILLED = "distilled"
"""First word of the rows that a teacher taught."""

_NAMED = re.compile(r"(?P<way>.+)-s(?P<seed>\d+)")


@dataclass(frozen=True)
class Claim:
    """Skill of the distilled student minus that of one control, in one task."""

    task: str
    """Name of the task, or "macro-average"."""
    control: str
    difference: Comparison
    seeds: tuple[int, int]
    """How many distilled students and how many controls were averaged."""

    @property
    def helps(self) -> bool:
        """Whether the interval lies above zero."""
        return self.difference.low > 0.0


def over_seeds(estimates: Sequence[Estimate], *, seed: int = 0) -> Estimate:
    """Mean of one figure over networks that differ in their seed alone.

    Parameters
    ----------
    estimates
        One for each seed; draw i of all of them is of the same people.

    Examples
    --------
    >>> one = Estimate(Interval(0.5, 0.4, 0.6, 9), np.array([0.4, 0.6]))
    >>> over_seeds([one, one]).interval.mean
    0.5
    """
    draws = np.stack([e.draws for e in estimates])
    # Networks drawn anew with the people: three seeds are not all seeds.
    rng = np.random.default_rng(seed)
    again = rng.integers(0, len(draws), draws.shape)
    mixed = np.take_along_axis(draws, again, axis=0).mean(axis=0)
    mean = float(np.mean([e.interval.mean for e in estimates]))
    people = estimates[0].interval.people
    return Estimate(Interval(mean, *middle_95(mixed), people), mixed)


def claims(task: str, skills: dict[str, Estimate]) -> list[Claim]:
    """Compare the distilled rows of one table with each other way of training.

    Parameters
    ----------
    skills
        Row -> skill, for all rows of the table.

    Returns
    -------
    list of Claim
        Empty where no row is distilled, or none is a control.
    """
    ways: dict[str, list[Estimate]] = {}
    for name, found in sorted(skills.items()):
        if named := _NAMED.fullmatch(name):
            ways.setdefault(named["way"], []).append(found)
    made = []
    for way, taught in ways.items():
        if way.split("-")[0] != DISTILLED:
            continue
        shape = way.removeprefix(DISTILLED)
        for other, controls in ways.items():
            if other == way or not other.endswith(shape):
                continue
            difference = paired_bootstrap(
                over_seeds(taught, seed=1), over_seeds(controls, seed=2)
            )
            made.append(Claim(task, other, difference, (len(taught), len(controls))))
    return made
