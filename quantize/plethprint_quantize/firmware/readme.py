"""README.md of a pack; it begins with what the pack costs."""

from __future__ import annotations

from plethprint_quantize.firmware.footprint import footprint_table, load_measured
from plethprint_quantize.firmware.plan import Plan

__all__ = ["readme"]


def readme(template: str, plan: Plan, model_id: str) -> str:
    """Fill @MODEL@ and @COSTS@ of a template in."""
    return template.replace("@MODEL@", model_id).replace("@COSTS@", _costs(plan))


def _costs(plan: Plan) -> str:
    known = (
        f"Known at generation: {plan.macs:,} multiplications a window, "
        f"{plan.table_bytes:,} bytes of weights\nand tables, {plan.activation_bytes:,} + "
        f"{2 * plan.scratch_values:,} bytes of working memory for the encoder."
    )
    measured = load_measured()
    if measured["shape"] != plan.shape_id:
        return (
            f"{known}\nThis architecture has not been measured yet; `make qemu-m4f` and "
            "`make size-m4f` do."
        )
    tools = ", ".join(f"{name} {version}" for name, version in measured["tools"].items())
    return (
        f"{footprint_table(measured['cores'])}\n"
        f"Measured with {tools}, -O2. RAM is one `pp_workspace_t`;\nflash is code and "
        "constants of all of `src/`. All in: 5 s of samples at 100 Hz and the\n"
        "fingerprint at their end. Instructions, not cycles: wait states of the flash and "
        f"dual issue\nare not in them.\n\n{known}"
    )
