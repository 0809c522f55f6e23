"""CVAT through one seam, the round, the service, the command line and the sandbox."""

from cvat_bridge.moved_names import KEYWORDS, MOVED, RENAMED
from trainer.moved import moved

moved(MOVED, packages=["cvat_bridge.round"], renamed=RENAMED, keywords=KEYWORDS)
