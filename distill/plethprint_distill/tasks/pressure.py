"""Blood pressure and hypertension."""

from __future__ import annotations

from functools import partial

import numpy as np

from plethprint_distill.folds import folds_over_people, one_split
from plethprint_distill.labelled_windows import LabelledWindows, Library
from plethprint_distill.splits import test_mask
from plethprint_distill.tasks.probe_task import ProbeTask
from plethprint_distill.tasks.task import FloatArray, Part, Problem

__all__ = ["TASKS", "of_people", "posed_on_people"]

REPEATS = 5


def of_people(labelled: LabelledWindows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People (U,), each window's person's place (W,), and one window of each (U,)."""
    names, first, unit = np.unique(
        np.asarray(labelled.windows.person), return_index=True, return_inverse=True
    )
    return names, unit, first


def _side_facts(labelled: LabelledWindows, first: np.ndarray, names: str) -> FloatArray:
    columns = []
    for name in names.split("+"):
        if name == "sex":
            columns.append((labelled.word("sex")[first] == "Female").astype(np.float64))
        else:
            columns.append(labelled.number(name)[first])
    table = np.stack(columns, axis=1)
    middle = np.nanmean(table, axis=0)
    return np.where(np.isfinite(table), table, middle)


def posed_on_people(
    labelled: LabelledWindows,
    set_name: str,
    label: FloatArray,
    *,
    kind: str,
    control: str,
    level: bool = True,
) -> Problem:
    """One row a person: the mean of a person's windows, several partitions of people.

    Parameters
    ----------
    label
        (W,) of each window; people whose label is NaN are left out.
    control
        Side facts joined by "+", probed alone and beside the student.
    """
    names, unit, first = of_people(labelled)
    known = np.isfinite(label[first])
    place = np.cumsum(known) - 1
    rows = np.flatnonzero(known[unit])
    first = first[known]
    person, table = names[known], label[first][:, None]
    controls = {
        control.replace("+", " + "): _side_facts(labelled, first, control),
    }
    if level:
        controls["raw level"] = labelled.number("raw_level")[first][:, None]
    return Problem(
        parts=(Part(set_name, rows),),
        unit=place[unit[rows]],
        labels=table,
        person=person,
        repeats=folds_over_people(person, table, repeats=REPEATS),
        kind=kind,
        controls=controls,
        join_controls=True,
    )


def _hypertension(library: Library, *, against: tuple[str, ...]) -> Problem:
    labelled = library.get("ppg_bp")
    stage = labelled.word("hypertension")
    high = np.char.startswith(stage, "Stage")
    label = np.where(high, 1.0, np.where(np.isin(stage, against), 0.0, np.nan))
    return posed_on_people(
        labelled, "ppg_bp", label, kind="binary", control="age+sex+bmi+hr"
    )


def _ppg_bp(library: Library, *, column: str) -> Problem:
    labelled = library.get("ppg_bp")
    return posed_on_people(
        labelled,
        "ppg_bp",
        labelled.number(column),
        kind="number",
        control="age+sex+bmi+hr",
    )


def _uci(library: Library, *, column: str) -> Problem:
    labelled = library.get("uci_cuffless")
    rows = np.flatnonzero(np.isfinite(labelled.number(column)))
    person = np.asarray(labelled.windows.person)[rows]
    held_out = test_mask(person)
    heart = labelled.number("hr")[rows]
    return Problem(
        parts=(Part("uci_cuffless", rows),),
        unit=np.arange(len(rows)),
        labels=labelled.number(column)[rows][:, None],
        person=person,
        repeats=one_split(~held_out, held_out, person),
        kind="number",
        controls={
            "heart rate": np.where(np.isfinite(heart), heart, np.nanmean(heart))[:, None]
        },
    )


_PPG_BP_TRAPS = (
    "Each person gave three segments of 2.1 s, looped here over whole beats: rhythm and "
    "anything slower are not in them. One row a person, the mean of their segments. "
    "Differences below about .08 AUROC are noise at this size. A model must beat age, sex, "
    "BMI and heart rate, which need no optics, or add to them."
)
_UCI_TRAPS = (
    "The corpus names no people; files are the split, and `person_guess` the unit of the "
    "interval. Its records were cleaned by a rule that is not stated. Between people, "
    "calibration-free blood pressure from one pulse wave is close to the null everywhere; "
    "small gains over it are the honest result."
)


def _table(name: str, title: str, column: str) -> ProbeTask:
    return ProbeTask(
        name=name,
        title=title,
        section="Blood pressure",
        sets=("ppg_bp",),
        figures=("mae", "r"),
        unit="people, mmHg",
        about="Cuff pressure of people whose finger pulse was taken at about that time.",
        null="The mean of the training people.",
        traps=_PPG_BP_TRAPS,
        pose=partial(_ppg_bp, column=column),
        in_macro=column == "sbp",
    )


def _invasive(name: str, title: str, column: str) -> ProbeTask:
    return ProbeTask(
        name=name,
        title=title,
        section="Blood pressure",
        sets=("uci_cuffless",),
        figures=("mae", "r"),
        unit="windows, mmHg",
        about="Invasive pressure in the ICU; fitted on parts 1 and 2, asked of part 3.",
        null="The mean of the training windows.",
        traps=_UCI_TRAPS,
        pose=partial(_uci, column=column),
        in_macro=column == "sbp",
    )


TASKS = (
    ProbeTask(
        name="hypertension",
        title="Hypertension: stage 1 and 2 against normal (PPG-BP)",
        section="Hypertension",
        sets=("ppg_bp",),
        figures=("auroc", "brier", "ece"),
        unit="people",
        about="Stage 1 or 2 against normal pressure; people with prehypertension left out.",
        null="0.5.",
        traps=_PPG_BP_TRAPS,
        pose=partial(_hypertension, against=("Normal",)),
        in_macro=True,
    ),
    ProbeTask(
        name="hypertension_wide",
        title="Hypertension: stage 1 and 2 against all others (PPG-BP)",
        section="Hypertension",
        sets=("ppg_bp",),
        figures=("auroc", "brier", "ece"),
        unit="people",
        about="Stage 1 or 2 against normal pressure and prehypertension together.",
        null="0.5.",
        traps=_PPG_BP_TRAPS,
        pose=partial(_hypertension, against=("Normal", "Prehypertension")),
    ),
    _table("sbp_ppg_bp", "Systolic pressure, cuff (PPG-BP)", "sbp"),
    _table("dbp_ppg_bp", "Diastolic pressure, cuff (PPG-BP)", "dbp"),
    _invasive("sbp_uci", "Systolic pressure, invasive (UCI cuff-less)", "sbp"),
    _invasive("dbp_uci", "Diastolic pressure, invasive (UCI cuff-less)", "dbp"),
)
"""Tasks of this family."""
