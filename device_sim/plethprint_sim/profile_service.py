"""The open profile's service in bumble's attribute database."""

from __future__ import annotations

from bumble.core import UUID
from bumble.gatt import Characteristic, Service

from plethprint.ble import open_profile as profile
from plethprint_sim.gatt import OnWrite, characteristic, notified, written

__all__ = ["OpenProfileService"]

_Property = Characteristic.Properties
_Permission = Characteristic.Permissions


class OpenProfileService(Service):
    """All six characteristics.

    Parameters
    ----------
    info, calibration : bytes
        Values of the two characteristics that are only read.
    on_control, on_self_test : callable
        Take (connection, value) of each write; may raise ``ATT_Error``.
    """

    def __init__(
        self,
        *,
        info: bytes,
        calibration: bytes,
        on_control: OnWrite,
        on_self_test: OnWrite,
    ) -> None:
        write, notify = _Property.WRITE, _Property.NOTIFY
        self.control = written(profile.CONTROL_UUID, write | _Property.INDICATE, on_control)
        """Requests in, responses out."""
        self.ppg = notified(profile.PPG_UUID)
        """Frames out."""
        self.fingerprint = notified(profile.FINGERPRINT_UUID)
        """Fingerprints out."""
        self.self_test = written(profile.SELF_TEST_UUID, write | notify, on_self_test)
        """Windows in, vectors out."""
        read, readable = _Property.READ, _Permission.READABLE
        protected = readable | _Permission.READ_REQUIRES_ENCRYPTION
        super().__init__(
            UUID(profile.SERVICE_UUID),
            [
                characteristic(profile.INFO_UUID, read, readable, info),
                self.control,
                self.ppg,
                self.fingerprint,
                self.self_test,
                characteristic(profile.CALIBRATION_UUID, read, protected, calibration),
            ],
        )
