"""A virtual world on virtual time, and a model package small enough for every test."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# What needs the `sim` extra is imported in fixtures: other tests here do without it.
if TYPE_CHECKING:
    from plethprint.package import ModelPackage
    from plethprint_sim import WearerStream
    from plethprint_sim.wearable import VirtualWearable
    from plethprint_sim.world import VirtualWorld

# The tiny package is built in tests/sdk/conftest.py; its fixtures serve here as well.
_spec = importlib.util.spec_from_file_location(
    "_tiny_package", Path(__file__).parents[1] / "sdk" / "conftest.py"
)
assert _spec is not None
assert _spec.loader is not None
_tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny)
signing_key, trusted, package = _tiny.signing_key, _tiny.trusted, _tiny.package
_built_folder = _tiny._built_folder

Scenario = Callable[["VirtualWorld"], Awaitable[Any]]


@pytest.fixture(scope="session")
def source() -> WearerStream:
    """An hour and more of one wearer; the same for every test."""
    from plethprint_sim import Wearer, WearerStream

    return WearerStream(Wearer(), seed=7, sample_rate_hz=125.0)


@pytest.fixture
def make_wearable(
    source: WearerStream, package: ModelPackage
) -> Callable[..., VirtualWearable]:
    """Make a virtual wearable that runs the tiny package."""
    from plethprint.ble.open_profile import Channel, ChannelKind
    from plethprint.encoder import load_encoder
    from plethprint_sim.wearable import VirtualWearable

    def make(**options: Any) -> VirtualWearable:
        defaults: dict[str, Any] = {
            "encoder": load_encoder(package, "onnx"),
            "model": package.model_id,
            "channels": [Channel(ChannelKind.GREEN, 1, 525)],
        }
        return VirtualWearable(options.pop("source", source), **{**defaults, **options})

    return make


@pytest.fixture
def make_fingerprinting(
    make_wearable: Callable[..., VirtualWearable], package: ModelPackage
) -> Callable[..., VirtualWearable]:
    """Make a virtual wearable that fingerprints on its own with the tiny package."""
    from plethprint.fingerprinter import Fingerprinter

    def make(**options: Any) -> VirtualWearable:
        return make_wearable(fingerprinter=Fingerprinter(package, "onnx"), **options)

    return make


@pytest.fixture
def play(make_wearable: Callable[..., VirtualWearable]) -> Callable[..., Any]:
    """Play a scenario with a wearable on virtual time; no task may be left behind."""
    from plethprint_sim import virtual_time
    from plethprint_sim.world import VirtualWorld

    def run(
        scenario: Scenario,
        *,
        wearable: VirtualWearable | None = None,
        seed: int = 1,
        **radio: Any,
    ) -> Any:
        async def world_and_scenario() -> Any:
            worn = make_wearable() if wearable is None else wearable
            async with VirtualWorld(worn, seed=seed, **radio) as world:
                before = asyncio.all_tasks()
                outcome = await scenario(world)
                # What the stacks do on a broken link ends by itself, soon.
                await asyncio.sleep(0.5)
                ours = [
                    task
                    for task in asyncio.all_tasks() - before
                    if "plethprint/" in task.get_coro().cr_code.co_filename  # type: ignore[union-attr]
                ]
                assert not ours, f"left behind: {ours}"
                return outcome

        return virtual_time.run(world_and_scenario())

    return run
