"""Model packages: any change is refused with the file's name."""

import json
import os
import stat

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plethprint.errors import (
    PackageError,
    PackageIncompatibleError,
    PackageIntegrityError,
    PackageSignatureError,
)
from plethprint.package import ModelPackage, write_package
from plethprint.signal import PPG
from plethprint.signature import (
    TRUSTED_KEYS_ENV,
    canonical_bytes,
    load_or_create_signing_key,
    public_key_hex,
    trusted_public_keys,
)

FILES = ["encoder.onnx", "encoder.tflite", "golden.npz", "README.md"]


def edit_manifest(folder, change):
    """Change the manifest without signing it again."""
    path = folder / "manifest.json"
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def test_a_package_loads_and_tells_what_it_is(package):
    assert package.manifest.name == "tiny"
    assert package.manifest.dim == 64
    assert set(package.manifest.files) == set(FILES)
    assert package.model_id.startswith("tiny@1+")
    assert len(package.model_id) == len("tiny@1+") + 8
    golden = package.golden()
    assert golden.windows.shape == (48, PPG.window_samples)
    assert golden.vectors.dtype == np.int8
    assert golden.teacher_both.shape == (48, 64)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_refused_with_the_name_of_the_file(
    package_folder, trusted, name
):
    data = bytearray((package_folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (package_folder / name).write_bytes(data)
    with pytest.raises(PackageIntegrityError, match=name) as caught:
        ModelPackage.load(package_folder, trusted_keys=trusted)
    assert caught.value.file == name


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_with_its_name(package_folder, trusted, name):
    (package_folder / name).unlink()
    with pytest.raises(PackageIntegrityError, match=name) as caught:
        ModelPackage.load(package_folder, trusted_keys=trusted)
    assert caught.value.file == name


def test_a_file_with_bytes_added_is_refused(package_folder, trusted):
    with (package_folder / "README.md").open("a") as file:
        file.write("more\n")
    with pytest.raises(PackageIntegrityError, match=r"README.md.*wrong size"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_a_file_changed_after_loading_is_not_used(package_folder, trusted):
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    data = bytearray((package_folder / "encoder.onnx").read_bytes())
    data[-1] ^= 1
    (package_folder / "encoder.onnx").write_bytes(data)
    with pytest.raises(PackageIntegrityError, match=r"encoder\.onnx"):
        package.read_bytes("encoder.onnx")


def test_a_file_the_manifest_does_not_list_is_never_opened(package_folder, trusted):
    (package_folder / "extra.onnx").write_bytes(b"?")
    package = ModelPackage.load(package_folder, trusted_keys=trusted)
    with pytest.raises(PackageIntegrityError, match=r"extra\.onnx is not part"):
        package.read_bytes("extra.onnx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", ["encoder.onnx", "manifest.json"])
@pytest.mark.parametrize(
    "make", [getattr(os, "mkfifo", None), os.mkdir, lambda p: p.symlink_to("/dev/zero")]
)
def test_a_pipe_a_folder_or_a_device_in_place_of_a_file_is_refused(
    package_folder, trusted, name, make
):
    (package_folder / name).unlink()
    make(package_folder / name)
    with pytest.raises(PackageIntegrityError, match="no regular file") as caught:
        ModelPackage.load(package_folder, trusted_keys=trusted)
    assert caught.value.file == name


def test_a_path_that_no_file_can_have_is_refused(trusted):
    with pytest.raises(PackageIntegrityError):
        ModelPackage.load("a\0b", trusted_keys=trusted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    key=st.sampled_from(
        ["name", "version", "dim", "macs", "ops", "teacher", "thresholds", "training_data"]
    )
)
def test_every_field_of_the_manifest_is_covered_by_the_signature(
    package_folder, trusted, key
):
    path = package_folder / "manifest.json"
    original = path.read_text()
    try:
        edit_manifest(package_folder, lambda fields: fields.__setitem__(key, "changed"))
        with pytest.raises(PackageSignatureError, match="changed after signing"):
            ModelPackage.load(package_folder, trusted_keys=trusted)
    finally:
        path.write_text(original)


@pytest.mark.parametrize("value", [None, "", "00", "zz" * 64, 7, "é" * 128])
def test_a_manifest_without_a_proper_signature_is_refused(package_folder, trusted, value):
    edit_manifest(package_folder, lambda fields: fields.__setitem__("signature", value))
    with pytest.raises(PackageSignatureError, match="not signed"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_a_package_signed_by_an_unknown_key_is_refused(package_folder, tmp_path, trusted):
    stranger = load_or_create_signing_key(tmp_path / "stranger.pem")
    fields = json.loads((package_folder / "manifest.json").read_text())
    write_package(package_folder, fields, stranger)
    with pytest.raises(PackageSignatureError, match=public_key_hex(stranger)):
        ModelPackage.load(package_folder, trusted_keys=trusted)
    own = [public_key_hex(stranger)]
    assert ModelPackage.load(package_folder, trusted_keys=own).manifest.name == "tiny"


def test_keys_can_be_trusted_through_the_environment(
    package_folder, tmp_path, trusted, monkeypatch
):
    with pytest.raises(PackageSignatureError, match="not trusted"):
        ModelPackage.load(package_folder)
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(trusted))
    monkeypatch.setenv(TRUSTED_KEYS_ENV, str(keys))
    assert ModelPackage.load(package_folder).manifest.name == "tiny"


@pytest.mark.parametrize("content", ["{}", "[1]", '["abc"]', "[", ""])
def test_a_broken_list_of_trusted_keys_is_refused(tmp_path, monkeypatch, content):
    (tmp_path / "keys.json").write_text(content)
    monkeypatch.setenv(TRUSTED_KEYS_ENV, str(tmp_path / "keys.json"))
    with pytest.raises(PackageSignatureError, match=r"keys\.json"):
        trusted_public_keys()


def test_a_name_is_that_of_a_shipped_package_unless_a_folder_here_has_it(
    package_folder, tmp_path, trusted, monkeypatch
):
    monkeypatch.setattr("plethprint.package.MODELS_FOLDER", package_folder.parent)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    named = ModelPackage.load(package_folder.name, trusted_keys=trusted)
    assert named.path == package_folder
    (here / package_folder.name).mkdir()
    with pytest.raises(PackageIntegrityError, match=r"no manifest\.json"):
        ModelPackage.load(package_folder.name, trusted_keys=trusted)
    what_ships = f"nobody_v9 is not a model package.*ships is {package_folder.name}"
    with pytest.raises(PackageIntegrityError, match=what_ships):
        ModelPackage.load("nobody_v9", trusted_keys=trusted)


def test_a_folder_without_a_manifest_is_no_package(tmp_path, trusted):
    with pytest.raises(PackageIntegrityError, match=r"no manifest\.json"):
        ModelPackage.load(tmp_path, trusted_keys=trusted)
    with pytest.raises(PackageIntegrityError, match="is not a model package"):
        ModelPackage.load(tmp_path / "nowhere", trusted_keys=trusted)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"dim": NaN}',
        b'{"dim": 1, "dim": 2}',
        b"[" * 100_000,
        b" " * (1 << 21),
    ],
    ids=["empty", "cut", "list", "text", "binary", "nan", "twice", "deep", "large"],
)
def test_a_manifest_that_is_not_one_json_object_is_refused(
    package_folder, trusted, content
):
    (package_folder / "manifest.json").write_bytes(content)
    with pytest.raises(PackageIntegrityError) as caught:
        ModelPackage.load(package_folder, trusted_keys=trusted)
    assert caught.value.file == "manifest.json"


def test_a_manifest_cut_off_anywhere_raises_a_package_error(package_folder, trusted):
    path = package_folder / "manifest.json"
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:end])
        with pytest.raises(PackageError):
            ModelPackage.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "does not know: colour"),
        ({"format_version": 2}, "format version 2"),
        ({"kind": "head"}, "kind must be student or teacher"),
        ({"dim": 0}, "dim must be 1 to 4096"),
        ({"dim": "64"}, "dim must be a whole number"),
        ({"dim": True}, "dim must be a whole number"),
        ({"name": "A B"}, "name must be"),
        ({"input_scale": -1.0}, "input_scale must be a positive number"),
        ({"preprocessing": []}, "preprocessing must be an object"),
        ({"training_data": ["x"]}, "training_data must be a list of objects"),
        ({"ops": "CONV_2D"}, "ops must be a list"),
        ({"parameters": float("nan")}, "cannot be written as JSON"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused_already_when_written(
    package_folder, rewrite, changes, message
):
    before = (package_folder / "manifest.json").read_text()
    with pytest.raises(PackageIncompatibleError, match=message):
        rewrite(package_folder, **changes)
    assert (package_folder / "manifest.json").read_text() == before


def test_a_manifest_that_lacks_a_field_is_refused(package_folder, rewrite):
    with pytest.raises(PackageIncompatibleError, match="lacks parameters"):
        rewrite(package_folder, drop=["parameters"])


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a//b", "manifest.json", ""])
def test_a_manifest_that_reaches_outside_the_package_is_refused(
    package_folder, signing_key, trusted, name
):
    from plethprint.signature import sign_fields

    path = package_folder / "manifest.json"
    fields = json.loads(path.read_text())
    fields["files"][name] = fields["files"]["README.md"]
    path.write_text(json.dumps(sign_fields(fields, signing_key)))
    with pytest.raises(PackageIncompatibleError, match="no file inside the package"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize(
    ("key", "value"),
    [("rate_hz", 50.0), ("band_hz", [0.4, 8.0]), ("clip_sd", 5.0), ("order", 3)],
)
def test_a_package_made_for_other_preprocessing_is_refused_naming_what_differs(
    package_folder, rewrite, trusted, key, value
):
    rewrite(package_folder, preprocessing={**PPG.to_dict(), key: value})
    with pytest.raises(PackageIncompatibleError, match=f"other preprocessing: {key}"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize("stated", [{}, {"rate": 64}, {**PPG.to_dict(), "extra": 1}])
def test_preprocessing_that_is_incomplete_or_unknown_is_refused(
    package_folder, rewrite, trusted, stated
):
    rewrite(package_folder, preprocessing=stated)
    with pytest.raises(PackageIncompatibleError, match="preprocessing"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_a_package_with_another_input_scale_is_refused(package_folder, rewrite, trusted):
    rewrite(package_folder, input_scale=PPG.input_scale * 1.01)
    with pytest.raises(PackageIncompatibleError, match="input_scale"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_a_package_whose_vectors_have_another_length_is_refused(
    package_folder, rewrite, trusted
):
    rewrite(package_folder, dim=32)
    with pytest.raises(PackageIncompatibleError, match=r"shape \(48, 32\), not \(48, 64\)"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize("name", FILES)
def test_a_package_that_does_not_list_a_required_file_is_refused(
    package_folder, rewrite, trusted, name
):
    (package_folder / name).unlink()
    rewrite(package_folder)
    with pytest.raises(PackageIncompatibleError, match=f"does not list {name}"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("vectors"), "lacks the array vectors"),
        (lambda a: a.update(windows=a["windows"][:, :-1]), "windows in golden.npz"),
        (lambda a: a.update(vectors=a["vectors"][:-1]), "vectors in golden.npz"),
        (lambda a: a.update(teacher_ppg=a["teacher_ppg"] * np.nan), "not finite"),
        (lambda a: a.update(float_vectors=a["vectors"]), "must be float32, not int8"),
        (lambda a: a.update(windows=np.int8(1)), "windows in golden.npz"),
    ],
)
def test_golden_vectors_of_the_wrong_form_are_refused(
    package_folder, rewrite, trusted, change, message
):
    with np.load(package_folder / "golden.npz") as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez(package_folder / "golden.npz", **arrays)
    rewrite(package_folder)
    with pytest.raises(PackageIncompatibleError, match=message):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_golden_vectors_that_are_no_archive_are_refused(package_folder, rewrite, trusted):
    (package_folder / "golden.npz").write_bytes(b"PK\x03\x04 not really")
    rewrite(package_folder)
    with pytest.raises(PackageIncompatibleError, match="not a numpy archive"):
        ModelPackage.load(package_folder, trusted_keys=trusted)


def test_a_teacher_is_not_taken_for_a_student(teacher_folder, trusted):
    with pytest.raises(PackageIncompatibleError, match="teacher package, not a student"):
        ModelPackage.load(teacher_folder, trusted_keys=trusted)


def test_hidden_files_are_left_out_and_subfolders_are_listed(package_folder, rewrite):
    (package_folder / ".DS_Store").write_bytes(b"x")
    (package_folder / "firmware").mkdir()
    (package_folder / "firmware" / "model.c").write_text("int x;\n")
    files = rewrite(package_folder)["files"]
    assert "firmware/model.c" in files
    assert ".DS_Store" not in files


def test_the_signed_bytes_do_not_depend_on_the_order_of_the_fields():
    assert canonical_bytes({"a": 1, "b": [1.5]}) == canonical_bytes({"b": [1.5], "a": 1})
    assert canonical_bytes({"a": 1, "signature": "x"}) == canonical_bytes({"a": 1})
    assert canonical_bytes({"a": 1}) != canonical_bytes({"a": 2})


def test_a_signing_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "deep" / "signing_key.pem"
    first = public_key_hex(load_or_create_signing_key(path))
    assert public_key_hex(load_or_create_signing_key(path)) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_no_ed25519_key_is_refused(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = tmp_path / "key.pem"
    path.write_text("not a key")
    with pytest.raises(PackageSignatureError, match="not an Ed25519 key"):
        load_or_create_signing_key(path)
    path.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(PackageSignatureError, match="no Ed25519 key"):
        load_or_create_signing_key(path)
    with pytest.raises(PackageSignatureError, match="cannot be read or written"):
        load_or_create_signing_key(tmp_path)
