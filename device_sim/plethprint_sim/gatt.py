"""Characteristics and services of virtual wearables, in bumble's attribute database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

__all__ = ["OnWrite", "RequestService", "characteristic", "notified", "written"]

OnWrite = Callable[[Connection, bytes], None]
"""Takes what a host wrote; may raise ``ATT_Error``."""

_Property, _Permission = Characteristic.Properties, Characteristic.Permissions


def characteristic(
    uuid: str,
    properties: Characteristic.Properties,
    permissions: Characteristic.Permissions,
    value: Any = b"",
) -> Characteristic[bytes]:
    """Make a characteristic; `value` is bytes, or a ``CharacteristicValue``."""
    return Characteristic(UUID(uuid), properties, permissions, value)


def notified(uuid: str) -> Characteristic[bytes]:
    """Make a characteristic that is only ever notified."""
    return characteristic(uuid, _Property.NOTIFY, _Permission(0))


def written(
    uuid: str, properties: Characteristic.Properties, on_write: OnWrite
) -> Characteristic[bytes]:
    """Make a characteristic whose writes `on_write` takes.

    Parameters
    ----------
    uuid : str
        Which.
    properties : Characteristic.Properties
        How it is written, and whether answers come on it too.
    on_write : callable
        Takes connection and value.
    """
    value = CharacteristicValue(write=on_write)
    return characteristic(uuid, properties, _Permission.WRITEABLE, value)


class RequestService(Service):
    """One characteristic in, one out, as most rings have it.

    Parameters
    ----------
    service_uuid, write_uuid, notify_uuid : str
        Of the service and its two characteristics.
    on_write : callable
        Takes connection and value of each write.
    """

    def __init__(
        self, service_uuid: str, write_uuid: str, notify_uuid: str, on_write: OnWrite
    ) -> None:
        either = _Property.WRITE | _Property.WRITE_WITHOUT_RESPONSE
        self.requests = written(write_uuid, either, on_write)
        """Requests in."""
        self.notes = notified(notify_uuid)
        """Responses and samples out."""
        super().__init__(UUID(service_uuid), [self.requests, self.notes])
