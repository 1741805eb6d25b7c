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
2020, with the gradient of both what is rounded and what is clipped).

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
_RANGE_PART = 8
"""One window in so many tells the gradient of the ranges."""
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


class _Rounded(torch.autograd.Function):
    """min(max(x, 0), high) in 255 equal steps; gradients as in the module's docstring."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
        step = float(high) / ACTIVATION_STEPS
        steps = (x * (1.0 / step)).clamp_(0, ACTIVATION_STEPS)
        ctx.save_for_backward(steps, high)
        return steps.round().mul_(step)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (grad,) = grads
        steps, high = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(grad, steps, 0.0, float(ACTIVATION_STEPS))
        # One number is learned from millions of values: a part of the windows tells it
        # as well, at a part of the time.
        rows = -(-len(steps) // _RANGE_PART)
        some, told = steps[:rows], grad[:rows]
        # Of a value within, `high` moves the rounding; of a clipped one, all of it.
        moves = some.round().sub_(some).mul_(1.0 / ACTIVATION_STEPS)
        moves.masked_fill_(some == ACTIVATION_STEPS, 1.0)
        share = len(steps) / rows
        return passed, (told * moves).sum().mul_(share).reshape(high.shape)


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
        step = PPG.input_scale
        x = windows.mul(1.0 / step).round_().clamp_(-128, 127).mul_(step)
        high = self.log_high.exp()
        for site, triple in enumerate(student.layers):
            weight, bias = folded(triple)
            convolution = next(triple.children())
            assert isinstance(convolution, nn.Conv2d)
            x = fn.conv2d(
                x,
                rounded_weights(weight),
                bias,
                convolution.stride,
                convolution.padding,
                convolution.dilation,
                convolution.groups,
            )
            # ReLU6 needs no pass of its own: `high` is never above 6.
            x = self._rounded(x, site, high[site], first)
        x = self._rounded(x.mean(dim=(2, 3)), -1, high[-1], first)
        head = student.head
        return self._fingerprint(fn.linear(x, rounded_weights(head.weight), head.bias))

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

    def _rounded(
        self, x: torch.Tensor, site: int, high: torch.Tensor, first: bool
    ) -> torch.Tensor:
        if first:
            best = _best_high(x.detach())
            with torch.no_grad():
                self.log_high[site] = math.log(best)
            # Its gradient starts with the second batch: this one's graph holds the old.
            high = self.log_high.detach()[site].exp()
        rounded: torch.Tensor = _Rounded.apply(x, high)  # type: ignore[no-untyped-call]
        return rounded

    def _fingerprint(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            largest = x.detach().abs().max()
            share = _MOMENTUM if self.begun else 1.0
            self.largest.lerp_(largest, share)
        step = HEADROOM * self.largest / 127
        return x + ((x.detach() / step).round_().clamp_(-127, 127) * step - x.detach())


def _best_high(x: torch.Tensor, choices: int = 25) -> float:
    """The end of the range that rounds these values with the least squared error."""
    x = x.clamp(0.0, 6.0)
    most = max(float(x.max()), 1e-3)
    errors = {}
    for number in range(choices):
        high = most * (1.0 - 0.7 * number / choices)
        errors[high] = float(rounded_activations(x, high).sub_(x).square_().sum())
    return min(errors, key=lambda high: errors[high])
