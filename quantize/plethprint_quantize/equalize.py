"""Cross-layer equalisation: channels of one tensor brought to like ranges before int8.

All channels of an activation share one scale, so that a channel which never rises above
0.1 has 4 steps where its neighbour, up to 6, has 255. Multiplying a channel's filter by s
and dividing what reads it by s leaves the network as it is (Nagel et al. 2019,
arXiv:1906.04721), except for ReLU6, whose bound does not move along. Hence:

* a channel that reaches the bound is left alone;
* no channel is raised above it;
* before a depthwise layer, which reads each channel with a scale of its own, a channel is
  raised all the way: it costs nothing. Before a layer that mixes channels it is raised so
  far that the steps it gains in the activation equal those it loses in the weights.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from plethprint_quantize.calibrate import real_windows
from plethprint_quantize.export import DeployNet

__all__ = ["equalized"]

_BOUND = 6.0
_BATCH = 64
_MOST = 64.0
"""A channel that hardly ever speaks is not raised further than this."""


def equalized(deploy: DeployNet, windows: npt.NDArray[np.int8]) -> DeployNet:
    """Return a copy with equalised channels and, on these windows, the same output.

    Parameters
    ----------
    deploy : DeployNet
        The folded student; it is not changed.
    windows : ndarray of int8, shape (N, T)
        Calibration windows: what each channel reaches is measured on them.

    Examples
    --------
    >>> from plethprint_distill.student import Student
    >>> from plethprint_quantize.export import fold
    >>> rng = np.random.default_rng(0)
    >>> windows = rng.integers(-127, 128, (4, 640), dtype=np.int8)
    >>> deploy = fold(Student())
    >>> x = real_windows(windows)
    >>> bool(torch.allclose(equalized(deploy, windows)(x), deploy(x), atol=1e-3))
    True
    """
    copied = copy.deepcopy(deploy)
    highest = _channel_highs(copied, windows)
    layers = list(copied.layers())
    readers: list[nn.Conv2d | nn.Linear] = [*layers[1:], copied.head]
    with torch.no_grad():
        for layer, reader, high in zip(layers, readers, highest, strict=True):
            assert layer.bias is not None
            scale = _scales(high, reader)
            layer.weight.mul_(scale.view(-1, 1, 1, 1))
            layer.bias.mul_(scale)
            if _is_depthwise(reader):
                reader.weight.div_(scale.view(-1, 1, 1, 1))
            else:
                reader.weight.div_(scale.view(1, -1, *[1] * (reader.weight.ndim - 2)))
    return copied


def _scales(high: torch.Tensor, reader: nn.Conv2d | nn.Linear) -> torch.Tensor:
    """Factor of each channel, 1 or more where it has room."""
    alive = high > 1e-3
    room = torch.where(alive, _BOUND / high.clamp_min(1e-3), torch.ones_like(high))
    room = room.clamp(1.0, _MOST)
    if _is_depthwise(reader):
        return room
    weight = reader.weight.detach().abs()
    read = weight.amax(dim=[d for d in range(weight.ndim) if d != 1])
    read = read / read.max().clamp_min(1e-12)
    wanted = torch.sqrt(room * read.clamp_min(1e-6))
    return torch.minimum(wanted.clamp_min(1.0), room)


def _is_depthwise(layer: nn.Conv2d | nn.Linear) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1


@torch.inference_mode()
def _channel_highs(deploy: DeployNet, windows: npt.NDArray[np.int8]) -> list[torch.Tensor]:
    """What each channel of each convolution reaches, in running order."""
    batches = []
    for start in range(0, len(windows), _BATCH):
        steps = list(deploy.activations(real_windows(windows[start : start + _BATCH])))
        # The last two are the mean and the fingerprint.
        batches.append([step.amax(dim=(0, 2, 3)) for step in steps[:-2]])
    return [torch.stack(layer).amax(dim=0) for layer in zip(*batches, strict=True)]
