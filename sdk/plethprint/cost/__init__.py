"""What a package costs on a device: flash, time, energy, radio, storage.

Arithmetic on counted figures, published ones and stated assumptions; nothing is run here.
"""

from plethprint.cost.measured import (
    CoreMeasurement,
    FirmwareMeasurement,
    read_measurement,
)
from plethprint.cost.processors import PROCESSORS, Band, Processor, Projection
from plethprint.cost.radio import VARIANTS, RadioAssumptions, Traffic
from plethprint.cost.report import CostReport, Network, cost_report
from plethprint.cost.streaming import RAW_STREAMS, Comparison, RawStream, compare

__all__ = [
    "PROCESSORS",
    "RAW_STREAMS",
    "VARIANTS",
    "Band",
    "Comparison",
    "CoreMeasurement",
    "CostReport",
    "FirmwareMeasurement",
    "Network",
    "Processor",
    "Projection",
    "RadioAssumptions",
    "RawStream",
    "Traffic",
    "compare",
    "cost_report",
    "read_measurement",
]
