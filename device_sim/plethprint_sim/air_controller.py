"""bumble's virtual controller with what it lacks for a lifelike radio."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bumble import hci
from bumble.controller import Controller

if TYPE_CHECKING:
    from plethprint_sim.radio import AirLink

__all__ = ["AirController"]


class AirController(Controller):
    """Virtual controller on an `AirLink`.

    It takes 251-byte packets, answers active scans with the advertiser's scan response and
    gives up a pending connection when told to. A data packet is reported to the host as
    completed when it has crossed the air, not when it was taken: a host that keeps an eye
    on its queue feels a bad link.

    Parameters
    ----------
    name : str
        For the log.
    link : AirLink
        Its air.
    host_source, host_sink : optional
        Transport to a host outside this process; a host in it attaches itself.
    """

    le_acl_data_packet_length = 251
    total_num_le_acl_data_packets = 8
    # Legacy advertising is what most wearables do and all scanners understand.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY
        | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(
        self, name: str, link: AirLink, host_source: Any = None, host_sink: Any = None
    ) -> None:
        super().__init__(name, host_source, host_sink, link)
        self._air = link

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """Send to the host; flow control and scan responses are put right on the way."""
        if isinstance(packet, hci.HCI_Number_Of_Completed_Packets_Event):
            send = super().send_hci_packet
            if self._air.hold_credit(self, lambda: send(packet)):
                return
        elif isinstance(packet, hci.HCI_LE_Advertising_Report_Event):
            reports = [
                heard
                for report in packet.reports
                if (heard := self._scan_response(report)) is not None
            ]
            if not reports:
                return
            packet = hci.HCI_LE_Advertising_Report_Event(reports)
        super().send_hci_packet(packet)

    def _scan_response(self, report: Any) -> Any:
        # The base class repeats the advertisement as its own scan response.
        if report.event_type != hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
            return report
        if not self.le_scan_type:
            return None
        return replace(report, data=self._air.scan_response(report.address))

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """End a connection; the base class leaves a host that names no link in the dark."""
        if self.find_le_connection_by_handle(command.connection_handle) is not None:
            super().on_hci_disconnect_command(command)
            return
        self.send_hci_packet(
            hci.HCI_Command_Status_Event(
                status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                num_hci_command_packets=1,
                command_opcode=command.op_code,
            )
        )

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        """Give up a pending connection (the base class would connect later anyway)."""
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            self.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
                    connection_handle=0,
                    role=hci.Role.CENTRAL,
                    peer_address_type=pending.peer_address.address_type,
                    peer_address=pending.peer_address,
                    connection_interval=0,
                    peripheral_latency=0,
                    supervision_timeout=0,
                    central_clock_accuracy=0,
                )
            )
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)
