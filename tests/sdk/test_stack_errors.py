"""The border to foreign Bluetooth stacks: every error becomes one of ours, with a remedy.

The messages are those that people reported, each with the thread it was quoted in.
"""

from __future__ import annotations

import asyncio

import pytest
from bleak import exc as bleak_errors
from bleak.exc import BleakBluetoothNotAvailableReason as Reason

from plethprint import errors
from plethprint.ble.stack_errors import Trouble, advice, translated

OFF = errors.BluetoothUnavailableError
DENIED = errors.BluetoothPermissionError
BUSY = errors.WearableBusyError
REFUSED = errors.PairingRefusedError
LOST = errors.LinkLostError


def dbus(name: str, *body: str) -> bleak_errors.BleakDBusError:
    return bleak_errors.BleakDBusError(name, list(body))


def said(text: str) -> bleak_errors.BleakError:
    return bleak_errors.BleakError(text)


def unavailable(text: str, reason: Reason) -> bleak_errors.BleakError:
    return bleak_errors.BleakBluetoothNotAvailableError(text, reason)


FOREIGN: list[tuple[BaseException, type[errors.PlethprintError]]] = [
    (TimeoutError(), errors.LinkTimeoutError),
    (asyncio.TimeoutError("no answer"), errors.LinkTimeoutError),
    (asyncio.CancelledError(), LOST),  # bumble, request in flight
    (bleak_errors.BleakDeviceNotFoundError("AA:BB"), errors.WearableNotFoundError),
    (bleak_errors.BleakCharacteristicNotFoundError("2a37"), errors.ProtocolError),
    (bleak_errors.BleakGATTProtocolError(0x05), errors.PairingError),
    (bleak_errors.BleakGATTProtocolError(0x08), errors.PairingError),
    (bleak_errors.BleakGATTProtocolError(0x0C), errors.PairingError),
    (bleak_errors.BleakGATTProtocolError(0x0F), errors.PairingError),
    (bleak_errors.BleakGATTProtocolError(0x80), errors.ProtocolError),
    (bleak_errors.BleakGATTProtocolError(0x0D), errors.ProtocolError),
    (said("Not connected"), LOST),
    (said("disconnected during GATT operation"), LOST),
    (said("failed to discover services, device disconnected"), LOST),
    (said("already subscribed"), errors.LinkError),
    (OSError("no adapter"), errors.LinkError),
    (AssertionError(), errors.LinkError),  # bleak 3.1 `unpair` inside `async with`
    (KeyError("Roles"), errors.LinkError),  # an adapter without roles on D-Bus
    # Linux, BlueZ.
    (FileNotFoundError(2, "No such file"), OFF),  # no message bus at all
    (ConnectionRefusedError(), OFF),
    (EOFError(), OFF),  # the message bus went away
    # home-assistant/core#83673
    (dbus("org.bluez.Error.NotReady", "Resource Not Ready"), OFF),
    (unavailable("No powered Bluetooth adapters found.", Reason.POWERED_OFF), OFF),
    (unavailable("No Bluetooth adapters found.", Reason.NO_BLUETOOTH), OFF),
    # dnschneid/crouton#1052
    (
        dbus(
            "org.freedesktop.DBus.Error.ServiceUnknown",
            "The name org.bluez was not provided by any .service files",
        ),
        OFF,
    ),
    # martinohanlon/BlueDot#133
    (
        dbus(
            "org.freedesktop.DBus.Error.AccessDenied",
            'Rejected send message, 2 matched rules; type="method_call"',
        ),
        DENIED,
    ),
    # home-assistant/core#76392
    (
        dbus(
            "org.freedesktop.DBus.Error.AccessDenied",
            "An AppArmor policy prevents this sender from sending this message",
        ),
        DENIED,
    ),
    (PermissionError(13, "Permission denied"), DENIED),
    # hbldh/bleak#1036 and #1825
    (dbus("org.bluez.Error.InProgress", "Operation already in progress"), BUSY),
    (dbus("org.bluez.Error.Failed", "Operation already in progress"), BUSY),
    # hbldh/bleak#1434 and #1634, hypfvieh/bluez-dbus#33
    (dbus("org.bluez.Error.AuthenticationFailed", "Authentication Failed"), REFUSED),
    (dbus("org.bluez.Error.AuthenticationRejected", "Authentication Rejected"), REFUSED),
    (dbus("org.bluez.Error.AuthenticationCanceled", "Authentication Canceled"), REFUSED),
    # hbldh/bleak#666 and #993
    (dbus("org.bluez.Error.Failed", "Software caused connection abort"), LOST),
    (dbus("org.bluez.Error.Failed", "le-connection-abort-by-local"), LOST),
    # kristofferR/ha-adjustable-bed#491
    (dbus("org.bluez.Error.NotConnected"), LOST),
    # macOS, CoreBluetooth: hbldh/bleak#1015, home-assistant/core#97245
    (said("Bluetooth device is turned off"), OFF),
    (unavailable("Bluetooth device is turned off", Reason.POWERED_OFF), OFF),
    (unavailable("Bluetooth is unsupported", Reason.NO_BLUETOOTH), OFF),
    (unavailable("Bluetooth state is unknown", Reason.UNKNOWN), OFF),
    (said("BLE is not authorized - check macOS privacy settings"), DENIED),
    (unavailable("Bluetooth access is denied by the user", Reason.DENIED_BY_USER), DENIED),
    # innoveit/react-native-ble-manager#820
    (said("failed to connect: Peer removed pairing information"), errors.BondLostError),
    (said("HCI_Error(hci/PIN_OR_KEY_MISSING_ERROR [0x6])"), errors.BondLostError),  # bumble
    # randdusing/cordova-plugin-bluetoothle#764 and #728
    (
        said("Error Domain=CBATTErrorDomain Code=15 Encryption is insufficient."),
        errors.PairingError,
    ),
    (
        said("Failed to encrypt the connection, the connection has timed out"),
        errors.PairingError,
    ),
    # Windows, WinRT: hbldh/bleak#792, #1180, #714, pull request 1548
    (OSError("[WinError -2147020577] The device is not ready for use"), OFF),
    (OSError("[WinError -2147221231] ClassFactory cannot supply requested class"), OFF),
    (OSError("[WinError -2147023836] The specified service does not exist"), OFF),
    (said("Failed to start scanner. Is Bluetooth turned on?"), OFF),
    (unavailable("Bluetooth radio is not powered on.", Reason.POWERED_OFF), OFF),
    # Navideck/universal_ble#69, hbldh/bleak#203
    (said("Could not get GATT services: Access Denied"), BUSY),
    (said("Could not start notify on 0011: Access Denied"), errors.PairingError),
    # hbldh/bleak#839 and #1454
    (said("Could not get GATT services: Unreachable"), LOST),
    (said("Could not start notify on 0011: Unreachable"), LOST),
    # hbldh/bleak#789, NodeRT/NodeRT#157
    (said("Could not pair with device: 19: FAILED"), REFUSED),
    (said("Could not pair with device: REJECTED_BY_HANDLER"), REFUSED),
    (said("Device does not support pairing"), REFUSED),
]


@pytest.mark.parametrize(("foreign", "ours"), FOREIGN, ids=lambda value: repr(value)[:70])
def test_a_foreign_error_becomes_ours_and_says_what_was_going_on(
    foreign: BaseException, ours: type[errors.PlethprintError]
) -> None:
    error = translated(foreign, "reading info")
    assert type(error) is ours
    assert len(str(error)) > 20  # a sentence, even when the stack said nothing
    if ours is not errors.WearableNotFoundError:
        assert "reading info" in str(error)


def test_our_own_errors_pass_the_border_unchanged() -> None:
    error = errors.FrameError("too short")
    assert translated(error, "reading info") is error


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("trouble", set(Trouble) - {Trouble.DROPPED}, ids=str)
def test_each_system_has_a_remedy_of_its_own_for_each_trouble(
    trouble: Trouble, system: str
) -> None:
    remedy = advice(trouble, system)
    assert len(remedy) > 20
    assert remedy not in {
        advice(trouble, s) for s in ("linux", "darwin", "win32") if s != system
    }


@pytest.mark.parametrize(
    ("system", "remedy"),
    [
        ("linux", "bluetoothctl power on"),
        ("darwin", "System Settings"),
        ("win32", "airplane"),
    ],
)
def test_the_remedy_stands_in_the_message(system: str, remedy: str) -> None:
    off = unavailable("turned off", Reason.POWERED_OFF)
    message = str(translated(off, "scanning", system=system))
    assert message.startswith("Bluetooth is turned off while scanning")
    assert remedy in message


def test_an_unknown_system_gets_the_message_without_a_remedy() -> None:
    error = translated(said("Bluetooth device is turned off"), "scanning", system="haiku")
    assert str(error).endswith("Bluetooth device is turned off")


def test_a_foreign_message_without_end_is_cut() -> None:
    assert len(str(translated(said("x" * 100_000), "scanning"))) < 500
