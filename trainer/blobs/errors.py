"""What can go wrong with a store, in words: no such bucket, no rights, no space, wrong bytes."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from trainer.errors import BlobDamagedError, BlobError, BlobMissingError
from trainer.machine.storage_faults import storage_fault

__all__ = ["BlobDamagedError", "BlobError", "BlobMissingError"]


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Raise BlobError, with what to do, for whatever a file system raises in here."""
    try:
        yield
    except BlobError:
        raise
    except _failures() as error:
        raise BlobError(where, reason_of(error)) from error


def reason_of(error: BaseException) -> str:
    """Say why a store failed and what to do about it."""
    text = " ".join(str(error).split()) or type(error).__name__
    low = text.lower()
    if no_such_bucket(error):
        return f"{text}; create the bucket, or correct the address"
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return (
            f"{text}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or a "
            "profile or role that botocore finds"
        )
    if isinstance(error, PermissionError) and error.filename is None:
        return f"{text}; give this account the right to list, read, write and delete there"
    if "connect" in low and not isinstance(error, (PermissionError, FileNotFoundError)):
        return f"{text}; is the server running, and is AWS_ENDPOINT_URL its address?"
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        return f"no answer in time ({text}); it is tried again with the next attempt"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{storage_fault(error)}. Nothing that was stored before is touched"
    return storage_fault(error) or text


def no_such_bucket(error: BaseException) -> bool:
    """Whether the whole bucket is missing, where a file of it was asked for."""
    return any(words in str(error) for words in ("NoSuchBucket", "bucket does not exist"))


def _failures() -> tuple[type[BaseException], ...]:
    """Return what file systems raise; libraries that are not loaded cannot have raised."""
    found: list[type[BaseException]] = [OSError, asyncio.TimeoutError]
    if botocore := sys.modules.get("botocore.exceptions"):
        found += [botocore.BotoCoreError, botocore.ClientError]
    if aiohttp := sys.modules.get("aiohttp"):
        found.append(aiohttp.ClientError)
    return tuple(found)


def is_folder_address(address: str) -> bool:
    """Whether an address names a folder of this machine."""
    return "://" not in address or address.startswith("file://")
