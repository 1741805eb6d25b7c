"""The folder that is written: whole or not at all, the same every time, honest inside."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from plethprint.cli.app import run
from plethprint.errors import (
    PackageError,
    PackageIncompatibleError,
    PackageIntegrityError,
    PackageSignatureError,
)
from plethprint.fingerprint import Fingerprint
from plethprint_quantize.firmware import write_pack
from plethprint_quantize.firmware.__main__ import main
from plethprint_quantize.firmware.c_text import c_array, c_string
from plethprint_quantize.flatbuffer import read_tflite


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "build" not in path.parts
    }


def _nothing_in(folder, *but):
    return {path.name for path in folder.iterdir()} <= {*but}


def test_a_pack_lists_the_hash_of_every_file(pack):
    told = json.loads((pack / "pack.json").read_text("utf-8"))["files"]
    found = _files(pack)
    found.pop("pack.json")
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}


def test_a_pack_holds_what_an_integrator_looks_for(pack):
    files = _files(pack)
    for name in ("src/plethprint.h", "CMakeLists.txt", "Makefile", "zephyr/module.yml"):
        assert name in files
    assert files["model/encoder.tflite"][4:8] == b"TFL3"
    assert not [name for name in files if "fuzz" in name]


def test_the_readme_begins_with_the_footprint_table(pack, shipped):
    lines = (pack / "README.md").read_text("utf-8").splitlines()
    assert lines[0] == f"# {shipped.model_id}: firmware pack"
    assert lines[2].startswith("| core | arithmetic | flash, bytes | RAM, bytes |")
    assert "@" not in "".join(lines[1:])


def test_the_same_package_gives_the_same_bytes(pack, shipped, tmp_path):
    write_pack(shipped, tmp_path / "fw")
    assert _files(tmp_path / "fw") == _files(pack)


def test_an_earlier_pack_is_replaced_whole(pack, shipped, tmp_path):
    out = tmp_path / "fw"
    write_pack(shipped, out, golden_vectors=2)
    (out / "left_over.c").write_text("int x;")
    write_pack(shipped, out)
    assert _files(out) == _files(pack)
    assert _nothing_in(tmp_path, "fw")


def test_a_folder_with_other_things_is_left_alone(shipped, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(PackageError, match="not empty and not a firmware pack"):
        write_pack(shipped, tmp_path)
    assert _nothing_in(tmp_path, "thesis.tex")


def test_a_truncated_flatbuffer_is_refused_and_nothing_is_written(
    shipped, resigned, tmp_path
):
    whole = shipped.read_bytes("encoder.tflite")
    package = resigned(encoder_tflite=whole[: len(whole) // 2])
    with pytest.raises(PackageError, match="damaged or cut short"):
        write_pack(package, tmp_path / "fw")
    assert _nothing_in(tmp_path, "package", "keys.json")


def test_an_altered_package_is_refused(shipped, resigned, tmp_path):
    package = resigned()
    data = bytearray(shipped.read_bytes("encoder.tflite"))
    data[-100] ^= 1
    (package / "encoder.tflite").write_bytes(data)
    with pytest.raises(PackageIntegrityError, match=r"encoder\.tflite"):
        write_pack(package, tmp_path / "fw")
    assert _nothing_in(tmp_path, "package", "keys.json")


def test_an_unsigned_package_is_refused(resigned, tmp_path):
    package = resigned()
    fields = json.loads((package / "manifest.json").read_text("utf-8"))
    fields["signature"] = "00" * 64
    (package / "manifest.json").write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(PackageSignatureError):
        write_pack(package, tmp_path / "fw")
    assert _nothing_in(tmp_path, "package", "keys.json")


def test_a_model_that_misses_its_golden_vectors_is_refused(shipped, resigned, tmp_path):
    model = bytearray(shipped.read_bytes("encoder.tflite"))
    graph = read_tflite(bytes(model))
    # a bias of the dense layer, found by its bytes, becomes another one
    bias = graph.tensors[graph.operators[-1].inputs[2]].data.astype("<i4").tobytes()
    at = bytes(model).index(bias)
    model[at + 2] ^= 0x01
    with pytest.raises(PackageIncompatibleError, match="golden vectors; nothing was"):
        write_pack(resigned(encoder_tflite=bytes(model)), tmp_path / "fw")
    assert _nothing_in(tmp_path, "package", "keys.json")


def test_the_module_tells_one_sentence_and_exits_1(tmp_path, capsys):
    assert main(["--package", str(tmp_path / "none"), "--out", str(tmp_path / "fw")]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert main(["--package", str(tmp_path), "--out", str(tmp_path / "f"), "--json"]) == 1
    assert set(json.loads(capsys.readouterr().out)) == {"error", "type"}


def test_the_verb_writes_a_pack_and_speaks_json(pack, tmp_path, capfd):
    assert run(["firmware", "--out", str(tmp_path / "fw"), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["out"] == str(tmp_path / "fw")
    assert told["files"] == json.loads((pack / "pack.json").read_text("utf-8"))["files"]


def test_the_verb_without_a_folder_is_wrong_usage():
    assert run(["firmware"]) == 2


def test_arrays_fit_the_page_and_the_lowest_number_has_a_type():
    text = c_array("const int32_t a[3]", [-(2**31), 0, 2**31 - 1])
    assert "(-2147483647 - 1), 0, 2147483647," in text
    assert max(map(len, c_array("int a[999]", range(999)).splitlines())) <= 88


def test_a_name_cannot_break_out_of_its_string():
    assert c_string('a"\\b??/') == '"a\\"\\\\b?""?/"'
    assert c_string("ä\n") == '"??"'.replace("??", '?""?')


_DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "firmware.md"
_MAIN = """
#include <stdio.h>
#include "plethprint.h"
#include "pp_frame.h"
#include "pp_messages.h"

int main(void)
{
    static pp_workspace_t workspace;
    static pp_messages_t messages;
    int8_t vector[PP_DIM];
    uint8_t out[512];
    uint32_t n;
    if (pp_init(&workspace, 100000u) != PP_OK) { return 1; }
    if (pp_messages_init(&messages, &workspace, 0, 0) != PP_OK) { return 2; }
    for (n = 0; !pp_window_ready(&workspace); n++) {
        pp_push_sample(&workspace, (int32_t)(n % 83u) * 100);
    }
    pp_fingerprint(&workspace, vector);
    return fwrite(out, 1, notification(&workspace, vector, 1500000u, out), stdout) == 0;
}
"""


@pytest.mark.parametrize("language", ["c", "c++"])
def test_what_the_document_sends_is_read_by_a_host_from_c_and_from_c_plus_plus(
    pack, shipped, compiler, tmp_path, language
):
    blocks = re.findall(r"```c\n(.*?)```", _DOCUMENT.read_text("utf-8"), re.DOTALL)
    (sending,) = [block for block in blocks if "pp_fingerprint_encode" in block]
    if language == "c++":
        if shutil.which("g++") is None:
            pytest.skip("needs a C++ compiler")
        sending = sending.replace("fp = {0}", "fp = {}")
    source = tmp_path / ("main.c" if language == "c" else "main.cpp")
    source.write_text(sending + _MAIN, "utf-8")
    objects = tmp_path / "objects"
    objects.mkdir()
    sources = [str(file) for file in sorted((pack / "src").glob("*.c"))]
    flags = ["-O1", "-Wall", "-Wextra", "-Werror", f"-I{pack / 'src'}"]
    subprocess.run([compiler, "-std=c99", *flags, "-c", *sources], cwd=objects, check=True)
    main = [compiler, "-std=c99"] if language == "c" else ["g++", "-std=c++11"]
    program = tmp_path / "program"
    made = [str(file) for file in sorted(objects.glob("*.o"))]
    subprocess.run([*main, *flags, str(source), *made, "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, check=True)
    fp = Fingerprint.from_bytes(done.stdout)
    assert (fp.start, fp.duration_s, fp.missing) == (1.5, 10.0, 0.0)
    assert fp.model == shipped.model_id
    assert fp.vector.any()
