"""A firmware pack compiled for this machine and called from Python: the device's own C.

A pack is the folder that ``plethprint firmware`` writes. Its C runs in the virtual
wearable (`plethprint_sim.personalities.ondevice`) and in tests.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from plethprint.errors import (
    EncoderError,
    SampleRateError,
    SignalError,
    WindowShapeError,
)
from plethprint.signal import PPG

__all__ = ["FAULTS", "DeviceFingerprint", "NativeDevice", "NativeFirmware", "damage"]

Int8Array = npt.NDArray[np.int8]

FAULTS = {
    "weight": ("pp_model.c", r"(weights_\d+\[\d+\] = \{\s*-?\d+, )(-?\d+)", 1),
    "filter": (
        "pp_signal_tables.h",
        r"(BIQUADS\[\]\[3\] = \{\s*\{-?\d+, )(-?\d+)",
        1 << 20,
    ),
    "rounding": ("pp_arithmetic.h", r"(\(int64_t\))(1)(?= << 30)", 1),
}
"""Damage that `NativeFirmware.build` can do: file, pattern of one number, bits to flip.

A flipped bit in flash, filters of another band, a kernel that does not round.
"""

_PACK_FILE = "pack.json"  # what marks a folder as a pack
_COMPILERS = ("cc", "gcc", "clang")
_SELF_TEST = {0: "ok", -4: "model", -5: "encoder", -6: "signal"}


@dataclass(frozen=True, eq=False)
class DeviceFingerprint:
    """What the device says of one window."""

    vector: Int8Array
    """Shape (D,)."""
    quality: int
    """0 to 255."""
    start: int
    """First sample at the model's rate, from the (re)start of the signal."""
    missing: int
    """Samples of the window that did not come."""


class NativeFirmware:
    """A compiled pack.

    Examples
    --------
    >>> firmware = NativeFirmware.build("fw")  # doctest: +SKIP
    >>> firmware.run(windows).shape  # doctest: +SKIP
    (256, 64)
    """

    def __init__(self, library: str | Path) -> None:
        try:
            self._library = ctypes.CDLL(str(library))
            for name, result in _FUNCTIONS.items():
                getattr(self._library, name).restype = result
        except (OSError, AttributeError) as error:
            raise EncoderError(f"{library} cannot be loaded: {error}") from error

    @classmethod
    def build(
        cls,
        pack: str | Path,
        *,
        compiler: str | None = None,
        options: Sequence[str] = ("-O2",),
        fault: str | None = None,
    ) -> NativeFirmware:
        """Compile a pack with the C compiler at hand.

        Parameters
        ----------
        pack : path
            Folder that ``plethprint firmware`` wrote.
        compiler : str, optional
            Default: the first of cc, gcc and clang.
        options : sequence of str
            For the compiler.
        fault : str, optional
            One of `FAULTS`: change one number first, to see whether it is noticed.

        Raises
        ------
        EncoderError
            There is no compiler or no pack, or the pack does not compile.
        """
        if not (Path(pack) / _PACK_FILE).is_file():
            raise EncoderError(f"{pack} is not a firmware pack: it has no {_PACK_FILE}")
        found = compiler or next(filter(None, map(shutil.which, _COMPILERS)), None)
        if found is None:
            raise EncoderError(
                f"compiling a firmware pack needs a C compiler: {', '.join(_COMPILERS)}"
            )
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder) / "src", Path(folder) / "plethprint.so"
            try:
                shutil.copytree(Path(pack) / "src", source)
                if fault is not None:
                    damage(source, fault)
                _compile(found, options, sorted(source.glob("*.c")), library)
            except OSError as error:
                raise EncoderError(f"the pack {pack} cannot be used: {error}") from error
            # loaded while it exists; the mapping outlives the file
            return cls(library)

    @property
    def library(self) -> ctypes.CDLL:
        """The library itself, for what else of the pack's C is to be called."""
        return self._library

    @property
    def model_id(self) -> str:
        """Identity of the model that was compiled in."""
        return bytes(self._library.pp_model_id()).decode("ascii")

    @property
    def dim(self) -> int:
        """Numbers of a fingerprint."""
        return int(self._library.pp_dim())

    def run(self, windows: Int8Array) -> Int8Array:
        """Fingerprint int8 windows (N, T); gives int8 (N, D).

        Raises
        ------
        WindowShapeError
            The windows are not int8 of shape (N, T).
        """
        shape = (len(windows) if windows.ndim else 0, PPG.window_samples)
        if windows.dtype != np.int8 or windows.shape != shape:
            raise WindowShapeError(
                f"windows must be int8 of shape (N, {PPG.window_samples}), they are "
                f"{windows.dtype} of shape {windows.shape}"
            )
        device = self.device(100.0)
        return np.stack([device.fingerprint_window(row) for row in windows])

    def device(
        self, sample_rate_hz: float, *, polarity: int = 1, hop: int | None = None
    ) -> NativeDevice:
        """Start a device.

        Parameters
        ----------
        sample_rate_hz : float
            Of its sensor, 25 to 200.
        polarity : {1, -1}
            -1 when more blood gives fewer counts.
        hop : int, optional
            Samples, at the model's rate, from one window to the next; 5 s when None.

        Raises
        ------
        SampleRateError
            The rate is outside 25 to 200 Hz.
        SignalError
            The C refuses the polarity or the hop.
        """
        device = NativeDevice(self._library, self.dim, sample_rate_hz)
        device.set_up(polarity, hop)
        return device

    def self_test(self) -> str:
        """What `NativeDevice.self_test` of a device at rest says."""
        return self.device(100.0).self_test()

    def window_of(self, counts: npt.ArrayLike, sample_rate_hz: float) -> Int8Array:
        """Make the first window (T,) of raw counts, with the pack's preprocessing alone.

        Raises
        ------
        SampleRateError
            The rate is outside 25 to 200 Hz.
        WindowShapeError
            The counts are too few for a window.
        """
        c = self._library
        # Of the size of all there is, of which a pp_signal_t is a part.
        signal = ctypes.create_string_buffer(int(c.pp_workspace_bytes()))
        if c.pp_signal_init(signal, _rate_mhz(sample_rate_hz)):
            raise _bad_rate(sample_rate_hz)
        for count in np.asarray(counts, dtype=np.int32):
            c.pp_signal_push(signal, int(count))
            if c.pp_signal_ready(signal):
                window = np.empty(PPG.window_samples, np.int8)
                c.pp_signal_window(signal, _pointer(window))
                return window
        raise WindowShapeError(f"{np.size(counts)} counts are too few for a window")


class NativeDevice:
    """One workspace of a compiled pack: counts in, fingerprints out."""

    def __init__(self, library: ctypes.CDLL, dim: int, sample_rate_hz: float) -> None:
        self._library = library
        self._dim = dim
        self._workspace = ctypes.create_string_buffer(int(library.pp_workspace_bytes()))
        if library.pp_init(self._workspace, _rate_mhz(sample_rate_hz)):
            raise _bad_rate(sample_rate_hz)

    def set_up(self, polarity: int, hop: int | None) -> None:
        """Set what `NativeFirmware.device` takes, before the first sample."""
        refused = self._library.pp_set_polarity(self._workspace, polarity)
        if hop is not None:
            refused |= self._library.pp_set_hop(self._workspace, hop)
        if refused:
            raise SignalError(f"the firmware refuses polarity {polarity} or hop {hop}")

    def push(self, counts: npt.ArrayLike) -> list[DeviceFingerprint]:
        """Push raw counts (int32, any number) and fingerprint each window they finish."""
        finished = []
        for count in np.asarray(counts, dtype=np.int32):
            self._library.pp_push_sample(self._workspace, int(count))
            if self._library.pp_window_ready(self._workspace):
                finished.append(self._fingerprint())
        return finished

    def fingerprint_window(self, window: Int8Array) -> Int8Array:
        """Fingerprint one int8 window (T,); the signal is not touched."""
        values = np.ascontiguousarray(window)
        out = np.empty(self._dim, np.int8)
        self._library.pp_fingerprint_window(
            self._workspace, _pointer(values), _pointer(out)
        )
        return out

    def self_test(self) -> str:
        """Return ``"ok"``, or the faulty part: ``"model"``, ``"encoder"``, ``"signal"``."""
        return _SELF_TEST[int(self._library.pp_self_test(self._workspace))]

    def _fingerprint(self) -> DeviceFingerprint:
        out = np.empty(self._dim, np.int8)
        self._library.pp_fingerprint(self._workspace, _pointer(out))
        return DeviceFingerprint(
            out,
            int(self._library.pp_quality(self._workspace)),
            int(self._library.pp_window_start(self._workspace)),
            int(self._library.pp_window_missing(self._workspace)),
        )


_FUNCTIONS = {
    "pp_workspace_bytes": ctypes.c_uint32,
    "pp_model_id": ctypes.c_char_p,
    "pp_dim": ctypes.c_uint32,
    "pp_init": ctypes.c_int32,
    "pp_set_polarity": ctypes.c_int32,
    "pp_set_hop": ctypes.c_int32,
    "pp_push_sample": ctypes.c_int32,
    "pp_push_gap": ctypes.c_int32,
    "pp_window_ready": ctypes.c_bool,
    "pp_fingerprint": ctypes.c_int32,
    "pp_quality": ctypes.c_uint8,
    "pp_window_start": ctypes.c_uint32,
    "pp_window_missing": ctypes.c_uint32,
    "pp_fingerprint_window": ctypes.c_int32,
    "pp_self_test": ctypes.c_int32,
    "pp_signal_init": ctypes.c_int32,
    "pp_signal_push": ctypes.c_int32,
    "pp_signal_ready": ctypes.c_bool,
    "pp_signal_window": ctypes.c_int32,
}
"""What is called, and what it returns."""


def damage(source: Path, fault: str) -> None:
    """Change one number in the C sources in folder `source`: a fault of `FAULTS`."""
    if fault not in FAULTS:
        raise EncoderError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
    name, pattern, bits = FAULTS[fault]
    text = (source / name).read_text(encoding="ascii")
    damaged, count = re.subn(
        pattern, lambda match: f"{match[1]}{int(match[2]) ^ bits}", text, count=1
    )
    if not count:
        raise EncoderError(f"{name} has no number to damage for the fault {fault!r}")
    (source / name).write_text(damaged, encoding="ascii")


def _compile(
    compiler: str, options: Sequence[str], files: Sequence[Path], library: Path
) -> None:
    shared = ["-std=c99", *options, "-shared", "-fPIC"]
    done = subprocess.run(
        [compiler, *shared, *map(str, files), "-o", str(library)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise EncoderError(f"the pack does not compile: {done.stderr.strip()}")


def _rate_mhz(sample_rate_hz: float) -> int:
    rate_mhz = sample_rate_hz * 1000
    return round(rate_mhz) if 0 <= rate_mhz < 1 << 32 else 0  # refused by the C


def _bad_rate(sample_rate_hz: float) -> SampleRateError:
    return SampleRateError(f"the firmware takes 25 to 200 Hz, not {sample_rate_hz:g} Hz")


def _pointer(values: Int8Array) -> ctypes.c_void_p:
    return values.ctypes.data_as(ctypes.c_void_p)
