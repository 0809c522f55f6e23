"""`python -m serverless.host`: the function host as a process."""

from __future__ import annotations

import sys

from serverless.host.server import main

sys.exit(main())
