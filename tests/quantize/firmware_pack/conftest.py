"""The shipped package as a firmware pack, and that pack compiled for this machine."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plethprint.package import ModelPackage, write_package
from plethprint.signature import public_key_hex
from plethprint_quantize.firmware import write_pack
from plethprint_quantize.firmware.native import NativeFirmware

KEY = Ed25519PrivateKey.generate()


@pytest.fixture(scope="session")
def shipped() -> ModelPackage:
    return ModelPackage.load()


@pytest.fixture(scope="session")
def pack(shipped, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("firmware") / "fw"
    write_pack(shipped, out)
    return out


@pytest.fixture(scope="session")
def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None or sys.platform == "win32":
        pytest.skip("needs a C compiler")
    return found


@pytest.fixture(scope="session")
def native(pack, compiler) -> NativeFirmware:
    return NativeFirmware.build(pack, compiler=compiler)


@pytest.fixture
def resigned(shipped, tmp_path, monkeypatch):
    """Change files of a copy of the shipped package, then sign it with a trusted key."""

    def change(**files: bytes) -> Path:
        folder = tmp_path / "package"
        shutil.copytree(shipped.path, folder)
        for name, data in files.items():
            (folder / name.replace("_", ".")).write_bytes(data)
        fields = json.loads((folder / "manifest.json").read_text("utf-8"))
        for name in ("files", "public_key", "signature"):
            fields.pop(name)
        write_package(folder, fields, KEY)
        keys = tmp_path / "keys.json"
        keys.write_text(json.dumps([public_key_hex(KEY)]), encoding="utf-8")
        monkeypatch.setenv("PLETHPRINT_TRUSTED_KEYS", str(keys))
        return folder

    return change
