"""Shards: what goes in comes out, also after a kill; what is torn is told."""

from __future__ import annotations

import dataclasses
import gc
import json
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

from plethprint.errors import MissingExtraError, RecordingError
from plethprint.signal import PPG
from plethprint_distill.__main__ import main
from plethprint_distill.common_rate import at_common_rate
from plethprint_distill.corpora import CORPORA, CorpusRecording
from plethprint_distill.shard_tasks import ShardConfig
from plethprint_distill.shards import prepare_shards, rank_shards, read_shards
from plethprint_distill.windows import WindowSet, concatenate, windows_of_recording
from plethprint_sim import Wearer, WearerStream

SMALL = ShardConfig(hop_s=2.5, min_quality=0.0, shard_windows=12, block_windows=8)


def worn(seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    ppg, ecg = WearerStream(Wearer(), seed=seed).read(0, int(125 * seconds))
    assert ecg is not None
    return 100.0 * ppg, ecg


def coded(name: str, values: np.ndarray) -> dict[str, object]:  # type: ignore[type-arg]
    codes = np.where(np.isnan(values), -32768, np.rint(values / 0.01)).astype(np.int16)
    return {name: codes, f"{name}_gain": 0.01, f"{name}_offset": 0.0, f"fs_{name}": 125.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pairs of BIDMC in ten tasks, PPG alone in Stress-Predict, ECG alone in CinC."""
    folder = tmp_path_factory.mktemp("corpora")
    for name in ("bidmc", "stress_predict", "cinc2017"):
        (folder / name).mkdir()
    lines = ["subject,age,sex,mimic_id"]
    for number in range(20):
        ppg, ecg = worn(30.0, number)
        arrays = coded("ppg", ppg) | coded("ecg", ecg)
        np.savez(folder / "bidmc" / f"bidmc{number:02d}.npz", **arrays)
        lines.append(f"bidmc{number:02d},60,M,s{number // 2:05d}")
    (folder / "bidmc" / "labels.csv").write_text("\n".join(lines))
    rng = np.random.default_rng(0)
    clean, _ = worn(60.0, 50)
    noise = 100.0 * rng.standard_normal(clean.size)
    gaps = clean.copy()
    gaps[2500:4375] = np.nan  # 20 s to 35 s
    for name, ppg in (("S01", clean), ("S02", noise), ("S03", gaps), ("S04", clean[:900])):
        np.savez(folder / "stress_predict" / f"{name}.npz", **coded("ppg", ppg))
    _, ecg = worn(30.0, 60)
    np.savez(
        folder / "cinc2017" / "cinc2017_0.npz",
        **coded("ecg", np.stack([ecg, ecg])),
        length=np.array([3750, 2500]),
        record=np.array(["A00001", "A00002"]),
        label=np.array(["N", "A"]),
    )
    return folder


@pytest.fixture(scope="module")
def shards(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shards")
    prepare_shards(data, out, config=SMALL, progress=False)
    return out


def whole(folder: Path, **how: int) -> WindowSet:
    """All windows, in the order of their records and starts."""
    windows = concatenate(read_shards(folder, **how))
    return windows.take(np.lexsort((windows.start_s, windows.record)))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_goes_into_shards_comes_out_of_them(data: Path, shards: Path) -> None:
    recordings = [
        recording
        for name in ("bidmc", "cinc2017", "stress_predict")
        for recording in CORPORA[name].read(data / name)
    ]
    parts = [windows_of_recording(r, hop_s=2.5) for r in recordings]
    expected = concatenate(part for part in parts if part is not None)
    expected = expected.take(np.lexsort((expected.start_s, expected.record)))
    found = whole(shards)
    for key in WindowSet.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, key), getattr(expected, key))
    assert (found.has_ppg & found.has_ecg).any()
    assert (~found.has_ppg & found.has_ecg).any()  # unpaired recordings are kept
    assert (found.has_ppg & ~found.has_ecg).any()


def test_the_index_tells_people_licences_and_digests(shards: Path) -> None:
    index = json.loads((shards / "shards.json").read_text())
    corpora = {corpus["name"]: corpus for corpus in index["corpora"]}
    assert corpora["bidmc"]["people"] == 10  # of 20 recordings
    assert corpora["bidmc"]["recordings"] == 20
    assert corpora["bidmc"]["licence"] == "ODC-By 1.0"
    assert corpora["bidmc"]["may_train"] is True
    assert corpora["bidmc"]["paired"] > 0.9 * corpora["bidmc"]["windows"]
    assert corpora["cinc2017"]["ecg_alone"] == corpora["cinc2017"]["windows"] == 9 + 5
    assert index["windows"] == sum(shard["windows"] for shard in index["shards"])
    assert max(shard["windows"] for shard in index["shards"]) == SMALL.shard_windows
    assert {len(shard["sha256"]) for shard in index["shards"]} == {64}
    assert index["people"] == 10 + 2 + 3  # S04 is too short for a window


def test_rejected_windows_are_counted_by_reason(data: Path, tmp_path: Path) -> None:
    strict = dataclasses.replace(SMALL, min_quality=0.5)
    index = prepare_shards(data, tmp_path, ["stress_predict"], strict, progress=False)
    (corpus,) = index["corpora"]
    # 60 s give 21 windows 2.5 s apart; 20 s to 35 s is missing in S03, S02 is noise.
    touched = sum(
        start < 35.0 - 0.5 and start + 10.0 > 20.0 + 0.5 for start in np.arange(21) * 2.5
    )
    rejected = corpus["rejected"]
    assert rejected["recording_too_short"] == 1
    assert rejected["low_quality"] >= 21
    assert rejected["missing_or_flat"] == pytest.approx(touched, abs=1)
    kept = corpus["windows"] + rejected["low_quality"] + rejected["missing_or_flat"]
    assert kept == 3 * 21
    assert set(whole(tmp_path).person) == {"stress_predict/S01", "stress_predict/S03"}


def test_the_same_corpora_give_the_same_bytes_with_any_number_of_processes(
    data: Path, shards: Path, tmp_path: Path
) -> None:
    with joblib.parallel_config(backend="threading", n_jobs=3):
        prepare_shards(data, tmp_path, config=SMALL, progress=False)
    assert content(tmp_path) == content(shards)


KILLED = """
import os, sys
from pathlib import Path
from plethprint_distill import shard_tasks, shards
from plethprint_distill.shard_tasks import ShardConfig
written = shard_tasks.write_shard
def write_shard(path, *arguments, **more):
    if path.name == "bidmc-000004-01.tar":
        path.with_suffix(".part").write_bytes(b"half a shard")
        os._exit(9)  # as if killed: nothing is cleaned up
    return written(path, *arguments, **more)
shard_tasks.write_shard = write_shard
config = ShardConfig(hop_s=2.5, min_quality=0.0, shard_windows=12, block_windows=8)
shards.prepare_shards(Path(sys.argv[1]), Path(sys.argv[2]), config=config, progress=False)
"""


def test_a_killed_writer_is_gone_on_with_and_no_half_shard_is_taken(
    data: Path, shards: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(data), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert (tmp_path / "bidmc-000004-01.part").is_file()
    with pytest.raises(RecordingError, match="no finished shards"):
        next(read_shards(tmp_path))
    before = (tmp_path / "bidmc-000000-00.tar").stat().st_mtime_ns
    prepare_shards(data, tmp_path, config=SMALL, progress=False)
    assert (tmp_path / "bidmc-000000-00.tar").stat().st_mtime_ns == before
    assert content(tmp_path) == content(shards)


def test_a_shard_that_is_gone_is_written_again(
    data: Path, shards: Path, tmp_path: Path
) -> None:
    for name, bytes_ in content(shards).items():
        (tmp_path / name).write_bytes(bytes_)
    (tmp_path / "bidmc-000000-01.tar").unlink()
    (tmp_path / "cinc2017-000000-00.tar").write_bytes(b"short")
    prepare_shards(data, tmp_path, config=SMALL, progress=False)
    assert content(tmp_path) == content(shards)


def test_other_settings_do_not_mix_into_a_folder(data: Path, shards: Path) -> None:
    with pytest.raises(RecordingError, match="other settings"):
        prepare_shards(data, shards, config=ShardConfig(), progress=False)


@pytest.mark.parametrize("spoil", ["cut", "flip", "delete"])
def test_a_torn_shard_is_told_and_not_read(
    shards: Path, tmp_path: Path, spoil: str
) -> None:
    for name, bytes_ in content(shards).items():
        (tmp_path / name).write_bytes(bytes_)
    victim = tmp_path / "bidmc-000000-00.tar"
    torn = bytearray(victim.read_bytes())
    if spoil == "delete":
        victim.unlink()
    else:
        torn[5000] ^= 1
        victim.write_bytes(torn[:-10_000] if spoil == "cut" else torn)
    with pytest.raises(RecordingError, match=r"bidmc-000000-00\.tar"):
        list(read_shards(tmp_path))


def test_two_ranks_see_disjoint_shards_and_together_all(shards: Path) -> None:
    names = [{s.name for s in rank_shards(shards, rank=r, world=2, seed=4)} for r in (0, 1)]
    assert not names[0] & names[1]
    assert names[0] | names[1] == {s.name for s in rank_shards(shards)}
    parts = [concatenate(read_shards(shards, rank=r, world=2, seed=4)) for r in (0, 1)]
    keys = [set(zip(p.record.tolist(), p.start_s.tolist(), strict=True)) for p in parts]
    assert not keys[0] & keys[1]
    assert len(keys[0]) + len(keys[1]) == len(whole(shards))
    with pytest.raises(RecordingError, match="rank 0 of 99"):
        next(read_shards(shards, world=99))


def test_a_seed_gives_one_order_and_another_seed_another(shards: Path) -> None:
    first, again, other = (
        concatenate(read_shards(shards, seed=seed)).record for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    sizes = [len(batch) for batch in read_shards(shards)]
    assert max(sizes) == SMALL.block_windows
    assert any(len(set(batch.record)) > 1 for batch in read_shards(shards))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # it leaves its files open
def test_the_webdataset_package_reads_the_shards(shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset", reason="webdataset is not installed")
    names = sorted(str(path) for path in shards.glob("bidmc-*.tar"))
    samples = list(webdataset.WebDataset(names, shardshuffle=False).decode())
    ppg = np.concatenate([sample["ppg.npy"] for sample in samples])
    assert ppg.shape[1] == PPG.window_samples
    assert len(ppg) == sum(whole(shards).person.astype("U5") == "bidmc")
    assert samples[0]["person.npy"][0].startswith(b"bidmc/s")
    assert np.isfinite(samples[0]["quality.npy"]).all()
    gc.collect()


def test_signals_of_two_rates_are_brought_to_one() -> None:
    heart = np.sin(2 * np.pi * 1.2 * np.arange(7000) / 700.0).astype(np.float32)
    pulse = np.sin(2 * np.pi * 1.2 * np.arange(640) / 64.0).astype(np.float32)
    pulse[128:192] = np.nan
    pair = at_common_rate(CorpusRecording("x", "p", "r", pulse, 64.0, heart, 700.0))
    assert pair.ppg is not None
    assert pair.ecg is not None
    assert pair.ppg_rate_hz == pair.ecg_rate_hz == 250.0
    wanted = np.sin(2 * np.pi * 1.2 * np.arange(2500) / 250.0)
    np.testing.assert_allclose(pair.ecg[100:-100], wanted[100:-100], atol=0.01)
    missing = np.isnan(pair.ppg)
    assert missing.sum() == pytest.approx(250, abs=4)
    inside = ~missing
    inside[:100] = inside[-100:] = inside[450:800] = False
    np.testing.assert_allclose(pair.ppg[inside], wanted[inside], atol=0.01)
    same = CorpusRecording("x", "p", "r", pulse, 125.0, pulse, 125.0)
    assert at_common_rate(same) is same
    fast = at_common_rate(CorpusRecording("x", "p", "r", pulse, 1000.0))
    assert fast.ppg_rate_hz == 250.0


def test_the_shard_verb_writes_them_and_says_what_is_wrong(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["shard", "--data", str(data), "--out", str(tmp_path), "--jobs", "1"]
    assert main([*arguments, "--corpora", "cinc2017", "--min-quality", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["windows"] == 14
    assert main([*arguments, "--corpora", "nonsense"]) == 1
    assert main([*arguments, "--corpora", "vitaldb"]) == 1
    assert main([*arguments, "--hop-s", "0"]) == 1


def test_a_missing_package_is_told_from_a_worker_process_too() -> None:
    error = MissingExtraError("corpora", "Reading WFDB records")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.extra) == (str(error), "corpora")
