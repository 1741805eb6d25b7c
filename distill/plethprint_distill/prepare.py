"""Make the window sets that training reads: open corpora and virtual wearers.

Each corpus is one set, written when it is complete: a run that was stopped goes on with
the first set that is missing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.crops import CONTEXT_S
from plethprint_distill.physiology import target_column
from plethprint_distill.resense import resensed_windows
from plethprint_distill.splits import TRAINING_CORPORA, test_mask, training_mask
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import (
    WindowSet,
    about,
    concatenate,
    windows_of_recording,
)
from plethprint_sim.rhythm import (
    AF,
    BRADY,
    BRADY_BELOW_BPM,
    SINUS,
    TACHY,
    TACHY_ABOVE_BPM,
)

__all__ = ["load_training_sets", "prepare"]

_LOGGER = logging.getLogger(__name__)

_HOP_S = {"bidmc": 2.0, "uci_cuffless": 2.5, "stress_predict": 5.0, "cinc2017": 5.0}
_RESENSED_HOP_S = {"bidmc": 2.5, "uci_cuffless": 5.0, "stress_predict": 5.0}
"""Corpora whose recordings are used once more, through random sensors."""
_VIRTUAL_CHUNKS = 25


def prepare(
    data: Path | None,
    out: Path,
    *,
    virtual: int = 250_000,
    seed: int = 3,
    jobs: int = 2,
    progress: bool = True,
) -> list[str]:
    """Write one window set for each training corpus and one of virtual wearers.

    Parameters
    ----------
    data
        Folder that holds the corpora's folders; None, or a folder without one of them,
        leaves those corpora out and says so in the log.
    out
        Where the sets go.
    virtual
        Number of virtual windows.

    Returns
    -------
    list of str
        Names of the sets that are there now.
    """
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for name in TRAINING_CORPORA:
        there = data is not None and (data / name).is_dir()
        if not there and not (out / name / "about.json").is_file():
            _LOGGER.warning("no folder %s: trained without it", name)
        for part in (name, f"{name}_resensed"):
            if part != name and name not in _RESENSED_HOP_S:
                continue
            if (out / part / "about.json").is_file():
                made.append(part)
            elif there and data is not None:
                _prepare_corpus(part, name, data / name, out / part, jobs, progress)
                made.append(part)
    if virtual and not (out / "virtual" / "about.json").is_file():
        size = -(-virtual // _VIRTUAL_CHUNKS)
        tasks = (
            delayed(virtual_windows)(size, seed=seed * 1000 + chunk, context_s=CONTEXT_S)
            for chunk in range(_VIRTUAL_CHUNKS)
        )
        parts = Parallel(n_jobs=jobs, return_as="generator")(tasks)
        bar = tqdm(parts, total=_VIRTUAL_CHUNKS, desc="virtual", disable=not progress)
        facts = {"corpora": [{"name": "virtual", "licence": "Apache-2.0"}], "seed": seed}
        concatenate(bar).save(out / "virtual", about=facts)
    return [*made, *(["virtual"] if (out / "virtual" / "about.json").is_file() else [])]


def _prepare_corpus(
    part: str, name: str, folder: Path, out: Path, jobs: int, progress: bool
) -> None:
    try:
        recordings = list(CORPORA[name].read(folder))
    except (OSError, LookupError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        reason = str(error) if isinstance(error, OSError) else repr(error)
        raise RecordingError(
            f"{folder} does not hold the corpus {name} as expected: {reason}"
        ) from error
    make = _windows if part == name else _resensed
    tasks = (delayed(make)(recording) for recording in recordings)
    found = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(found, total=len(recordings), desc=part, disable=not progress)
    parts = [windows for windows in bar if windows is not None]
    if not parts:
        raise RecordingError(f"{folder} gives no window")
    concatenate(parts).save(out, about=about([CORPORA[name]], recordings=len(recordings)))


def _windows(recording: CorpusRecording) -> WindowSet | None:
    found = windows_of_recording(
        recording, hop_s=_HOP_S[recording.corpus], context_s=CONTEXT_S
    )
    if found is None or recording.corpus != "cinc2017":
        return found
    return replace(found, rhythm=_rhythm_of_cinc(recording, found))


def _resensed(recording: CorpusRecording) -> WindowSet | None:
    return resensed_windows(
        recording, hop_s=_RESENSED_HOP_S[recording.corpus], context_s=CONTEXT_S
    )


def _rhythm_of_cinc(recording: CorpusRecording, windows: WindowSet) -> npt.NDArray[np.int8]:
    """Codes of the virtual wearer's rhythms: sinus by its rate, or fibrillation."""
    label = recording.labels["rhythm"]
    rate = np.exp(np.asarray(windows.targets[:, target_column("log_heart_rate")]))
    sinus = np.select(
        [~np.isfinite(rate), rate < BRADY_BELOW_BPM, rate > TACHY_ABOVE_BPM],
        [-1, BRADY, TACHY],
        SINUS,
    )
    fibrillating = np.full(len(windows), AF)
    codes = {"N": sinus, "A": fibrillating}.get(str(label), np.full(len(windows), -1))
    return codes.astype(np.int8)


def load_training_sets(
    folder: Path, *, test: bool = False, context: bool = False
) -> dict[str, WindowSet]:
    """The prepared sets without the people held out (or, with `test`, only those).

    Of virtual wearers nobody is held out: where no corpus was prepared, `test` gives none.

    Recordings as other sensors would have taken them train, and never test. With
    `context`, windows keep the half second before and behind that crops are cut from.
    """
    sets = {}
    resensed = [] if test else [f"{name}_resensed" for name in _RESENSED_HOP_S]
    for name in (*TRAINING_CORPORA, *resensed, "virtual"):
        if not (folder / name / "about.json").is_file():
            continue
        whole = WindowSet.load(folder / name)
        mask = (
            test_mask(whole.person) if test else training_mask(whole.person, whole.record)
        )
        part = whole.take(mask)
        if len(part):
            sets[name] = part if context else part.centred()
    if not sets and not test:
        raise RecordingError(f"{folder} holds no prepared window set")
    return sets
