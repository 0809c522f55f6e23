"""What CVAT calls: the wire form, the function host, one folder an engine."""

from serverless.moved_names import MOVED
from trainer.moved import moved

moved(MOVED)
