"""Rows as HL7 FHIR R5: one Observation with SampledData for each stretch of wearing.

A stretch is what one wearable gave of one wearer with one model, without a pause of a
minute, at most `MAX_WINDOWS` long. Its Observation holds the fingerprints as
``valueSampledData`` (``dimensions`` = D, int8 numbers of the first window, then of the
next) and, as components on the same offsets, heart rate (LOINC 8867-4), quality and the
share of samples that never came. ``offsets`` are the windows' own starts: a hop is not
exactly even on the host's clock, and ``interval`` would say that it is. An unknown heart
rate is ``E``, as SampledData has it.

What a fingerprint means is not in any terminology; its code is a text, and its model
stands in ``method``. Nothing here makes a medical record of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from plethprint.store.row import StoredFingerprint
from plethprint.store.table import utc_text

__all__ = ["MAX_WINDOWS", "observations", "write_bundle", "write_ndjson"]

MAX_WINDOWS = 720
"""Windows of one Observation at most: an hour at a hop of 5 s."""

_PAUSE_S = 60.0
_UCUM = "http://unitsofmeasure.org"
_LOINC = "http://loinc.org"


def observations(rows: Iterable[StoredFingerprint]) -> Iterator[dict[str, Any]]:
    """Give FHIR R5 Observations as plain JSON values.

    Parameters
    ----------
    rows : iterable of StoredFingerprint
        In order of time, as `FingerprintStore.query` gives them.
    """
    open_stretches: dict[tuple[str, str, str, int], list[StoredFingerprint]] = {}
    for row in rows:
        fingerprint = row.fingerprint
        key = (row.wearer, row.wearable, fingerprint.model, fingerprint.dim)
        stretch = open_stretches.setdefault(key, [])
        if stretch and (
            len(stretch) == MAX_WINDOWS
            or fingerprint.start - stretch[-1].fingerprint.start >= _PAUSE_S
        ):
            yield _observation(stretch)
            stretch.clear()
        stretch.append(row)
    for stretch in open_stretches.values():
        yield _observation(stretch)


def write_bundle(rows: Iterable[StoredFingerprint], file: TextIO) -> int:
    """Write one Bundle of Observations as JSON; return how many Observations."""
    file.write('{"resourceType": "Bundle", "type": "collection"')
    count = 0
    for count, observation in enumerate(observations(rows), 1):
        # An empty list is not allowed in FHIR: the key comes with the first entry.
        file.write(',\n"entry": [\n' if count == 1 else ",\n")
        json.dump({"resource": observation}, file, allow_nan=False)
    file.write("\n]}\n" if count else "}\n")
    return count


def write_ndjson(rows: Iterable[StoredFingerprint], file: TextIO) -> int:
    """Write an Observation a line, as FHIR Bulk Data has it; return how many."""
    count = 0
    for count, observation in enumerate(observations(rows), 1):  # noqa: B007
        file.write(json.dumps(observation, allow_nan=False) + "\n")
    return count


def _observation(rows: Sequence[StoredFingerprint]) -> dict[str, Any]:
    first, last = rows[0], rows[-1].fingerprint
    start_s = first.fingerprint.start
    offsets = _numbers(row.fingerprint.start - start_s for row in rows)
    vectors = (number for row in rows for number in row.fingerprint.vector.tolist())
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Fingerprint of the photoplethysmogram"},
        "subject": {"identifier": {"value": first.wearer}},
        "method": {"text": first.fingerprint.model},
        "valueSampledData": {
            **_sampled(offsets, {"value": 0, "system": _UCUM, "code": "1"}),
            "dimensions": first.fingerprint.dim,
            "lowerLimit": -128,
            "upperLimit": 127,
            "data": " ".join(map(str, vectors)),
        },
        "component": [
            _component(
                {
                    "coding": [
                        {"system": _LOINC, "code": "8867-4", "display": "Heart rate"}
                    ],
                    "text": "Heart rate from the photoplethysmogram",
                },
                offsets,
                "/min",
                _numbers(row.fingerprint.heart_rate_bpm for row in rows),
            ),
            _component(
                {"text": "Signal quality, 0 to 1"},
                offsets,
                "1",
                _numbers(row.fingerprint.quality for row in rows),
            ),
            _component(
                {"text": "Share of samples that never came, 0 to 1"},
                offsets,
                "1",
                _numbers(row.gap_fraction for row in rows),
            ),
        ],
    }
    start, end = utc_text(start_s), utc_text(last.start + last.duration_s)
    if start and end:
        observation["effectivePeriod"] = {"start": start, "end": end}
    if first.wearable:
        observation["device"] = {"identifier": {"value": first.wearable}}
    flagged = sum(row.fingerprint.flagged for row in rows)
    if flagged:
        note = f"{flagged} of {len(rows)} windows are of low quality"
        observation["note"] = [{"text": note}]
    return observation


def _component(code: dict[str, Any], offsets: str, unit: str, data: str) -> dict[str, Any]:
    origin = {"value": 0, "system": _UCUM, "code": unit}
    sampled = {**_sampled(offsets, origin), "dimensions": 1, "data": data}
    return {"code": code, "valueSampledData": sampled}


def _sampled(offsets: str, origin: dict[str, Any]) -> dict[str, Any]:
    return {"origin": origin, "intervalUnit": "s", "offsets": offsets}


def _numbers(values: Iterable[float | None]) -> str:
    """Decimals parted by blanks, never in exponent form; E for what is not known."""
    return " ".join(
        "E" if value is None else f"{value:.6f}".rstrip("0").rstrip(".") for value in values
    )
