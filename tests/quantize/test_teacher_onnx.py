import copy

import numpy as np
import onnxruntime
import pytest
import torch

from plethprint.signal import ECG, PPG
from plethprint_distill.teacher import M2AE, TeacherConfig
from plethprint_quantize.teacher_onnx import export_teacher


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(1)
    model = M2AE(TeacherConfig(width=32, heads=2, encoder_layers=2))
    with torch.no_grad():  # as after training: no longer the identity
        model.centre.normal_(0, 0.1)
        model.spread.normal_(0, 0.3)
    return model.eval()


@pytest.fixture(scope="module")
def session(teacher, tmp_path_factory):
    path = export_teacher(teacher, tmp_path_factory.mktemp("teacher") / "teacher.onnx")
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def feed(count, present):
    rng = np.random.default_rng(count)
    return {
        "ppg": rng.standard_normal((count, PPG.window_samples)).astype(np.float32),
        "ecg": rng.standard_normal((count, ECG.window_samples)).astype(np.float32),
        "present": np.tile(np.float32(present), (count, 1)),
    }


@pytest.mark.parametrize("count", [1, 2, 9])
@pytest.mark.parametrize("present", [(1, 1), (1, 0), (0, 1)])
def test_onnx_gives_what_torch_gives(teacher, session, count, present):
    given = feed(count, present)
    with torch.no_grad():
        expected = teacher(*(torch.from_numpy(x) for x in given.values())).numpy()
    actual = session.run(["fingerprint"], given)[0]
    assert np.abs(actual - expected).max() < 1e-5
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, rtol=1e-5)


def test_an_absent_modality_has_no_say(session):
    given = feed(4, (1, 0))
    other = {**given, "ecg": given["ecg"][::-1] * 5}
    first, second = (session.run(None, g)[0] for g in (given, other))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_exporting_leaves_the_teacher_alone(teacher, tmp_path):
    before = copy.deepcopy(teacher.state_dict())
    export_teacher(teacher, tmp_path / "t.onnx")
    assert "patches" not in vars(teacher)
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_decoders_are_left_out(teacher, tmp_path):
    size = export_teacher(teacher, tmp_path / "t.onnx").stat().st_size
    assert size < 4 * sum(p.numel() for p in teacher.parameters())
