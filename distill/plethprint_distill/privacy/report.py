"""Everything a fingerprint gives away, in one report."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from plethprint.errors import RecordingError
from plethprint.quality import assess
from plethprint_distill.corpora import CORPORA
from plethprint_distill.physiology import TARGETS
from plethprint_distill.privacy.attributes import (
    Attributes,
    attributes,
    bidmc_people,
    ppg_bp_windows,
)
from plethprint_distill.privacy.embedders import Embedder
from plethprint_distill.privacy.inversion import Inversion, fit_decoder, invert, painted
from plethprint_distill.privacy.membership import Membership, membership, membership_scores
from plethprint_distill.privacy.protection import (
    Breach,
    ProtectionTrade,
    protection_trade,
)
from plethprint_distill.privacy.reidentification import (
    Enrolment,
    ReIdentification,
    by_half,
    by_record,
    fit_scorer,
    reidentify,
)
from plethprint_distill.splits import test_mask
from plethprint_distill.teacher import M2AE
from plethprint_distill.windows import WindowSet, apart, concatenate

__all__ = ["FORMS", "PARTS", "InversionExample", "PrivacyReport", "privacy_report"]

Float32Array = npt.NDArray[np.float32]

PARTS = ("reidentification", "inversion", "attributes", "membership", "protection")
FORMS = (("rotation", 64), ("signs", 32), ("signs", 64), ("signs", 256))
"""Forms of protection that are measured, with their sizes."""

_LOGGER = logging.getLogger(__name__)
_RATE = TARGETS.index("log_heart_rate")
_FINGERPRINTS = ("student", "teacher")
_JUDGED_WINDOWS = 300
"""Windows of each corpus that are inverted; judging takes longer than the decoder."""


@dataclass(frozen=True)
class InversionExample:
    """One window and what the decoder made of its fingerprint, in sd, (T,) each."""

    corpus: str
    quality: float
    truth: Float32Array
    decoded: Float32Array


@dataclass(frozen=True)
class PrivacyReport:
    """What is learnt about people from their fingerprints, with intervals over people."""

    models: dict[str, str]
    windows: dict[str, dict[str, int]]
    """Of each corpus: windows (that do not overlap), people, people held out."""
    reidentification: list[ReIdentification]
    inversion: dict[str, dict[str, dict[str, Inversion]]]
    """By features, corpus and kind of wave."""
    attributes: list[Attributes]
    membership: list[Membership]
    protection: list[ProtectionTrade]
    examples: list[InversionExample]
    """For figures; not in `to_dict`."""
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, NaN as None, without the examples."""
        fields = {key: getattr(self, key) for key in self.__dataclass_fields__}
        del fields["examples"]
        plain: dict[str, Any] = _plain(fields)
        return plain


def privacy_report(
    train: Mapping[str, WindowSet],
    test: Mapping[str, WindowSet],
    embedders: Mapping[str, Embedder],
    *,
    teacher: M2AE | None = None,
    data: Path | None = None,
    parts: Sequence[str] = PARTS,
    models: Mapping[str, str] | None = None,
    forms: tuple[tuple[str, int], ...] = FORMS,
    epochs: int = 20,
    seed: int = 0,
    progress: bool = True,
) -> PrivacyReport:
    """Measure what the embedders' vectors give away.

    Parameters
    ----------
    train, test
        Window sets by corpus of people who trained the models and of people held out;
        virtual wearers are left aside, and so are sets without PPG and recordings as
        other sensors would have taken them: those are the same people once more, who
        would be their own strangers.
    embedders
        By name; "student" (whole numbers as int8, for protection too) and "teacher" are
        attacked in full, others are baselines for re-identification and attributes.
    teacher
        For the membership attack that paints ECG.
    data
        Folder of the corpora's folders, for ages and sexes; without it they are left out.

    Raises
    ------
    RecordingError
        If fewer than two real corpora are there: strangers are taken from the others.
    """
    began = time.monotonic()
    trained = {k: apart(s) for k, s in train.items() if _worn(k, s)}
    held_out = {k: apart(s) for k, s in test.items() if _worn(k, s)}
    whole = {
        k: concatenate([s[k] for s in (trained, held_out) if k in s])
        for k in sorted({*trained, *held_out})
    }
    if len(whole) < 2:
        raise RecordingError(f"privacy needs two real corpora or more, not {list(whole)}")
    vectors: dict[str, dict[str, Float32Array]] = {}
    for name in tqdm(embedders, desc="embed", disable=not progress):
        vectors[name] = {k: embedders[name](s) for k, s in whole.items()}
    identified, attributed, members, trade = [], [], [], []
    inverted: dict[str, dict[str, dict[str, Inversion]]] = {}
    examples: list[InversionExample] = []
    fingerprints = {k: v for k, v in vectors.items() if k in _FINGERPRINTS}
    for part in tqdm([p for p in PARTS if p in parts], disable=not progress):
        _LOGGER.info("privacy: %s", part)
        if part == "reidentification":
            for name, found in vectors.items():
                identified += _identified(name, found, whole)
        elif part == "inversion":
            for name, found in fingerprints.items():
                first = not inverted
                inverted[name], some = _inverted(found, whole, epochs, seed, nulls=first)
                examples = examples or some
        elif part == "attributes" and data is not None:
            attributed = _attributed(embedders, vectors, whole, data)
        elif part == "membership":
            members = _members(fingerprints, whole, teacher, seed)
        elif part == "protection" and "student" in vectors and "bidmc" in whole:
            breach = _breach(vectors["student"], whole)
            trade = protection_trade(breach, forms, seed=seed)
    return PrivacyReport(
        models=dict(models or {}),
        windows={k: _counts(s) for k, s in whole.items()},
        reidentification=identified,
        inversion=inverted,
        attributes=attributed,
        membership=members,
        protection=trade,
        examples=examples,
        seconds=time.monotonic() - began,
    )


def _worn(name: str, windows: WindowSet) -> bool:
    """Whether a set is a corpus of real pulses as they were recorded."""
    return name in CORPORA and bool(np.asarray(windows.has_ppg).all())


def _counts(windows: WindowSet) -> dict[str, int]:
    people = np.unique(np.asarray(windows.person))
    return {
        "windows": len(windows),
        "people": len(people),
        "people_held_out": int(test_mask(people).sum()),
    }


def _identified(
    name: str, vectors: dict[str, Float32Array], whole: dict[str, WindowSet]
) -> list[ReIdentification]:
    rows = []
    for corpus, windows in whole.items():
        unseen = test_mask(np.asarray(windows.person))
        others = [k for k in whole if k != corpus]
        strangers = np.concatenate([vectors[k] for k in others])
        whose = np.concatenate([np.asarray(whole[k].person) for k in others])
        # UCI has no people, only recordings; the guesses lean on likeness of beats.
        named = corpus != "uci_cuffless"
        some = np.flatnonzero(unseen) if not named else np.arange(len(windows))
        part = windows.take(some)
        identity = None if named else np.asarray(part.record)
        setups: list[tuple[Enrolment, npt.NDArray[np.intp], str]] = [
            (by_half(part, identity), some, "")
        ]
        if len(np.unique(part.record)) > len(np.unique(part.person)):
            setups.append((by_record(part), some, ""))
        if named and unseen.any() and not unseen.all():
            rows_unseen = np.flatnonzero(unseen)
            halves = by_half(windows.take(rows_unseen))
            setups.append((halves, rows_unseen, ", people held out"))
        for enrolment, positions, label in setups:
            known, names = strangers, whose
            if label:  # an attacker with training people's data of the same sensor
                known = np.concatenate([known, vectors[corpus][~unseen]])
                names = np.concatenate([names, np.asarray(windows.person)[~unseen]])
            for learnt in (False, True):
                scorer = fit_scorer(known, names, learnt=learnt)
                rows += [
                    reidentify(
                        vectors[corpus][positions],
                        enrolment,
                        scorer,
                        corpus=corpus + label,
                        features=name,
                        scorer_name="learnt" if learnt else "cosine",
                        probe_windows=size,
                        minutes=(0.5, 1.0, 2.0, 4.0, 16.0) if named else (),
                        galleries=(5, 10, 20, 35, 100, 400),
                    )
                    for size in ((1, 6) if named else (3,))
                ]
    return rows


def _inverted(
    vectors: dict[str, Float32Array],
    whole: dict[str, WindowSet],
    epochs: int,
    seed: int,
    *,
    nulls: bool,
) -> tuple[dict[str, dict[str, Inversion]], list[InversionExample]]:
    rng = np.random.default_rng(seed)
    trained = {k: ~test_mask(np.asarray(s.person)) for k, s in whole.items()}
    seen = np.concatenate([vectors[k][trained[k]] for k in whole])
    ppg = np.concatenate([np.asarray(s.ppg)[trained[k]] for k, s in whole.items()])
    decoder = fit_decoder(seen, ppg, epochs=epochs, seed=seed)
    few = ppg[np.sort(rng.permutation(len(ppg))[:_JUDGED_WINDOWS])]
    found, examples = {}, []
    for corpus, windows in whole.items():
        rows = np.flatnonzero(~trained[corpus])
        rows = np.sort(rng.permutation(rows)[:_JUDGED_WINDOWS])
        part = windows.take(rows)
        if len(np.unique(part.person)) < 2:
            continue
        ours = vectors[corpus][rows]
        found[corpus] = invert(decoder, ours, part, few, nulls=nulls, seed=seed)
        quality = assess(np.asarray(part.ppg))
        # The median window and the one a tenth from the worst, by quality: not the best.
        for share in (0.5, 0.1):
            row = int(np.argsort(quality)[int(share * len(part))])
            truth = np.asarray(part.ppg[row], np.float32)
            decoded = painted(decoder, ours[row : row + 1])[0]
            examples.append(InversionExample(corpus, float(quality[row]), truth, decoded))
    return found, examples


def _attributed(
    embedders: Mapping[str, Embedder],
    vectors: dict[str, dict[str, Float32Array]],
    whole: dict[str, WindowSet],
    data: Path,
) -> list[Attributes]:
    rows = []
    if (data / "ppg_bp").is_dir():
        windows, people = ppg_bp_windows(data)
        for name, embed in embedders.items():
            found = _unit(embed(windows)) if name in _FINGERPRINTS else embed(windows)
            rows.append(
                attributes(
                    found,
                    np.asarray(windows.person),
                    people,
                    corpus="ppg_bp",
                    features=name,
                )
            )
    if "bidmc" in whole and (data / "bidmc").is_dir():
        people = bidmc_people(data)
        for name in embedders:
            found = vectors[name]["bidmc"]
            rows.append(
                attributes(
                    _unit(found) if name in _FINGERPRINTS else found,
                    np.asarray(whole["bidmc"].person),
                    people,
                    corpus="bidmc",
                    features=name,
                )
            )
    return rows


def _members(
    vectors: dict[str, dict[str, Float32Array]],
    whole: dict[str, WindowSet],
    teacher: M2AE | None,
    seed: int,
) -> list[Membership]:
    rows = []
    for corpus, windows in whole.items():
        some = np.random.default_rng(seed).permutation(len(windows))[:3000]
        part = windows.take(np.sort(some))
        given = {name: found[corpus][np.sort(some)] for name, found in vectors.items()}
        person = np.asarray(part.person)
        scores = membership_scores(part, given, teacher)
        rows += membership(scores, person, ~test_mask(person), corpus=corpus)
    return rows


def _breach(vectors: dict[str, Float32Array], whole: dict[str, WindowSet]) -> Breach:
    victims = whole["bidmc"]
    person = np.asarray(victims.person)
    others = [k for k in whole if k != "bidmc"]
    return Breach(
        vectors["bidmc"].astype(np.int8),
        person,
        by_half(victims),
        np.concatenate([vectors[k] for k in others]).astype(np.int8),
        np.concatenate([np.asarray(whole[k].person) for k in others]),
        np.exp(np.asarray(victims.targets[:, _RATE], np.float64)),
        test_mask(person),
    )


def _unit(rows: Float32Array) -> Float32Array:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    unit: Float32Array = rows / lengths
    return unit


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
