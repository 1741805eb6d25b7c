"""A virtual wearable made of the firmware pack's C, through the whole Bluetooth stack."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bumble", reason="needs the `sim` extra")

from live_session import first, session

from plethprint.ble import open_profile as profile
from plethprint.cli.app import run
from plethprint.cli.sinks import LogSink
from plethprint.cli.stream import follow
from plethprint.encoder import installed_runtimes, load_encoder
from plethprint.errors import (
    EncoderError,
    FingerprintMismatchError,
    ProtocolError,
    SampleRateError,
)
from plethprint.fingerprint import Fingerprint
from plethprint.fingerprinter import Fingerprinter
from plethprint.firmware_check import FirmwareCheck
from plethprint.package import ModelPackage
from plethprint.session import Backoff
from plethprint.signal import windows_of
from plethprint.store import FingerprintStore, StoredFingerprint
from plethprint_quantize.firmware import write_pack
from plethprint_quantize.firmware.fixed_point import FixedPointSignal
from plethprint_sim import Wearer, WearerStream
from plethprint_sim.native_firmware import NativeFirmware
from plethprint_sim.personalities import virtual_wearable
from plethprint_sim.wearable import VirtualWearable
from plethprint_sim.world import VirtualWorld

RATE_HZ = 125.0
Play = Callable[..., Any]


@pytest.fixture(scope="module")
def shipped() -> ModelPackage:
    return ModelPackage.load()


@pytest.fixture(scope="module")
def pack(shipped: ModelPackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if sys.platform == "win32" or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("needs a C compiler")
    out = tmp_path_factory.mktemp("firmware") / "fw"
    write_pack(shipped, out)
    return out


@pytest.fixture(scope="module")
def libraries() -> dict[str | None, NativeFirmware]:
    return {}


@pytest.fixture
def built_once(
    pack: Path,
    libraries: dict[str | None, NativeFirmware],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compile once for each fault, however many wearables are made of it."""
    original = NativeFirmware.build

    def build(*_: Any, fault: str | None = None, **__: Any) -> NativeFirmware:
        if fault not in libraries:
            libraries[fault] = original(pack, options=("-O0",), fault=fault)
        return libraries[fault]

    monkeypatch.setattr(NativeFirmware, "build", build)


@pytest.fixture
def made_of(pack: Path, built_once: None) -> Callable[..., VirtualWearable]:
    """Make a wearable of the pack."""

    def make(source: WearerStream, **options: Any) -> VirtualWearable:
        made = virtual_wearable("open-ondevice", source, pack=pack, **options)
        assert isinstance(made, VirtualWearable)
        return made

    return make


async def drain(blocks: AsyncIterator[Any]) -> None:
    async for _ in blocks:
        pass


async def checked(world: VirtualWorld) -> FirmwareCheck:
    async with session(world) as wearable:
        return await wearable.check_firmware(2)


def test_its_fingerprints_are_those_of_its_counts_and_nothing_else_is_sent(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    shipped: ModelPackage,
    source: WearerStream,
    tmp_path: Path,
) -> None:
    store = FingerprintStore(tmp_path / "log.db", key=bytes(range(32)))

    async def scenario(world: VirtualWorld) -> Any:
        async with session(world) as wearable:
            prints = await first(5, wearable.device_fingerprints(hop_s=5.0))
            store.append_many(StoredFingerprint(one, wearer="ada") for one in prints)
            return prints, wearable.stats, dict(world.wearables[0].sent_bytes)

    prints, stats, sent = play(scenario, wearable=made_of(source))
    counts = source.counts(0, round(31 * RATE_HZ))
    hosts = Fingerprinter(shipped).embed(counts, RATE_HZ)
    windows = np.stack([window.samples for window in windows_of(counts, RATE_HZ)])
    encoded = load_encoder(shipped, "onnx").run(windows)
    assert len(prints) == 5
    for ours, theirs, vector in zip(prints, hosts, encoded, strict=False):
        # The windows differ by a step in 1 % of the samples, ONNX by 2 steps from the C.
        assert np.abs(ours.vector.astype(int) - vector).max() <= 3
        assert ours.model == shipped.model_id
        assert ours.start - prints[0].start == pytest.approx(theirs.start, abs=1e-5)
    rows = list(store.query(wearer="ada"))
    assert [row.fingerprint for row in rows] == prints
    store.close()
    assert (stats.device_fingerprints, stats.decode_errors, stats.frames) == (5, 0, 0)
    assert set(sent) == {profile.FINGERPRINT_UUID}


def test_where_the_windows_are_the_same_so_are_the_fingerprints(
    play: Play, made_of: Callable[..., VirtualWearable], shipped: ModelPackage
) -> None:
    """At 64 Hz there is nothing to resample."""
    worn = WearerStream(Wearer(), seed=7, sample_rate_hz=64.0)

    async def scenario(world: VirtualWorld) -> list[Fingerprint]:
        async with session(world) as wearable:
            return await first(6, wearable.device_fingerprints(hop_s=2.0))

    prints = play(scenario, wearable=made_of(worn))
    counts = worn.counts(0, 64 * 22)
    on_device = FixedPointSignal(64_000, hop_samples=128).push(counts)
    here = windows_of(counts, 64.0, hop_s=2.0)
    same = [
        index
        for index, (ours, theirs) in enumerate(zip(on_device[:6], here, strict=False))
        if np.array_equal(ours.samples, theirs.samples)
    ]
    assert len(same) >= 3
    runtimes = installed_runtimes()
    runtime = "tflm" if "tflm" in runtimes else "onnx"
    allowed = 0 if runtime == "tflm" else 2
    encoded = load_encoder(shipped, runtime).run(np.stack([w.samples for w in here]))
    for index in same:
        off = np.abs(prints[index].vector.astype(int) - encoded[index])
        assert off.max() <= allowed


def test_a_sound_wearable_passes_and_streams_on(
    play: Play, made_of: Callable[..., VirtualWearable], source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> Any:
        async with session(world) as wearable:
            check = await wearable.check_firmware(4)
            return check, await first(1, wearable.device_fingerprints())

    check, prints = play(scenario, wearable=made_of(source))
    assert check.ok
    assert (check.fault, check.own_fault, check.unchecked) == ("", "", ())
    assert (check.golden.exact, check.golden.windows) == (4, 4)
    assert [one.rate_hz for one in check.signal] == [64.0, 125.0]
    assert check.signal[0].differing == 0.0
    assert check.sentences()[-1] == "firmware sound"
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("fault", "part"), [("weight", "model"), ("rounding", "encoder"), ("filter", "signal")]
)
def test_wrong_firmware_is_caught_over_bluetooth_and_named(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    source: WearerStream,
    fault: str,
    part: str,
) -> None:
    check = play(checked, wearable=made_of(source, fault=fault))
    assert not check.ok
    assert (check.fault, check.own_fault) == (part, part)
    assert (check.golden.max_lsb > 0) == (part != "signal")
    assert all(one.ok for one in check.signal) == (part != "signal")
    assert check.sentences()[-1] == f"at fault: {part}"


@pytest.mark.parametrize(("fault", "part"), [("rounding", "encoder"), ("filter", "signal")])
def test_wrong_firmware_that_calls_itself_sound_is_caught_all_the_same(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    source: WearerStream,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    part: str,
) -> None:
    wearable = made_of(source, fault=fault)
    monkeypatch.setattr(NativeFirmware, "self_test", lambda _: "ok")
    check = play(checked, wearable=wearable)
    assert (check.own_fault, check.fault) == ("", part)


def test_how_far_golden_vectors_may_be_off_is_the_callers_to_say(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    source: WearerStream,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(NativeFirmware, "self_test", lambda _: "ok")

    def streamed(golden_max_lsb: int) -> list[str]:
        async def scenario(world: VirtualWorld) -> None:
            await follow(
                as_json=True,
                on_device=True,
                golden_max_lsb=golden_max_lsb,
                seconds=16.0,
                backend=world.backend,
            )

        play(scenario, wearable=made_of(source, fault="rounding"))
        return capsys.readouterr().out.splitlines()

    with pytest.raises(ProtocolError, match=r"encoder, \d+ LSB off where 0 are allowed"):
        streamed(0)
    assert capsys.readouterr().out == ""
    assert len(streamed(255)) >= 1


def test_a_stale_filter_is_not_seen_by_the_self_test_of_the_encoder(
    play: Play, made_of: Callable[..., VirtualWearable], source: WearerStream
) -> None:
    """Which is why a wearable without the firmware check says what was left unchecked."""
    wearable = made_of(source, fault="filter")
    features = wearable.info.features & ~profile.Features.FIRMWARE_CHECK
    wearable.info = replace(wearable.info, features=features)
    wearable._values["info"] = wearable.info.to_bytes()
    check = play(checked, wearable=wearable)
    assert check.ok
    assert (check.own_fault, check.unchecked) == (None, ("signal",))


def test_fingerprints_are_a_small_part_of_the_bytes_of_the_raw_stream(
    play: Play, made_of: Callable[..., VirtualWearable], source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> dict[str, int]:
        async with session(world) as wearable:
            prints = asyncio.ensure_future(first(9, wearable.device_fingerprints()))
            frames = asyncio.ensure_future(drain(wearable.frames()))
            await asyncio.sleep(50.3)
            frames.cancel()
            prints.cancel()
            await asyncio.gather(frames, prints, return_exceptions=True)
            return dict(world.wearables[0].sent_bytes)

    sent = play(scenario, wearable=made_of(source))
    raw, small = sent[profile.PPG_UUID], sent[profile.FINGERPRINT_UUID]
    assert small == 9 * 132
    assert raw / small > 15


def test_another_model_than_the_hosts_is_refused(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    source: WearerStream,
    package: ModelPackage,
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        async with session(world, package=package) as wearable:
            with pytest.raises(FingerprintMismatchError, match="install the same model"):
                await wearable.check_firmware(1)

    play(scenario, wearable=made_of(source))


def test_what_cannot_be_made_of_a_pack_is_one_clear_error(
    pack: Path, source: WearerStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(worn: Any = source, **options: Any) -> None:
        virtual_wearable("open-ondevice", worn, **{"pack": pack, **options})

    with pytest.raises(EncoderError, match="not a firmware pack"):
        make(pack=tmp_path)
    with pytest.raises(EncoderError, match="no fault 'gremlin'"):
        make(fault="gremlin")
    with pytest.raises(EncoderError, match="cannot be used"):
        make(compiler=str(tmp_path / "no-such-cc"))
    broken = tmp_path / "broken"
    shutil.copytree(pack, broken)
    (broken / "src" / "pp_model.c").write_text("int no C;", encoding="ascii")
    with pytest.raises(EncoderError, match="does not compile"):
        make(pack=broken)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(EncoderError, match="needs a C compiler"):
        make()


def test_a_sensor_too_fast_for_the_firmware_is_refused(
    made_of: Callable[..., VirtualWearable],
) -> None:
    with pytest.raises(SampleRateError, match="25 to 200 Hz, not 250 Hz"):
        made_of(WearerStream(Wearer(), seed=1, sample_rate_hz=250.0))


def test_stream_checks_the_firmware_and_keeps_what_the_wearable_made(
    play: Play,
    made_of: Callable[..., VirtualWearable],
    source: WearerStream,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        log = LogSink(FingerprintStore(tmp_path / "log.db"), "ada")
        await follow(
            sinks=[log],
            as_json=True,
            on_device=True,
            seconds=21.0,
            backend=world.backend,
            backoff=Backoff(seed=1),
        )

    play(scenario, wearable=made_of(source))
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert "firmware sound" in err
    assert "appended 3 fingerprints" in err
    assert "3 fingerprints of its own, 0 frames" in err
    with FingerprintStore(tmp_path / "log.db", create=False) as kept:
        rows = list(kept.query(wearer="ada"))
    assert [row.fingerprint.vector.tolist() for row in rows] == [w["vector"] for w in told]
    assert [one["gap_fraction"] for one in told] == [None] * 3


def test_stream_takes_nothing_of_a_wearable_that_is_at_fault(
    play: Play, made_of: Callable[..., VirtualWearable], source: WearerStream
) -> None:
    async def scenario(world: VirtualWorld) -> None:
        with pytest.raises(ProtocolError, match="at fault: signal"):
            await follow(on_device=True, backend=world.backend, seconds=30.0)

    play(scenario, wearable=made_of(source, fault="filter"))


def test_the_demo_of_a_pack_says_what_it_found_and_what_it_saved(
    pack: Path, built_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["demo", "--virtual-time", "--firmware", str(pack), "--seconds", "21"]
    assert run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["fault"], told["injected"], told["fingerprints"]) == ("", None, 3)
    assert [one["start_s"] for one in told["prints"]] == [0.0, 5.0, 10.0]
    assert told["bytes_ratio"] > 15
    assert told["parity"]["centred_cosine"] > 0.5
    assert run([*command, "--fault", "weight"]) == 1
    assert "at fault: model; no fingerprint was taken" in capsys.readouterr().out


def test_sim_looks_at_a_wearable_made_of_a_pack(
    pack: Path, built_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sim", "--firmware", str(pack), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["personality"], facts["profile"]) == ("open-ondevice", "1.1")
    assert (facts["fault"], facts["check"][-1]) == ("", "firmware sound")
    assert run(["sim", "--firmware", str(pack), "--fault", "rounding"]) == 1
    assert "at fault: encoder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--fault", "weight"], "means nothing without --firmware"),
        (["--personality", "open-ondevice"], "needs --firmware"),
        (["--firmware", "fw", "--personality", "polar"], "not polar"),
        (["--firmware", "fw", "--fault", "gremlin"], "'gremlin' is not known"),
    ],
)
def test_options_that_contradict_are_wrong_usage(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("sim", "demo"):
        assert run([verb, *arguments]) == 2
        assert complaint in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_folder_that_is_no_pack_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sim", "--firmware", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["type"] == "EncoderError"
