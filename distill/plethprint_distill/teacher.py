"""M2AE, the teacher: a masked autoencoder over paired ECG and PPG.

Written after the abstract of "Biosignal Fingerprinting" (arXiv 2605.09579): one encoder
for each modality, one shared bottleneck, two decoders, masked reconstruction joined with
a cross-modal contrast. Where the abstract is silent the choices are ours:

* a window is cut into half-second patches, so that ECG and PPG tokens share a clock;
* pre-norm transformer layers; decoders ask the bottleneck by cross-attention;
* f = normalise(W [mean over tokens, sd over tokens] + b), since the mean alone throws
  beat-to-beat variation away;
* linear read-outs of physiology from f belong to the training (see `pretrain`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn
from torch.nn import functional as fn

from plethprint.signal import ECG, PPG
from plethprint_distill.physiology import TARGETS

__all__ = ["M2AE", "PRESETS", "TeacherConfig", "shape_of"]

RHYTHMS = 16
"""Room for rhythm classes; the virtual wearer uses the first of them."""

MODALITIES = ("ppg", "ecg")


@dataclass(frozen=True)
class TeacherConfig:
    """Shape of a teacher."""

    width: int = 96
    heads: int = 4
    encoder_layers: int = 3
    bottleneck_layers: int = 1
    decoder_layers: int = 2
    patch_s: float = 0.5
    dim: int = 64
    """Numbers of a fingerprint."""


PRESETS = {
    "small": TeacherConfig(),
    "base": TeacherConfig(384, 6, 12, 2, 4, 0.25, 64),
    "large": TeacherConfig(768, 12, 16, 4, 6, 0.25, 64),
}
"""`small` trains on two CPU cores; `base` and `large` want a GPU."""


def shape_of(preset: str, dim: int = 0) -> TeacherConfig:
    """A preset's shape, with fingerprints of `dim` numbers; 0: as many as it says.

    Examples
    --------
    >>> shape_of("small").dim, shape_of("small", 128).dim
    (64, 128)
    """
    shape = PRESETS[preset]
    return replace(shape, dim=dim) if dim else shape


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: torch.Tensor, context: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        batch, length, width = x.shape
        split = (batch, -1, self.heads, width // self.heads)
        query = self.query(x).reshape(split).transpose(1, 2)
        key, value = self.key_value(context).chunk(2, dim=-1)
        mixed = fn.scaled_dot_product_attention(
            query,
            key.reshape(split).transpose(1, 2),
            value.reshape(split).transpose(1, 2),
            attn_mask=bias,
        )
        out: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


class _Layer(nn.Module):
    """Pre-norm attention and MLP; attends to itself, or to a context where one is given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self,
        x: torch.Tensor,
        context: torch.Tensor | None = None,
        bias: torch.Tensor | None = None,
    ) -> torch.Tensor:
        normed = self.norm_attention(x)
        x = x + self.attention(normed, normed if context is None else context, bias)
        out: torch.Tensor = x + self.mlp(self.norm_mlp(x))
        return out


def _places(count: int, width: int) -> torch.Tensor:
    """Sines and cosines of the place, (count, width), to start learning places from.

    Starting from small noise instead, reconstruction stood still for the first 40 k
    windows: nobody could tell where a patch belonged.
    """
    place = torch.arange(count)[:, None]
    rate = torch.exp(-torch.arange(0, width, 2) / width * math.log(4.0 * count))
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)


def _each(layers: nn.Module) -> Iterator[_Layer]:
    return cast("Iterator[_Layer]", layers.children())


def _layers(count: int, config: TeacherConfig) -> nn.ModuleList:
    return nn.ModuleList(_Layer(config.width, config.heads) for _ in range(count))


class M2AE(nn.Module):
    """Teacher of fingerprints from ECG, PPG or both.

    Windows come in standard deviations: int8 times the spec's `input_scale`.

    Examples
    --------
    >>> teacher = M2AE(TeacherConfig(width=16, heads=2, encoder_layers=1))
    >>> teacher.fingerprint(ppg=torch.zeros(3, 640)).shape
    torch.Size([3, 64])
    """

    def __init__(self, config: TeacherConfig = PRESETS["small"]) -> None:
        super().__init__()
        self.config = config
        self.tokens = round(PPG.window_s / config.patch_s)
        self.patch = {
            spec.name: round(spec.rate_hz * config.patch_s) for spec in (PPG, ECG)
        }
        width = config.width
        self.embed = nn.ModuleDict({m: nn.Linear(self.patch[m], width) for m in MODALITIES})
        self.place = nn.ParameterDict(
            {m: nn.Parameter(_places(self.tokens, width)) for m in MODALITIES}
        )
        self.encoder = nn.ModuleDict(
            {m: _layers(config.encoder_layers, config) for m in MODALITIES}
        )
        self.bottleneck = _layers(config.bottleneck_layers, config)
        self.norm = nn.LayerNorm(width)
        self.ask = nn.ParameterDict(
            {m: nn.Parameter(_places(self.tokens, width)) for m in MODALITIES}
        )
        self.decoder = nn.ModuleDict(
            {m: _layers(config.decoder_layers, config) for m in MODALITIES}
        )
        self.paint = nn.ModuleDict(
            {
                m: nn.Sequential(nn.LayerNorm(width), nn.Linear(width, self.patch[m]))
                for m in MODALITIES
            }
        )
        self.project = nn.Linear(2 * width, config.dim)
        # A fixed affine map, the identity until training is over: it centres fingerprints
        # and weighs their directions by how reliably PPG tells them.
        self.centre: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("centre", torch.zeros(config.dim))
        self.register_buffer("spread", torch.eye(config.dim))
        self.read_out = nn.Linear(config.dim, len(TARGETS))
        self.read_rhythm = nn.Linear(config.dim, RHYTHMS)

    def layers(self) -> list[nn.Module]:
        """Every transformer layer: what is sharded, or recomputed, by itself."""
        return [m for m in self.modules() if isinstance(m, _Layer)]

    def patches(self, modality: str, windows: torch.Tensor) -> torch.Tensor:
        """(N, T) -> (N, tokens, patch)."""
        return windows.reshape(-1, self.tokens, self.patch[modality])

    def encode(
        self, modality: str, windows: torch.Tensor, keep: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Tokens (N, K, width) of one modality; `keep` (N, K) are the visible places."""
        x: torch.Tensor = self.embed[modality](self.patches(modality, windows))
        x = x + self.place[modality]
        if keep is not None:
            x = x.gather(1, keep[:, :, None].expand(-1, -1, x.shape[-1]))
        for layer in _each(self.encoder[modality]):
            x = layer(x)
        return x

    def share(self, tokens: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        """The shared bottleneck over tokens of one modality or of both."""
        for layer in self.bottleneck:
            tokens = layer(tokens, None, bias)
        shared: torch.Tensor = self.norm(tokens)
        return shared

    def pool(
        self, shared: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Fingerprints (N, dim) not yet normalised; `weight` (N, K): 0 where absent."""
        if weight is None:
            weight = shared.new_ones(shared.shape[:2])
        weight = weight[:, :, None] / weight.sum(dim=1, keepdim=True)[:, :, None]
        mean = (shared * weight).sum(dim=1)
        variance = ((shared - mean[:, None]) ** 2 * weight).sum(dim=1)
        pooled = torch.cat([mean, torch.sqrt(variance + 1e-4)], dim=-1)
        raw: torch.Tensor = self.project(pooled)
        return raw

    def finish(self, raw: torch.Tensor) -> torch.Tensor:
        """Centred, weighted, of unit length: the fingerprint."""
        return fn.normalize((raw - self.centre) @ self.spread, dim=-1)

    def decode(self, modality: str, shared: torch.Tensor) -> torch.Tensor:
        """Patches (N, tokens, patch) painted from the bottleneck."""
        x = self.ask[modality].expand(len(shared), -1, -1)
        for layer in _each(self.decoder[modality]):
            x = layer(x, shared)
        painted: torch.Tensor = self.paint[modality](x)
        return painted

    def fingerprint(
        self, ppg: torch.Tensor | None = None, ecg: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Unit fingerprints (N, dim) of PPG (N, 640), ECG (N, 1280), or both."""
        given = {"ppg": ppg, "ecg": ecg}
        tokens = [self.encode(m, w) for m, w in given.items() if w is not None]
        return self.finish(self.pool(self.share(torch.cat(tokens, dim=1))))

    def forward(
        self, ppg: torch.Tensor, ecg: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        """As `fingerprint`, with `present` (N, 2) of 1 and 0 for PPG and ECG: one graph."""
        tokens = torch.cat([self.encode("ppg", ppg), self.encode("ecg", ecg)], dim=1)
        weight = present.repeat_interleave(self.tokens, dim=1)
        bias = (weight - 1.0)[:, None, None, :] * 1e4
        return self.finish(self.pool(self.share(tokens, bias), weight))
