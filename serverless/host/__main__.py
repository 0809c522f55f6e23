"""`python -m serverless.host`: the function host as a process."""

from __future__ import annotations

# The processes of the workers import this module again and must not start another host.
if __name__ == "__main__":
    import sys

    from serverless.host.server import main

    sys.exit(main())
