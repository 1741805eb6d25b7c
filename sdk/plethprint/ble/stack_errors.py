"""What Bluetooth stacks raise, as errors of ours that say what to do about it.

bleak passes on what BlueZ, CoreBluetooth and WinRT say, each in its own words. The tables
here hold the words that people met in the field (the tests quote them with the issue they
come from), and the remedy on each system.
"""

from __future__ import annotations

import asyncio
import sys
from enum import Enum, auto

from plethprint.errors import (
    BluetoothPermissionError,
    BluetoothUnavailableError,
    BondLostError,
    LinkError,
    LinkLostError,
    LinkTimeoutError,
    PairingError,
    PairingRefusedError,
    PlethprintError,
    ProtocolError,
    WearableBusyError,
    WearableNotFoundError,
)

__all__ = ["Trouble", "advice", "translated"]

# ATT errors that pairing cures: authentication, authorisation, key size, encryption.
_NEEDS_PAIRING = frozenset({0x05, 0x08, 0x0C, 0x0F})
_MOST_SAID = 300  # characters of a foreign message that are passed on


class Trouble(Enum):
    """What can be wrong with a Bluetooth stack, as far as a remedy goes."""

    OFF = auto()
    MISSING = auto()
    NO_SERVICE = auto()
    DENIED = auto()
    BUSY = auto()
    REFUSED = auto()
    BOND_LOST = auto()
    UNENCRYPTED = auto()
    DROPPED = auto()


_ERRORS: dict[Trouble, type[LinkError]] = {
    Trouble.OFF: BluetoothUnavailableError,
    Trouble.MISSING: BluetoothUnavailableError,
    Trouble.NO_SERVICE: BluetoothUnavailableError,
    Trouble.DENIED: BluetoothPermissionError,
    Trouble.BUSY: WearableBusyError,
    Trouble.REFUSED: PairingRefusedError,
    Trouble.BOND_LOST: BondLostError,
    Trouble.UNENCRYPTED: PairingError,
    Trouble.DROPPED: LinkLostError,
}
_STATEMENTS: dict[Trouble, str] = {
    Trouble.OFF: "Bluetooth is turned off",
    Trouble.MISSING: "Bluetooth is not available: no usable adapter",
    Trouble.NO_SERVICE: "Bluetooth is not available: its system service does not answer",
    Trouble.DENIED: "this program is not allowed to use Bluetooth",
    Trouble.BUSY: "the wearable or the adapter is busy",
    Trouble.REFUSED: "pairing was refused",
    Trouble.BOND_LOST: "the wearable no longer knows this computer",
    Trouble.UNENCRYPTED: "the link must be encrypted first",
    Trouble.DROPPED: "the link dropped",
}

# What stacks say, lower case, and what it means; the first that fits counts.
_SAID: tuple[tuple[str, Trouble], ...] = (
    # Pairing (BlueZ; CoreBluetooth; WinRT).
    ("authenticationfailed", Trouble.REFUSED),
    ("authenticationrejected", Trouble.REFUSED),
    ("authenticationcanceled", Trouble.REFUSED),
    ("peer removed pairing information", Trouble.BOND_LOST),
    # The reason of HCI: 0x06, PIN or Key Missing.
    ("pin_or_key_missing", Trouble.BOND_LOST),
    ("pin or key missing", Trouble.BOND_LOST),
    ("could not pair with device", Trouble.REFUSED),
    ("device does not support pairing", Trouble.REFUSED),
    ("pairing not allowed", Trouble.REFUSED),
    ("encryption is insufficient", Trouble.UNENCRYPTED),
    ("authentication is insufficient", Trouble.UNENCRYPTED),
    ("failed to encrypt the connection", Trouble.UNENCRYPTED),
    # Permission. WinRT says "Access Denied" of services that another program holds, and
    # of characteristics that want encryption.
    ("get gatt services: access denied", Trouble.BUSY),
    (": access denied", Trouble.UNENCRYPTED),
    ("error.accessdenied", Trouble.DENIED),
    ("rejected send message", Trouble.DENIED),
    ("apparmor policy prevents", Trouble.DENIED),
    ("permission denied", Trouble.DENIED),
    ("not authorized", Trouble.DENIED),
    ("access is denied", Trouble.DENIED),
    ("notpermitted", Trouble.DENIED),
    # The adapter.
    ("error.notready", Trouble.OFF),
    ("resource not ready", Trouble.OFF),
    ("no powered bluetooth adapters", Trouble.OFF),
    ("turned off", Trouble.OFF),
    ("is bluetooth turned on", Trouble.OFF),
    ("not powered", Trouble.OFF),
    ("-2147020577", Trouble.OFF),  # WinRT: the device is not ready for use
    ("-2147221231", Trouble.MISSING),  # WinRT: no class factory, so no Bluetooth
    ("-2147023836", Trouble.NO_SERVICE),  # WinRT: the service is not installed
    ("no bluetooth adapter", Trouble.MISSING),
    ("bluetooth is unsupported", Trouble.MISSING),
    ("serviceunknown", Trouble.NO_SERVICE),
    ("namehasnoowner", Trouble.NO_SERVICE),
    ("provided by any .service files", Trouble.NO_SERVICE),
    ("bluetooth system service was lost", Trouble.NO_SERVICE),
    # Somebody else is at it.
    ("error.inprogress", Trouble.BUSY),
    ("already in progress", Trouble.BUSY),
    ("connection-busy", Trouble.BUSY),
    ("already scanning on this adapter", Trouble.BUSY),
    ("connection limit", Trouble.BUSY),
    # The link.
    ("software caused connection abort", Trouble.DROPPED),
    ("connection-abort-by-local", Trouble.DROPPED),
    ("connection-canceled", Trouble.DROPPED),
    ("failed to be established", Trouble.DROPPED),
    (": unreachable", Trouble.DROPPED),
    ("disconnect", Trouble.DROPPED),
    ("not connected", Trouble.DROPPED),
    ("error.notconnected", Trouble.DROPPED),
)

_ADVICE: dict[Trouble, dict[str, str]] = {
    Trouble.OFF: {
        "linux": "turn it on: `rfkill unblock bluetooth`, then `bluetoothctl power on`",
        "darwin": "turn it on in System Settings > Bluetooth",
        "win32": "turn it on in Settings > Bluetooth & devices, and airplane mode off",
    },
    Trouble.MISSING: {
        "linux": "plug in an adapter that knows Bluetooth LE; `bluetoothctl list` shows it",
        "darwin": "this Mac, or virtual machine, has no Bluetooth LE",
        "win32": "plug in an adapter that knows Bluetooth LE; Device Manager shows it",
    },
    Trouble.NO_SERVICE: {
        "linux": "start bluetoothd: `sudo systemctl start bluetooth`; a container needs "
        "the system message bus, /run/dbus",
        "darwin": "wait some seconds, or turn Bluetooth off and on",
        "win32": "start the Bluetooth Support Service (services.msc)",
    },
    Trouble.DENIED: {
        "linux": "join the group that may: `sudo usermod -aG bluetooth $USER`, then log in "
        "anew; in a container let AppArmor and D-Bus pass org.bluez",
        "darwin": "allow your terminal or program in System Settings > Privacy & Security "
        "> Bluetooth; what launchd starts needs an app bundle with "
        "NSBluetoothAlwaysUsageDescription",
        "win32": "allow desktop programs in Settings > Privacy & security > Radios",
    },
    Trouble.BUSY: {
        "linux": "close what else scans or is connected (`bluetoothctl devices "
        "Connected`), phones too; if nothing is, `bluetoothctl power off`, then on",
        "darwin": "close the other program, or the phone's, that holds the wearable",
        "win32": "close the other program, or the phone's, that holds the wearable; if "
        "none does, turn Bluetooth off and on",
    },
    Trouble.REFUSED: {
        "linux": "put the wearable into pairing mode; an agent must run (`bluetoothctl`, "
        "then `default-agent`); if it was paired before, `bluetoothctl remove ADDRESS`",
        "darwin": "put the wearable into pairing mode and accept the dialogue; if it "
        "was paired before, forget it in System Settings > Bluetooth",
        "win32": "put the wearable into pairing mode; if it was paired before, remove it "
        "in Settings > Bluetooth & devices",
    },
    Trouble.BOND_LOST: {
        "linux": "remove the bond (`bluetoothctl remove ADDRESS`) and pair again: "
        "`plethprint pair`, the wearable in pairing mode",
        "darwin": "forget it in System Settings > Bluetooth and pair again: "
        "`plethprint pair`, the wearable in pairing mode",
        "win32": "remove it in Settings > Bluetooth & devices and pair again: "
        "`plethprint pair`, the wearable in pairing mode",
    },
    Trouble.UNENCRYPTED: {
        "linux": "pair first: `bluetoothctl pair ADDRESS`, or `await wearable.pair()`",
        "darwin": "accept the dialogue that macOS shows; if none comes, forget the "
        "wearable in System Settings > Bluetooth",
        "win32": "pair first, in Settings > Bluetooth & devices or `await wearable.pair()`",
    },
    Trouble.DROPPED: {},
}


def advice(trouble: Trouble, system: str = sys.platform) -> str:
    """What to do about it on a system: one clause, empty where nothing helps.

    Parameters
    ----------
    trouble : Trouble
        What is wrong.
    system : str, optional
        As `sys.platform` has it; this one by default.

    Examples
    --------
    >>> advice(Trouble.OFF, "darwin")
    'turn it on in System Settings > Bluetooth'
    """
    return _ADVICE[trouble].get(system, "")


def translated(
    error: BaseException, doing: str, *, system: str = sys.platform
) -> PlethprintError:
    """Return the error of ours for whatever a Bluetooth stack raised.

    Parameters
    ----------
    error : BaseException
        As caught; one of ours is returned as it is.
    doing : str
        What was going on, such as ``"reading info"``.
    system : str, optional
        For which system the message tells what to do, as `sys.platform` has it.

    Returns
    -------
    PlethprintError
        To be raised ``from`` the original.
    """
    from bleak import exc as bleak_errors

    if isinstance(error, PlethprintError):
        return error
    unavailable = isinstance(error, bleak_errors.BleakBluetoothNotAvailableError)
    said = str(error.args[0]) if unavailable else str(error)
    said = (said or type(error).__name__)[:_MOST_SAID]
    if isinstance(error, asyncio.CancelledError):
        # bumble cancels the future of a request in flight when the link dies.
        return LinkLostError(f"the link dropped while {doing}")
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):  # two classes before 3.11
        return LinkTimeoutError(f"the wearable did not answer in time while {doing}")
    if isinstance(error, bleak_errors.BleakDeviceNotFoundError):
        return WearableNotFoundError(
            f"the Bluetooth stack no longer knows the wearable ({said}); scan again"
        )
    if isinstance(error, bleak_errors.BleakCharacteristicNotFoundError):
        return ProtocolError(
            f"the wearable lacks characteristic {error.char_specifier}, needed for {doing}"
        )
    if isinstance(error, bleak_errors.BleakGATTProtocolError):
        if int(error.args[0]) in _NEEDS_PAIRING:
            return _told(Trouble.UNENCRYPTED, said, doing, system)
        return ProtocolError(f"the wearable refused {doing}: {said}")
    trouble = _trouble(error, said)
    if trouble is None:
        return LinkError(f"Bluetooth failed while {doing}: {said}")
    return _told(trouble, said, doing, system)


def _trouble(error: BaseException, said: str) -> Trouble | None:
    from bleak import exc as bleak_errors

    if isinstance(error, bleak_errors.BleakBluetoothNotAvailableError):
        reason = error.reason.name
        if reason.startswith("DENIED"):
            return Trouble.DENIED
        if reason == "POWERED_OFF":
            return Trouble.OFF
        return Trouble.NO_SERVICE if reason == "UNKNOWN" else Trouble.MISSING
    if isinstance(error, PermissionError):
        return Trouble.DENIED
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError, EOFError)):
        return Trouble.NO_SERVICE  # no message bus, or it went away
    heard = said.lower()
    return next((trouble for words, trouble in _SAID if words in heard), None)


def _told(trouble: Trouble, said: str, doing: str, system: str) -> LinkError:
    remedy = advice(trouble, system)
    message = f"{_STATEMENTS[trouble]} while {doing}: {said}"
    return _ERRORS[trouble](f"{message}; {remedy}" if remedy else message)
