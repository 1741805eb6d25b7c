"""Clean pulse against damaged."""

from __future__ import annotations

import numpy as np

from plethprint.quality import assess
from plethprint_distill.damage import DAMAGE
from plethprint_distill.folds import one_split
from plethprint_distill.labelled_windows import Library
from plethprint_distill.splits import test_mask
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import Part, Problem

__all__ = ["TASKS"]


def _quality(library: Library) -> Problem:
    labelled = library.get("bidmc_damaged")
    person = np.asarray(labelled.windows.person)
    held_out = test_mask(person)
    kind, strength = labelled.word("kind"), labelled.number("strength")
    clean = kind == "clean"
    groups = {name: clean | (kind == name) for name in DAMAGE}
    # The weakest of each kind is where a detector earns its keep.
    weakest = np.any([(kind == k) & (strength == s[0]) for k, s in DAMAGE.items()], axis=0)
    groups["weakest of each"] = clean | weakest
    levels = np.stack([labelled.number("raw_level"), labelled.number("raw_spread")], axis=1)
    return Problem(
        parts=(Part("bidmc_damaged", np.arange(len(labelled))),),
        unit=np.arange(len(labelled)),
        labels=labelled.number("damaged")[:, None],
        person=person,
        repeats=one_split(~held_out, held_out, person),
        kind="binary",
        controls={"raw level and spread": levels},
        direct={
            "quality.assess": 1.0
            - assess(np.asarray(labelled.windows.ppg)).astype(np.float64)
        },
        groups=groups,
    )


TASKS = (
    ProbeTask(
        name="clean_damaged",
        title="Clean against damaged pulse (BIDMC)",
        section="Signal quality",
        sets=("bidmc_damaged",),
        figures=("auroc", "brier", "ece"),
        unit="windows",
        about="Windows as recorded against the same moments with noise, bursts of motion, "
        "lost contact, clipping or a wandering baseline, put on the raw signal before "
        "preprocessing at three known strengths.",
        null="0.5.",
        traps="What was recorded is called clean, though some of it is not. The damage is "
        "made up; real motion is richer. The weights of `quality.assess` were fitted on "
        "half of BIDMC's people, some of them among those tested here.",
        pose=_quality,
        in_macro=True,
        work=2.0,
    ),
)
"""Tasks of this family."""
