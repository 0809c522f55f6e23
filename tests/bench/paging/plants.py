"""Blind spots to plant: which objects of a set a model is to fail on.

A plant is told by its own rule on the annotations and pixels, not by the page's quarters: the
darkest 30 % of the frames, the smallest 30 % of the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cvat_bridge.evaluations.attributes import FrameAppearance, box_attributes
from trainer.data.annotations import AnnotatedImage, AnnotatedObject

Picks = Callable[[AnnotatedImage, AnnotatedObject], bool]


@dataclass(frozen=True)
class Plant:
    """picks: the objects that belong to it. found_by: (attribute, value) of slices that name it.

    A pair counts as naming it when each of its conditions is of the plant (a plant of two
    conditions has both in found_by), or one is and the other is any.
    """

    name: str
    picks: Picks
    found_by: frozenset[tuple[str, str]]


def plants(
    images: list[AnnotatedImage],
    looks: Mapping[str, FrameAppearance],
    classes: tuple[str, ...],
    tasks: Mapping[str, int],
) -> list[Plant]:
    """Return the plants that this set has enough objects for.

    looks, tasks: of each frame by file name.
    """
    measures = {
        id(item): row
        for image in images
        for item, row in zip(image.objects, _measured(image), strict=True)
    }
    sizes = np.array([row[0] for row in measures.values()])
    small, large = np.quantile(sizes, [0.3, 0.8])

    def look(name: str, share: float) -> Picks:
        values = np.array([getattr(looks[image.file_name], name) for image in images])
        cut = np.quantile(values, abs(share))
        if share < 0:
            return lambda i, o: bool(getattr(looks[i.file_name], name) >= cut)
        return lambda i, o: bool(getattr(looks[i.file_name], name) <= cut)

    def box(test: Callable[[np.ndarray], bool]) -> Picks:
        return lambda i, o: bool(test(measures[id(o)]))

    counts = np.bincount([o.class_id for i in images for o in i.objects], minlength=len(classes))
    often, several = int(np.argmax(counts)), len(classes) > 1
    found = [
        Plant("dark frames", look("brightness", 0.3), frozenset({("brightness", "dark")})),
        Plant("bright frames", look("brightness", -0.75), frozenset({("brightness", "bright")})),
        Plant("blurred frames", look("sharpness", 0.3), frozenset({("sharpness", "blurred")})),
        Plant("small objects", box(lambda row: row[0] <= small), frozenset({("size", "small")})),
        Plant("large objects", box(lambda row: row[0] >= large), frozenset({("size", "large")})),
        Plant("border objects", box(lambda row: row[2] <= 0.01), frozenset({("place", "border")})),
        Plant(
            "crowded objects", box(lambda row: row[3] >= 3), frozenset({("crowding", "crowded")})
        ),
        Plant(
            f"{classes[often]} wider than tall",
            lambda i, o: o.class_id == often and measures[id(o)][1] > 0.4,
            frozenset({("shape", "wide")} | ({("class", classes[often])} if several else set())),
        ),
    ]
    for number, name in enumerate(classes):
        if len(classes) > 1 and number != often:
            found.append(_class_plant(number, name))
    if len(set(tasks.values())) > 1:
        task = min(tasks.values())
        found.append(
            Plant(
                f"scenes of task {task}",
                lambda i, o: tasks[i.file_name] == task,
                frozenset({("task", str(task))}),
            )
        )
    return [plant for plant in found if _enough(images, plant)]


def _class_plant(number: int, name: str) -> Plant:
    return Plant(f"class {name}", lambda i, o: o.class_id == number, frozenset({("class", name)}))


def _measured(image: AnnotatedImage) -> np.ndarray:
    boxes = np.array([o.box for o in image.objects], float).reshape(-1, 4)
    return box_attributes(boxes, image.width, image.height)


def _enough(images: list[AnnotatedImage], plant: Plant) -> bool:
    """Whether the plant is of at least 20 objects in 8 frames, and of less than half of all."""
    hits = [sum(plant.picks(image, item) for item in image.objects) for image in images]
    total = sum(len(image.objects) for image in images)
    return sum(hits) >= 20 and sum(n > 0 for n in hits) >= 8 and sum(hits) < total / 2


def names(plant: Plant, key: tuple[tuple[str, str], ...]) -> bool:
    """Whether a slice (attribute, value of each condition) names the plant."""
    return bool(set(key) & plant.found_by) and (
        len(plant.found_by) == 1 or plant.found_by <= set(key)
    )
