"""A virtual wearable made of a firmware pack: its fingerprints come from the device's C."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plethprint_sim.native_fingerprinter import NativeFingerprinter
from plethprint_sim.native_firmware import NativeFirmware
from plethprint_sim.sensor import PpgSource
from plethprint_sim.wearable import VirtualWearable

__all__ = ["OnDeviceWearable"]


class OnDeviceWearable(VirtualWearable):
    """Speaks the open profile; encoder, preprocessing and self-test are the pack's C.

    Parameters
    ----------
    source : PpgSource
        What its sensor sees, 25 to 200 Hz.
    pack : path
        Folder that ``plethprint firmware`` wrote.
    fault : str, optional
        One of `plethprint_sim.native_firmware.FAULTS`: a wrong firmware.
    compiler : str, optional
        Default: the first of cc, gcc and clang.
    compiler_options : sequence of str
        For the compiler.
    **options
        Further arguments of `VirtualWearable`, but for encoder, fingerprinter and model.

    Raises
    ------
    EncoderError
        There is no compiler or no pack, or the pack does not compile.
    SampleRateError
        The firmware does not take the rate of the source.

    Examples
    --------
    ::

        wearable = OnDeviceWearable(WearerStream(Wearer(), seed=1), pack="fw")
        async with VirtualWorld(wearable) as world:
            async with plethprint.connect(backend=world.backend) as connected:
                async for fingerprint in connected.device_fingerprints():
                    ...
    """

    def __init__(
        self,
        source: PpgSource,
        *,
        pack: str | Path,
        fault: str | None = None,
        compiler: str | None = None,
        compiler_options: Sequence[str] = ("-O2",),
        name: str = "pleth-ondevice",
        **options: Any,
    ) -> None:
        native = NativeFirmware.build(
            pack, compiler=compiler, options=compiler_options, fault=fault
        )
        native.device(source.sample_rate_hz)  # refuses the rate before anybody connects
        super().__init__(
            source,
            name=name,
            encoder=native,
            fingerprinter=NativeFingerprinter(native),
            checker=native,
            model=native.model_id,
            **options,
        )
