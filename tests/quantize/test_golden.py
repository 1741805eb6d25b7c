import sys

import numpy as np
import pytest

from plethprint.agreement import agreement
from plethprint.errors import EncoderError, MissingExtraError, WindowShapeError
from plethprint_quantize.calibrate import float_fingerprints
from plethprint_quantize.golden import GoldenSource, run_tflite_micro


def vectors(count=4, dim=16):
    return np.ones((count, dim), np.float32)


def test_the_int8_model_agrees_with_the_float_student(tiny_model, deploy, windows):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    found = agreement(
        run_tflite_micro(tiny_model, windows), float_fingerprints(deploy, windows)
    )
    assert found["centred_cosine"] > 0.98


def test_tflite_micro_gives_the_same_vectors_again(tiny_model, windows):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    first = run_tflite_micro(tiny_model, windows[:8])
    backwards = run_tflite_micro(tiny_model, windows[7::-1])
    assert first.dtype == np.int8
    assert np.array_equal(first, backwards[::-1])


def test_a_missing_oracle_names_the_extra(tiny_model, windows, monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_micro.python.tflite_micro", None)
    with pytest.raises(MissingExtraError, match=r"plethprint\[golden\]"):
        run_tflite_micro(tiny_model, windows)


def test_a_window_of_the_wrong_length_is_refused_by_the_oracle(tiny_model):
    pytest.importorskip("tflite_micro", reason="wheels for Linux x86-64 only")
    with pytest.raises(EncoderError, match="tflite-micro"):
        run_tflite_micro(tiny_model, np.zeros((1, 100), np.int8))


def test_golden_sources_are_read_from_an_archive(tmp_path, windows):
    path = tmp_path / "golden.npz"
    np.savez(path, windows=windows[:4], teacher_both=vectors(), teacher_ppg=vectors())
    assert np.array_equal(GoldenSource.load(path).windows, windows[:4])


def test_an_archive_without_the_teacher_is_refused(tmp_path, windows):
    path = tmp_path / "golden.npz"
    np.savez(path, windows=windows[:4], teacher_ppg=vectors())
    with pytest.raises(WindowShapeError, match="teacher_both"):
        GoldenSource.load(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    np.save(tmp_path / "one.npy", vectors())
    objects = {"windows": np.array([{}], dtype=object)}
    np.savez(tmp_path / "objects.npz", **objects)
    whole = (tmp_path / "objects.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("nothing")
    for name in ("one.npy", "objects.npz", "cut.npz", "text.npz", "absent.npz", "."):
        with pytest.raises(WindowShapeError, match="not a numpy archive"):
            GoldenSource.load(tmp_path / name)


def test_a_single_number_is_no_windows():
    with pytest.raises(WindowShapeError, match="int8"):
        GoldenSource(np.array(1, np.int8), vectors(), vectors())


@pytest.mark.parametrize("rows", [0, 3, 5])
def test_teacher_vectors_of_other_windows_are_refused(windows, rows):
    with pytest.raises(WindowShapeError, match="teacher_both"):
        GoldenSource(windows[:4], vectors(rows), vectors())


def test_float_golden_windows_are_refused(windows):
    with pytest.raises(WindowShapeError, match="int8"):
        GoldenSource(windows[:4].astype(np.float32), vectors(), vectors())
