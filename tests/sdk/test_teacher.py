"""The teacher sees PPG, ECG or both, and is packaged as strictly as the student."""

import numpy as np
import pytest

from plethprint.errors import (
    EncoderError,
    PackageIncompatibleError,
    PackageIntegrityError,
    WindowShapeError,
)
from plethprint.signal import ECG, PPG
from plethprint.teacher import TeacherEncoder


@pytest.fixture
def teacher(teacher_folder, trusted):
    return TeacherEncoder.load(teacher_folder, trusted_keys=trusted)


def windows(spec, n=70, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-127, 128, (n, spec.window_samples)).astype(np.int8)


def test_a_teacher_gives_unit_vectors_for_either_or_both(teacher):
    ppg, ecg = windows(PPG), windows(ECG)
    both, only_ppg, only_ecg = teacher.run(ppg, ecg), teacher.run(ppg), teacher.run(ecg=ecg)
    for vectors in (both, only_ppg, only_ecg):
        assert vectors.dtype == np.float32
        assert vectors.shape == (70, 64)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert not np.allclose(both, only_ppg, atol=1e-3)
    assert not np.allclose(both, only_ecg, atol=1e-3)


def test_a_hidden_modality_does_not_reach_the_fingerprint(teacher):
    ppg = windows(PPG, 3)
    assert np.allclose(teacher.run(ppg), teacher.run(ppg, None))
    assert not np.allclose(teacher.run(ppg, windows(ECG, 3)), teacher.run(ppg), atol=1e-3)


def test_a_row_does_not_depend_on_the_batch_it_came_in(teacher):
    ppg, ecg = windows(PPG), windows(ECG)
    together = teacher.run(ppg, ecg)
    one = teacher.run(ppg[66:67], ecg[66:67])
    assert np.allclose(together[66], one[0], atol=1e-5)


def test_a_teacher_says_who_it_is(teacher):
    assert teacher.model_id.startswith("toy@1+")
    assert teacher.dim == 64
    assert teacher.manifest.kind == "teacher"


def test_a_teacher_needs_windows_of_the_right_shape_and_number(teacher):
    with pytest.raises(WindowShapeError, match="PPG windows, ECG windows or both"):
        teacher.run()
    with pytest.raises(WindowShapeError, match="as many windows"):
        teacher.run(windows(PPG, 3), windows(ECG, 4))
    with pytest.raises(WindowShapeError, match=str(ECG.window_samples)):
        teacher.run(ecg=windows(PPG, 3))
    assert teacher.run(windows(PPG, 0)).shape == (0, 64)


def test_a_teacher_that_gives_nothing_is_an_error_and_no_fingerprint(teacher):
    flat = np.zeros((1, PPG.window_samples), np.int8)
    with pytest.raises(EncoderError, match="not finite or zero"):
        teacher.run(flat)


def test_a_changed_teacher_is_refused_with_the_name_of_the_file(teacher_folder, trusted):
    data = bytearray((teacher_folder / "teacher.onnx").read_bytes())
    data[1000] ^= 1
    (teacher_folder / "teacher.onnx").write_bytes(data)
    with pytest.raises(PackageIntegrityError, match=r"teacher\.onnx"):
        TeacherEncoder.load(teacher_folder, trusted_keys=trusted)


def test_a_student_package_is_not_taken_for_a_teacher(package_folder, trusted):
    with pytest.raises(PackageIncompatibleError, match="student package, not a teacher"):
        TeacherEncoder.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize(
    ("preprocessing", "message"),
    [
        ({"ppg": PPG.to_dict()}, "has ppg and ecg"),
        ({"ppg": PPG.to_dict(), "ecg": PPG.to_dict()}, "other preprocessing"),
        ({"ppg": PPG.to_dict(), "ecg": {**ECG.to_dict(), "rate_hz": 100.0}}, "rate_hz"),
        ({"ppg": PPG.to_dict(), "ecg": 7}, "preprocessing"),
    ],
)
def test_a_teacher_made_for_other_preprocessing_is_refused(
    teacher_folder, rewrite, trusted, preprocessing, message
):
    rewrite(
        teacher_folder,
        drop=["thresholds", "teacher", "ops", "macs", "input_scale", "output_scale"],
        kind="teacher",
        preprocessing=preprocessing,
    )
    with pytest.raises(PackageIncompatibleError, match=message):
        TeacherEncoder.load(teacher_folder, trusted_keys=trusted)


def test_a_teacher_with_another_graph_is_refused(
    teacher_folder, rewrite, trusted, foreign_onnx
):
    (teacher_folder / "teacher.onnx").write_bytes(foreign_onnx())
    preprocessing = {"ppg": PPG.to_dict(), "ecg": ECG.to_dict()}
    rewrite(teacher_folder, kind="teacher", preprocessing=preprocessing)
    with pytest.raises(PackageIncompatibleError, match=r"ppg of teacher\.onnx must be"):
        TeacherEncoder.load(teacher_folder, trusted_keys=trusted)
