"""Everything said to CVAT: the gateway, and cvat-sdk behind it."""
