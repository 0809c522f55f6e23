"""A small stand-in for a CVAT 2.73 server, on SQLite and files.

The unmodified cvat-sdk and cvat-cli work against it for all that the bridge uses, so that tests
and the demo need no CVAT. `serve` runs it in this process, `running` in one of its own.
"""

from cvat_bridge.sandbox.accounts.users import SandboxUser
from cvat_bridge.sandbox.process import Sandbox, running
from cvat_bridge.sandbox.serving import serve

__all__ = ["Sandbox", "SandboxUser", "running", "serve"]
