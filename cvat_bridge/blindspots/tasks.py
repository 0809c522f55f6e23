"""Frames that a person asked for become a ranked, pre-annotated CVAT task."""

from __future__ import annotations

from cvat_bridge.blindspots.types import CreatedTask, TaskPlan, TaskRequest
from cvat_bridge.loop.parts import Parts


def plan_task(parts: Parts, request: TaskRequest) -> TaskPlan:
    """Say what create_task would do now; writes nothing. Raises what create_task raises."""
    raise NotImplementedError


def create_task(parts: Parts, request: TaskRequest) -> CreatedTask:
    """Make the task with its jobs, pre-annotations and assignees, and record who asked for it.

    The same request.key again finds what it made, also after a kill half-way. Raises
    NothingToDoError when people have taken every frame, ConfigError for an assignee that CVAT does
    not show, GatewayError, NotReadyError, LedgerError.
    """
    raise NotImplementedError
