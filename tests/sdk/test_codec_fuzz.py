"""Whatever bytes come from a radio, a codec raises an error of ours or none."""

from __future__ import annotations

import contextlib
import importlib.util
import resource
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType

import pytest


def _loaded() -> ModuleType:
    name = "_codec_fuzz"
    spec = importlib.util.spec_from_file_location(
        name, Path(__file__).with_name("codec_fuzz.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


codec_fuzz = _loaded()


@pytest.mark.parametrize("name", codec_fuzz.CODECS)
def test_every_codec_decodes_its_honest_frames(name: str) -> None:
    codec = codec_fuzz.CODECS[name]
    decoded = []
    for seed in codec.seeds:
        try:
            codec.decode(seed)
            decoded.append(seed)
        except codec_fuzz.PlethprintError:
            assert name == "pmd response"  # one of its seeds is a refusal
    assert decoded


def test_mutated_frames_raise_typed_errors_alone() -> None:
    outcomes = codec_fuzz.fuzz(20_000, seed=1)
    for name, counter in outcomes.items():
        assert counter.total() >= 20_000 // len(outcomes), name
        # Neither everything nor nothing is refused: the mutations reach the inside.
        assert len(counter) > 1, name


def test_no_frame_makes_a_codec_take_memory_without_limit() -> None:
    """The most that a decoder holds for one frame of 512 bytes."""
    rng = codec_fuzz.random.Random(5)
    tracemalloc.start()
    worst = 0
    for codec in codec_fuzz.CODECS.values():
        for _ in range(300):
            frame = codec_fuzz.mutated(rng.choice(codec.seeds), rng)
            tracemalloc.reset_peak()
            held, _ = tracemalloc.get_traced_memory()
            with contextlib.suppress(codec_fuzz.PlethprintError):
                codec.decode(frame)
            worst = max(worst, tracemalloc.get_traced_memory()[1] - held)
    tracemalloc.stop()
    assert worst < 1_000_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_million_mutated_frames_raise_typed_errors_alone() -> None:
    codec_fuzz.fuzz(50_000)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = codec_fuzz.fuzz(5_000_000, seed=2)
    assert sum(counter.total() for counter in outcomes.values()) == 5_000_000
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
    assert grown_kb < 20_000
