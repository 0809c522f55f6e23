"""`python -m tests.bench.leaking [--only text]`: provoke them and say where a secret was seen."""

from __future__ import annotations

import argparse
import sys

from tests.bench.leaking.provoking import provoke_all


def main() -> int:
    """Return 1 where a secret came to light."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.leaking")
    parser.add_argument("--only", default="", help="those whose name holds this text")
    leaks = 0
    for name, seen in provoke_all(parser.parse_args().only):
        leaks += bool(seen.places)
        print(
            f"{'LEAK ' + ', '.join(seen.places) if seen.places else 'held'}: {name} ({seen.code})"
        )
    return int(leaks > 0)


if __name__ == "__main__":
    sys.exit(main())
