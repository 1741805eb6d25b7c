"""The error tree: every error is ours and also the built-in a caller expects."""

import inspect

import pytest

from plethprint import errors

BUILT_INS = {
    errors.SignalError: ValueError,
    errors.RecordingError: ValueError,
    errors.PackageError: ValueError,
    errors.FingerprintError: ValueError,
    errors.EncoderError: RuntimeError,
    errors.MissingExtraError: ImportError,
    errors.LinkError: ConnectionError,
    errors.LinkTimeoutError: TimeoutError,
    errors.BluetoothPermissionError: PermissionError,
    errors.ProtocolError: ValueError,
}


def test_every_error_has_the_one_root_and_is_exported_and_drawn():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert sorted(c.__name__ for c in classes) == sorted(errors.__all__)
    for error in classes:
        assert issubclass(error, errors.PlethprintError)
        assert error.__name__ in errors.__doc__


@pytest.mark.parametrize(("error", "built_in"), BUILT_INS.items(), ids=str)
def test_each_family_is_also_the_built_in_a_caller_expects(error, built_in):
    assert issubclass(error, built_in)


def test_a_missing_extra_says_in_one_sentence_what_to_install():
    error = errors.MissingExtraError("io", "Reading WFDB records")
    assert str(error) == (
        "Reading WFDB records needs the `io` extra: pip install 'plethprint[io]'"
    )
    assert error.extra == "io"


def test_errors_carry_their_data():
    assert (
        errors.PackageIntegrityError("changed", file="encoder.onnx").file == "encoder.onnx"
    )
    refused = errors.ControlError("refused", opcode=3, status=5)
    assert (refused.opcode, refused.status) == (3, 5)
    assert isinstance(errors.LinkTimeoutError("late"), errors.LinkError)
