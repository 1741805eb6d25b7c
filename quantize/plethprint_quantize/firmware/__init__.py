"""The firmware pack: a model package turned into self-contained C99.

`write_pack` writes it, ``python -m plethprint_quantize.firmware`` and ``plethprint
firmware`` call it; docs/firmware.md tells what is in it and what it costs.
"""

from __future__ import annotations

from plethprint_quantize.firmware.layer import Layer
from plethprint_quantize.firmware.pack import Pack, write_pack
from plethprint_quantize.firmware.plan import Plan, make_plan

__all__ = ["Layer", "Pack", "Plan", "make_plan", "write_pack"]
