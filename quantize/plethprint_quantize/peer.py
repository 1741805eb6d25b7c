"""The encoder of PaPaGei-S in shape alone: random weights, to compare size and speed with.

Rebuilt from its published description (Pillai et al., arXiv 2410.20542; the authors' code
is BSD-3-Clause-Clear): 125 Hz by 10 s in; a convolution of 3 taps to 32 channels; 18
residual blocks of two such convolutions each, normalised and rectified before each; every
second block halves the rate, with max pooling on its shortcut; channels double at blocks
4, 8, 12 and 16, with zeros on the shortcut; the mean over time; a linear layer of 512. The
heads that only training needs are not there. What comes out means nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from plethprint.errors import MissingExtraError

__all__ = ["PEER_NAME", "PEER_SAMPLES", "PeerEncoder", "build_peer", "peer_macs"]

_LOGGER = logging.getLogger(__name__)

PEER_NAME = "PaPaGei-S encoder, random weights"
PEER_SAMPLES = 1250
_BLOCKS, _WIDTH, _TAPS, _DIM = 18, 32, 3, 512


class _Block(nn.Module):
    """Normalise, rectify, convolve, twice; and the shortcut."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, samples: int, *, first: bool
    ) -> None:
        super().__init__()
        self.first = first
        # On a sum: cannot be folded into a convolution before it.
        self.norm = nn.Identity() if first else nn.BatchNorm2d(inputs)
        self.stride = stride
        self.odd = samples % stride
        self.grown = outputs - inputs
        self.one: nn.Module = _convolution(inputs, outputs, stride)
        self.between: nn.Module = nn.BatchNorm2d(outputs)
        self.two = _convolution(outputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Windows (N, C, 1, T) -> (N, C', 1, T / stride)."""
        out = x if self.first else F.relu(self.norm(x))
        out = self.two(F.relu(self.between(self.one(out))))
        if self.stride > 1:
            x = F.max_pool2d(x, (1, self.stride), padding=(0, self.odd))
        if self.grown:
            half = self.grown // 2
            x = F.pad(x, (0, 0, 0, 0, half, self.grown - half))
        summed: torch.Tensor = out + x
        return summed


class PeerEncoder(nn.Module):
    """The layer shapes of PaPaGei-S's encoder; (N, 1, 1, T) -> (N, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem: nn.Module = _convolution(1, _WIDTH)
        self.stem_norm: nn.Module = nn.BatchNorm2d(_WIDTH)
        blocks = []
        width, samples = _WIDTH, PEER_SAMPLES
        for place in range(_BLOCKS):
            outputs = 2 * width if place and place % 4 == 0 else width
            stride = 2 if place % 2 else 1
            blocks.append(_Block(width, outputs, stride, samples, first=place == 0))
            width, samples = outputs, -(-samples // stride)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, _DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Windows (N, 1, 1, T) in sd -> embeddings (N, 512)."""
        x = F.relu(self.stem_norm(self.stem(x)))
        for block in self.blocks:
            x = block(x)
        x = F.relu(self.norm(x))
        pooled: torch.Tensor = self.head(x.permute(0, 2, 3, 1).mean(dim=(1, 2)))
        return pooled

    def folded(self) -> PeerEncoder:
        """Itself, with every normalisation folded that stands right after a convolution."""
        self.eval()
        self.stem, self.stem_norm = _fold(self.stem, self.stem_norm), nn.Identity()
        for block in self.blocks:
            assert isinstance(block, _Block)
            block.one, block.between = _fold(block.one, block.between), nn.Identity()
        return self.requires_grad_(False)


def peer_macs(model: PeerEncoder) -> int:
    """Multiply-accumulates of one window, counted while it runs.

    Examples
    --------
    >>> round(peer_macs(PeerEncoder().eval()) / 1e6)
    75
    """
    counted: list[int] = []

    def count(module: nn.Module, _: object, out: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        counted.append(out[0].numel() * weight[0].numel())

    hooks = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    with torch.no_grad():
        model(torch.zeros(1, 1, 1, PEER_SAMPLES))
    for hook in hooks:
        hook.remove()
    return sum(counted)


def build_peer(folder: Path) -> dict[str, object]:
    """Write the peer as int8: ``peer.tflite`` where its converter is, else ``peer.onnx``.

    Parameters
    ----------
    folder
        Made if it is not there; ``peer.json`` beside the model says what it is.

    Returns
    -------
    dict
        ``format`` ("tflite" or "onnx"), ``file``, ``parameters``, ``macs``.

    Raises
    ------
    MissingExtraError
        Neither the TFLite converter nor onnx is installed.
    """
    torch.manual_seed(0)
    model = PeerEncoder()
    parameters = sum(p.numel() for p in model.parameters())
    windows = torch.from_numpy(_pulses(64))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch sets the statistics
    with torch.no_grad():
        model.train()(windows)
    model = model.folded()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        made, name = _tflite(model, windows), "peer.tflite"
    except MissingExtraError as error:
        _LOGGER.warning("%s; the peer is made for onnxruntime instead", error)
        made, name = _onnx(model, windows, folder), "peer.onnx"
    half = folder / f"{name}.part"
    half.write_bytes(made)
    half.replace(folder / name)
    facts: dict[str, object] = {
        "name": PEER_NAME,
        "format": name.removeprefix("peer."),
        "file": name,
        "parameters": parameters,
        "macs": peer_macs(model),
        "samples": PEER_SAMPLES,
    }
    half = folder / "peer.json.part"
    half.write_text(json.dumps(facts, indent=1))
    half.replace(folder / "peer.json")
    return facts


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    # A zero on either side leaves ceil(T / stride) samples. Theirs are TFLite's SAME, which
    # on even T puts both zeros right: as many products, and here no operator of its own.
    padding = (0, _TAPS // 2)
    return nn.Conv2d(inputs, outputs, (1, _TAPS), (1, stride), padding)


def _fold(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    folded: nn.Module = fuse_conv_bn_eval(convolution.eval(), norm.eval())
    return folded


def _pulses(count: int) -> npt.NDArray[np.float32]:
    """Pulse-like windows (N, 1, 1, T) for the ranges of activations."""
    rng = np.random.default_rng(0)
    time_s = np.arange(PEER_SAMPLES) / 125.0
    angle = 2 * np.pi * rng.uniform(0.8, 2.0, (count, 1)) * time_s
    wave = np.sin(angle) + 0.4 * np.sin(2 * angle + rng.uniform(0, 6, (count, 1)))
    wave += 0.05 * rng.standard_normal(wave.shape)
    wave = (wave - wave.mean(1, keepdims=True)) / wave.std(1, keepdims=True)
    rows: npt.NDArray[np.float32] = wave[:, None, None].astype(np.float32)
    return rows


def _tflite(model: PeerEncoder, windows: torch.Tensor) -> bytes:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    said = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        warnings.simplefilter("ignore")
        try:
            import litert_torch
            from ai_edge_quantizer import quantizer, recipe
        except ImportError as error:
            raise MissingExtraError("tflite", "Converting to TFLite") from error
        last = litert_torch.to_channel_last_io(model, args=[0]).eval()
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "float.tflite"
            example = (torch.zeros(1, 1, PEER_SAMPLES, 1),)
            litert_torch.convert(last, example).export(str(whole))
            worker = quantizer.Quantizer(bytearray(whole.read_bytes()))
        worker.load_quantization_recipe(recipe.static_wi8_ai8())
        rows = [{"args_0": w.permute(1, 2, 0)[None].numpy()} for w in windows]
        ranges = worker.calibrate({"serving_default": rows})
        return bytes(worker.quantize(ranges).quantized_model)


def _onnx(model: PeerEncoder, windows: torch.Tensor, folder: Path) -> bytes:
    try:
        import onnx  # noqa: F401
        from onnxruntime import quantization
    except ImportError as error:
        raise MissingExtraError("quantize", "Making the peer") from error

    class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rows = iter({"window": row[None].numpy()} for row in windows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._rows, None)

    source, target = folder / "float.onnx", folder / "int8.onnx"
    torch.onnx.export(
        model,
        (windows[:1],),
        str(source),
        dynamo=False,
        opset_version=17,
        input_names=["window"],
        output_names=["embedding"],
    )
    quantization.quantize_static(
        str(source),
        str(target),
        _Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        weight_type=quantization.QuantType.QInt8,
        activation_type=quantization.QuantType.QInt8,
    )
    made = target.read_bytes()
    source.unlink()
    target.unlink()
    return made


def main() -> int:
    """Build the peer into a folder, from the command line."""
    parser = argparse.ArgumentParser(prog="python -m plethprint_quantize.peer")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    try:
        build_peer(parser.parse_args().out)
    except MissingExtraError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
