"""Turns a trained student into its deploy graph: folded convolutions, one mean, one
fully connected layer.

Batch normalisation is folded into the convolution before it, so that what remains is
exactly what an int8 kernel computes. Anything else in a student is refused here, where
the message can name it, rather than turned into extra operators by a converter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from plethprint.errors import PackageIncompatibleError
from plethprint.signal import PPG
from plethprint_distill.student import Student
from plethprint_quantize.flatbuffer import same_padding

__all__ = ["DeployNet", "LayerCost", "fold", "layer_costs"]


class DeployNet(nn.Module):
    """The graph that is quantised: convolutions with ReLU6, mean over time, linear layer.

    Parameters
    ----------
    convolutions : list of nn.Conv2d
        Kernels of (1, k) with bias; each is followed by ReLU6.
    head : nn.Linear
        From the last channels to the fingerprint.

    Shapes: input float32 (N, 1, 1, T), output float32 (N, D).
    """

    def __init__(self, convolutions: list[nn.Conv2d], head: nn.Linear) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(convolutions)
        self.relu6 = nn.ReLU6()
        self.head = head

    def layers(self) -> Iterator[nn.Conv2d]:
        """Yield the convolutions in running order."""
        for convolution in self.convolutions:
            assert isinstance(convolution, nn.Conv2d)
            yield convolution

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Fingerprints (N, D), not normalised, of windows (N, 1, 1, T) in sd."""
        *_, fingerprint = self.activations(x)
        return fingerprint

    def activations(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield what each step puts out: every convolution, the mean, the linear layer."""
        for convolution in self.convolutions:
            x = self.relu6(convolution(x))
            yield x
        # Channels last before the mean: the converter then has nothing to transpose.
        x = x.permute(0, 2, 3, 1).mean(dim=(1, 2))
        yield x
        yield self.head(x)


def fold(student: Student, *, window_samples: int = PPG.window_samples) -> DeployNet:
    """Fold batch normalisation and check that only the deploy graph remains.

    Parameters
    ----------
    student : Student
        Its `layers` are (Conv2d, BatchNorm2d, ReLU6) triples, then a mean over time, then
        `head`. It is not changed.
    window_samples : int
        T, to check that every padding is TFLite's SAME.

    Returns
    -------
    DeployNet
        In evaluation mode, with the same output within float rounding.

    Raises
    ------
    PackageIncompatibleError
        The student has a layer that the deploy graph cannot express.

    Examples
    --------
    >>> deploy = fold(Student())
    >>> sum(cost.macs for cost in layer_costs(deploy)) < 2_100_000
    True
    """
    convolutions = []
    width = window_samples
    for position, triple in enumerate(student.layers):
        convolution, norm = _triple(position, triple)
        _require_same_padding(position, convolution, width)
        width = -(-width // convolution.stride[1])
        convolutions.append(fuse_conv_bn_eval(convolution.eval(), norm.eval()))
    deploy = (
        DeployNet(convolutions, _copy_linear(student.head)).eval().requires_grad_(False)
    )
    _require_same_output(student, deploy, window_samples)
    return deploy


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs for one window."""

    name: str
    """Kind and shape for a reader, such as ``"depthwise 1x8 /2"``."""
    parameters: int
    """Weights and biases."""
    macs: int
    """Multiply-accumulates; taps on padding count, bias additions do not."""
    output_shape: tuple[int, int]
    """Channels, samples."""


def layer_costs(
    deploy: DeployNet, *, window_samples: int = PPG.window_samples
) -> list[LayerCost]:
    """Count parameters and multiply-accumulates of each layer by its shape.

    Returns
    -------
    list of LayerCost
        Convolutions in order, then the linear layer. The mean multiplies nothing.
    """
    costs = []
    width = window_samples
    for convolution in deploy.layers():
        kernel, stride = convolution.kernel_size[1], convolution.stride[1]
        width = -(-width // stride)
        kind = "depthwise" if convolution.groups == convolution.in_channels else "conv"
        taps = convolution.in_channels // convolution.groups * kernel
        channels = convolution.out_channels
        name = f"{kind} 1x{kernel}" + (f" /{stride}" if stride > 1 else "")
        shape = (channels, width)
        costs.append(LayerCost(name, channels * (taps + 1), channels * taps * width, shape))
    inputs, outputs = deploy.head.in_features, deploy.head.out_features
    costs.append(
        LayerCost("linear", outputs * (inputs + 1), outputs * inputs, (outputs, 1))
    )
    return costs


def _triple(position: int, triple: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Return copies of a triple's convolution and norm, or refuse what is not one."""
    modules = list(triple.children())
    kinds = [type(module) for module in modules]
    if kinds != [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise PackageIncompatibleError(
            f"layer {position} of the student is ({names}), the deploy graph needs "
            "(Conv2d, BatchNorm2d, ReLU6)"
        )
    convolution, norm = copy.deepcopy(modules[0]), copy.deepcopy(modules[1])
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return convolution, norm


def _copy_linear(head: nn.Linear) -> nn.Linear:
    linear = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        linear.weight.copy_(head.weight)
        linear.bias.zero_() if head.bias is None else linear.bias.copy_(head.bias)
    return linear


def _require_same_padding(position: int, convolution: nn.Conv2d, width: int) -> None:
    kernel = (convolution.kernel_size[1] - 1) * convolution.dilation[1] + 1
    expected = same_padding(width, kernel, convolution.stride[1])
    padding = convolution.padding
    fits = padding == (0, expected[0]) and expected[0] == expected[1]
    if convolution.kernel_size[0] != 1 or convolution.padding_mode != "zeros" or not fits:
        raise PackageIncompatibleError(
            f"layer {position} of the student has kernel {convolution.kernel_size}, stride "
            f"{convolution.stride} and padding {padding} on {width} samples; TFLite's SAME "
            f"padding would be {expected} left and right: choose a kernel (1, k) that fits"
        )


def _require_same_output(student: Student, deploy: DeployNet, window_samples: int) -> None:
    """Catch a student whose forward pass does more than its layers say."""
    probe = torch.randn(4, 1, 1, window_samples, generator=torch.Generator().manual_seed(0))
    training = student.training
    with torch.no_grad():
        expected = student.eval()(probe)
        actual = deploy(probe)
    student.train(training)
    error = float((actual - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    if not error < 1e-3:
        raise PackageIncompatibleError(
            f"the folded graph differs from the student by {error:.2g} of its largest "
            "output: its forward pass is not layers, mean over time, head"
        )
