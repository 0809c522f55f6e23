"""`python -m cvat_bridge.cli`: the program `cvat-bridge`."""

from __future__ import annotations

import sys

from cvat_bridge.cli.app import main

sys.exit(main())
