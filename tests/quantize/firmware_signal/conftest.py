"""The C sources of the firmware's signal path, compiled and called through ctypes."""

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import plethprint_quantize

SOURCES = Path(plethprint_quantize.__file__).parent / "firmware" / "c"
FILES = ("pp_signal.c", "pp_quality.c", "pp_frame.c")
WARNINGS = ("all", "extra", "error", "conversion", "sign-conversion", "shadow")
FLAGS = ("-std=c99", "-pedantic", *(f"-W{name}" for name in WARNINGS))
STATE_BYTES = 8192


def find_compiler() -> str:
    """The C compiler, or the test is skipped."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None or sys.platform == "win32":
        pytest.skip("needs a C compiler")
    return found


def build(folder: Path, *options: str) -> ctypes.CDLL:
    """Compile the sources into a shared library."""
    library = folder / "signal.so"
    subprocess.run(
        [find_compiler(), *FLAGS, *options, "-fPIC", "-shared", "-o", str(library)]
        + [str(SOURCES / name) for name in FILES],
        check=True,
    )
    loaded = ctypes.CDLL(str(library))
    loaded.pp_signal_ready.restype = ctypes.c_bool
    for name in ("pp_signal_quality", "pp_signal_window_quality"):
        getattr(loaded, name).restype = ctypes.c_uint8
    for name in ("pp_signal_window_start", "pp_signal_missing"):
        getattr(loaded, name).restype = ctypes.c_uint32
    for name in ("pp_f32_of_ratio", "pp_f32_unit_scale", "pp_crc32"):
        getattr(loaded, name).restype = ctypes.c_uint32
    loaded.pp_f64_of_us.restype = ctypes.c_uint64
    return loaded


@dataclass(frozen=True)
class DeviceWindow:
    """What the C code says of one window."""

    start: int
    samples: np.ndarray
    missing: int
    quality: int


class Device:
    """A ``pp_signal_t`` and the calls to it."""

    def __init__(
        self, library: ctypes.CDLL, rate_mhz: int, *, hop: int = 320, polarity: int = 1
    ) -> None:
        self.library = library
        self.state = ctypes.create_string_buffer(STATE_BYTES)
        self.news: list[int] = []
        assert library.pp_signal_init(self.state, rate_mhz) == 0
        assert library.pp_signal_set_hop(self.state, hop) == 0
        assert library.pp_signal_set_polarity(self.state, polarity) == 0

    def _windows(self) -> list[DeviceWindow]:
        windows = []
        library, state = self.library, self.state
        while library.pp_signal_ready(state):
            out = np.empty(640, np.int8)
            start = library.pp_signal_window_start(state)
            assert library.pp_signal_window(state, out.ctypes.data_as(ctypes.c_void_p)) == 0
            quality = library.pp_signal_quality(state, out.ctypes.data_as(ctypes.c_void_p))
            missing = library.pp_signal_missing(state)
            windows.append(DeviceWindow(start, out, missing, quality))
            assert library.pp_signal_advance(state) == 0
        return windows

    def push(
        self, counts: np.ndarray, missing: np.ndarray | None = None
    ) -> list[DeviceWindow]:
        """Push sample by sample, and take every window as soon as it is there."""
        windows = []
        absent = np.zeros(counts.shape, bool) if missing is None else missing
        for count, gone in zip(counts.tolist(), absent.tolist(), strict=True):
            if gone:
                news = self.library.pp_signal_gap(self.state, 1)
            else:
                news = self.library.pp_signal_push(self.state, count)
            if news:
                self.news.append(news)
            if self.library.pp_signal_ready(self.state):
                windows += self._windows()
        return windows

    def gap(self, samples: int) -> list[DeviceWindow]:
        """Tell of missing samples at once."""
        news = self.library.pp_signal_gap(self.state, samples)
        if news:
            self.news.append(news)
        return self._windows()


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> ctypes.CDLL:
    return build(tmp_path_factory.mktemp("signal"), "-O2")


@pytest.fixture
def device(library) -> Callable[..., Device]:
    return partial(Device, library)


@pytest.fixture(scope="session")
def compiler() -> str:
    return find_compiler()


@pytest.fixture(scope="session")
def device_class() -> type[Device]:
    return Device
