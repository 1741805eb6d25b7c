"""The peer that the student is measured against, and the arithmetic of measuring."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from plethprint.cli.bench import _peer_lines
from plethprint.errors import EncoderError
from plethprint.package import ModelPackage
from plethprint_quantize.model_run import memory_of_a_run, window_call
from plethprint_quantize.peer import PeerEncoder, peer_macs
from plethprint_quantize.peer_bench import (
    block_ratios,
    compare_with_peer,
    peer_folder,
    spread,
)

TINY = Path(__file__).parent / "data" / "tiny_student.tflite"


@pytest.fixture(scope="module")
def peer() -> PeerEncoder:
    torch.manual_seed(0)
    return PeerEncoder().eval()


def test_the_peer_has_the_size_that_was_published(peer) -> None:
    # 4,993,024 of the authors' code: theirs has one normalisation more that is never run
    assert sum(p.numel() for p in peer.parameters()) == 4_993_024 - 2 * 32
    assert peer_macs(peer) == pytest.approx(75.09e6, rel=1e-4)


def test_the_peer_takes_ten_seconds_at_125_hz_and_gives_512_numbers(peer) -> None:
    with torch.no_grad():
        assert peer(torch.zeros(2, 1, 1, 1250)).shape == (2, 512)


def test_folding_leaves_the_peer_as_it_was() -> None:
    torch.manual_seed(1)
    model = PeerEncoder().eval()
    x = torch.randn(1, 1, 1, 1250)
    with torch.no_grad():
        before = model(x)
        after = model.folded()(x)
    assert float((before - after).abs().max() / before.abs().max()) < 1e-3


def test_a_ratio_is_taken_within_a_block_so_that_load_falls_on_both() -> None:
    # the machine is three times slower in the second half
    slow = np.repeat([1.0, 3.0], 20)
    ratios = block_ratios(10.0 * slow, 0.5 * slow, 20)
    assert ratios.tolist() == [20.0, 20.0]
    assert spread(ratios).low == spread(ratios).high == 20.0
    assert block_ratios(np.full(7, 6.0), np.full(7, 2.0), 20).tolist() == [3.0]


@pytest.mark.parametrize("kernels", ["XNNPACK", "built-in"])
def test_a_model_runs_with_either_kernels(kernels) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the `litert` extra")
    window_call(TINY, kernels)()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc")
def test_memory_of_a_model_is_its_file_and_a_little_more(monkeypatch) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs the `litert` extra")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    peak, own = memory_of_a_run(TINY, "XNNPACK")
    assert TINY.stat().st_size < own < 2_000_000 < peak


def test_a_model_that_is_none_is_one_clear_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="failed"):
        memory_of_a_run(broken, "onnxruntime")


def test_the_peer_is_kept_in_the_users_cache(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert peer_folder().parent == tmp_path / "plethprint"


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "x"}'])
def test_a_damaged_cache_is_told_with_what_to_do(tmp_path, content) -> None:
    (tmp_path / "peer.json").write_text(content)
    with pytest.raises(EncoderError, match=r"remove .* made anew"):
        compare_with_peer(ModelPackage.load(), folder=tmp_path)


def test_a_comparison_is_told_in_whole(tmp_path, monkeypatch) -> None:
    """The shipped student against itself, in the place of the peer: nobody is faster."""
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    package = ModelPackage.load()
    (tmp_path / "peer.onnx").write_bytes(package.read_bytes("encoder.onnx"))
    facts = {"name": "itself", "format": "onnx", "file": "peer.onnx", "macs": 1_952_768}
    (tmp_path / "peer.json").write_text(json.dumps(facts))
    found = compare_with_peer(package, rounds=60, processes=1, folder=tmp_path)
    assert 0.5 < found.latency[0].times_faster.median < 2.0
    assert found.times_smaller_file == 1.0
    assert "not LiteRT" in found.note
    told = "\n".join(_peer_lines(asdict(found)))
    assert "beside itself" in told
    assert "1.0 times smaller" in told


def test_without_torch_the_peer_is_refused_in_one_sentence(tmp_path, monkeypatch) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import plethprint_quantize.peer_bench as b; sys.argv = ['x']; sys.exit(b.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "plethprint[tflite]" in done.stderr
    assert "Traceback" not in done.stderr
