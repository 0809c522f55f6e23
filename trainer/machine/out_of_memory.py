"""Recognise out-of-memory errors of the libraries in one place.

NumPy raises a MemoryError, PyTorch a RuntimeError and OpenCV a cv2.error: only the text
distinguishes the last two from other errors.
"""

from __future__ import annotations

import cv2

ALLOCATING = (MemoryError, RuntimeError, cv2.error)  # what the libraries raise for it
_TEXTS = (
    "can't allocate memory",
    "out of memory",
    "not enough memory",
    "insufficient memory",
    "failed to allocate",
    "bad_alloc",
    "bad allocation",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(known in text for known in _TEXTS)


def out_of_memory(batch: int | None, image_size: tuple[int, int], text: str) -> str:
    """Return a sentence that explains the error and what to change. batch: None if unknown."""
    height, width = image_size
    many = "images" if batch is None else f"{batch} images"
    lines = text.strip().splitlines()
    return (
        f"out of memory with {many} of {height}x{width} at once: choose a smaller "
        "batch_size or image_size, or precision=bf16" + (f" ({lines[0][:200]})" if lines else "")
    )
