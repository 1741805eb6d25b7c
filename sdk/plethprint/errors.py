"""Every error the package raises, in one tree.

::

    PlethprintError
    ├── SignalError (ValueError)              the samples cannot be used
    │   ├── SampleRateError                   outside 20..500 Hz, or not a number
    │   └── WindowShapeError                  wrong length, dimension or type
    ├── RecordingError (ValueError)           a file cannot be read as a recording
    │   ├── RecordingWriteError (OSError)     it cannot be written: disk full, no right
    │   └── UnfinishedRecordingError          an earlier one waits to be recovered
    ├── PackageError (ValueError)             a model package cannot be used
    │   ├── PackageIntegrityError             a file is missing, changed or unreadable
    │   ├── PackageSignatureError             the signature is missing, wrong or not trusted
    │   └── PackageIncompatibleError          made for another preprocessing, size or format
    ├── FingerprintError (ValueError)
    │   ├── FingerprintDecodeError            bytes are not a fingerprint
    │   ├── FingerprintMismatchError          two fingerprints come from different models
    │   └── ProtectionError                   a key, form or size that cannot protect
    ├── StoreError (ValueError)               a log of fingerprints cannot be used
    │   ├── StoreKeyError                     no key, or another than it was made with
    │   └── StoreIntegrityError               what is in it was damaged or changed
    ├── HeadError (ValueError)                a head cannot be fitted, read or asked
    ├── TrainingError (ValueError)            a training cannot be started or gone on with
    ├── EncoderError (RuntimeError)           a runtime refused the model or failed in it
    ├── MissingExtraError (ImportError)       an optional dependency is not installed
    ├── LinkError (ConnectionError)           the radio link
    │   ├── BluetoothUnavailableError         no adapter, it is off, or its service is
    │   ├── BluetoothPermissionError (PermissionError)   this program may not use it
    │   ├── WearableNotFoundError             nobody advertised in time
    │   ├── WearableBusyError                 somebody else holds the wearable or adapter
    │   ├── LinkTimeoutError (TimeoutError)   a GATT call took too long
    │   ├── LinkLostError                     the link dropped and did not come back
    │   └── PairingError                      pairing failed
    │       ├── PairingRefusedError           the wearable, or somebody, said no
    │       │   └── BondLostError             it no longer has the key of the bond
    │       └── UnencryptedLinkError          it would go on in the open: not allowed
    └── ProtocolError (ValueError)            the wearable said something unexpected
        ├── WrongPersonalityError             it speaks another protocol, or none known
        ├── FrameError                        bytes are not a valid frame
        └── ControlError                      a control request was refused

Each error is also the built-in that a caller would expect, so ``except ValueError``
works without importing this module. Messages say what was expected, what came and,
where something can be done, what to do.
"""

from __future__ import annotations

__all__ = [
    "BluetoothPermissionError",
    "BluetoothUnavailableError",
    "BondLostError",
    "ControlError",
    "EncoderError",
    "FingerprintDecodeError",
    "FingerprintError",
    "FingerprintMismatchError",
    "FrameError",
    "HeadError",
    "LinkError",
    "LinkLostError",
    "LinkTimeoutError",
    "MissingExtraError",
    "PackageError",
    "PackageIncompatibleError",
    "PackageIntegrityError",
    "PackageSignatureError",
    "PairingError",
    "PairingRefusedError",
    "PlethprintError",
    "ProtectionError",
    "ProtocolError",
    "RecordingError",
    "RecordingWriteError",
    "SampleRateError",
    "SignalError",
    "StoreError",
    "StoreIntegrityError",
    "StoreKeyError",
    "TrainingError",
    "UnencryptedLinkError",
    "UnfinishedRecordingError",
    "WearableBusyError",
    "WearableNotFoundError",
    "WindowShapeError",
    "WrongPersonalityError",
]


class PlethprintError(Exception):
    """Root of every error raised by this package."""


class SignalError(PlethprintError, ValueError):
    """Samples that cannot be turned into windows."""


class SampleRateError(SignalError):
    """A sample rate that the preprocessing does not take."""


class WindowShapeError(SignalError):
    """An array of the wrong length, dimension or type."""


class RecordingError(PlethprintError, ValueError):
    """A file that cannot be read as a recording."""


class RecordingWriteError(RecordingError, OSError):
    """A recording that cannot be written: the disk is full, or it is not allowed."""


class UnfinishedRecordingError(RecordingError):
    """A journal of an earlier recording is there, and is not written over.

    Parameters
    ----------
    message : str
        One sentence for the user.
    path : str, optional
        The journal.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path
        """The journal that was found."""


class PackageError(PlethprintError, ValueError):
    """A model package that cannot be used."""


class PackageIntegrityError(PackageError):
    """A file of the package is missing, changed or unreadable.

    Parameters
    ----------
    message : str
        One sentence for the user; it names the file.
    file : str, optional
        Name of the file inside the package, for programs.
    """

    def __init__(self, message: str, *, file: str = "") -> None:
        super().__init__(message)
        self.file = file
        """Name of the file at fault, relative to the package folder."""


class PackageSignatureError(PackageError):
    """The manifest's signature is missing, wrong or by a key that is not trusted."""


class PackageIncompatibleError(PackageError):
    """The package was made for another format, preprocessing or vector size."""


class FingerprintError(PlethprintError, ValueError):
    """A fingerprint that cannot be used."""


class FingerprintDecodeError(FingerprintError):
    """Bytes that are not a fingerprint, or a damaged one."""


class FingerprintMismatchError(FingerprintError):
    """Two fingerprints that come from different models and cannot be compared."""


class StoreError(PlethprintError, ValueError):
    """A log of fingerprints that cannot be opened, written or asked."""


class StoreKeyError(StoreError):
    """An encrypted log without its key or with another one, or a key for a plain log."""


class StoreIntegrityError(StoreError):
    """A row of a log that was damaged, changed, moved or taken out.

    Parameters
    ----------
    message : str
        One sentence for the user.
    sequence : int, optional
        Number of the row at fault, -1 when it is not one row's.
    """

    def __init__(self, message: str, *, sequence: int = -1) -> None:
        super().__init__(message)
        self.sequence = sequence
        """Number of the row at fault, -1 when it is not one row's."""


class HeadError(PlethprintError, ValueError):
    """A head that cannot be fitted, read or asked."""


class TrainingError(PlethprintError, ValueError):
    """A training run that cannot be started, or gone on with, as told."""


class ProtectionError(FingerprintError):
    """A fingerprint cannot be protected: wrong key, form or size, or protected already."""


class EncoderError(PlethprintError, RuntimeError):
    """A model runtime refused the model or failed while running it."""


class MissingExtraError(PlethprintError, ImportError):
    """An optional dependency is not installed.

    Parameters
    ----------
    extra : str
        Name of the extra that brings it, such as ``"litert"``.
    purpose : str
        What needs it, as the start of a sentence, such as ``"The LiteRT runtime"``.

    Examples
    --------
    >>> print(MissingExtraError("io", "Reading WFDB records"))
    Reading WFDB records needs the `io` extra: pip install 'plethprint[io]'
    """

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the `{extra}` extra: pip install 'plethprint[{extra}]'"
        )
        self.extra = extra
        """Name of the missing extra."""
        self._purpose = purpose

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        # Its arguments are not its message: a worker process could not hand it over.
        return type(self), (self.extra, self._purpose)


class LinkError(PlethprintError, ConnectionError):
    """Something went wrong on the radio link."""


class BluetoothUnavailableError(LinkError):
    """There is no Bluetooth adapter, or it or its service is off."""


class BluetoothPermissionError(LinkError, PermissionError):
    """The system does not let this program use Bluetooth."""


class WearableNotFoundError(LinkError):
    """No matching wearable advertised in time."""


class WearableBusyError(LinkError):
    """Another program or host holds the wearable, or the adapter is at work for it."""


class LinkTimeoutError(LinkError, TimeoutError):
    """The wearable did not answer in time."""


class LinkLostError(LinkError):
    """The link dropped and could not be brought back."""


class PairingError(LinkError):
    """Pairing failed."""


class PairingRefusedError(PairingError):
    """The wearable, the system or whoever was asked turned the pairing down."""


class BondLostError(PairingRefusedError):
    """The wearable no longer has the bond's key: remove the bond here, and pair again."""


class UnencryptedLinkError(PairingError):
    """The link is not encrypted as it should be, and going on was not allowed."""


class ProtocolError(PlethprintError, ValueError):
    """The wearable said something that its protocol does not allow."""


class WrongPersonalityError(ProtocolError):
    """The wearable does not offer the service of the protocol it should speak."""


class FrameError(ProtocolError):
    """Bytes that are not a valid frame."""


class ControlError(ProtocolError):
    """A control request that the wearable refused.

    Parameters
    ----------
    message : str
        One sentence for the user.
    opcode : int, optional
        Opcode of the request, -1 when unknown.
    status : int, optional
        Status code of the response, -1 when there was none.
    """

    def __init__(self, message: str, *, opcode: int = -1, status: int = -1) -> None:
        super().__init__(message)
        self.opcode = opcode
        """Opcode of the refused request, -1 when unknown."""
        self.status = status
        """Status code of the response, -1 when there was none."""
