"""ultralytics kept to itself: no network, no settings of the user, no words on the terminal."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.errors import ConfigError

# What ultralytics would switch on by itself: telemetry, and trackers that happen to be installed.
_OFF = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def isolate() -> None:
    """Prepare the first import of ultralytics; without effect where it was imported before.

    Raises ConfigError when ultralytics is not installed.

    It reads these once, at import: no look for a network, no download, no pip, and a settings
    folder that goes with the process.
    """
    if importlib.util.find_spec("ultralytics") is None:
        raise ConfigError(
            ["backend yolo needs ultralytics (AGPL-3.0): pip install 'cvat-active-learning[yolo]'"]
        )
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    if "YOLO_CONFIG_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="ultralytics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["YOLO_CONFIG_DIR"] = folder


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Within, ultralytics writes its words into log and calls nobody; all is restored after."""
    isolate()
    from ultralytics.utils import LOGGER, SETTINGS
    from ultralytics.utils.events import events

    kept = {name: SETTINGS[name] for name in _OFF}
    handlers, level, enabled = LOGGER.handlers[:], LOGGER.level, events.enabled
    writer = logging.FileHandler(log, encoding="utf-8")
    # dict.update, since the settings' own update would write the user's file.
    dict.update(SETTINGS, dict.fromkeys(_OFF, False))
    LOGGER.handlers, events.enabled = [writer], False
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        dict.update(SETTINGS, kept)
        LOGGER.handlers, events.enabled = handlers, enabled
        LOGGER.setLevel(level)
        writer.close()
