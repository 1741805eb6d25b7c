"""One batch on many devices and in micro-batches is learned from as on one."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import TrainingError  # noqa: E402
from plethprint_distill.ahead import AheadSource  # noqa: E402
from plethprint_distill.compute import ComputeConfig, processes_here  # noqa: E402
from plethprint_distill.objective import (  # noqa: E402
    Learned,
    compare,
    draw_masks,
    look,
    step_losses,
    total_loss,
)
from plethprint_distill.parallel import gathered, micro_batches  # noqa: E402
from plethprint_distill.pretrain import PretrainConfig, Pretraining  # noqa: E402
from plethprint_distill.teacher import M2AE, PRESETS, TeacherConfig  # noqa: E402
from plethprint_distill.teacher_batch import (  # noqa: E402
    Pools,
    TeacherBatch,
    WindowSetSource,
    draw_batch,
)
from plethprint_distill.windows import WindowSet  # noqa: E402

CONFIG = PretrainConfig(
    preset="tiny",
    batch=16,
    windows=16 * 40,
    warm_up_windows=32,
    unpaired_share=0.3,
    seed=2,
)
RELATIVE = 1e-5
"""Sums in another order differ in their last bits: 1e-6 after 30 steps was measured."""

needs_processes = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch cannot join processes with gloo",
)


@pytest.fixture(autouse=True)
def _tiny_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
    )
    monkeypatch.setitem(PRESETS, "tiny", shape)


@pytest.fixture(scope="module")
def every_kind(virtual: WindowSet) -> dict[str, WindowSet]:
    """Pairs, PPG alone and ECG alone, three windows of each person."""
    people = np.array([f"person {i // 3}" for i in range(len(virtual))])
    pairs = dataclasses.replace(virtual, person=people)
    none = np.zeros(len(virtual), dtype=np.bool_)
    return {  # in the order of their folders
        "ecg alone": dataclasses.replace(pairs, has_ppg=none),
        "ppg alone": dataclasses.replace(pairs, has_ecg=none),
        "virtual": pairs,
    }


def by_one_process(
    folder: Path, sets: dict[str, WindowSet], steps: int, compute: ComputeConfig
) -> list[dict[str, float]]:
    run = Pretraining(folder, sets, CONFIG, compute)
    return [run.run_step() for _ in range(steps)]


def rank_environment() -> dict[str, str]:
    path = os.pathsep.join(p for p in sys.path if p)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def rank_program(
    tmp_path: Path, sets: dict[str, WindowSet], until: int, **compute: Any
) -> list[str]:
    """Arguments of a rank that takes the steps up to `until` from its folder."""
    for name, windows in sets.items():
        if not (tmp_path / "sets" / name).is_dir():
            windows.save(tmp_path / "sets" / name)
    (tmp_path / "run").mkdir(exist_ok=True)
    return [
        str(Path(__file__).with_name("ranks.py")),
        *("--sets", str(tmp_path / "sets"), "--out", str(tmp_path / "run")),
        *("--config", json.dumps(dataclasses.asdict(CONFIG))),
        *("--compute", json.dumps(compute), "--until", str(until)),
    ]


def by_torchrun(
    tmp_path: Path, sets: dict[str, WindowSet], until: int, **compute: Any
) -> list[dict[str, float]]:
    """Losses of the steps up to `until` of a run of two processes, from its folder."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launch, *rank_program(tmp_path, sets, until, **compute)],
        env=rank_environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads((tmp_path / f"run/rank{r}.json").read_text()) for r in (0, 1)]
    assert told[0] == told[1], "ranks disagree about the losses of their common batch"
    losses: list[dict[str, float]] = told[0]
    return losses


def assert_alike(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert len(found) == len(expected)
    for step, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=RELATIVE, abs=1e-5), (step, name)


def test_micro_batches_give_the_losses_of_the_whole_batch(
    tmp_path: Path, every_kind: dict[str, WindowSet]
) -> None:
    expected = by_one_process(tmp_path, every_kind, 24, ComputeConfig())
    kinds = {name for row in expected for name in row}
    assert {"contrast", "ppg_masked", "ppg_alone", "ecg_alone"} <= kinds
    found = by_one_process(tmp_path, every_kind, 24, ComputeConfig(accumulate=4))
    assert_alike(found, expected)


@pytest.mark.parametrize("cross_share", [1.0, 0.0])
def test_the_gradient_of_a_batch_in_two_places_is_that_of_the_whole(
    every_kind: dict[str, WindowSet], cross_share: float
) -> None:
    config = dataclasses.replace(CONFIG, unpaired_share=0.0, cross_share=cross_share)
    batch = draw_batch(Pools(every_kind, config), config, 0)

    def gradients(two_places: bool) -> list[Any]:
        torch.manual_seed(0)
        teacher = M2AE(PRESETS["tiny"])
        learned = Learned(
            torch.tensor(2.0, requires_grad=True), torch.zeros(37, requires_grad=True)
        )
        generator = torch.Generator().manual_seed(0)
        if two_places:
            masks = draw_masks(teacher, len(batch), config, generator, paired=True)
            halves = []
            for part in micro_batches(batch, masks, 2):
                mine = None if masks is None else (part.pop("shown"), part.pop("hidden"))
                halves.append(look(teacher, TeacherBatch(**part), mine))

            def gather(rows: Any) -> Any:
                """What another rank would send, by the column count of what we send."""
                half = next(iter(halves[1].values())).shape[0]
                columns = [
                    v.reshape(half, -1)
                    for v in halves[1].values()
                    if v.is_floating_point() == rows.is_floating_point()
                ]
                return torch.cat([rows, torch.cat(columns, dim=1)])

            losses = compare(teacher, gathered(halves[0], gather), config, learned)
        else:
            losses = step_losses(teacher, batch, config, learned, generator)
        total_loss(losses, config).backward()
        return [p.grad for p in (*teacher.parameters(), learned.log_variance)]

    for one, two in zip(gradients(False), gradients(True), strict=True):
        assert (one is None) == (two is None)
        if one is not None:
            np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-3, atol=2e-6)


@needs_processes
def test_two_processes_give_the_losses_of_one(
    tmp_path: Path, every_kind: dict[str, WindowSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_one_process(tmp_path / "one", every_kind, 24, ComputeConfig())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What torchrun tells its processes; this one is the first, and spares an import.
    told = {"WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port, "RANK": 0}
    for name, value in {**told, "LOCAL_RANK": 0, "GROUP_RANK": 0}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "here")
    environment = {**rank_environment(), "RANK": "1", "LOCAL_RANK": "1"}
    command = [sys.executable, *rank_program(tmp_path, every_kind, 24, accelerator="cpu")]
    with subprocess.Popen(command, env=environment) as other:
        try:
            compute = ComputeConfig(accelerator="cpu")
            run = Pretraining(tmp_path / "run", every_kind, CONFIG, compute)
            run.resume()
            found = [run.run_step() for _ in range(24)]
            run.save()
            run.finish()
            assert other.wait(60) == 0
        finally:
            other.kill()
    assert json.loads((tmp_path / "run/rank1.json").read_text()) == found
    assert_alike(found, expected)
    assert [p.name for p in (tmp_path / "run").glob("*.pt")] == ["teacher.pt"]


@needs_processes
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_run_goes_on_with_another_number_of_processes(
    tmp_path: Path, every_kind: dict[str, WindowSet], strategy: str
) -> None:
    expected = by_one_process(tmp_path / "one", every_kind, 30, ComputeConfig())
    compute = {"accelerator": "cpu", "strategy": strategy, "accumulate": 2}
    found = by_torchrun(tmp_path, every_kind, 22, **compute)
    alone = Pretraining(tmp_path / "run", every_kind, CONFIG)
    assert alone.resume()
    found += [alone.run_step() for _ in range(4)]
    alone.save()
    found += by_torchrun(tmp_path, every_kind, 30, **compute)
    assert_alike(found, expected)


def test_ranks_draw_their_slices_of_the_batch_of_one(
    every_kind: dict[str, WindowSet],
) -> None:
    config = dataclasses.replace(CONFIG, batch=600)  # three blocks of views
    source = WindowSetSource(every_kind, config)
    for step in range(4):
        whole = source.draw(step)
        parts = [source.draw(step, rank, 4) for rank in range(4)]
        for name, values in vars(whole).items():
            if values is None:
                assert all(getattr(part, name) is None for part in parts)
            else:
                joined = torch.cat([getattr(part, name) for part in parts])
                assert joined.equal(values) or bool(torch.isnan(values).any())
                np.testing.assert_array_equal(joined.numpy(), values.numpy())


def test_batches_drawn_ahead_are_those_of_their_steps(
    every_kind: dict[str, WindowSet],
) -> None:
    source = WindowSetSource(every_kind, CONFIG)
    ahead = AheadSource(source)
    for step in (0, 1, 2, 7, 8, 3):
        expected = source.draw(step, 1, 2)
        for name, values in vars(ahead.draw(step, 1, 2)).items():
            np.testing.assert_array_equal(values, getattr(expected, name))
    with pytest.raises(ValueError, match="non-negative"):
        ahead.draw(-3)


def test_views_of_blocks_differ(every_kind: dict[str, WindowSet]) -> None:
    config = dataclasses.replace(CONFIG, batch=512, unpaired_share=0.0)
    batch = WindowSetSource(every_kind, config).draw(0)
    noise = batch.ppg - batch.clean_ppg
    assert not noise[:256].isclose(noise[256:]).all(dim=1).any()


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        ({"strategy": "horovod"}, "strategy is one of auto, ddp, fsdp"),
        ({"precision": "int8"}, "precision is one of"),
        ({"accumulate": 0}, "accumulate is at least 1"),
        ({"accumulate": 5}, "cannot be cut into 1 ranks"),
        ({"devices": 8}, "torchrun --nnodes 1 --nproc_per_node 8"),
    ],
)
def test_what_cannot_be_computed_on_is_refused_in_one_sentence(
    tmp_path: Path,
    every_kind: dict[str, WindowSet],
    compute: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(TrainingError, match=message):
        Pretraining(tmp_path, every_kind, CONFIG, ComputeConfig(**compute))


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_an_accelerator_that_is_not_there_is_refused(
    tmp_path: Path, every_kind: dict[str, WindowSet], name: str
) -> None:
    if {"cuda": torch.cuda, "mps": torch.backends.mps}[name].is_available():
        pytest.skip(f"this machine has {name}")
    with pytest.raises(TrainingError, match=f"no {name}"):
        Pretraining(tmp_path, every_kind, CONFIG, ComputeConfig(accelerator=name))


def test_bf16_trains_to_about_the_same_losses(
    tmp_path: Path, every_kind: dict[str, WindowSet]
) -> None:
    exact = by_one_process(tmp_path, every_kind, 6, ComputeConfig())
    half = by_one_process(tmp_path, every_kind, 6, ComputeConfig(precision="bf16-mixed"))
    for ours, theirs in zip(half, exact, strict=True):
        assert ours["loss"] != theirs["loss"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.02)


@pytest.mark.parametrize(
    ("cores", "batch", "processes"),
    [(1, 256, 1), (2, 256, 2), (3, 256, 2), (12, 256, 8), (64, 256, 16), (4, 8, 1)],
)
def test_without_a_gpu_a_training_takes_a_process_for_each_core_that_shares_a_batch(
    monkeypatch: pytest.MonkeyPatch, cores: int, batch: int, processes: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert processes_here(batch) == processes


@pytest.mark.parametrize(("gpus", "processes"), [(1, 1), (6, 4), (8, 8)])
def test_with_gpus_a_training_takes_a_process_for_each_of_them(
    monkeypatch: pytest.MonkeyPatch, gpus: int, processes: int
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes_here() == processes
