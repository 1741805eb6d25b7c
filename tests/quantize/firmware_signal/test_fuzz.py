"""Bytes and counts that nobody meant, under the sanitizers."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import plethprint_quantize
from plethprint_quantize.firmware import fuzz_seeds

SOURCES = Path(plethprint_quantize.__file__).parent / "firmware" / "c"
HARNESSES = {
    "fuzz_frame": (["pp_frame.c"], fuzz_seeds.frame_seeds),
    "fuzz_signal": (["pp_signal.c", "pp_quality.c"], fuzz_seeds.signal_seeds),
}
# Runs the harness on every file named, where there is no libFuzzer to do it.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int main(int argc, char **argv)
{
    static uint8_t bytes[65536];
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) { return 2; }
        const size_t size = fread(bytes, 1, sizeof bytes, file);
        (void)fclose(file);
        uint8_t *exact = malloc(size > 0u ? size : 1u);
        if (exact == NULL) { return 2; }
        for (size_t at = 0; at < size; at++) { exact[at] = bytes[at]; }
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    return 0;
}
"""
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def can_link(compiler, options, folder):
    program = folder / "empty.c"
    program.write_text(
        "#include <stdint.h>\n#include <stddef.h>\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);\n"
        "int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)"
        "{ (void)d; (void)n; return 0; }\n"
        + ("" if "-fsanitize=fuzzer" in options else "int main(void) { return 0; }\n")
    )
    command = [compiler, *options, "-o", str(folder / "empty"), str(program)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("name", HARNESSES)
def test_the_sanitizers_are_silent_on_seeds_and_what_is_like_them(name, compiler, tmp_path):
    if not can_link(compiler, SANITIZERS, tmp_path):
        pytest.skip("the compiler has no sanitizers")
    sources, make_seeds = HARNESSES[name]
    driver = tmp_path / "driver.c"
    driver.write_text(DRIVER)
    program = tmp_path / name
    subprocess.run(
        [compiler, "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"]
        + [*SANITIZERS, f"-I{SOURCES}", "-o", str(program), str(driver)]
        + [str(SOURCES / source) for source in (f"{name}.c", *sources)],
        check=True,
    )
    rng = np.random.default_rng(0)
    files = []
    for number, seed in enumerate(make_seeds() * 8):
        data = bytearray(seed)
        for at in rng.integers(0, len(data), number // 8):
            data[at] = int(rng.integers(0, 256))
        if number % 5 == 4:
            del data[int(rng.integers(0, len(data))) :]
        files.append(tmp_path / f"input_{number}")
        files[-1].write_bytes(data)
    done = subprocess.run([program, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_seeds_are_valid_where_they_claim_to_be(library):
    for seed in fuzz_seeds.frame_seeds():
        data, out = seed[1:], ctypes.create_string_buffer(4096)
        if seed[0] == 0:
            head = ctypes.create_string_buffer(64)
            status = library.pp_frame_decode(
                data, ctypes.c_size_t(len(data)), head, out, ctypes.c_size_t(1020)
            )
        else:
            status = library.pp_fingerprint_decode(data, ctypes.c_size_t(len(data)), out)
        assert status == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", HARNESSES)
def test_a_few_seconds_of_fuzzing_find_nothing(name, tmp_path):
    clang, make = shutil.which("clang"), shutil.which("make")
    if (
        clang is None
        or make is None
        or not can_link(clang, ["-fsanitize=fuzzer"], tmp_path)
    ):
        pytest.skip("needs make, clang and its libFuzzer")
    fuzz_seeds.main(str(tmp_path))
    done = subprocess.run(
        [make, "-C", SOURCES, "-f", "Makefile.fuzz", name, f"OUT={tmp_path}", "SECONDS=6"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "number_of_executed_units" in done.stderr
