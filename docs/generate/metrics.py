"""The reference of the Prometheus metrics, from the two registries."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from cvat_bridge.service.figures import LoopFigures
from cvat_bridge.service.service import make_app
from docs.generate.tables import code, table
from serverless.host.figures import Figures

INTRODUCTION = """# Metrics

Both processes offer `GET /metrics` in Prometheus' text form. Counters carry the suffix `_total`;
a histogram gives `_bucket`, `_sum` and `_count`.
"""


def registries() -> dict[str, CollectorRegistry]:
    """Return the registry of each process."""
    registry = LoopFigures(CollectorRegistry()).registry
    # Registers the webhooks' counter.
    make_app(dict, registry=registry, secret="", token="")
    return {
        "cvat-bridge run": registry,
        "python -m serverless.host": Figures().registry,
    }


def rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    """Give name, kind, labels and meaning of each metric."""
    for collector in dict.fromkeys(registry._collector_to_names):  # noqa: SLF001 - no public list
        assert isinstance(collector, MetricWrapperBase)  # noqa: S101 - we register no other kind
        for metric in collector.describe():
            suffix = "_total" if metric.type == "counter" else ""
            labels = ", ".join(code(name) for name in collector._labelnames)  # noqa: SLF001
            yield f"{metric.name}{suffix}", metric.type, labels, metric.documentation


def page() -> str:
    """Return the page."""
    parts = [INTRODUCTION]
    for process, registry in registries().items():
        found = [(code(name), kind, labels, text) for name, kind, labels, text in rows(registry)]
        parts.append(f"## {process}\n\n{table(('metric', 'kind', 'labels', 'meaning'), found)}\n")
    return "\n".join(parts)
