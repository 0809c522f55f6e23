"""The host's Prometheus figures."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Figures:
    """Counters of one host, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.calls = Counter(
            "function_calls_total",
            "Calls answered, by function and HTTP status",
            ["function", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "function_call_seconds",
            "Wall time of a call, decoding and encoding included",
            ["function"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.batch = Histogram(
            "function_batch_images",
            "Images answered by one run of a model",
            ["function"],
            buckets=(1, 2, 4, 8, 16, 32),
            registry=registry,
        )
        self.loads = Counter(
            "function_model_loads_total",
            "Models loaded, by function and result",
            ["function", "result"],
            registry=registry,
        )
        self.maskless = Counter(
            "function_boxes_without_mask_total",
            "Boxes that were to become masks and were not sent, since none was found in them",
            ["function"],
            registry=registry,
        )
        self.unreadable = Counter(
            "function_unreadable_images_total",
            "Images that could not be read; a detector answered them as empty and said so",
            ["function"],
            registry=registry,
        )
        self.faults = Counter(
            "function_process_failures_total",
            "Processes of models that crashed or were ended at a limit, by function",
            ["function"],
            registry=registry,
        )
        self.models = Gauge("function_models_held", "Models in memory", registry=registry)
        self.held_bytes = Gauge(
            "function_models_held_bytes", "Memory that the models take, in bytes", registry=registry
        )
