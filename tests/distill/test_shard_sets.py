"""Shards become window sets that are mapped, and a teacher trains on them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the `train` extra")
pytest.importorskip("lightning", reason="needs the `train` extra")

from plethprint.errors import RecordingError
from plethprint_distill.__main__ import main
from plethprint_distill.physiology import TARGETS
from plethprint_distill.shard_files import write_shard
from plethprint_distill.shard_sets import mapped_sets, unpack_shards
from plethprint_distill.shard_tasks import FORMAT, ShardConfig
from plethprint_distill.shards import prepare_shards
from plethprint_distill.teacher import PRESETS, TeacherConfig
from plethprint_distill.windows import WindowSet
from plethprint_sim import Wearer, WearerStream


@pytest.fixture
def shards(tmp_path: Path, virtual: WindowSet) -> Path:
    """Two shards of PulseDB, 48 people, and one of UCI, half of it of the test part."""
    folder, whole = tmp_path / "shards", virtual.centred()
    folder.mkdir()
    told = []
    for name, corpus, rows, people in (
        ("a", "pulsedb", slice(0, 64), [f"pulsedb/p{i // 2:03d}" for i in range(64)]),
        ("b", "pulsedb", slice(64, 96), [f"pulsedb/long name {i // 2}" for i in range(32)]),
        (
            "c",
            "uci_cuffless",
            slice(96, 128),
            [f"uci_cuffless/part{2 + i % 2}/g{i}" for i in range(32)],
        ),
    ):
        part = whole.take(np.arange(len(whole))[rows])
        part = dataclasses.replace(part, person=np.array(people))
        quality = np.ones(len(part), np.float32)
        shard = write_shard(
            folder / f"{name}.tar", corpus, part, quality, block_windows=8, seed=0
        )
        told.append(asdict(shard))
    index = {"format": FORMAT, "targets": list(TARGETS), "shards": told}
    (folder / "shards.json").write_text(json.dumps(index))
    return folder


def test_held_out_people_stay_out_and_all_others_come(tmp_path: Path, shards: Path) -> None:
    counts = unpack_shards(shards, tmp_path / "a", progress=False)
    assert counts == {"pulsedb": 0, "uci_cuffless": 16}  # PulseDB trains no shipped model
    counts = unpack_shards(shards, tmp_path / "b", train_on=["pulsedb"], progress=False)
    assert 70 <= counts["pulsedb"] < 96
    sets = mapped_sets(tmp_path / "b")
    assert {k: len(v) for k, v in sets.items()} == counts
    assert isinstance(sets["pulsedb"].ppg, np.memmap)
    assert not any("part3" in p for p in sets["uci_cuffless"].person)
    assert any(p.startswith("pulsedb/long name") for p in sets["pulsedb"].person)


def test_windows_are_those_of_the_shards(
    tmp_path: Path, shards: Path, virtual: WindowSet
) -> None:
    unpack_shards(shards, tmp_path / "b", train_on=["pulsedb"], progress=False)
    found = mapped_sets(tmp_path / "b")["pulsedb"]
    whole = virtual.centred()
    origin = {row.tobytes(): i for i, row in enumerate(whole.ppg)}
    rows = np.array([origin[np.asarray(row).tobytes()] for row in found.ppg])
    np.testing.assert_array_equal(found.ecg, whole.ecg[rows])
    np.testing.assert_array_equal(found.targets, whole.targets[rows])


def test_a_finished_set_is_not_unpacked_again_and_a_stopped_one_is(
    tmp_path: Path, shards: Path
) -> None:
    unpack_shards(shards, tmp_path / "b", progress=False)
    rhythm = tmp_path / "b/uci_cuffless/rhythm.npy"
    written = rhythm.stat().st_mtime_ns
    unpack_shards(shards, tmp_path / "b", progress=False)
    assert rhythm.stat().st_mtime_ns == written
    (tmp_path / "b/uci_cuffless/about.json").unlink()
    rhythm.write_bytes(b"torn")
    with pytest.raises(RecordingError, match="unpack them first"):
        mapped_sets(tmp_path / "b")
    unpack_shards(shards, tmp_path / "b", progress=False)
    assert len(mapped_sets(tmp_path / "b")["uci_cuffless"]) == 16


def test_sets_with_and_without_context_train_together(
    tmp_path: Path, shards: Path, virtual: WindowSet
) -> None:
    unpack_shards(shards, tmp_path / "b", progress=False)
    longer = {
        k: np.pad(getattr(virtual.centred(), k), ((0, 0), (n, n)))
        for k, n in (("ppg", 32), ("ecg", 64))
    }
    dataclasses.replace(virtual, **longer).save(tmp_path / "b/virtual")
    sets = mapped_sets(tmp_path / "b")
    assert {s.ppg.shape[1] for s in sets.values()} == {640}


def test_shards_can_hold_context_for_crops_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "data/stress_predict"
    folder.mkdir(parents=True)
    ppg, _ = WearerStream(Wearer(), seed=1).read(0, 64 * 60)
    counts = np.rint(1000.0 * ppg).astype(np.int16)
    np.savez(folder / "S01.npz", ppg=counts, ppg_gain=0.1, ppg_offset=0.0, fs_ppg=64.0)
    config = ShardConfig(context_s=0.5, min_quality=0.1)
    index = prepare_shards(tmp_path / "data", tmp_path / "shards", config=config, jobs=1)
    assert index["windows"] > 5
    unpack_shards(tmp_path / "shards", tmp_path / "mapped", progress=False)
    assert mapped_sets(tmp_path / "mapped")["stress_predict"].ppg.shape[1] == 704


def test_the_command_line_trains_a_teacher_on_them(
    tmp_path: Path,
    shards: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shape = TeacherConfig(
        width=16, heads=2, encoder_layers=1, bottleneck_layers=1, decoder_layers=1
    )
    monkeypatch.setitem(PRESETS, "tiny", shape)
    mapped, out = str(tmp_path / "mapped"), tmp_path / "teacher"
    unpack = ["unpack", "--shards", str(shards), "--out", mapped, "--train-on", "pulsedb"]
    assert main(unpack) == 0
    train = ["pretrain", "--mapped-dir", mapped, "--out", str(out), "--preset", "tiny"]
    train += ["--batch", "16", "--windows", "48", "--accelerator", "cpu"]
    assert main([*train, "--accumulate", "2"]) == 0
    assert (out / "teacher.npz").is_file()
    assert json.loads((out / "metrics.jsonl").read_text())["step"] == 3
    assert main([*train, "--strategy", "horovod"]) == 1
    assert main(["cost"]) == 0
    assert '"large"' in capsys.readouterr().out
