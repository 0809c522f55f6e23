"""What a model found in a frame, as the shapes that the frame still lacks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cvat_bridge.annotate.existing_shapes import ExistingShapes
from cvat_bridge.annotate.inference import FrameInference
from cvat_bridge.annotate.plan import TaskAnnotationPlan, reach_key
from cvat_bridge.cvat.gateway import RawShape
from cvat_bridge.ledger.records import AnnotatedFrame
from cvat_bridge.masks.making import mask_of, wants_mask
from cvat_bridge.shapes.detection_shapes import shapes_from_detection
from serverless.errors import ModelError
from trainer.detections import Detections


def frame_row(
    plan: TaskAnnotationPlan,
    seen: FrameInference,
    job_id: int,
    model: str,
    earlier: AnnotatedFrame | None,
    existing: ExistingShapes,
) -> tuple[AnnotatedFrame, Counter[str]]:
    """Return what a job shall hold more on a frame, and what of it stands there already, by label.

    earlier: what this model brought before.
    """
    reach = dict(earlier.reach) if earlier else {}
    found_shapes = shapes_of(plan, seen, reach, first_group=existing.next_group)
    names = {label.id: label.name for label in plan.labelling.label_of.values()}
    new = [shape for shape in found_shapes if not existing.has(shape)]
    doubled = Counter(names[int(s["label_id"])] for s in found_shapes if existing.has(s))
    for key, score in plan.least.items():
        reach[key] = min(score, reach.get(key, score))
    objects = len(new) + (earlier.objects if earlier else 0)
    return AnnotatedFrame(job_id, seen.frame, model, reach, objects, tuple(new)), doubled


def unwritten(plan: TaskAnnotationPlan, seen: FrameInference) -> Counter[str]:
    """Count what was found in a frame of the classes that have no label. Pure."""
    found = seen.found
    if found is None or not plan.unlabelled:
        return Counter()
    names = plan.classes
    known = [n for n in range(len(found)) if 0 <= found.class_ids[n] < len(names)]
    return Counter(
        name
        for name, score in ((names[found.class_ids[n]], found.scores[n]) for n in known)
        if score >= plan.unlabelled.get(name, 2.0)
    )


def boxes_to_mask(plan: TaskAnnotationPlan, found: Detections) -> list[int]:
    """Return the rows of the boxes that are written as masks or polygons. Pure."""
    rows = []
    for i in range(len(found)):
        label = plan.labelling.label_of.get(int(found.class_ids[i]))
        if label is None or not wants_mask(label, found):
            continue
        name = plan.classes[int(found.class_ids[i])]
        if float(found.scores[i]) >= plan.least[reach_key(label.id, name)]:
            rows.append(i)
    return rows


def maskless(plan: TaskAnnotationPlan, seen: FrameInference) -> Counter[str]:
    """Count the boxes in which nothing was found that could be written, by class. Pure."""
    found = seen.found
    if found is None:
        return Counter()
    return Counter(
        plan.classes[int(found.class_ids[row])] for row, mask in seen.made.items() if mask is None
    )


def shapes_of(
    plan: TaskAnnotationPlan,
    seen: FrameInference,
    reach: Mapping[str, float],
    *,
    first_group: int = 1,
) -> list[RawShape]:
    """Write what was found in a frame as shapes, best first.

    first_group: number of the first group that an object in several pieces makes.
    reach: score from which "<label id>:<class>" was written before, so that it is not again, not
    even where a person has deleted it since. What has no area inside the image is left out, and
    a box without a mask whose label takes masks or polygons. Raises ModelError for a class that
    the model does not have.
    """
    found = seen.found
    shapes: list[RawShape] = []
    if found is None:
        return shapes
    group = first_group
    for i in range(len(found)):
        class_id, score = int(found.class_ids[i]), float(found.scores[i])
        if not 0 <= class_id < len(plan.classes):
            raise ModelError(
                f"the model answered class {class_id} on frame {seen.frame}; it has "
                f"{len(plan.classes)}: {', '.join(plan.classes)}"
            )
        label = plan.labelling.label_of.get(class_id)
        if label is None:
            continue
        key = reach_key(label.id, plan.classes[class_id])
        if not plan.least[key] <= score < reach.get(key, 2.0):
            continue
        try:
            parts = shapes_from_detection(
                label=label,
                frame=seen.frame,
                box=found.boxes[i].tolist(),
                score=score,
                width=seen.width,
                height=seen.height,
                mask=mask_of(found, i, seen.made),
                group=group,
            )
        except ValueError:  # no area, or no mask
            continue
        group += len(parts) > 1
        shapes += parts
    return shapes
