"""The student: a small PPG-only convolutional encoder that runs on the device.

Depthwise-separable (1, k) convolutions over time, batch norm and ReLU6, a mean over
time and one linear layer: after folding, the deploy graph holds nothing but Conv2d,
ReLU6, mean and a fully connected layer. Odd kernels stand at stride 1 and even kernels
at larger strides, so that "same" padding is symmetric and no PAD operator is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from plethprint.signal import PPG

__all__ = ["PRESETS", "Student", "StudentConfig"]


@dataclass(frozen=True)
class StudentConfig:
    """Shape of a student."""

    stem_channels: int = 32
    stem_kernel: int = 12
    stem_stride: int = 4
    blocks: tuple[tuple[int, int], ...] = (
        (32, 1),
        (64, 2),
        (96, 2),
        (88, 1),
        (128, 2),
        (128, 1),
        (192, 2),
    )
    """(channels, stride) of each depthwise-separable block; strides are 1 or 2."""
    dim: int = 64
    """Numbers of a fingerprint."""


PRESETS = {
    "micro": StudentConfig(),
    "mini": StudentConfig(
        stem_channels=48,
        blocks=(
            (48, 1),
            (96, 2),
            (128, 1),
            (192, 2),
            (192, 1),
            (256, 2),
            (256, 1),
            (384, 2),
        ),
    ),
}
"""`micro` is the default, about 2 MMAC a window; `mini` is for phones."""


def _convolution(
    channels_in: int, channels_out: int, kernel: int, stride: int, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels_in,
            channels_out,
            (1, kernel),
            stride=(1, stride),
            padding=(0, (kernel - stride) // 2),
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(channels_out),
        nn.ReLU6(),
    )


class Student(nn.Module):
    """Windows (N, 1, 1, T) in standard deviations -> fingerprints (N, dim), not normalised.

    `layers` is an `nn.Sequential` of (Conv2d, BatchNorm2d, ReLU6) triples, `head` the
    linear layer: all that an exporter needs to know.

    Examples
    --------
    >>> Student()(torch.zeros(2, 1, 1, 640)).shape
    torch.Size([2, 64])
    """

    def __init__(self, config: StudentConfig = PRESETS["micro"]) -> None:
        super().__init__()
        self.config = config
        channels = config.stem_channels
        layers = [_convolution(1, channels, config.stem_kernel, config.stem_stride)]
        for width, stride in config.blocks:
            kernel = 9 if stride == 1 else 8
            layers.append(_convolution(channels, channels, kernel, stride, groups=channels))
            layers.append(_convolution(channels, width, 1, 1))
            channels = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels, config.dim)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """See the class."""
        features: torch.Tensor = self.layers(windows)
        fingerprint: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return fingerprint

    def macs(self, samples: int = PPG.window_samples) -> int:
        """Multiply-accumulates of one window of `samples` samples."""
        total = 0
        for triple in self.layers:
            convolution = triple[0]  # type: ignore[index]
            samples //= convolution.stride[1]
            total += samples * convolution.weight.numel()
        return total + self.head.weight.numel()

    def receptive_field(self) -> int:
        """Input samples that one step before the mean over time looks at.

        Examples
        --------
        >>> Student().receptive_field() / PPG.rate_hz  # s: all of a window
        13.25
        """
        reach, hop = 1, 1
        for triple in self.layers:
            convolution = triple[0]  # type: ignore[index]
            reach += (convolution.kernel_size[1] - 1) * hop
            hop *= convolution.stride[1]
        return reach

    def parameters_deployed(self) -> int:
        """Weights and biases after batch norm is folded away."""
        convolutions = [triple[0] for triple in self.layers]  # type: ignore[index]
        total: int = (
            sum(c.weight.numel() + c.out_channels for c in convolutions)
            + self.head.weight.numel()
            + self.head.out_features
        )
        return total
