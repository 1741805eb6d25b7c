import json

import numpy as np
import pytest
import torch

from plethprint.errors import PackageIntegrityError
from plethprint.signal import ECG, PPG
from plethprint.signature import load_or_create_signing_key, public_key_hex
from plethprint.teacher import TeacherEncoder
from plethprint_distill.checkpoint import load_teacher, save_teacher
from plethprint_distill.teacher import M2AE, TeacherConfig
from plethprint_quantize.__main__ import main

DATA = {"name": "virtual", "licence": "CC0", "windows": 9, "people": 3}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny teacher, packaged by the command; folder and trusted key."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(2)
    save_teacher(
        M2AE(TeacherConfig(width=32, heads=2, encoder_layers=1)), folder / "teacher.npz"
    )
    about = {"version": "4", "training_data": [DATA]}
    (folder / "about.json").write_text(json.dumps(about))
    key, out = folder / "key.pem", folder / "out"
    given = ["--teacher", str(folder), "--out", str(out), "--key", str(key)]
    assert main([*given, "--name", "m2ae-tiny", "--json"]) == 0
    return out, public_key_hex(load_or_create_signing_key(key))


def test_the_packaged_teacher_gives_what_torch_gives(made):
    folder, trusted = made
    encoder = TeacherEncoder.load(folder, trusted_keys=[trusted])
    teacher = load_teacher(folder / "teacher.npz")
    rng = np.random.default_rng(0)
    ppg = rng.integers(-127, 128, (5, PPG.window_samples), dtype=np.int8)
    ecg = rng.integers(-127, 128, (5, ECG.window_samples), dtype=np.int8)
    with torch.no_grad():
        expected = teacher.fingerprint(
            torch.from_numpy(ppg * np.float32(PPG.input_scale)),
            torch.from_numpy(ecg * np.float32(ECG.input_scale)),
        ).numpy()
    np.testing.assert_allclose(encoder.run(ppg=ppg, ecg=ecg), expected, atol=2e-5)


def test_the_packaged_teacher_says_who_it_is(made):
    folder, trusted = made
    encoder = TeacherEncoder.load(folder, trusted_keys=[trusted])
    assert encoder.model_id.startswith("m2ae-tiny@4+")
    assert encoder.manifest.training_data == (DATA,)
    assert "| virtual | CC0 | 9 | 3 |" in (folder / "README.md").read_text(encoding="utf-8")


def test_a_changed_teacher_is_refused_by_file(made):
    folder, trusted = made
    path = folder / "teacher.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        with pytest.raises(PackageIntegrityError) as caught:
            TeacherEncoder.load(folder, trusted_keys=[trusted])
    finally:
        path.write_bytes(whole)
    assert caught.value.file == "teacher.onnx"
