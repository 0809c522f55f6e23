"""The score from which a model's answers count, where nobody says."""

from __future__ import annotations

import numpy as np

from cvat_bridge.evaluations.table import EvaluationTable

_UNKNOWN = 0.3  # where no answer is right


def best_threshold(evaluated: EvaluationTable) -> float:
    """Return the score at which F1 over all classes is best, rounded down to a hundredth."""
    scores, right = evaluated.answers.score, evaluated.answers.right >= 0
    if not right.any():
        return _UNKNOWN
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(right[order])
    f1 = 2 * found / (np.arange(1, len(order) + 1) + len(evaluated.objects))
    return float(np.floor(scores[order[int(np.argmax(f1))]] * 100) / 100)
