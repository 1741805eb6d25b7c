"""Every task of the evaluation, one module a family; `task.Task` says what a task is."""

from __future__ import annotations

from plethprint_distill.tasks import (
    cardiology,
    heart_rate,
    mortality,
    painting,
    parity,
    person,
    pressure,
    quality,
    rhythm,
    stress,
)
from plethprint_distill.tasks.task import Task

__all__ = ["TASKS"]

TASKS: tuple[Task, ...] = (
    *painting.TASKS,
    *parity.TASKS,
    *heart_rate.TASKS,
    *rhythm.TASKS,
    *pressure.TASKS,
    *person.TASKS,
    *stress.TASKS,
    *quality.TASKS,
    *cardiology.TASKS,
    *mortality.TASKS,
)
"""In the order of the report."""
