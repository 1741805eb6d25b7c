"""A tiny student and its committed int8 model, small enough to run in every test.

`data/tiny_student.tflite` is what the converter makes of `student`; `pytest -m slow
tests/quantize` makes it again and compares, in an environment with the `tflite` extra.
"""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from plethprint.signal import PPG
from plethprint_distill.student import Student, StudentConfig
from plethprint_quantize.export import DeployNet, fold
from plethprint_quantize.flatbuffer import Graph, read_tflite

TINY = StudentConfig(stem_channels=8, blocks=((8, 1), (16, 2), (16, 1)), dim=16)


def make_windows(count: int, seed: int) -> np.ndarray:
    """Pulse-like int8 windows: a fundamental, a harmonic, noise."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(PPG.window_samples) / PPG.rate_hz
    rate_hz = rng.uniform(0.8, 2.5, (count, 1))
    phase = rng.uniform(0, 2 * np.pi, (count, 1))
    part = rng.uniform(0, 0.8, (count, 1))
    angle = 2 * np.pi * rate_hz * time_s + phase
    noise = 0.1 * rng.standard_normal((count, PPG.window_samples))
    wave = np.sin(angle) + part * np.sin(2 * angle + 1) + noise
    wave = (wave - wave.mean(1, keepdims=True)) / wave.std(1, keepdims=True)
    return np.rint(np.clip(wave / PPG.input_scale, -127, 127)).astype(np.int8)


def make_student() -> Student:
    """Weights from numpy's generator, so that every torch version has the same ones."""
    rng = np.random.default_rng(7)
    student = Student(TINY)
    with torch.no_grad():
        for weight in student.parameters():
            if weight.ndim > 1:
                fan_in = weight[0].numel()
                values = rng.standard_normal(tuple(weight.shape)) * np.sqrt(2 / fan_in)
                weight.copy_(torch.from_numpy(values.astype(np.float32)))
            else:
                weight.copy_(torch.from_numpy(rng.uniform(0.3, 1.2, weight.shape)))
        for module in student.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0  # one batch sets the statistics
        batch = make_windows(128, 1)[:, None, None] * np.float32(PPG.input_scale)
        student.train()(torch.from_numpy(batch))
    return student.eval()


@pytest.fixture(scope="session")
def windows() -> np.ndarray:
    return make_windows(96, 2)


@pytest.fixture(scope="session")
def _student() -> Student:
    return make_student()


@pytest.fixture
def student(_student: Student) -> Student:
    """A copy for each test to change."""
    return copy.deepcopy(_student)


@pytest.fixture
def deploy(student: Student) -> DeployNet:
    return fold(student)


@pytest.fixture(scope="session")
def tiny_model() -> bytes:
    return (Path(__file__).parent / "data" / "tiny_student.tflite").read_bytes()


@pytest.fixture(scope="session")
def tiny_graph(tiny_model: bytes) -> Graph:
    return read_tflite(tiny_model)
