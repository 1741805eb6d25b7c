"""A pack compiled for this machine and called from Python: the device's own C, in tests
and in the virtual wearable.
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

from plethprint.errors import EncoderError, SampleRateError, WindowShapeError
from plethprint.signal import PPG
from plethprint_quantize.firmware.pack import PACK_FILE

__all__ = ["FAULTS", "DeviceFingerprint", "NativeDevice", "NativeFirmware"]

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

_SHARED = ("-shared", "-fPIC")
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
        except OSError as error:
            raise EncoderError(f"{library} cannot be loaded: {error}") from error
        for name in ("pp_init", "pp_push_sample", "pp_push_gap", "pp_set_polarity"):
            getattr(self._library, name).restype = ctypes.c_int32
        for name in ("pp_workspace_bytes", "pp_window_start", "pp_window_missing"):
            getattr(self._library, name).restype = ctypes.c_uint32
        self._library.pp_quality.restype = ctypes.c_uint8
        self._library.pp_window_ready.restype = ctypes.c_bool
        self._library.pp_model_id.restype = ctypes.c_char_p
        self._library.pp_dim.restype = ctypes.c_uint32

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
            Folder that `write_pack` made.
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
        found = compiler or next(
            filter(None, map(shutil.which, ("cc", "gcc", "clang"))), ""
        )
        if not found:
            raise EncoderError(
                "compiling a firmware pack needs a C compiler: cc, gcc, clang"
            )
        if not (Path(pack) / PACK_FILE).is_file():
            raise EncoderError(f"{pack} is not a firmware pack: it has no {PACK_FILE}")
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder) / "src", Path(folder) / "plethprint.so"
            shutil.copytree(Path(pack) / "src", source)
            if fault is not None:
                _damage(source, fault)
            files = [str(path) for path in sorted(source.glob("*.c"))]
            done = subprocess.run(
                [
                    found,
                    "-std=c99",
                    *options,
                    "-shared",
                    "-fPIC",
                    *files,
                    "-o",
                    str(library),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise EncoderError(f"the pack does not compile: {done.stderr.strip()}")
            # loaded while it exists; the mapping outlives the file
            return cls(library)

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

    def device(self, sample_rate_hz: float) -> NativeDevice:
        """Start a device; `SampleRateError` unless its sensor gives 25 to 200 Hz."""
        return NativeDevice(self._library, self.dim, sample_rate_hz)


class NativeDevice:
    """One workspace of a compiled pack: counts in, fingerprints out."""

    def __init__(self, library: ctypes.CDLL, dim: int, sample_rate_hz: float) -> None:
        self._library = library
        self._dim = dim
        self._workspace = ctypes.create_string_buffer(int(library.pp_workspace_bytes()))
        rate_mhz = round(sample_rate_hz * 1000)
        if not 0 <= rate_mhz < 1 << 32 or library.pp_init(self._workspace, rate_mhz):
            raise SampleRateError(
                f"the firmware takes 25 to 200 Hz, not {sample_rate_hz:g} Hz"
            )

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


def _compiler() -> str:
    for name in ("cc", "gcc", "clang"):
        if found := shutil.which(name):
            return found
    raise EncoderError("compiling a firmware pack needs a C compiler: cc, gcc or clang")


def _pointer(values: Int8Array) -> ctypes.c_void_p:
    return values.ctypes.data_as(ctypes.c_void_p)


def _damage(source: Path, fault: str) -> None:
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
