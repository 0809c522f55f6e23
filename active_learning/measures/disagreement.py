"""Disagreement between passes or models about an object: Objects.disagreement, 0..1.

A pass is the same model on a transformed image (flipped, scaled), with boxes mapped back. Models
are checkpoints or fits with other seeds. When a model is confident but wrong, its probabilities do
not show it, but its predictions on a transformed image often differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.measures.boxes import iou
from active_learning.pool import FloatArray


def between_passes(
    boxes: FloatArray,
    probabilities: FloatArray,
    passes: Sequence[tuple[FloatArray, FloatArray]],
    *,
    head: str = "sigmoid",
) -> FloatArray:
    """Return (M,) in 0..1: how far other passes over one frame differ from its M objects.

    boxes (M, 4), probabilities (M, C): the frame's objects. passes: (boxes (K, 4), probabilities
    (K, C)) of each other pass, boxes in the same pixels. Each object is paired with the box of the
    pass that overlaps it most; the pair differs by (1 - IoU + JS) / 2, JS being the Jensen-Shannon
    divergence in bits, of a sigmoid head that of its most differing class. An object without a
    counterpart in a pass differs by 1. Returns the mean over passes.

    After CALD: Yu et al., "Consistency-based active learning for object detection", CVPRW 2022
    (arXiv 2103.10374), whose metric adds IoU and confidence-weighted 1 - JS, and prefers frames
    near a base value of 1.3 over those with the least consistency; here more difference is always
    more informative, and confidence does not weigh.
    Raises InvalidPoolError on shapes that do not fit or no pass at all.
    """
    _check_pair("the frame", boxes, probabilities)
    if not passes:
        raise InvalidPoolError("disagreement needs at least one other pass over the frame")
    found = np.zeros(len(boxes))
    for number, (other_boxes, other) in enumerate(passes):
        _check_pair(f"pass {number}", other_boxes, other)
        if not len(other_boxes) or not len(boxes):
            found += 1.0
            continue
        if other.shape[1] != probabilities.shape[1]:
            raise InvalidPoolError(
                f"pass {number} has {other.shape[1]} classes, the frame {probabilities.shape[1]}"
            )
        overlaps = iou(boxes, other_boxes)
        partner = overlaps.argmax(axis=1)
        overlap = overlaps[np.arange(len(boxes)), partner]
        apart = (1 - overlap + jensen_shannon(probabilities, other[partner], head=head)) / 2
        found += np.where(overlap > 0, apart, 1.0)
    return found / len(passes)


def jensen_shannon(left: FloatArray, right: FloatArray, *, head: str = "softmax") -> FloatArray:
    """Return (M,) Jensen-Shannon divergence in bits, 0..1, of two (M, C) rows of probabilities.

    H((p + q) / 2) - (H(p) + H(q)) / 2. A softmax row is one distribution, whose remainder to 1 is
    the background; a sigmoid row is C binary distributions, of which the largest divergence counts.
    """
    p, q = _outcomes(left, head), _outcomes(right, head)
    bits = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return np.asarray(np.clip(bits / np.log(2), 0, 1).max(axis=1, initial=0))


def mutual_information(passes: FloatArray, *, head: str = "softmax") -> FloatArray:
    """Return (M,) in 0..1: mutual information of prediction and model, as a share of its maximum.

    passes: (T, M, C) probabilities of the same M objects by T models, T >= 2. H(mean p) - mean H(p)
    (BALD: Houlsby et al. 2011, arXiv 1112.5745; with an ensemble: Beluch et al., CVPR 2018),
    divided by ln min(T, outcomes). For a sigmoid head the largest of its C values counts.
    """
    if passes.ndim != 3 or len(passes) < 2:
        raise InvalidPoolError(
            f"mutual information needs (T, M, C) with T of 2 or more, found {passes.shape}"
        )
    if not np.isfinite(passes).all():
        raise InvalidPoolError("the models' probabilities contain a value that is not finite")
    outcomes = np.stack([_outcomes(one, head) for one in passes])
    gain = _entropy(outcomes.mean(axis=0)) - np.mean([_entropy(one) for one in outcomes], axis=0)
    most = np.log(min(len(passes), outcomes.shape[-1]))
    return np.asarray(np.clip(gain / most, 0, 1).max(axis=1, initial=0))


def localisation(passes: FloatArray) -> FloatArray:
    """Return (M,) in 0..1: 1 - mean IoU of T boxes of an object with their mean box.

    passes: (T, M, 4) boxes of the same M objects by T passes or models.
    """
    if passes.ndim != 3 or passes.shape[2] != 4 or not len(passes):
        raise InvalidPoolError(f"localisation needs (T, M, 4) boxes, found {passes.shape}")
    centre = passes.mean(axis=0)
    each = [np.diagonal(iou(one, centre)) for one in passes]
    return np.asarray(1 - np.mean(each, axis=0))


def unflip(boxes: FloatArray, width: float) -> FloatArray:
    """Map (K, 4) boxes of a frame mirrored left to right back to the frame, `width` pixels wide."""
    mirrored = boxes.copy()
    mirrored[:, 0], mirrored[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return mirrored


def _check_pair(name: str, boxes: FloatArray, probabilities: FloatArray) -> None:
    if boxes.shape != (len(probabilities), 4) or probabilities.ndim != 2:
        raise InvalidPoolError(
            f"{name} must have (K, 4) boxes and (K, C) probabilities, found {boxes.shape} and "
            f"{probabilities.shape}"
        )
    if not (np.isfinite(boxes).all() and np.isfinite(probabilities).all()):
        raise InvalidPoolError(f"{name} contains a value that is not finite")


def _outcomes(p: FloatArray, head: str) -> FloatArray:
    """Return (M, questions, outcomes)."""
    if head == "sigmoid":
        return np.stack([p, 1 - p], axis=-1)
    rest = np.maximum(0, 1 - p.sum(axis=1, keepdims=True))
    return np.concatenate([p, rest], axis=1)[:, None, :]


def _entropy(p: FloatArray) -> FloatArray:
    return np.asarray((-p * np.log(np.where(p > 0, p, 1))).sum(axis=-1))
