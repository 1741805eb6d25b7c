"""Runs one model as it is run on a host, and tells what memory that takes."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from plethprint.errors import EncoderError

__all__ = ["memory_of_a_run", "window_call"]

_MEMORY_RUNS = 20


def window_call(path: Path, kernels: str) -> Callable[[], None]:
    """Load a model; what is returned runs it once on a window of noise, on one thread.

    Parameters
    ----------
    path
        ``.tflite`` or ``.onnx``, one input and one output.
    kernels
        ``"XNNPACK"`` or ``"built-in"`` of LiteRT, or ``"onnxruntime"``.

    Raises
    ------
    EncoderError
        onnxruntime refused the model.
    """
    rng = np.random.default_rng(0)
    if kernels != "onnxruntime":
        from ai_edge_litert import interpreter as litert

        resolver = litert.OpResolverType
        model = litert.Interpreter(
            model_path=str(path),
            num_threads=1,
            experimental_op_resolver_type=resolver.AUTO
            if kernels == "XNNPACK"
            else resolver.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        model.allocate_tensors()
        (source,) = model.get_input_details()
        window = rng.integers(-90, 91, source["shape"], dtype=np.int8)

        def call() -> None:
            model.set_tensor(source["index"], window)
            model.invoke()

        return call
    from plethprint.encoder import onnx_session

    session = onnx_session(path.read_bytes(), path.name)
    (wanted,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in wanted.shape]
    noise = rng.integers(-90, 91, shape)
    given = noise.astype(np.int8 if "int8" in wanted.type else np.float32)

    def run() -> None:
        session.run(None, {wanted.name: given})

    return run


def memory_of_a_run(path: Path, kernels: str) -> tuple[int, int]:
    """Run a model in a process of its own and tell its memory.

    Returns
    -------
    (int, int)
        Bytes: peak of the whole process; of it the model's own, which is what was taken
        since the runtime was loaded and the resident pages of the model's file. The second
        is 0 where the system does not tell (Linux does).

    Raises
    ------
    EncoderError
        The process failed.
    """
    module = "plethprint_quantize.model_run"
    command = [sys.executable, "-m", module, kernels, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EncoderError(f"{' '.join(command[1:])} failed: {done.stderr[-300:]}")
    peak, own = done.stdout.split()
    return int(peak), int(own)


def _probe(kernels: str, path: Path) -> tuple[int, int]:
    """Run a model in this process and tell what memory it took."""
    if kernels == "onnxruntime":
        import onnxruntime  # noqa: F401

        import plethprint.encoder  # noqa: F401
    else:
        from ai_edge_litert import interpreter  # noqa: F401
    np.random.default_rng(0)  # its module is no part of the model either
    before = _status("RssAnon")
    call = window_call(path, kernels)
    for _ in range(_MEMORY_RUNS):
        call()
    after, mapped = _status("RssAnon"), _mapped_bytes(path)
    # Not getrusage where it can be helped: on Linux it begins with the parent's peak.
    peak = _status("VmHWM") or _peak_bytes()
    return peak, after - before + mapped if after else 0


def _status(name: str) -> int:
    """A figure of this process in bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return 0


def _mapped_bytes(path: Path) -> int:
    """Resident pages of a file that this process has mapped, in bytes."""
    maps = Path("/proc/self/smaps")
    if not maps.exists():
        return 0
    inside, pages = False, 0
    for line in maps.read_text().splitlines():
        first = line.split(maxsplit=1)[0]
        if not first.endswith(":"):  # the head of a mapping, not one of its figures
            inside = line.endswith(str(path.resolve()))
        elif inside and first == "Rss:":
            pages += 1024 * int(line.split()[1])
    return pages


def _peak_bytes() -> int:
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.stdout.write("{} {}\n".format(*_probe(sys.argv[1], Path(sys.argv[2]))))
