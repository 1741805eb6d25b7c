"""pp_model.h and pp_model.c: the constants of one model and the plan of its layers."""

from __future__ import annotations

from plethprint_quantize.firmware.c_text import GENERATED, c_array, c_string
from plethprint_quantize.firmware.layer import Layer
from plethprint_quantize.firmware.plan import Plan

__all__ = ["model_header", "model_source"]


def model_header(plan: Plan, model_id: str) -> str:
    """Return pp_model.h.

    Parameters
    ----------
    plan : Plan
    model_id : str
        ``name@version+hash8`` of the package; the device tells it to the host.
    """
    return f"""{GENERATED}#ifndef PP_MODEL_H
#define PP_MODEL_H

#include "pp_kernels.h"

#define PP_MODEL_ID {c_string(model_id)}
#define PP_MODEL_CRC 0x{plan.crc():08X}u /* of all tables, see pp_model_crc */
#define PP_MODEL_WINDOW {plan.window} /* samples of a window, PP_WINDOW of pp_signal.h */
#define PP_DIM {plan.dim} /* numbers of a fingerprint */
#define PP_INPUT_SCALE {plan.input_scale!r} /* standard deviations a step */
#define PP_OUTPUT_SCALE {plan.output_scale!r}
#define PP_LAYERS {len(plan.layers)}u
#define PP_MACS {plan.macs}
#define PP_ACTIVATION_BYTES {plan.activation_bytes} /* every layer works in place in it */
#define PP_SCRATCH_VALUES {plan.scratch_values} /* of 16 bits */

extern const pp_layer pp_layers[PP_LAYERS];

#endif
"""


def model_source(plan: Plan, model_id: str) -> str:
    """Return pp_model.c: the tables, and the layers that point to them."""
    parts = [
        f"{GENERATED}/* {model_id}: {len(plan.layers)} layers, "
        f"{plan.table_bytes} bytes of tables. */\n"
        '#include "pp_model.h"\n'
    ]
    parts += [_tables(number, layer) for number, layer in enumerate(plan.layers)]
    rows = [_row(number, layer) for number, layer in enumerate(plan.layers)]
    parts.append("const pp_layer pp_layers[PP_LAYERS] = {\n" + "\n".join(rows) + "\n};\n")
    return "\n".join(parts)


def _tables(number: int, layer: Layer) -> str:
    multipliers = [m.value for m in layer.multipliers]
    halvings = [m.halvings for m in layer.multipliers]
    tables = [("int32_t", "multiplier", multipliers), ("uint8_t", "halvings", halvings)]
    if layer.kind != "MEAN":
        weights = ("PP_WORD_ALIGNED int8_t", "weights", layer.weights.ravel().tolist())
        tables = [("int32_t", "bias", layer.bias.tolist()), *tables, weights]
    return "\n".join(
        c_array(f"static const {ctype} {name}_{number}[{len(values)}]", values)
        for ctype, name, values in tables
    )


def _row(number: int, layer: Layer) -> str:
    fields = {
        "kind": f"PP_{layer.kind}",
        "in_length": layer.in_length,
        "out_length": layer.out_length,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "taps": layer.taps,
        "stride": layer.stride,
        "pad_left": layer.pad_left,
        "backward": int(layer.backward),
        "in_zero": layer.in_zero,
        "out_zero": layer.out_zero,
        "low": layer.low,
        "high": layer.high,
        "weights": "0" if layer.kind == "MEAN" else f"weights_{number}",
        "bias": "0" if layer.kind == "MEAN" else f"bias_{number}",
        "multiplier": f"multiplier_{number}",
        "halvings": f"halvings_{number}",
    }
    text = [f".{name} = {value}" for name, value in fields.items()]
    lines = [", ".join(text[i : i + 4]) for i in range(0, len(text), 4)]
    return "    {\n        " + ",\n        ".join(lines) + ",\n    },"
