"""Any of our models as a function of cvat-sdk, for cvat-cli and for CVAT's agents.

    cvat-cli task auto-annotate TASK --function-module cvat_bridge.function -p model=str:MODEL
    cvat-cli function create-native NAME --function-module cvat_bridge.function -p model=str:MODEL
    cvat-cli function run-agent ID --function-module cvat_bridge.function -p model=str:MODEL

Parameters (NAME=TYPE:VALUE), see `create`: model, config, label_type, min_score, confidence,
threads. Every shape carries its score.
"""

from __future__ import annotations

from pathlib import Path

from cvat_bridge.annotate.model import ChosenModel, choose_model
from cvat_bridge.annotate.native import Detection, Interaction
from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Attribute, Label
from cvat_bridge.errors import ConfigError
from cvat_bridge.home import Home
from cvat_bridge.masks.interactors import NO_INTERACTOR, can_show
from cvat_bridge.models.registries import registry_of
from cvat_bridge.models.serving import project_key
from cvat_bridge.projects import load_project
from serverless.store.confidence import NAME
from trainer.engines import load, load_interactor

LABEL_TYPES = ("rectangle", "polygon", "mask", "ellipse")


def create(
    model: str,
    config: str = "cvat-bridge.yaml",
    label_type: str = "",
    min_score: float | None = None,
    confidence: str = "",
    threads: int = 0,
) -> Detection | Interaction:
    """Load a model for the caller's lifetime.

    model: a bundle's folder, or a function or registry name of the configuration's home.
    config: is read only for names. label_type: of the labels it will be used on, where it is not
    the model's own (rectangle for boxes, mask for masks); the interactor that ships makes polygons
    and masks of boxes. min_score: used where the caller gives no threshold, else the model's own.
    confidence: declares an attribute of that name on every label and fills it: `text`, or
    `number:LOW,HIGH,STEP` exactly as the labels have it. threads: of one call, 0 for one a core.
    Raises ConfigError, BundleError.
    """
    faults = []
    if label_type and label_type not in LABEL_TYPES:
        faults.append(f"label_type must be one of {', '.join(LABEL_TYPES)}, found {label_type!r}")
    if min_score is not None and not 0 <= min_score <= 1:
        faults.append(f"min_score must lie in 0..1, found {min_score}")
    if faults:
        raise ConfigError(faults)
    chosen = _chosen(model, Path(config))
    bundle, many = chosen.bundle, threads or None
    if bundle.card.task == "interactor":
        return Interaction(load_interactor(bundle, threads=many))
    kind = label_type or ("mask" if bundle.card.task == "masks" else "rectangle")
    attributes = _confidence(confidence)
    labels = {
        class_id: Label(class_id, chosen.names[name], kind, attributes)
        for class_id, name in enumerate(bundle.card.labels)
        if name in chosen.names
    }
    if not can_show(bundle.card.task, kind):
        raise ConfigError([f"label_type {kind}: {NO_INTERACTOR}"])
    return Detection(chosen, load(bundle, threads=many), labels, min_score)


def _chosen(model: str, path: Path) -> ChosenModel:
    config = load_project(path, needed=False) if path.exists() else Config()
    home = Home.of(config)
    project = config.cvat.project
    return choose_model(
        model,
        store=config.function_host.store or home.functions,
        registry=lambda: registry_of(config, home),
        project_key=None if project is None else project_key(project),
        interactors=True,
    )


def _confidence(text: str) -> tuple[Attribute, ...]:
    """Read the parameter; the attribute's id is 0, the only one of its label."""
    kind, _, values = text.partition(":")
    numbers = tuple(value.strip() for value in values.split(",")) if values else ()
    if not text:
        return ()
    if (kind == "text" and not numbers) or (kind == "number" and len(numbers) == 3):
        return (Attribute(0, NAME, kind, numbers),)
    raise ConfigError([f"confidence must be text or number:LOW,HIGH,STEP, found {text!r}"])
