"""Isolate ultralytics: no network access, no user settings, no terminal output."""

from __future__ import annotations

import atexit
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from trainer.errors import ConfigError

# What ultralytics enables by default: telemetry, and any experiment tracker that is installed.
_OFF = ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def isolate() -> None:
    """Import ultralytics without network checks, downloads, pip or user files.

    It reads its environment once, at import, so this has no effect if it is already imported.
    Raises ConfigError when it is not installed.
    """
    if "ultralytics" in sys.modules:
        return
    if importlib.util.find_spec("ultralytics") is None:
        raise ConfigError(
            ["backend yolo needs ultralytics (AGPL-3.0): pip install 'cvat-active-learning[yolo]'"]
        )
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_VERBOSE", "false")
    # Weight files create known classes only, and their network description is not evaluated.
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    ours = "YOLO_CONFIG_DIR" not in os.environ
    if ours:
        folder = tempfile.mkdtemp(prefix="ultralytics-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["YOLO_CONFIG_DIR"] = folder
    image_open = Image.open
    from ultralytics.utils import SETTINGS, USER_CONFIG_DIR

    if ours:  # for its processes on several devices, which read the file that this writes
        settings: Any = SETTINGS
        settings.update(dict.fromkeys(_OFF, False))
    # It replaces Pillow's open in the whole process by one that installs a HEIC reader with pip
    # at every broken image and then raises another error than Pillow.
    Image.open = image_open
    _lend_fonts(Path(USER_CONFIG_DIR))


def _lend_fonts(folder: Path) -> None:
    """Put a font where each fit looks for two, or it would download them."""
    import matplotlib as mpl

    lent = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        if not (folder / name).exists():
            (folder / name).symlink_to(lent)


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Redirect ultralytics' messages to log and disable its network calls while in the context."""
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
