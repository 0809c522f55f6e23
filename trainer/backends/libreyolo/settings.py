"""The backend's own settings, read from FitConfig.extra and validated together; no torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from importlib.util import find_spec

from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.backend_settings import SHARED_RULES, FrameSettings, Rule, read_extra
from trainer.backends.libreyolo.families import (
    ARCHITECTURES,
    REFUSED,
    STRIDE,
    family_of,
)
from trainer.backends.libreyolo.published import PUBLISHED
from trainer.detector import FitConfig
from trainer.errors import ConfigError

_USUAL = "dfine_s"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LibreyoloSettings(FrameSettings):
    """Keys of FitConfig.extra; each has a default that works. The others: see FrameSettings.

    architecture: one of ARCHITECTURES; if unset, that of the base, or a default. pretrained: start
    from its published COCO weights. weights_sha256: of that file, when deploy/weights.lock does not
    list it, or to override it.
    """

    architecture: str | None = None
    pretrained: bool = False
    weights_sha256: str | None = None
    weight_decay: float = 1e-4

    def resolved(self, base: str | None = None) -> LibreyoloSettings:
        """Return the settings with the architecture filled in. base: the base's architecture."""
        return replace(self, architecture=self.architecture or base or _USUAL)


_RULES: dict[str, Rule] = {
    **SHARED_RULES,
    "architecture": (
        lambda v: v is None or v in ARCHITECTURES,
        f"one of {', '.join(ARCHITECTURES)}",
    ),
    "weights_sha256": (
        lambda v: v is None or (isinstance(v, str) and _SHA256.fullmatch(v) is not None),
        "64 lower-case hexadecimal digits",
    ),
}


def read_settings(config: FitConfig) -> LibreyoloSettings:
    """Validate a config and return the settings in its extra; ConfigError lists every fault."""
    values, faults = read_extra(config, LibreyoloSettings, _RULES)
    faults += [
        *_refusal(config.extra.get("architecture")),
        *missing_libraries(values.get("architecture")),
    ]
    if values.get("pretrained"):
        faults += _pretrained_faults(config, values.get("architecture"), values)
    elif values.get("weights_sha256"):
        faults.append("extra.weights_sha256 needs extra.pretrained=true")
    faults += shared_faults(config)
    if faults:
        raise ConfigError(faults)
    return LibreyoloSettings(**values)


def network_size(config: FitConfig) -> tuple[int, int]:
    """Return image_size with each side rounded up to a multiple of STRIDE."""
    height, width = (math.ceil(side / STRIDE) * STRIDE for side in config.image_size)
    return height, width


def _pretrained_faults(config: FitConfig, name: object, values: dict[str, object]) -> list[str]:
    faults = []
    if config.base is not None:
        faults.append("extra.pretrained and base contradict each other: start from one of them")
    known = name if name in PUBLISHED else _USUAL
    file = PUBLISHED[str(known)]
    if not (file.sha256 or values.get("weights_sha256")):
        faults.append(
            f"extra.pretrained: no sha256 of {file.name} is known here, and unknown weights are "
            f"not loaded. Download {file.url}, check it, and set extra.weights_sha256 to its sha256"
        )
    return faults


def _refusal(name: object) -> list[str]:
    family = str(name).partition("_")[0]
    return [f"extra.architecture {name}: {REFUSED[family]}"] if family in REFUSED else []


def missing_libraries(name: object) -> list[str]:
    """Return a sentence for each library that an architecture needs but is not installed."""
    required = [("libreyolo", "libreyolo")]
    if name in ARCHITECTURES and (needs := family_of(str(name)).needs):
        required.append(needs)
    return [
        f"backend libreyolo needs {module}: pip install 'cvat-active-learning[{extra}]'"
        for module, extra in required
        if find_spec(module) is None
    ]
