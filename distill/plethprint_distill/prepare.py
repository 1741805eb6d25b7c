"""Make the window sets that training reads: open corpora and virtual wearers.

Each corpus is one set, written when it is complete: a run that was stopped goes on with
the first set that is missing.
"""

from __future__ import annotations

import logging
from pathlib import Path

from joblib import Parallel, delayed
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.splits import TRAINING_CORPORA, test_mask, training_mask
from plethprint_distill.virtual import virtual_windows
from plethprint_distill.windows import (
    WindowSet,
    about,
    concatenate,
    windows_of_recording,
)

__all__ = ["load_training_sets", "prepare"]

_LOGGER = logging.getLogger(__name__)

_HOP_S = {"bidmc": 2.0, "uci_cuffless": 2.5, "stress_predict": 5.0}
_VIRTUAL_CHUNKS = 20


def prepare(
    data: Path | None,
    out: Path,
    *,
    virtual: int = 120_000,
    seed: int = 2,
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
        if (out / name / "about.json").is_file():
            made.append(name)
        elif data is not None and (data / name).is_dir():
            _prepare_corpus(name, data / name, out / name, jobs, progress)
            made.append(name)
        else:
            _LOGGER.warning("no folder %s: trained without it", name)
    if virtual and not (out / "virtual" / "about.json").is_file():
        size = -(-virtual // _VIRTUAL_CHUNKS)
        tasks = (
            delayed(virtual_windows)(size, seed=seed * 1000 + chunk)
            for chunk in range(_VIRTUAL_CHUNKS)
        )
        parts = Parallel(n_jobs=jobs, return_as="generator")(tasks)
        bar = tqdm(parts, total=_VIRTUAL_CHUNKS, desc="virtual", disable=not progress)
        facts = {"corpora": [{"name": "virtual", "licence": "Apache-2.0"}], "seed": seed}
        concatenate(bar).save(out / "virtual", about=facts)
    return [*made, *(["virtual"] if (out / "virtual" / "about.json").is_file() else [])]


def _prepare_corpus(name: str, folder: Path, out: Path, jobs: int, progress: bool) -> None:
    try:
        recordings = list(CORPORA[name].read(folder))
    except (OSError, LookupError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        reason = str(error) if isinstance(error, OSError) else repr(error)
        raise RecordingError(
            f"{folder} does not hold the corpus {name} as expected: {reason}"
        ) from error
    tasks = (delayed(_windows)(recording) for recording in recordings)
    found = Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(found, total=len(recordings), desc=name, disable=not progress)
    parts = [part for part in bar if part is not None]
    if not parts:
        raise RecordingError(f"{folder} gives no window")
    concatenate(parts).save(out, about=about([CORPORA[name]], recordings=len(recordings)))


def _windows(recording: CorpusRecording) -> WindowSet | None:
    return windows_of_recording(recording, hop_s=_HOP_S[recording.corpus])


def load_training_sets(folder: Path, *, test: bool = False) -> dict[str, WindowSet]:
    """The prepared sets without the people held out (or, with `test`, only those)."""
    sets = {}
    for name in (*TRAINING_CORPORA, "virtual"):
        if not (folder / name / "about.json").is_file():
            continue
        whole = WindowSet.load(folder / name)
        mask = (
            test_mask(whole.person) if test else training_mask(whole.person, whole.record)
        )
        part = whole.take(mask)
        if len(part):
            sets[name] = part
    if not sets:
        raise RecordingError(f"{folder} holds no prepared window set")
    return sets
