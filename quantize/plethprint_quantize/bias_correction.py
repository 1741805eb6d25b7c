"""Bias correction: what rounding shifts a channel by on average is taken off its bias.

The error of rounded weights does not average out over windows, because activations behind
ReLU6 have a mean: it shifts each channel's output (Nagel et al. 2019, arXiv:1906.04721,
section 4.2; here measured on windows, not derived from batch norm). Layers are taken in
running order, each fed by the rounded and already corrected ones before it, so that a
shift is corrected where it arises and not twice.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as fn

from plethprint_distill.quantization_aware import rounded_activations, rounded_weights
from plethprint_quantize.calibrate import Ranges, real_windows
from plethprint_quantize.export import DeployNet

__all__ = ["bias_corrected", "rounded_fingerprints"]


@torch.no_grad()
def bias_corrected(
    deploy: DeployNet, ranges: Ranges, windows: npt.NDArray[np.int8]
) -> DeployNet:
    """Return a copy whose biases make up for what int8 shifts.

    Parameters
    ----------
    deploy : DeployNet
        The float graph that will be quantised; it is not changed.
    ranges : Ranges
        Those it will be quantised with.
    windows : ndarray of int8, shape (N, T)
        Calibration windows, all held in memory at once: some 60 MB for 512 of them.

    Returns
    -------
    DeployNet
        For the quantiser alone: run in float it is *less* like the student.
    """
    copied = copy.deepcopy(deploy)
    exact = rounded = real_windows(windows)
    highs = [high for _, high in ranges.steps]
    for layer, high in zip(copied.layers(), highs, strict=False):
        assert layer.bias is not None
        exact_sum = _convolved(exact, layer, layer.weight)
        rounded_sum = _convolved(rounded, layer, rounded_weights(layer.weight))
        shift = (rounded_sum - exact_sum).mean(dim=(0, 2, 3))
        exact = fn.relu6(exact_sum)
        rounded = rounded_activations(rounded_sum - shift.view(1, -1, 1, 1), min(high, 6.0))
        layer.bias.sub_(shift)
    exact, rounded = exact.mean(dim=(2, 3)), rounded.mean(dim=(2, 3))
    rounded = rounded_activations(rounded, highs[-2])
    head = copied.head
    exact_sum = fn.linear(exact, head.weight, head.bias)
    rounded_sum = fn.linear(rounded, rounded_weights(head.weight), head.bias)
    head.bias.sub_((rounded_sum - exact_sum).mean(dim=0))
    return copied


@torch.inference_mode()
def rounded_fingerprints(
    deploy: DeployNet, ranges: Ranges, windows: npt.NDArray[np.int8]
) -> npt.NDArray[np.int8]:
    """Int8 fingerprints (N, D) as the quantised graph would give them, but for a step.

    Weights and activations are rounded as int8 has them, sums and biases are exact: a
    quick look at what a choice costs, without the converter. What ships is judged by
    tflite-micro.
    """
    x = real_windows(windows)
    highs = [high for _, high in ranges.steps]
    for layer, high in zip(deploy.layers(), highs, strict=False):
        x = _convolved(x, layer, rounded_weights(layer.weight))
        x = rounded_activations(x, min(high, 6.0))
    x = rounded_activations(x.mean(dim=(2, 3)), highs[-2])
    x = fn.linear(x, rounded_weights(deploy.head.weight), deploy.head.bias)
    step = max(map(abs, ranges.steps[-1])) / 127
    vectors: npt.NDArray[np.int8] = (
        (x / step).round_().clamp_(-128, 127).numpy().astype(np.int8)
    )
    return vectors


def _convolved(x: torch.Tensor, layer: nn.Conv2d, weight: torch.Tensor) -> torch.Tensor:
    return fn.conv2d(
        x, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )
