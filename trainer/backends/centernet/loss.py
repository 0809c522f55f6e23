"""Targets and losses: a focal loss on the heat map, IoU on the boxes near the centres."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from trainer.backends.centernet.network import STRIDE, CenterNetOutputs, decode_boxes

if TYPE_CHECKING:
    from torch import Tensor

BOX_WEIGHT = 5.0
_SPREAD = 0.54  # share of a box whose cells are trained on it (Liu et al., TTFNet, 2020)


def centre_maps(boxes: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return a Gaussian around each object's centre cell, (B, M, h, w), truncated at its radius.

    boxes: (B, M, 4) x1 y1 x2 y2 in input pixels; a box of no area gives zeros.
    """
    height, width = grid
    cx, cy = ((boxes[..., i] + boxes[..., i + 2]) / (2 * STRIDE) for i in (0, 1))
    w, h = ((boxes[..., i + 2] - boxes[..., i]) / STRIDE for i in (0, 1))
    columns = torch.arange(width, device=boxes.device)
    rows = torch.arange(height, device=boxes.device)
    # The centre cell itself must be 1, or no cell counts as a centre.
    dx = columns - cx.floor().clamp(0, width - 1)[..., None]
    dy = rows - cy.floor().clamp(0, height - 1)[..., None]
    rx, ry = (size.mul(_SPREAD / 2).floor() for size in (w, h))
    sx, sy = (((2 * r + 1) / 6).square().mul(2)[..., None] for r in (rx, ry))
    gx = torch.exp(-dx.square() / sx) * (dx.abs() <= rx[..., None])
    gy = torch.exp(-dy.square() / sy) * (dy.abs() <= ry[..., None])
    valid = ((w > 0) & (h > 0))[..., None, None]
    return gy[..., :, None] * gx[..., None, :] * valid


def loss(
    outputs: CenterNetOutputs, boxes: Tensor, class_ids: Tensor, weights: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its components.

    boxes: (B, M, 4) input pixels, rows of no area are padding. class_ids: (B, M). weights: (C,),
    see learning.balance.
    """
    batch, classes, height, width = outputs.heat.shape
    maps = centre_maps(boxes, (height, width))
    objects = max(int((maps.amax(dim=(2, 3)) > 0).sum()), 1)
    target = torch.zeros(batch, classes, height, width, device=maps.device)
    index = class_ids.clamp(0)[:, :, None, None].expand_as(maps)
    target.scatter_reduce_(1, index, maps, "amax")
    # The class weight applies to the whole map, so that scores stay comparable between classes.
    heat = (_focal(outputs.heat, target).sum(dim=(0, 2, 3)) * weights).sum() / objects
    box = BOX_WEIGHT * _box_loss(outputs, boxes, maps, weights[class_ids]) / objects
    return heat + box, {"heat": heat, "box": box}


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss of CornerNet (Law and Deng, 2018), alpha 2, beta 4."""
    probability = torch.sigmoid(logits)
    centre = target >= 1
    right = functional.logsigmoid(logits) * (1 - probability).square()
    wrong = functional.logsigmoid(-logits) * probability.square() * (1 - target).pow(4)
    return -torch.where(centre, right, wrong)


def _box_loss(outputs: CenterNetOutputs, boxes: Tensor, maps: Tensor, objects: Tensor) -> Tensor:
    """Return the weighted IoU loss of cells near centres; the smaller object owns a shared cell."""
    area = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    cost = torch.where(maps > 0, area[..., None, None], torch.inf)
    smallest, owner = cost.min(dim=1)  # (B, h, w)
    image, row, column = torch.nonzero(torch.isfinite(smallest), as_tuple=True)
    if not len(image):
        return outputs.sizes.sum() * 0
    which = owner[image, row, column]
    weights = maps[image, which, row, column]
    # Each object has the same weight, however many cells are assigned to it.
    total = torch.zeros(maps.shape[:2], device=maps.device).index_put_(
        (image, which), weights, accumulate=True
    )
    weights = weights / total[image, which] * objects[image, which]
    claimed = decode_boxes(outputs.sizes, outputs.offsets)[image, :, row, column]
    return ((1 - _giou(claimed, boxes[image, which])) * weights).sum()


def _giou(a: Tensor, b: Tensor) -> Tensor:
    """Return the generalised IoU (Rezatofighi et al., 2019) of rows of boxes, (N,)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inner = (high - low).clamp(0).prod(dim=1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    union = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1) - inner
    return inner / union.clamp(1e-6) - (hull - union) / hull.clamp(1e-6)
