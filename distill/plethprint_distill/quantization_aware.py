"""The student in int8 arithmetic, pretended in float so that it can be trained.

The last phase of a distillation runs the student through this module: what is matched to
the teacher is then the int8 student, rounding and clipping included. The scheme is that
of the ``.tflite`` and ``.onnx`` models that `plethprint_quantize` writes:

==============  ====================================================================
windows         int8, zero point 0, one step is ``PPG.input_scale``
weights         int8, symmetric, one scale for each output channel, batch norm folded
                into them first
activations     int8, asymmetric, one scale for each tensor: 0 to `high` (after ReLU6 and
                the mean nothing is negative)
fingerprint     int8, zero point 0, up to `HEADROOM` times its largest value
==============  ====================================================================

Rounding passes gradients on as if it were not there (straight-through estimator, Bengio
et al. 2013); clipped values get none. Each `high` begins where the squared error of
rounding the first batch is least and is then learned (learned step size, Esser et al.
2020). Activations flow as whole numbers of steps, as on the device; the size of a step is
in the weights before and behind, and that is where its gradient comes from: what is
rounded moves with it by what was rounded off, what is clipped by all of it.

Batch norm stands still: its statistics stay what they were when the phase began, its
scale and shift are trained on through the folded weights. The device cannot follow a
batch's statistics either.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as fn

from plethprint.signal import PPG
from plethprint_distill.student import Student

__all__ = [
    "ACTIVATION_STEPS",
    "HEADROOM",
    "QuantizationAware",
    "folded",
    "rounded_activations",
    "rounded_weights",
]

HEADROOM = 2.5
"""Range of the fingerprint over the largest value that training or calibration saw.

onnxruntime rounds each layer once, TFLite twice. On a trained student one activation in a
thousand differs after the first layer and, growing through fifteen, every second number of
the fingerprint by 0.025 of its spread. A step of twice the tightest range is coarser than
that, so that runtimes stay within 2 steps, and costs 0.0003 of cosine to the float student.
"""

ACTIVATION_STEPS = 255
"""Steps of an int8 activation above its zero point of -128."""
_MOMENTUM = 0.01
"""Share of a new batch in the running largest value of the fingerprint."""


def rounded_activations(x: torch.Tensor, high: float) -> torch.Tensor:
    """Values cut to 0 ... `high` and rounded to 255 equal steps of it; no gradient.

    Examples
    --------
    >>> rounded_activations(torch.tensor([-1.0, 0.014, 9.0]), 2.55)
    tensor([0.0000, 0.0100, 2.5500])
    """
    step = high / ACTIVATION_STEPS
    return (x * (1.0 / step)).clamp_(0, ACTIVATION_STEPS).round_().mul_(step)


class _Steps(torch.autograd.Function):
    """Values in steps of int8, cut to 0 ... 255 and rounded; straight-through within."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        cut = x.clamp(0, ACTIVATION_STEPS)
        ctx.save_for_backward(cut)
        return cut.round()

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        (cut,) = ctx.saved_tensors
        passed: torch.Tensor = torch.ops.aten.hardtanh_backward(
            *grads, cut, 0.0, float(ACTIVATION_STEPS)
        )
        return passed


def folded(triple: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a (Conv2d, BatchNorm2d, ReLU6) triple with its norm folded in."""
    convolution, norm, _ = triple.children()
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_var is not None
    assert norm.running_mean is not None
    gain = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return convolution.weight * gain[:, None, None, None], norm.bias - gain * (
        norm.running_mean
    )


def rounded_weights(weight: torch.Tensor) -> torch.Tensor:
    """Weights in 127 steps of their output channel's largest; straight-through.

    Examples
    --------
    >>> rounded_weights(torch.tensor([[1.27, 0.014]]))
    tensor([[1.2700, 0.0100]])
    """
    largest = weight.detach().abs().flatten(1).amax(dim=1)
    step = (largest.clamp_min(1e-9) / 127).view(-1, *[1] * (weight.ndim - 1))
    # Nothing is clipped, so the gradient is 1 everywhere.
    return weight + (torch.round(weight.detach() / step) * step - weight.detach())


class QuantizationAware(nn.Module):
    """A student's forward pass with every number on the grid that int8 leaves it.

    Parameters
    ----------
    student : Student
        Shared, not copied, and no part of this module's state.

    Attributes
    ----------
    log_high : Parameter, shape (steps - 1,)
        Natural logarithm of each activation's `high`: every convolution, then the mean.
    largest : Tensor, shape ()
        Running largest absolute value of the fingerprint; 0 before the first batch.

    Examples
    --------
    >>> student = Student()
    >>> pretended = QuantizationAware(student)
    >>> pretended(torch.randn(4, 1, 1, 640)).shape
    torch.Size([4, 64])
    >>> len(pretended.ranges()) == len(student.layers) + 2
    True
    """

    largest: torch.Tensor

    def __init__(self, student: Student) -> None:
        super().__init__()
        # In a list, so that the student's weights are not this module's as well.
        self._student = [student]
        sites = len(student.layers) + 1
        self.log_high = nn.Parameter(torch.full((sites,), math.log(6.0)))
        self.register_buffer("largest", torch.zeros(()))

    @property
    def begun(self) -> bool:
        """Whether a batch has set the ranges."""
        return float(self.largest) > 0.0

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Fingerprints (N, D), not normalised, of windows (N, 1, 1, T) in sd.

        In training mode the first batch sets the ranges and every batch moves the
        fingerprint's; in evaluation mode nothing changes.
        """
        student, first = self._student[0], self.training and not self.begun
        x = windows.mul(1.0 / PPG.input_scale).round_().clamp_(-128, 127)
        size = torch.tensor(PPG.input_scale, device=x.device)
        for site, triple in enumerate(student.layers):
            convolution = next(triple.children())
            assert isinstance(convolution, nn.Conv2d)
            weight, bias = folded(triple)
            weight = rounded_weights(weight) * size
            if first:
                self._choose(site, _convolved(x, convolution, weight, bias))
            size = self._size(site)
            # ReLU6 needs no pass of its own: `high` is never above 6.
            x = _steps(_convolved(x, convolution, weight / size, bias / size))
        x = x.mean(dim=(2, 3)) * size
        if first:
            self._choose(-1, x)
        size = self._size(-1)
        weight = rounded_weights(student.head.weight) * size
        return self._fingerprint(fn.linear(_steps(x / size), weight, student.head.bias))

    def keep_in_bounds(self) -> None:
        """Hold every `high` at or below ReLU6's own; call it after an optimiser's step."""
        with torch.no_grad():
            self.log_high.clamp_(max=math.log(6.0))

    def ranges(self) -> list[tuple[float, float]]:
        """Lowest and highest value of every convolution, the mean and the fingerprint.

        In running order, as `plethprint_quantize.calibrate.Ranges.steps` has them.
        """
        highs = self.log_high.detach().exp().tolist()
        reach = HEADROOM * float(self.largest)
        return [*((0.0, high) for high in highs), (-reach, reach)]

    def _choose(self, site: int, x: torch.Tensor) -> None:
        with torch.no_grad():
            self.log_high[site] = math.log(_best_high(x.detach()))

    def _size(self, site: int) -> torch.Tensor:
        """What one step of an activation stands for."""
        return self.log_high[site].exp() / ACTIVATION_STEPS

    def _fingerprint(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            largest = x.detach().abs().max()
            share = _MOMENTUM if self.begun else 1.0
            self.largest.lerp_(largest, share)
        step = HEADROOM * self.largest / 127
        return x + ((x.detach() / step).round_().clamp_(-127, 127) * step - x.detach())


def _convolved(
    x: torch.Tensor, layer: nn.Conv2d, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    return fn.conv2d(
        x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def _steps(x: torch.Tensor) -> torch.Tensor:
    steps: torch.Tensor = _Steps.apply(x)  # type: ignore[no-untyped-call]
    return steps


def _best_high(x: torch.Tensor, choices: int = 25) -> float:
    """The end of the range that rounds these values with the least squared error."""
    x = x.clamp(0.0, 6.0)
    most = max(float(x.max()), 1e-3)
    errors = {}
    for number in range(choices):
        high = most * (1.0 - 0.7 * number / choices)
        errors[high] = float(rounded_activations(x, high).sub_(x).square_().sum())
    return min(errors, key=lambda high: errors[high])
