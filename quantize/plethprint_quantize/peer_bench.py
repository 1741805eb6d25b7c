"""The shipped student beside a peer: latency, peak memory and size, in one run.

Both are int8, one window at a time, on one thread. Calls alternate, so that whatever else
the machine does falls on both; the ratio is taken in blocks of calls, and its spread over
the blocks is told. Memory is that of a process of its own which loads one model, runs it
and ends: its peak, runtime and all, and what of it is the model's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from plethprint.errors import EncoderError, MissingExtraError, PlethprintError
from plethprint.package import ModelPackage
from plethprint_quantize.model_run import memory_of_a_run, window_call

__all__ = [
    "Latency",
    "Memory",
    "PeerComparison",
    "Spread",
    "block_ratios",
    "compare_with_peer",
    "peer_folder",
    "spread",
]

_REVISION = "1"
"""Of `plethprint_quantize.peer`; raised when what it builds changes."""
_WARM_UP = 5
_BLOCK = 20
"""Calls of each model that one ratio is taken over."""


@dataclass(frozen=True)
class Spread:
    """A median with the 10th and the 90th percentile."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Latency:
    """Processor time of a call, with one kind of kernels."""

    kernels: str
    student_ms: Spread
    peer_ms: Spread
    times_faster: Spread
    """Over blocks of calls."""


@dataclass(frozen=True)
class Memory:
    """Memory of a process that runs one model."""

    peak_bytes: Spread
    """Of the whole process, Python and runtime included."""
    model_bytes: Spread | None
    """Of it the model's: memory taken since the runtime was loaded, and resident pages of
    the model's file. None where the system does not tell (Linux does)."""


@dataclass(frozen=True)
class PeerComparison:
    """What was measured; every ratio is the peer's figure over the student's."""

    peer: str
    runtime: str
    rounds: int
    note: str
    """What is not as it should be, such as a missing converter; empty when all is."""
    latency: tuple[Latency, ...]
    student_memory: Memory
    peer_memory: Memory
    times_smaller_memory: Spread | None
    """Of `Memory.model_bytes`."""
    student_file_bytes: int
    peer_file_bytes: int
    times_smaller_file: float
    student_macs: int
    peer_macs: int


def spread(values: npt.ArrayLike) -> Spread:
    """Median and 10th to 90th percentile of a list of figures.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0])
    Spread(median=2.0, low=1.2, high=2.8)
    """
    low, median, high = np.quantile(np.asarray(values, np.float64), [0.1, 0.5, 0.9])
    return Spread(float(median), float(low), float(high))


def peer_folder() -> Path:
    """Where the built peer is kept: the user's cache, never the repository."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "plethprint" / f"peer-{_REVISION}"


def compare_with_peer(
    package: ModelPackage,
    *,
    rounds: int = 200,
    processes: int = 5,
    folder: Path | None = None,
) -> PeerComparison:
    """Measure a package against the peer, which is built when it is not there yet.

    Parameters
    ----------
    package
        The student's.
    rounds
        Calls of each.
    processes
        Processes of each kind for the peak memory.
    folder
        Of the built peer; default: `peer_folder`.

    Raises
    ------
    EncoderError
        The peer cannot be built here, or a runtime refused a model.
    """
    folder = folder or peer_folder()
    facts = _built(folder)
    peer = folder / str(facts["file"])
    tflite = facts["format"] == "tflite"
    if tflite and find_spec("ai_edge_litert") is None:
        raise EncoderError(
            f"{peer} is for LiteRT, which is not installed: "
            "pip install 'plethprint[litert]'"
        )
    kernels = ("XNNPACK", "built-in") if tflite else ("onnxruntime",)
    note = (
        ""
        if tflite
        else "measured with onnxruntime, not LiteRT: the converter (pip install "
        f"'plethprint[tflite]') was not there when {folder} was made; remove that folder "
        "to have it made anew"
    )
    own_name = "encoder.tflite" if tflite else "encoder.onnx"
    package.read_bytes(own_name)  # verified before a runtime reads the file by its path
    own = Path(package.path) / own_name
    latency = tuple(_latency(own, peer, kind, rounds) for kind in kernels)
    probed = np.array(
        [
            [memory_of_a_run(path, kernels[0]) for path in (own, peer)]
            for _ in range(processes)
        ]
    )  # (processes, 2 models, 2 figures)
    own_memory, peer_memory = (_memory(probed[:, place]) for place in (0, 1))
    known = own_memory.model_bytes is not None
    return PeerComparison(
        peer=str(facts["name"]),
        runtime="LiteRT" if tflite else "onnxruntime",
        rounds=rounds,
        note=note,
        latency=latency,
        student_memory=own_memory,
        peer_memory=peer_memory,
        times_smaller_memory=spread(probed[:, 1, 1] / probed[:, 0, 1]) if known else None,
        student_file_bytes=own.stat().st_size,
        peer_file_bytes=peer.stat().st_size,
        times_smaller_file=peer.stat().st_size / own.stat().st_size,
        student_macs=package.manifest.macs,
        peer_macs=int(facts["macs"]),
    )


def _built(folder: Path) -> dict[str, Any]:
    """Facts of the peer; builds it in a process of its own, so that torch stays out."""
    told = folder / "peer.json"
    if not told.is_file():
        if find_spec("torch") is None:
            raise MissingExtraError("tflite", "Building the peer")
        sys.stderr.write(f"building the peer into {folder}, once: a minute or two\n")
        command = [sys.executable, "-m", "plethprint_quantize.peer", "--out", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason was told"])[-1]
            raise EncoderError(f"the peer cannot be built here: {last}")
    try:
        facts: dict[str, Any] = json.loads(told.read_text())
        if facts.keys() >= {"name", "format", "file", "macs"}:
            return facts
    except (OSError, ValueError, AttributeError):
        pass
    raise EncoderError(f"{told} is damaged: remove {folder} to have it made anew")


def _latency(own: Path, peer: Path, kernels: str, rounds: int) -> Latency:
    times = _interleaved([window_call(own, kernels), window_call(peer, kernels)], rounds)
    ratios = spread(block_ratios(times[:, 1], times[:, 0]))
    return Latency(kernels, spread(times[:, 0]), spread(times[:, 1]), ratios)


def block_ratios(
    above: npt.NDArray[np.float64], below: npt.NDArray[np.float64], block: int = _BLOCK
) -> npt.NDArray[np.float64]:
    """Median over median of every whole block of calls; of all calls if there is none.

    Examples
    --------
    >>> block_ratios(np.array([2.0, 4.0, 9.0, 9.0]), np.array([1.0, 1.0, 3.0, 3.0]), 2)
    array([3., 3.])
    """
    blocks = max(len(above) // block, 1)
    whole = len(above) if blocks == 1 else blocks * block
    parts = [np.median(x[:whole].reshape(blocks, -1), axis=1) for x in (above, below)]
    ratios: npt.NDArray[np.float64] = parts[0] / parts[1]
    return ratios


def _memory(probed: npt.NDArray[np.int64]) -> Memory:
    """From (processes, 2): peaks and the model's own, which is 0 where it is not told."""
    own = probed[:, 1]
    return Memory(spread(probed[:, 0]), spread(own) if (own > 0).all() else None)


def _interleaved(
    calls: Sequence[Callable[[], None]], rounds: int
) -> npt.NDArray[np.float64]:
    """Processor time of each call in ms, (rounds, calls), one after the other in turn."""
    for call in calls:
        for _ in range(_WARM_UP):
            call()
    spent = np.empty((rounds, len(calls)))
    for row in spent:
        for place, call in enumerate(calls):
            # Of this thread: what other processes take meanwhile is not the model's.
            began = time.thread_time_ns()
            call()
            row[place] = (time.thread_time_ns() - began) / 1e6
    return spent


def main() -> int:
    """Compare, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m plethprint_quantize.peer_bench")
    parser.add_argument("--package", type=Path, help="default: the shipped one")
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    try:
        package = ModelPackage.load(arguments.package)
        found = compare_with_peer(package, rounds=max(arguments.rounds, 3))
    except PlethprintError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
