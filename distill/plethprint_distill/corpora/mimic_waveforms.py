"""MIMIC-III and MIMIC-IV waveforms: WFDB records of days, in segments.

Layouts, as PhysioNet documents them: of MIMIC-III the matched subset, `p00/p000020/p000020
-2183-04-28-17-47.hea` (the numerics, whose names end in "n", are not read); of MIMIC-IV
`waves/p100/p10014354/81739927/81739927.hea`, where Pleth and ECG differ in rate. Both are
multi-segment records: each segment comes by itself, in stretches of half an hour at most,
so that neither days of signal nor days of gaps are ever in memory. Segments without
PPG and ECG are left out; those with one of them are kept. Records of MIMIC-III that are
not matched name no person and are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from plethprint.errors import RecordingError
from plethprint_distill.corpora.recording import Corpus, CorpusRecording, moving
from plethprint_distill.corpora.wfdb_records import (
    ECG_LEADS,
    PPG_NAMES,
    channels,
    segments,
)

__all__ = ["MIMIC3_WAVEFORMS", "MIMIC4_WAVEFORMS"]


def _person3(path: Path) -> str | None:
    found = re.fullmatch(r"(p\d{6})-\d{4}(?:-\d\d){4}", path.stem)
    return found[1] if found else None


def _person4(path: Path) -> str | None:
    if path.stem != path.parent.name or not path.stem.isdigit():
        return None
    found = re.fullmatch(r"p\d{8}", path.parent.parent.name)
    return found[0] if found else None


def _sources(
    person_of: Callable[[Path], str | None], example: str, folder: Path
) -> list[str]:
    names = sorted(
        p.relative_to(folder).as_posix() for p in folder.glob("**/*.hea") if person_of(p)
    )
    if not names:
        raise RecordingError(f"no record like {example} in {folder}")
    return names


def _read(
    corpus: str,
    person_of: Callable[[Path], str | None],
    folder: Path,
    sources: Sequence[str],
) -> Iterator[CorpusRecording]:
    for name in sources:
        path = folder / name
        person = person_of(path)
        if person is None:
            raise RecordingError(f"{path} is not named as a record of {corpus}")
        for stretch, segment, first, last in segments(path):
            ppg, ecg = channels(segment, PPG_NAMES, ECG_LEADS, first=first, last=last)
            pulse = moving(ppg.samples) if ppg else None
            heart = moving(ecg.samples) if ecg else None
            if pulse is None and heart is None:
                continue
            yield CorpusRecording(
                corpus,
                person,
                f"{path.stem}/{stretch}",
                pulse,
                ppg.rate_hz if ppg and pulse is not None else 0.0,
                heart,
                ecg.rate_hz if ecg and heart is not None else 0.0,
            )


def _corpus(
    name: str,
    person_of: Callable[[Path], str | None],
    example: str,
    rates_hz: dict[str, float],
    url: str,
    citation: str,
) -> Corpus:
    return Corpus(
        name,
        "ODbL 1.0",
        False,
        partial(_sources, person_of, example),
        partial(_read, name, person_of),
        rates_hz,
        url,
        citation,
        "the ODbL asks that what is made of the data be shared alike; the labels of these "
        "people are credentialed",
        sources_per_task=1,
    )


MIMIC3_WAVEFORMS = _corpus(
    "mimic3_waveforms",
    _person3,
    "p00/p000020/p000020-2183-04-28-17-47.hea",
    {"ppg": 125.0, "ecg": 125.0},
    "https://physionet.org/content/mimic3wdb-matched/1.0/",
    "Moody et al., doi 10.13026/c2294b, 2020; Johnson et al., Sci. Data 3:160035, 2016",
)

MIMIC4_WAVEFORMS = _corpus(
    "mimic4_waveforms",
    _person4,
    "waves/p100/p10014354/81739927/81739927.hea",
    {"ppg": 125.0, "ecg": 250.0},
    "https://physionet.org/content/mimic4wdb/0.1.0/",
    "Moody et al., doi 10.13026/a2mw-f949, 2022",
)
