"""What a pre-training run is told: sizes, shares and weights of its losses."""

from __future__ import annotations

from dataclasses import dataclass

from plethprint.errors import TrainingError

__all__ = ["PretrainConfig"]


@dataclass(frozen=True)
class PretrainConfig:
    """One pre-training run; written beside every checkpoint."""

    preset: str = "small"
    dim: int = 0
    """Numbers of a fingerprint; 0: as many as the preset's."""
    windows: int = 5_000_000
    """Windows seen in all, over as many resumed runs as it takes."""
    batch: int = 256
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warm_up_windows: int = 40_000
    decay_share: float = 0.18
    """The last share of the windows, over which the learning rate falls to a fiftieth."""
    cross_share: float = 0.6
    """Share of the paired steps that hide one modality whole."""
    unpaired_share: float = 0.2
    """Share of the steps on recordings of one modality, PPG and ECG by turns."""
    virtual_share: float = 0.5
    mask_ratio: float = 0.5
    """Share of PPG tokens hidden in a masked step; the ECG shows just these."""
    kin_share: float = 0.1
    """Weight that windows of the same person at other times have among the positives."""
    disturbance: float = 0.6
    """How strongly views are disturbed; 1 is what a student sees."""
    reconstruction: float = 1.0
    """lambda of L = L_contrast + lambda L_recon."""
    contrast: float = 0.5
    temperature: float = 0.0
    """Of the contrast, held where it is; 0: learned, from 0.1 on."""
    agreement: float = 0.5
    """Of the fingerprints from PPG alone and from both."""
    views: float = 1.0
    """Share of both weights above that two views of a recording without a pair have."""
    physiology: float = 1.0
    decorrelation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a temperature or a length that is none."""
        # `Learned.scale` is clamped there: a colder one would silently be 0.02.
        if self.temperature != 0.0 and not 0.02 <= self.temperature <= 10.0:
            raise TrainingError(
                "a temperature that is held must lie from 0.02 to 10 (0: learned), not at "
                f"{self.temperature}"
            )
        if self.dim < 0:
            raise TrainingError(f"a fingerprint cannot have {self.dim} numbers")
