"""Windows of people that trained nothing, to judge a quantised student on."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint_distill.corpora import CORPORA
from plethprint_distill.splits import is_test_person
from plethprint_distill.windows import WindowSet, concatenate, windows_of_recording

__all__ = ["HELD_OUT_CORPORA", "held_out_windows"]

HELD_OUT_CORPORA = {"bidmc": 10.0, "stress_predict": 20.0}
"""Corpus -> seconds from one window to the next. Both have PPG and people held out."""


def held_out_windows(data: Path, *, cache: Path | None = None) -> dict[str, WindowSet]:
    """Windows of the test people of each corpus that `data` holds.

    Parameters
    ----------
    data
        Folder of the corpora's folders.
    cache
        Folder to keep the windows in; another call takes them from there.

    Raises
    ------
    RecordingError
        If `data` holds neither corpus.
    """
    found = {}
    for name, hop_s in HELD_OUT_CORPORA.items():
        kept = cache / name if cache is not None else None
        if kept is not None and (kept / "about.json").is_file():
            found[name] = WindowSet.load(kept)
        elif (data / name).is_dir():
            found[name] = _windows(name, data / name, hop_s)
            if kept is not None:
                found[name].save(kept, about={"corpus": name, "hop_s": hop_s})
    if not found:
        raise RecordingError(f"{data} holds none of {', '.join(HELD_OUT_CORPORA)}")
    return found


def _windows(name: str, folder: Path, hop_s: float) -> WindowSet:
    parts = []
    for recording in tqdm(CORPORA[name].read(folder), desc=name, unit="recording"):
        if not is_test_person(f"{name}/{recording.person}"):
            continue
        windows = windows_of_recording(recording, hop_s=hop_s, cold_share=0.0)
        if windows is not None:
            parts.append(windows)
    if not parts:
        raise RecordingError(f"{folder} holds nobody who is held out")
    return concatenate(parts)
