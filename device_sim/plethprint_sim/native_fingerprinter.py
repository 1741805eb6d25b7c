"""On-device fingerprints as the C of a pack makes them, from counts to bytes on the air."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from plethprint.errors import EncoderError
from plethprint.signal import PPG
from plethprint_sim.native_firmware import DeviceFingerprint, NativeDevice, NativeFirmware

__all__ = ["NativeFingerprinter", "NativeStream", "WireFingerprint"]

_LONGEST_BYTES = 512  # of a notification
_FULL_QUALITY = 255


class _Fields(ctypes.Structure):
    """``pp_fingerprint_t`` of pp_frame.h."""

    _fields_ = (
        ("start", ctypes.c_uint64),
        ("duration_s", ctypes.c_uint32),
        ("quality", ctypes.c_uint32),
        ("missing", ctypes.c_uint32),
        ("heart_rate_bpm", ctypes.c_uint32),
        ("scale", ctypes.c_uint32),
        ("model", ctypes.c_char_p),
        ("vector", ctypes.c_void_p),
        ("dim", ctypes.c_uint16),
        ("model_bytes", ctypes.c_uint8),
    )


class WireFingerprint:
    """One fingerprint, encoded by the pack's own C."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def to_bytes(self) -> bytes:
        """Bytes of one notification, as `plethprint.Fingerprint.from_bytes` reads them."""
        return self._value


class NativeFingerprinter:
    """Makes fingerprints with a compiled pack; for a `plethprint_sim.firmware.Firmware`.

    Parameters
    ----------
    firmware : NativeFirmware
        The compiled pack.

    Examples
    --------
    >>> stream = NativeFingerprinter(firmware).stream(100.0, hop_s=5.0)  # doctest: +SKIP
    >>> [len(one.to_bytes()) for one in stream.push(counts)]             # doctest: +SKIP
    [132, 132]
    """

    def __init__(self, firmware: NativeFirmware) -> None:
        self._firmware = firmware
        self._encode = _WireEncoder(firmware)

    def stream(
        self,
        sample_rate_hz: float,
        *,
        hop_s: float,
        polarity: int = 1,
        start: float = 0.0,
    ) -> NativeStream:
        """Begin with an empty window; `start` is the time of the first count, s.

        Raises
        ------
        SampleRateError, SignalError
            The C takes 25 to 200 Hz, a hop of at least one sample at the model's rate,
            and a polarity of 1 or -1.
        """
        device = self._firmware.device(
            sample_rate_hz, polarity=polarity, hop=round(hop_s * PPG.rate_hz)
        )
        return NativeStream(device, self._encode, start)


class NativeStream:
    """Counts in, fingerprints as bytes out; made by `NativeFingerprinter.stream`."""

    def __init__(self, device: NativeDevice, encode: _WireEncoder, start_s: float) -> None:
        self._device = device
        self._encode = encode
        self._start_s = start_s

    def push(self, samples: npt.ArrayLike) -> list[WireFingerprint]:
        """Take raw counts, shape (T,); give the fingerprints now ready."""
        counts = np.rint(np.asarray(samples)).astype(np.int32)
        return [
            WireFingerprint(self._encode(one, self._start_s + one.start / PPG.rate_hz))
            for one in self._device.push(counts)
        ]


class _WireEncoder:
    """``pp_fingerprint_encode`` for the fingerprints of one pack."""

    def __init__(self, firmware: NativeFirmware) -> None:
        self._c = firmware.library
        self._model = firmware.model_id.encode()
        for name, result, arguments in (
            ("pp_f32_of_ratio", ctypes.c_uint32, [ctypes.c_uint32] * 2),
            ("pp_f32_unit_scale", ctypes.c_uint32, [ctypes.c_void_p, ctypes.c_size_t]),
            ("pp_f64_of_us", ctypes.c_uint64, [ctypes.c_uint64]),
        ):
            try:
                function = getattr(self._c, name)
            except AttributeError as error:
                raise EncoderError(f"the pack has no {name}: write it anew") from error
            function.restype, function.argtypes = result, arguments

    def __call__(self, one: DeviceFingerprint, start_s: float) -> bytes:
        vector = np.ascontiguousarray(one.vector)
        at = vector.ctypes.data
        fields = _Fields(
            start=self._c.pp_f64_of_us(round(start_s * 1e6)),
            duration_s=self._c.pp_f32_of_ratio(round(PPG.window_s), 1),
            quality=self._c.pp_f32_of_ratio(one.quality, _FULL_QUALITY),
            missing=self._c.pp_f32_of_ratio(one.missing, PPG.window_samples),
            heart_rate_bpm=0,
            scale=self._c.pp_f32_unit_scale(at, vector.size),
            model=self._model,
            vector=at,
            dim=vector.size,
            model_bytes=len(self._model),
        )
        out = ctypes.create_string_buffer(_LONGEST_BYTES)
        length = ctypes.c_size_t()
        refused = self._c.pp_fingerprint_encode(
            ctypes.byref(fields), out, ctypes.c_size_t(_LONGEST_BYTES), ctypes.byref(length)
        )
        if refused:
            raise EncoderError(f"the pack cannot encode its fingerprint: status {refused}")
        return out.raw[: length.value]
