import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plethprint.agreement import agreement
from plethprint.errors import PackageIncompatibleError
from plethprint.package import ModelPackage
from plethprint.parity import check_parity
from plethprint.signature import public_key_hex
from plethprint_quantize.calibrate import float_fingerprints
from plethprint_quantize.checkpoint import About
from plethprint_quantize.flatbuffer import DEPLOY_OPS
from plethprint_quantize.golden import GoldenSource, run_tflite_micro
from plethprint_quantize.package import build_package
from plethprint_quantize.pipeline import from_tflite
from plethprint_quantize.report import report

pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def model(tiny_model, deploy, windows):
    expected = float_fingerprints(deploy, windows)
    found = agreement(run_tflite_micro(tiny_model, windows), expected)
    return from_tflite(
        tiny_model,
        deploy,
        windows,
        method="min-max",
        candidates={"min-max": found},
        calibration_windows=256,
    )


@pytest.fixture
def source(deploy, windows):
    """A teacher that the student follows closely: itself, with a little noise."""
    real = float_fingerprints(deploy, windows)
    noise = np.random.default_rng(0).standard_normal(real.shape) * real.std(axis=0) * 0.1
    unit = (real + noise).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return GoldenSource(windows, unit, unit)


def about():
    data = ({"name": "virtual", "licence": "CC0", "windows": 256, "people": 8},)
    return About("trial", "3", training_data=data, notes="Mind the gap.")


def test_a_package_is_signed_loads_and_passes_parity(model, source, tmp_path):
    package = build_package(tmp_path / "trial_v3", model, source, about(), KEY)
    assert package.model_id.startswith("trial@3+")
    again = ModelPackage.load(tmp_path / "trial_v3", trusted_keys=[public_key_hex(KEY)])
    assert check_parity(again).ok
    manifest = again.manifest
    assert (manifest.dim, manifest.macs) == (16, report(model)["macs"])
    assert set(manifest.ops) == DEPLOY_OPS
    assert manifest.output_scale == pytest.approx(float(model.graph.output.scale[0]))
    assert manifest.parity["tflm"]["golden"]["max_lsb"] == 0
    assert set(manifest.files) == {
        "encoder.onnx",
        "encoder.tflite",
        "golden.npz",
        "README.md",
    }


def test_golden_vectors_are_those_of_tflite_micro(model, source, deploy, tmp_path):
    golden = build_package(tmp_path, model, source, about(), KEY).golden()
    assert np.array_equal(golden.vectors, run_tflite_micro(model.tflite, source.windows))
    assert np.array_equal(golden.float_vectors, float_fingerprints(deploy, source.windows))
    assert np.array_equal(golden.teacher_both, source.teacher_both)


def test_the_card_tells_figures_data_and_notes(model, source, tmp_path):
    build_package(tmp_path, model, source, about(), KEY)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    for said in ("# trial 3", "| virtual | CC0 | 256 | 8 |", "Mind the gap.", "0 (≤ 0)"):
        assert said in card


def test_a_student_far_from_its_teacher_is_not_packaged(model, source, tmp_path):
    strangers = GoldenSource(
        source.windows, source.teacher_both[::-1].copy(), source.teacher_ppg[::-1].copy()
    )
    with pytest.raises(PackageIncompatibleError, match="nothing was packaged"):
        build_package(tmp_path / "new", model, strangers, about(), KEY)
    assert not (tmp_path / "new").exists()


def test_a_teacher_of_another_size_is_refused(model, source, tmp_path):
    vectors = np.repeat(source.teacher_ppg, 2, axis=1)
    wide = GoldenSource(source.windows, vectors, vectors)
    with pytest.raises(PackageIncompatibleError, match="32 numbers, the student's 16"):
        build_package(tmp_path, model, wide, about(), KEY)


def test_the_report_counts_what_is_there(model):
    described = report(model)
    assert described["ops"] == {
        "CONV_2D": 3,
        "DEPTHWISE_CONV_2D": 4,
        "FULLY_CONNECTED": 1,
        "MEAN": 1,
    }
    assert described["bytes"]["encoder.tflite"] == len(model.tflite)
    assert described["macs"] == sum(layer["macs"] for layer in described["layers"])
    assert described["largest_activation_bytes"] == 2 * 160 * 8
    assert described["onnx_against_tflite_micro"]["max_lsb"] <= 2
