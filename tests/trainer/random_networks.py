"""Networks with random weights that tell places apart, as learnt ones do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.trainer.agreement import Seen
from trainer.backends.semantic.export import MEAN, STD, logits_of
from trainer.backends.semantic.networks import build as build_segmenter
from trainer.backends.torchvision_detection.networks import build


def detector(
    architecture: str,
    classes: tuple[str, ...],
    size: tuple[int, int],
    *,
    seed: int = 3,
    brief: bool = False,
    images: torch.Tensor | None = None,
) -> nn.Module:
    """Return a detector in evaluation. As it comes, every place has about the same score.

    brief: fewer regions and objects than usual, for time alone. images: (B, 3, H, W) of 0..1 to
    be told apart, else noise.

    The normalisations count noise, so that maps have a spread; then the heads that choose are
    made louder, so that chance does not decide who is best.
    """
    torch.manual_seed(seed)
    network = build(architecture, classes, image_size=size)
    if images is not None:
        count(network.backbone, network.transform([*images])[0].tensors)
        _tell_apart(network.eval(), images, brief=brief)
        return network
    settle(network.backbone, (min(size[0], 160), min(size[1], 224)))
    with torch.no_grad():
        if hasattr(network, "roi_heads"):
            if brief:
                _shorten(network)
            network.rpn.head.cls_logits.weight *= 20
            network.roi_heads.box_predictor.cls_score.weight *= 20
            if network.roi_heads.has_mask():
                network.roi_heads.mask_predictor.mask_fcn_logits.weight *= 8
        else:
            head = network.head.classification_head.cls_logits
            head.weight *= 20
            head.bias += 2
    return network.eval()


def _shorten(network: Any) -> None:
    network.rpn._post_nms_top_n["testing"] = 100
    network.roi_heads.detections_per_img = 12


def _tell_apart(network: Any, images: torch.Tensor, *, brief: bool) -> None:
    """Let the heads that choose have a spread over these images, one after the other."""

    def run() -> None:
        network([*images])

    if not hasattr(network, "roi_heads"):
        spread([network.head.classification_head.cls_logits], run, above=0.005)
        return
    if brief:
        _shorten(network)
    spread([network.rpn.head.cls_logits], run)
    spread([network.roi_heads.box_predictor.cls_score], run)
    if network.roi_heads.has_mask():
        spread([network.roi_heads.mask_predictor.mask_fcn_logits], run)


def segmenter(
    architecture: str,
    classes: int,
    images: torch.Tensor,
    *,
    seed: int = 1,
    foreground: float | None = None,
) -> nn.Module:
    """Return a segmentation network in evaluation, of which every class wins somewhere.

    images: (B, 3, H, W) of 0..255, on which its answers are made to have a spread. foreground:
    the share of their pixels that shall be another class than the background, in fewer regions.
    """
    torch.manual_seed(seed)
    made: Any = build_segmenter(architecture, classes)
    mean, std = (images.new_tensor(values)[None, :, None, None] for values in (MEAN, STD))
    count(made.backbone, (images / 255 - mean) / std)
    made.eval()
    heads = [m for m in made.classifier.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        logits = logits_of(made, images)[0]
        heads[-1].bias -= logits.mean(dim=(0, 2, 3))
        for head in (h for h in heads if h.out_channels == classes + 1):
            head.weight *= 3 / logits.std()
            head.bias *= 3 / logits.std()
        if foreground is not None:
            finer = getattr(made.classifier, "low_classifier", None)  # of lraspp: the restless map
            if finer is not None:
                finer.weight *= 0.25
            logits = logits_of(made, images)[0]
            lead = (logits[:, 1:].amax(1) - logits[:, 0]).flatten().sort().values
            heads[-1].bias[0] += lead[-int(foreground * len(lead))]
    network: nn.Module = made
    return network


def ultralytics_network(
    name: str,
    labels: Sequence[str],
    size: tuple[int, int],
    *,
    one_to_one: bool = False,
    images: torch.Tensor | None = None,
    above: float = 0.005,
) -> Any:
    """Return a network of ultralytics' yaml whose answers are many, sure and different everywhere.

    In 16 bits, as ultralytics writes files. one_to_one: with the head that suppresses nothing.
    images: (B, 3, *size) of 0..1 to be told apart, with a score above 1/4 at this share of the
    places; else noise.
    """
    from trainer.backends.yolo.offline import isolate

    isolate()
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel

    torch.manual_seed(0)
    kind: Any = SegmentationModel if name.endswith("-seg") else DetectionModel
    model = kind(f"{name}.yaml", nc=len(labels), verbose=False).train()
    model.names = dict(enumerate(labels))
    gains = {"cv2": 3, "cv3": 100, "cv4": 5}
    with torch.no_grad():
        for _ in range(12 if images is None else 0):
            model(torch.rand(4, 3, *size))  # settles the norms
        for part, gain in gains.items():
            for heads in (part, f"one2one_{part}"):
                for layer in getattr(model.model[-1], heads, None) or ():
                    layer[-1].weight.mul_(gain)
                    if part == "cv3":
                        layer[-1].bias.normal_(-1, 0.3)
        if images is not None:
            count(model, images)
            heads = [branch[-1] for branch in model.eval().model[-1].cv3]
            spread(heads, lambda: model(images), above=above)
    if one_to_one:
        model.model[-1].end2end = True
    return model.half().eval()


def spread(layers: Sequence[Any], run: Callable[[], object], *, above: float | None = None) -> None:
    """Let the logits of layers have a mean of 0 and a spread of 1.5 over what run shows them.

    above: the share of the places that shall have a probability above 1/4 instead.
    """
    told: list[torch.Tensor] = []
    hooks = [layer.register_forward_hook(lambda *known: told.append(known[2])) for layer in layers]
    with torch.no_grad():
        run()
        for hook in hooks:
            hook.remove()
        logits = torch.cat([answer.transpose(0, 1).flatten(1) for answer in told], dim=1)
        mean, gain = logits.mean(1), 1.5 / logits.std(1)
        scaled = ((logits - mean[:, None]) * gain[:, None]).flatten().sort().values
        shift = 0.0 if above is None else -float(scaled[-int(above * len(scaled))]) - np.log(3)
        for layer in layers:
            layer.weight.mul_(gain.view(-1, *[1] * (layer.weight.ndim - 1)))
            layer.bias.copy_((layer.bias - mean) * gain + shift)


def torchvision_saw(network: nn.Module, image: NDArray[np.uint8], names: Sequence[str]) -> Seen:
    """Return what torchvision says of an image (H, W, 3) by itself; boxes of no area are none.

    Its usual limits of 100 and 300 objects are lifted: an engine has none of its own.
    """
    for part in (network, getattr(network, "roi_heads", network)):
        if getattr(part, "detections_per_img", 0) in (100, 300):
            part.detections_per_img = 100_000  # type: ignore[assignment]
    with torch.inference_mode():
        (found,) = network([torch.from_numpy(image).permute(2, 0, 1).float() / 255])
    drawn = (found["boxes"][:, 2:] > found["boxes"][:, :2]).all(dim=1)
    found = {name: values[drawn] for name, values in found.items()}
    first = int(hasattr(network, "roi_heads"))
    return Seen(
        found["boxes"].double().numpy(),
        found["scores"].double().numpy(),
        [names[n - first] for n in found["labels"].tolist()],
        [mask[0].numpy() >= 0.5 for mask in found["masks"]] if "masks" in found else None,
    )


def settle(part: nn.Module, size: tuple[int, int]) -> None:
    """Let the normalisations of a network count a few images of noise."""
    with torch.no_grad():
        part.train()
        for _ in range(20):
            coarse = torch.randn(2, 3, size[0] // 8, size[1] // 8)
            part(nn.functional.interpolate(coarse, size=size, mode="bilinear"))
        part.eval()


def count(part: nn.Module, images: torch.Tensor) -> None:
    """Let the normalisations of a network count these images and no others."""
    norms = [norm for norm in part.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        part.train()
        part(images)
        part.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
