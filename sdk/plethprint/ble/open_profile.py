"""The open profile: everything both sides of the link need, under one name.

Pure encoding and decoding, no Bluetooth. Firmware authors read ``docs/ble-profile.md``;
this package is its reference implementation. Decoding arbitrary bytes raises `FrameError`,
`ControlError` or `ProtocolError` and nothing else.

===============  ==================================  =====================================
characteristic   from the wearable                   to the wearable
===============  ==================================  =====================================
info             `Info`                              (read)
control          `ControlResponse` (indicate)        `ControlRequest` (write)
ppg              `PpgFrame` (notify)
fingerprint      ``plethprint.Fingerprint`` bytes
self-test        `SelfTestResult` (notify)           `self_test_requests`,
                                                     `check_request`,
                                                     `window_requests` (write)
calibration      `Calibration` (encrypted)           (read)
===============  ==================================  =====================================
"""

from plethprint.ble.calibration import Calibration, ChannelCalibration
from plethprint.ble.control import (
    RESPONSE_MARK,
    Capabilities,
    ControlRequest,
    ControlResponse,
    ControlStatus,
    Opcode,
    StreamFlags,
    StreamState,
)
from plethprint.ble.firmware_check import (
    CheckItself,
    FirmwareCheckReceiver,
    MakeWindow,
    check_request,
    window_requests,
)
from plethprint.ble.frame import (
    COUNT_MAX,
    COUNT_MIN,
    FRAME_HEADER_BYTES,
    FRAME_VERSION,
    MAX_CHANNELS,
    FrameStatus,
    PpgFrame,
    longest_value,
    samples_per_frame,
)
from plethprint.ble.info import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Channel,
    ChannelKind,
    Features,
    Info,
)
from plethprint.ble.self_test import (
    SelfTestCollector,
    SelfTestReceiver,
    SelfTestRefused,
    SelfTestResult,
    SelfTestStatus,
    self_test_requests,
)
from plethprint.ble.uuids import (
    CALIBRATION_UUID,
    CONTROL_UUID,
    FINGERPRINT_UUID,
    INFO_UUID,
    PPG_UUID,
    SELF_TEST_UUID,
    SERVICE_UUID,
)

__all__ = [
    "CALIBRATION_UUID",
    "CONTROL_UUID",
    "COUNT_MAX",
    "COUNT_MIN",
    "FINGERPRINT_UUID",
    "FRAME_HEADER_BYTES",
    "FRAME_VERSION",
    "INFO_UUID",
    "MAX_CHANNELS",
    "PPG_UUID",
    "PROTOCOL_MAJOR",
    "PROTOCOL_MINOR",
    "RESPONSE_MARK",
    "SELF_TEST_UUID",
    "SERVICE_UUID",
    "Calibration",
    "Capabilities",
    "Channel",
    "ChannelCalibration",
    "ChannelKind",
    "CheckItself",
    "ControlRequest",
    "ControlResponse",
    "ControlStatus",
    "Features",
    "FirmwareCheckReceiver",
    "FrameStatus",
    "Info",
    "MakeWindow",
    "Opcode",
    "PpgFrame",
    "SelfTestCollector",
    "SelfTestReceiver",
    "SelfTestRefused",
    "SelfTestResult",
    "SelfTestStatus",
    "StreamFlags",
    "StreamState",
    "check_request",
    "longest_value",
    "samples_per_frame",
    "self_test_requests",
    "window_requests",
]
