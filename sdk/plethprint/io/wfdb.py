"""WFDB records (PhysioNet), through the `wfdb` package of the ``io`` extra."""

from __future__ import annotations

from datetime import timezone
from pathlib import Path

import numpy as np

from plethprint.errors import MissingExtraError, RecordingError
from plethprint.io.recording import Recording, agreed_rate_hz, as_float32

__all__ = ["read_wfdb"]

_PPG_NAMES = ("pleth", "ppg", "bvp")
_ECG_NAMES = ("ecg", "ekg", "ii", "mlii", "i", "iii", "v", "v1", "v2", "v5", "avr")


def read_wfdb(path: Path, sample_rate_hz: float | None, column: str | None) -> Recording:
    """Read one record by its ``.hea`` or ``.dat``; see `read_recording`.

    The PPG is the channel called PLETH, PPG or BVP, or the one that `column`
    names; the ECG is the first channel with the name of a lead.
    """
    try:
        import wfdb
    except ImportError as error:
        raise MissingExtraError("io", "Reading WFDB records") from error
    try:
        record = wfdb.rdrecord(str(path.with_suffix("")))
        signals = as_float32(np.asarray(record.p_signal))
        names = [str(name).strip() for name in record.sig_name]
        stated_hz = float(record.fs)
        started = record.base_datetime
    except Exception as error:
        raise RecordingError(f"{path} is not a readable WFDB record: {error}") from error
    ppg = _channel(names, (column.lower(),) if column else _PPG_NAMES)
    if ppg is None:
        raise RecordingError(
            f"{path} has no channel {column or 'PLETH, PPG or BVP'}; "
            f"it has {', '.join(names)}"
        )
    ecg = _channel(names, _ECG_NAMES)
    rate_hz = agreed_rate_hz(stated_hz, sample_rate_hz, str(path))
    has_ecg = ecg is not None and ecg != ppg and np.isfinite(signals[:, ecg]).any()
    return Recording(
        ppg=signals[:, ppg].copy(),
        sample_rate_hz=rate_hz,
        name=path.stem,
        ecg=signals[:, ecg].copy() if has_ecg else None,
        ecg_rate_hz=rate_hz if has_ecg else None,
        # A header names no zone: UTC, so that a file tells the same on every machine.
        start=0.0 if started is None else started.replace(tzinfo=timezone.utc).timestamp(),
    )


def _channel(names: list[str], wanted: tuple[str, ...]) -> int | None:
    lowered = [name.lower() for name in names]
    for name in wanted:
        if name in lowered:
            return lowered.index(name)
    return None
