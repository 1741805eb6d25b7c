"""The open profile's service in bumble's attribute database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from plethprint.ble import open_profile as profile

__all__ = ["OpenProfileService"]

_Property = Characteristic.Properties
_Permission = Characteristic.Permissions
_NOTHING = _Permission(0)


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
        on_control: Callable[[Connection, bytes], None],
        on_self_test: Callable[[Connection, bytes], None],
    ) -> None:
        write, notify = _Property.WRITE, _Property.NOTIFY
        self.control = _writeable(
            profile.CONTROL_UUID, write | _Property.INDICATE, on_control
        )
        """Requests in, responses out."""
        self.ppg = _characteristic(profile.PPG_UUID, notify, _NOTHING)
        """Frames out."""
        self.fingerprint = _characteristic(profile.FINGERPRINT_UUID, notify, _NOTHING)
        """Fingerprints out."""
        self.self_test = _writeable(profile.SELF_TEST_UUID, write | notify, on_self_test)
        """Windows in, vectors out."""
        read, readable = _Property.READ, _Permission.READABLE
        protected = readable | _Permission.READ_REQUIRES_ENCRYPTION
        super().__init__(
            UUID(profile.SERVICE_UUID),
            [
                _characteristic(profile.INFO_UUID, read, readable, info),
                self.control,
                self.ppg,
                self.fingerprint,
                self.self_test,
                _characteristic(profile.CALIBRATION_UUID, read, protected, calibration),
            ],
        )


def _writeable(
    uuid: str,
    properties: Characteristic.Properties,
    on_write: Callable[[Connection, bytes], None],
) -> Characteristic[bytes]:
    value = CharacteristicValue(write=on_write)
    return _characteristic(uuid, properties, _Permission.WRITEABLE, value)


def _characteristic(
    uuid: str,
    properties: Characteristic.Properties,
    permissions: Characteristic.Permissions,
    value: Any = b"",
) -> Characteristic[bytes]:
    return Characteristic(UUID(uuid), properties, permissions, value)
