"""Mutated frames against every codec: only typed errors, no unbounded memory.

Run by ``tests/sdk/test_codec_fuzz.py``; by hand, five million and more::

    python tests/sdk/codec_fuzz.py --frames 5000000
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plethprint.ble import colmi_profile as colmi
from plethprint.ble import muse_profile as muse
from plethprint.ble import open_profile
from plethprint.ble import openring_profile as ring
from plethprint.ble import polar_profile as pmd
from plethprint.ble.standard_services import HeartRateMeasurement, battery_percent
from plethprint.errors import PlethprintError
from plethprint.fingerprint import Fingerprint

__all__ = ["CODECS", "Codec", "fuzz", "main", "mutated"]

_LONGEST = 512  # an attribute value has no more bytes
_INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFF)


@dataclass(frozen=True)
class Codec:
    """A decoder and honest frames for it."""

    decode: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def _pmd_frames() -> tuple[bytes, ...]:
    rng = np.random.default_rng(1)
    frames = []
    for frame_type, layout in pmd.LAYOUTS.items():
        walk = rng.integers(-300, 300, (12, len(layout.kinds))).cumsum(axis=0)
        status = rng.integers(0, 1 << 24, 12) if layout.has_status else None
        frames.append(pmd.PmdFrame(8 * 10**17, frame_type, walk, status, compressed=True))
    frames.append(pmd.PmdFrame(8 * 10**17, 0, rng.integers(-(1 << 20), 1 << 20, (10, 4))))
    return tuple(frame.to_bytes() for frame in frames)


def _settings(data: bytes) -> object:
    return pmd.PmdResponse.from_bytes(data).raise_for_status().settings


def _pmd_seeds() -> tuple[bytes, ...]:
    on_offer = bytes.fromhex("0005 1c00 2c00 3700 8700 b000 0101 1600 0401 04")
    return tuple(
        pmd.PmdResponse(opcode, 1, status, on_offer).to_bytes()
        for opcode, status in ((1, 0), (2, 0), (2, 6))
    )


def _open_frame() -> bytes:
    counts = np.arange(40).reshape(20, 2)
    return open_profile.PpgFrame(7, 1000, 8_000_000, counts).to_bytes()


def _open_info() -> bytes:
    green = open_profile.Channel(open_profile.ChannelKind.GREEN, 1, 525)
    return open_profile.Info((green,), (125_000,), firmware="1.4", model="m@1+0").to_bytes()


def _calibration() -> bytes:
    channel = open_profile.ChannelCalibration(30.5, -120, 8000)
    return open_profile.Calibration((channel,)).to_bytes()


def _ring_frame() -> bytes:
    return ring.RingFrame(7, 10**12, np.arange(21).reshape(7, 3)).to_bytes()


def _fingerprint() -> bytes:
    vector = np.zeros(64, np.int8)
    vector[0] = 1
    return Fingerprint(
        vector, 1.0, start=0.0, duration_s=10.0, quality=0.5, model="m"
    ).to_bytes()


def _pmd_acceleration() -> tuple[bytes, ...]:
    walk = np.random.default_rng(2).integers(-90, 90, (20, 3)).cumsum(axis=0)
    frames = [pmd.PmdAcceleration(8 * 10**17, kind, walk, True) for kind in (0, 1)]
    frames += [pmd.PmdAcceleration(8 * 10**17, kind, walk) for kind in (1, 2)]
    return tuple(frame.to_bytes() for frame in frames)


_EVERY_FEATURE = pmd.features_to_bytes(set(pmd.PmdMeasurement))

CODECS: dict[str, Codec] = {
    "pmd frame": Codec(pmd.PmdFrame.from_bytes, _pmd_frames()),
    "pmd acceleration": Codec(
        lambda data: pmd.PmdAcceleration.from_bytes(data).milli_g(2.44e-4),
        _pmd_acceleration(),
    ),
    "pmd response": Codec(_settings, _pmd_seeds()),
    "pmd request": Codec(
        pmd.PmdRequest.from_bytes, (bytes.fromhex("02010001370001011600040104"),)
    ),
    "pmd features": Codec(pmd.features_from_bytes, (_EVERY_FEATURE,)),
    "muse frame": Codec(
        muse.MuseFrame.from_bytes, (muse.MuseFrame(9, np.ones((6, 3), int)).to_bytes(),)
    ),
    "muse acceleration": Codec(
        muse.MuseAcceleration.from_bytes,
        (muse.MuseAcceleration(9, np.full((3, 3), 99)).to_bytes(),),
    ),
    "muse command": Codec(muse.command_from_bytes, (muse.command_to_bytes("p50"),)),
    "muse reply": Codec(
        lambda data: muse.MuseReplies().feed(data), (b'\x08{"rc":0}', b'\x05{"a":')
    ),
    "ring frame": Codec(ring.RingFrame.from_bytes, (_ring_frame(),)),
    "ring request": Codec(
        ring.ring_request_from_bytes,
        (ring.RingStart(3).to_bytes(), ring.RingStop(4).to_bytes()),
    ),
    "colmi reading": Codec(
        colmi.reading_from_bytes,
        (
            colmi.ColmiPpg(1, 2, 3, 4).to_bytes(),
            colmi.ColmiSpo2(1, 2, 3, 4).to_bytes(),
            colmi.ColmiAcceleration(-1, 2, 3).to_bytes(),
        ),
    ),
    "heart rate": Codec(
        HeartRateMeasurement.from_bytes,
        (HeartRateMeasurement(72, True, 3, (1.0, 0.5)).to_bytes(),),
    ),
    "battery": Codec(battery_percent, (b"\x57",)),
    "open frame": Codec(open_profile.PpgFrame.from_bytes, (_open_frame(),)),
    "open info": Codec(open_profile.Info.from_bytes, (_open_info(),)),
    "open response": Codec(
        open_profile.ControlResponse.from_bytes,
        (bytes.fromhex("f010000103 48e80100 48e80100 20189b3b 0000"),),
    ),
    "open request": Codec(
        open_profile.ControlRequest.from_bytes, (bytes.fromhex("1048e8010003"), b"\x11")
    ),
    "open calibration": Codec(open_profile.Calibration.from_bytes, (_calibration(),)),
    "fingerprint": Codec(Fingerprint.from_bytes, (_fingerprint(),)),
}
"""Every decoder that sees bytes from a radio."""


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """Return a frame that was damaged: bits, bytes, cuts, growth, or pure noise."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        how = rng.randrange(8)
        at = rng.randrange(len(data)) if data else 0
        if not data or how == 0:
            data += rng.randbytes(rng.randrange(1, 24))
        elif how == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            data[at] = rng.choice(_INTERESTING)
        elif how == 3:
            data[at] = rng.randrange(256)
        elif how == 4:
            del data[at:]
        elif how == 5:
            del data[at : at + rng.randrange(1, 8)]
        elif how == 6:
            data[at:at] = data[: rng.randrange(1, 32)]
        else:
            data = bytearray(rng.randbytes(rng.randrange(_LONGEST)))
    return bytes(data[:_LONGEST])


def fuzz(
    frames: int, *, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> dict[str, Counter[str]]:
    """Decode so many mutated frames, spread evenly over the codecs.

    Parameters
    ----------
    frames : int
        How many.
    seed : int
        Same seed, same frames.
    progress : callable
        Told how many are done, now and then.

    Returns
    -------
    dict of Counter
        For each codec, how often what came: ``decoded`` or the name of an error of ours.

    Raises
    ------
    AssertionError
        Anything else was raised; the frame is in the message.
    """
    rng = random.Random(seed)
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in CODECS}
    names = list(CODECS)
    for done in range(frames):
        name = names[done % len(names)]
        codec = CODECS[name]
        frame = mutated(rng.choice(codec.seeds), rng)
        try:
            codec.decode(frame)
            outcomes[name]["decoded"] += 1
        except PlethprintError as error:
            outcomes[name][type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"{name}: {error!r} from {frame.hex()}") from error
        if done % 100_000 == 0:
            progress(done)
    return outcomes


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; print what came, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    fuzz(20_000)  # imports and caches are there from now on
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = time.perf_counter()

    def tell(done: int) -> None:
        if done:
            rate = done / (time.perf_counter() - began_s)
            sys.stderr.write(f"\r{done} of {options.frames} frames, {rate:.0f} a second")

    outcomes = fuzz(options.frames, seed=options.seed, progress=tell)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    report = {
        "frames": options.frames,
        "seconds": round(time.perf_counter() - began_s, 1),
        "peak_memory_grew_kb": grown_kb,
        "outcomes": {name: dict(counter) for name, counter in outcomes.items()},
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
