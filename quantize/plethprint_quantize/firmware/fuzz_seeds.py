"""Inputs for the fuzzers to begin from: frames, fingerprints and signals that are valid.

``python -m plethprint_quantize.firmware.fuzz_seeds FOLDER`` writes ``corpus_frame`` and
``corpus_signal`` into a folder, where ``c/Makefile.fuzz`` looks for them.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np

from plethprint import Fingerprint
from plethprint.ble.frame import FrameStatus, PpgFrame
from plethprint.fingerprint import unit_scale

__all__ = ["frame_seeds", "signal_seeds"]

_TO_FRAME, _TO_FINGERPRINT, _TO_SEALED = b"\x00", b"\x01", b"\x02"
_REPEAT, _WALK, _GAP, _TAKE = 0x00, 0x40, 0x80, 0xC0


def frame_seeds() -> list[bytes]:
    """Inputs of ``c/fuzz_frame.c``: a byte that chooses the decoder, then its bytes."""
    rng = np.random.default_rng(0)
    seeds = []
    for samples, channels in ((1, 1), (16, 2), (255, 4)):
        counts = rng.integers(-(1 << 23), 1 << 23, (samples, channels), np.int32)
        frame = PpgFrame(7, 1000, 8_000_000, counts, 2, FrameStatus.CONTACT)
        seeds.append(_TO_FRAME + frame.to_bytes())
    for dim, model, heart_rate_bpm in (
        (1, "m", None),
        (64, "plethprint-micro@1+0a1b2c3d", 61.5),
        (256, "pulsé✓😀@1+00", None),
    ):
        vector = rng.integers(-128, 128, dim).astype(np.int8)
        data = Fingerprint(
            vector,
            unit_scale(vector),
            start=1.5e9,
            duration_s=10.0,
            quality=0.5,
            model=model,
            missing=0.125,
            heart_rate_bpm=heart_rate_bpm,
        ).to_bytes()
        seeds += [_TO_FINGERPRINT + data, _TO_SEALED + data]
    return seeds


def signal_seeds() -> list[bytes]:
    """Inputs of ``c/fuzz_signal.c``: rate, hop, polarity, then operations."""
    rng = np.random.default_rng(0)
    seeds = []
    for rate_mhz in (25_000, 64_000, 100_000, 199_999):
        for polarity in (0, 2):
            operations = b"".join(
                struct.pack("<BI", kind | int(rng.integers(0, 60)), value)
                for kind in (_WALK, _WALK, _GAP, _REPEAT, _WALK, _TAKE) * 6
                for value in rng.integers(0, 1 << int(rng.integers(1, 33)), 1).tolist()
            )
            seeds.append(struct.pack("<IHBB", rate_mhz, 320, 0, polarity) + operations)
    return seeds


def main(folder: str) -> None:
    """Write both corpora below `folder`."""
    for name, seeds in (("frame", frame_seeds()), ("signal", signal_seeds())):
        corpus = Path(folder) / f"corpus_{name}"
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            (corpus / f"seed_{number}").write_bytes(seed)


if __name__ == "__main__":
    main(sys.argv[1])
