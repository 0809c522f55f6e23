"""The file system behind an address: a folder, or s3://bucket/path with credentials of botocore."""

from __future__ import annotations

import re
from typing import Any

import fsspec

from trainer.blobs.errors import BlobError, store_errors

_SCHEME = re.compile(r"([a-z0-9+]+)://", re.IGNORECASE)
_PRIVATE = re.compile(r"(?<=://)[^/@]*@")


def shown(address: str) -> str:
    """Return an address without a user and password in it."""
    return _PRIVATE.sub("", address)


def open_filesystem(address: str, *, timeout: float) -> tuple[Any, str]:
    """Return fsspec's file system and the path in it; nothing is asked of a server yet.

    timeout: seconds that a server may take to answer one request. Raises BlobError for an address
    that no installed library can serve.
    """
    scheme = _SCHEME.match(address)
    options = _s3(timeout) if scheme and scheme[1].lower() in ("s3", "s3a") else {}
    try:
        with store_errors(shown(address)):
            filesystem, path = fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        extra = "pip install 'cvat-active-learning[s3]'" if options else "install it"
        raise BlobError(
            shown(address), f"needs a library that is not here ({error}); {extra}"
        ) from error
    except ValueError as error:
        raise BlobError(
            shown(address), f"not an address of a store ({error}); use a folder or s3://bucket/path"
        ) from error
    if options:
        filesystem.retries = 1  # botocore tries again itself; both together take minutes
    return filesystem, str(path).rstrip("/")


def _s3(timeout: float) -> dict[str, Any]:
    return {
        # What another machine wrote must be seen at once.
        "use_listings_cache": False,
        "skip_instance_cache": True,
        "config_kwargs": {
            "connect_timeout": min(5.0, timeout),
            "read_timeout": timeout,
            "retries": {"max_attempts": 3, "mode": "standard"},
        },
    }
