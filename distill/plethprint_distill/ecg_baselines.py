"""Supervised opponents of the teacher's ECG fingerprints, trained on the labels alone.

`EcgCnn` is trained from scratch on the very people that a probe on frozen fingerprints is
fitted on. Two architectures of the size of the teacher's ECG side (0.48 M parameters):
a residual network, and the teacher's own ECG encoder from random weights. Labelled ECGs
are few, so both are regularised by dropout, weight decay and disturbed windows, and the
epoch is chosen on people that are not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as fn

from plethprint.encoder import checked_windows
from plethprint.errors import SignalError, WindowShapeError
from plethprint.signal import ECG
from plethprint_distill.ecg_features import ECG_FEATURES, EcgFeatures, ecg_hrv_features
from plethprint_distill.teacher import M2AE

__all__ = [
    "ECG_FEATURES",
    "ECG_PRESETS",
    "EcgCnn",
    "EcgCnnConfig",
    "EcgFeatures",
    "ecg_hrv_features",
]

Float32Array = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class EcgCnnConfig:
    """How an ECG network is built and trained."""

    architecture: str = "residual"
    """`residual`, or `teacher`: its ECG encoder and bottleneck from random weights."""
    epochs: int = 25
    patience: int = 25
    """Epochs without a lower validation loss before training stops."""
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    dropout: float = 0.3
    noise_sd: float = 0.15
    mix: float = 0.0
    """Windows are mixed in pairs by Beta(mix, mix) (Zhang et al. 2018); 0 for none."""


ECG_PRESETS = {
    "residual": EcgCnnConfig(),
    "teacher": EcgCnnConfig(architecture="teacher", epochs=60, patience=60),
}
"""The best of the few settings tried on five folds over PTB-XL's people.

Macro-AUROC of the five superclasses, test people of each fold apart from those trained
on and those that choose the epoch: `residual` .833 (five folds), `teacher` .818 (four;
`residual` on these .828). Hand-made features with logistic regression reach .807. With
mixed windows and shorter patience, changed together, both stood .02 to .03 lower.
"""


class EcgCnn:
    """Multi-label classifier of ECG windows.

    Raises
    ------
    SignalError
        If the configuration names no architecture.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ecg = rng.integers(-99, 99, (12, 1280)).astype(np.int8)
    >>> labels = rng.integers(0, 2, (12, 3))
    >>> network = EcgCnn(EcgCnnConfig(epochs=1))
    >>> network.fit(ecg, labels, seed=0, validation=np.arange(12) < 4)
    >>> network.predict_proba(ecg).shape
    (12, 3)
    """

    def __init__(self, config: EcgCnnConfig | None = None) -> None:
        self.config = config or EcgCnnConfig()
        if self.config.architecture not in ("residual", "teacher"):
            raise SignalError(
                "an ECG network is `residual` or `teacher`, "
                f"not {self.config.architecture!r}"
            )
        self.name = f"ecg_cnn_{self.config.architecture}"
        self.network: nn.Module | None = None
        self.epochs_run = 0

    def fit(
        self,
        ecg: Int8Array,
        labels: npt.ArrayLike,
        *,
        seed: int,
        validation: npt.NDArray[np.bool_],
    ) -> None:
        """Train, and keep the weights of the epoch with the lowest validation loss.

        Parameters
        ----------
        ecg
            (N, 1280) windows.
        labels
            (N, K) of 0 and 1.
        seed
            Of weights, order and disturbance.
        validation
            (N,) true for windows that decide when to stop and are not trained on; it is
            for the caller to keep people on one side.

        Raises
        ------
        WindowShapeError
            If shapes do not belong together, or one side has no window.
        """
        steps = checked_windows(ecg, ECG.window_samples)
        truth = np.asarray(labels, np.float32)
        held = np.asarray(validation, np.bool_)
        if truth.ndim != 2 or len(truth) != len(steps) or held.shape != (len(steps),):
            raise WindowShapeError(
                f"{len(steps)} windows need labels (N, K) and a mask (N,), "
                f"not {truth.shape} and {held.shape}"
            )
        if not held.any() or held.all():
            raise WindowShapeError("both training and validation need windows")
        config = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = _network(config, truth.shape[1])
            self.epochs_run = self._train(
                self.network,
                (_windows(steps[~held]), torch.from_numpy(truth[~held])),
                (_windows(steps[held]), torch.from_numpy(truth[held])),
                np.random.default_rng(seed),
            )

    def _train(
        self,
        network: nn.Module,
        train: tuple[torch.Tensor, torch.Tensor],
        held: tuple[torch.Tensor, torch.Tensor],
        rng: np.random.Generator,
    ) -> int:
        config = self.config
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        # A batch of one has no statistics for a batch norm.
        batches = max(1, len(train[0]) // config.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * batches
        )
        best, best_epoch = float("inf"), 0
        kept = {k: v.clone() for k, v in network.state_dict().items()}
        for epoch in range(1, config.epochs + 1):
            network.train()
            for rows in np.array_split(rng.permutation(len(train[0])), batches):
                windows, labels = self._disturbed(train[0][rows], train[1][rows], rng)
                loss = fn.binary_cross_entropy_with_logits(network(windows), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimizer.step()
                schedule.step()
            found = fn.binary_cross_entropy_with_logits(_logits(network, held[0]), held[1])
            if float(found) < best:
                best, best_epoch = float(found), epoch
                kept = {k: v.clone() for k, v in network.state_dict().items()}
            if epoch - best_epoch >= config.patience:
                break
        network.load_state_dict(kept)
        return epoch

    def _disturbed(
        self, windows: torch.Tensor, labels: torch.Tensor, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows moved by up to a second, scaled, with noise and wander, and mixed."""
        n, samples = windows.shape
        ecg = windows.numpy()
        shift = rng.integers(-round(ECG.rate_hz), round(ECG.rate_hz) + 1, (n, 1))
        source = np.arange(samples) + shift
        moved = np.take_along_axis(ecg, np.clip(source, 0, samples - 1), axis=1)
        moved = np.where((source >= 0) & (source < samples), moved, np.float32(0.0))
        time_s = np.arange(samples) / ECG.rate_hz
        wander = rng.uniform(0.0, 0.3, (n, 1)) * np.sin(
            2 * np.pi * (rng.uniform(0.1, 0.6, (n, 1)) * time_s + rng.random((n, 1)))
        )
        noise = rng.uniform(0.0, self.config.noise_sd, (n, 1)) * rng.standard_normal(
            moved.shape, dtype=np.float32
        )
        out = torch.from_numpy(
            (moved * rng.uniform(0.8, 1.25, (n, 1)) + wander + noise).astype(np.float32)
        )
        if self.config.mix:
            share = rng.beta(self.config.mix, self.config.mix, (n, 1)).astype(np.float32)
            own, other = torch.from_numpy(share), torch.from_numpy(rng.permutation(n))
            out = own * out + (1.0 - own) * out[other]
            labels = own * labels + (1.0 - own) * labels[other]
        return out, labels

    def predict_proba(self, ecg: Int8Array) -> Float32Array:
        """Probabilities (N, K) of each label of windows (N, 1280).

        Raises
        ------
        SignalError
            If it was not fitted.
        """
        steps = checked_windows(ecg, ECG.window_samples)
        if self.network is None:
            raise SignalError("an ECG network predicts after it was fitted: call fit first")
        probabilities: Float32Array = (
            torch.sigmoid(_logits(self.network, _windows(steps))).numpy().astype(np.float32)
        )
        return probabilities


def _windows(steps: Int8Array) -> torch.Tensor:
    return torch.from_numpy(steps * np.float32(ECG.input_scale))


@torch.inference_mode()
def _logits(network: nn.Module, windows: torch.Tensor) -> torch.Tensor:
    network.eval()
    parts = [network(windows[i : i + 256]) for i in range(0, len(windows), 256)]
    return torch.cat(parts)


def _network(config: EcgCnnConfig, labels: int) -> nn.Module:
    if config.architecture == "teacher":
        return _TeacherEncoder(labels, config.dropout)
    return _Residual(labels, config.dropout)


class _Block(nn.Module):
    """Two convolutions and what they add to, at half the rate."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels_in, channels_out, kernel, 2, kernel // 2, bias=False),
            nn.BatchNorm1d(channels_out),
            nn.ReLU(),
            nn.Conv1d(channels_out, channels_out, kernel, 1, kernel // 2, bias=False),
            nn.BatchNorm1d(channels_out),
        )
        self.past = nn.Sequential(
            nn.AvgPool1d(2, ceil_mode=True),
            nn.Conv1d(channels_in, channels_out, 1, bias=False),
            nn.BatchNorm1d(channels_out),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return fn.relu(self.body(x) + self.past(x))


class _Residual(nn.Module):
    """Stem and four residual blocks, mean and maximum over time, linear: 0.6 M."""

    def __init__(self, labels: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, 32, 15, 2, 7, bias=False),
            nn.BatchNorm1d(32),
            nn.ReLU(),
            _Block(32, 48, 7),
            _Block(48, 64, 7),
            _Block(64, 128, 7),
            _Block(128, 176, 5),
        )
        self.read = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * 176, labels))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        x = self.layers(windows[:, None])
        logits: torch.Tensor = self.read(torch.cat([x.mean(-1), x.amax(-1)], dim=1))
        return logits


class _TeacherEncoder(nn.Module):
    """ECG encoder, bottleneck and pooling of the teacher `small`, then linear."""

    def __init__(self, labels: int, dropout: float) -> None:
        super().__init__()
        whole = M2AE()
        # Only what an ECG passes through: the rest would be dead weight.
        for part in (whole.embed, whole.place, whole.encoder):
            del part["ppg"]
        del whole.decoder, whole.paint, whole.ask, whole.read_out, whole.read_rhythm
        self.encoder = whole
        self.read = nn.Sequential(
            nn.ReLU(), nn.Dropout(dropout), nn.Linear(whole.config.dim, labels)
        )

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        shared = self.encoder.share(self.encoder.encode("ecg", windows))
        logits: torch.Tensor = self.read(self.encoder.pool(shared))
        return logits
