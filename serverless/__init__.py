"""The functions that CVAT calls: wire format, function host, one folder per engine."""

from serverless.moved_names import MOVED, RENAMED
from trainer.moved import moved

moved(MOVED, renamed=RENAMED)
