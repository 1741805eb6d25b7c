"""The model that ships: verified, small, equal on every runtime, and useful."""

import re

import numpy as np
import pytest

import plethprint
from plethprint.encoder import installed_runtimes, load_encoder
from plethprint.package import DEFAULT_PACKAGE, MODELS_FOLDER, ModelPackage
from plethprint.parity import agreement, check_parity
from plethprint.signal import ECG, PPG
from plethprint.teacher import TeacherEncoder

DEPLOY_OPS = {"CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED"}


@pytest.fixture(scope="module")
def package():
    return ModelPackage.load()


@pytest.fixture(scope="module")
def teacher():
    return TeacherEncoder.load()


def test_the_shipped_package_is_signed_by_a_key_that_ships(package):
    name = re.escape(DEFAULT_PACKAGE.replace("_v", "@"))
    assert re.fullmatch(name + r"\+[0-9a-f]{8}", package.model_id)
    assert package.path == MODELS_FOLDER / DEFAULT_PACKAGE


def test_the_shipped_model_is_small_enough_for_a_microcontroller(package):
    manifest = package.manifest
    assert manifest.dim == 64
    assert 0 < manifest.macs <= 2_100_000
    assert set(manifest.ops) <= DEPLOY_OPS
    for name in ("encoder.onnx", "encoder.tflite"):
        assert manifest.files[name].bytes <= 200_000


def test_the_shipped_package_says_what_it_was_trained_on(package):
    assert package.manifest.training_data
    for corpus in package.manifest.training_data:
        assert {"name", "licence", "windows", "people"} <= corpus.keys()
    assert len(package.read_bytes("README.md")) > 1000


def test_every_installed_runtime_passes_all_three_levels(package):
    report = check_parity(package)
    assert report.failures == []
    assert "onnx" in {level.runtime for level in report.levels}


@pytest.mark.parametrize("runtime", installed_runtimes())
def test_the_shipped_model_treats_each_row_alone(package, runtime):
    encoder = load_encoder(package, runtime)
    windows = package.golden().windows[:48]
    together = encoder.run(windows)
    alone = np.concatenate([encoder.run(window[None]) for window in windows])
    assert np.array_equal(together, alone)


def test_the_shipped_teacher_agrees_with_the_fingerprints_stored_beside_the_student(
    package, teacher
):
    assert package.manifest.teacher == teacher.model_id
    golden = package.golden()
    again = teacher.run(golden.windows)
    assert agreement(again, golden.teacher_ppg)["cosine"] > 0.999


def test_the_shipped_teacher_is_small_and_takes_either_modality(teacher):
    assert sum(entry.bytes for entry in teacher.manifest.files.values()) <= 10_000_000
    rng = np.random.default_rng(0)
    ppg, ecg = (
        rng.integers(-127, 128, (2, spec.window_samples)).astype(np.int8)
        for spec in (PPG, ECG)
    )
    vectors = [teacher.run(ppg), teacher.run(ecg=ecg), teacher.run(ppg, ecg)]
    assert all(v.shape == (2, 64) for v in vectors)
    assert not np.allclose(vectors[0], vectors[2], atol=1e-3)


def test_two_windows_of_one_pulse_are_more_alike_than_of_two_pulses():
    t = np.arange(0, 40, 1 / 64)
    fingerprinter = plethprint.Fingerprinter()

    def prints(rate_hz, notch):
        phase = 2 * np.pi * rate_hz * t
        return fingerprinter.embed(np.exp(np.sin(phase)) + notch * np.sin(2 * phase), 64)

    slow, fast = prints(0.9, 0.1), prints(1.9, 0.5)
    assert slow[2].heart_rate_bpm == pytest.approx(54, abs=2)
    assert fast[2].heart_rate_bpm == pytest.approx(114, abs=3)
    within = plethprint.similarity(slow[2], slow[5])
    between = plethprint.similarity(slow[2], fast[5])
    assert within > between + 0.1
