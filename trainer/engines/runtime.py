"""Open ONNX files for serving."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.errors import BundleError

# y = Identity(x) of one number, an ONNX file of opset 13.
_NOTHING = bytes.fromhex(
    "080812003a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08"
    "080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)


def open_session(path: Path, *, threads: int | None = None) -> Any:
    """Return an ONNX Runtime session on the CPU; BundleError when the file cannot be run.

    threads: per call, None for one per core.
    """
    # Read at import: without it the runtime writes a device id into the user's home and sends
    # telemetry.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    _share_scratch()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that spin between calls occupy the cores that other processes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights outside the shared arena, so that an unloaded model frees them.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (faults.InvalidProtobuf, faults.Fail, faults.InvalidGraph, faults.NoSuchFile) as error:
        raise BundleError(path, "an ONNX file that ONNX Runtime can run", str(error)) from error


@functools.cache
def _share_scratch() -> None:
    """Let all networks of this process share one memory arena.

    Ten YOLO11n then take 250 MiB instead of 615, at the same speed.
    """
    import onnxruntime as ort

    arena = ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = ort.OrtMemoryInfo("Cpu", arena, 0, ort.OrtMemType.DEFAULT)
    # Unbounded; allocations of exactly the requested size.
    sizes = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1}
    ort.create_and_register_allocator(
        place, ort.OrtArenaCfg({**sizes, "max_dead_bytes_per_chunk": -1})
    )


def give_back() -> None:
    """Give the memory that networks computed in, and that none uses now, back to the system.

    The next call takes it anew, which costs it some ten milliseconds for a YOLO11n.
    """
    import onnxruntime

    # The runtime does it at the end of a call only: one of a network that does nothing.
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _nothing().run(None, {"x": np.zeros(1, np.float32)}, options)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)


@functools.cache
def _nothing() -> Any:
    import onnxruntime

    _share_scratch()
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(_NOTHING, options, providers=["CPUExecutionProvider"])


def first_input(session: Any, values: NDArray[np.float32]) -> dict[str, Any]:
    """Return values as the session's first input, in the exported precision."""
    first = session.get_inputs()[0]
    half = first.type == "tensor(float16)"
    return {first.name: values.astype(np.float16) if half else values}


def run(session: Any, given: Mapping[str, Any], path: Path) -> list[Any]:
    """Run a session once to inspect its outputs; BundleError when it rejects the input."""
    from onnxruntime.capi import onnxruntime_pybind11_state as faults

    try:
        return list(session.run(None, dict(given)))
    except (faults.InvalidArgument, faults.Fail, faults.RuntimeException) as error:
        inputs = ", ".join(f"{name} {v.dtype} {v.shape}" for name, v in given.items())
        raise BundleError(path, f"a network that takes {inputs}", str(error)) from error
