"""Takes objects that are put into a bucket: a prefix for each authority, listed on a schedule.

* ``<prefix><authority>/inbox/...``; each version of each object is taken once, the oldest first. What was taken is
  remembered by its key on the record, so that nothing needs to be moved or deleted: the bucket's owner keeps it.
* Temporary names wait for their rename, which in a bucket is a copy under the right name.
* A bucket without versions gives each object's ETag and time instead of a version.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import structlog

from gateway.domain.names import AuthorityCode
from gateway.errors import GatewayError, StorageError
from gateway.intake.drops import Deliver, Known, inbox_folder, is_temporary, what_broke
from gateway.storage.s3 import open_object, translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

log = structlog.get_logger()

_JOIN_SECONDS = 10


class Seen(Protocol):
    """Knows what was taken before."""

    def is_taken(self, key: str) -> bool:
        """Tell whether a drop of this natural key is on record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """One version of one object."""

    object_name: str
    version: str
    """Empty where the bucket keeps no versions."""
    etag: str
    size: int
    at: datetime

    def key(self, bucket: str) -> str:
        """Return the natural key of the drop."""
        which = self.version or f"{self.etag.strip(chr(34))}.{int(self.at.timestamp() * 1000)}"
        return f"s3:{bucket}/{self.object_name}@{which}"


class S3Intake:
    """Polls a bucket.

    Args:
        client: see ``gateway.storage.s3.make_client``.
        bucket: where authorities put their files.
        prefix: before every authority's folder, for example ``returns/``; empty for none.
        deliver: takes one drop.
        known: which authorities exist now; asked at every poll.
        seen: what was taken before.
        poll_seconds: pause between two listings.
    """

    def __init__(
        self,
        client: S3Client,
        *,
        bucket: str,
        prefix: str = "",
        deliver: Deliver,
        known: Known,
        seen: Seen,
        poll_seconds: float,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._deliver = deliver
        self._known = known
        self._seen = seen
        self._poll_seconds = poll_seconds
        self._taken: set[str] = set()
        self._by_version = True
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll, in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="s3-intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the drop in hand. Stopping twice does no harm."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None

    def poll_once(self) -> int:
        """List once and take what is new. One object's trouble does not keep the others waiting.

        Returns:
            How many drops were taken.

        Raises:
            StorageError: the bucket could not be listed.
        """
        return sum(self._poll_authority(authority) for authority in sorted(self._known()))

    def _poll_authority(self, authority: AuthorityCode) -> int:
        base = f"{self._prefix}{authority}/"
        count = 0
        for found in sorted(self._listed(f"{base}inbox/"), key=lambda one: (one.at, one.object_name)):
            if self._stopping.is_set():
                break
            key = found.key(self._bucket)
            *folders, name = found.object_name.removeprefix(base).split("/")
            if not name or any(is_temporary(part) for part in (*folders, name)) or self._is_taken(key):
                continue
            try:
                self._take(authority, tuple(folders), name, found, key)
            except GatewayError as error:
                log.warning(
                    "an object could not be taken in; it is tried again", authority=authority, reason=str(error)
                )
            except Exception as error:  # noqa: BLE001 (one object keeps no other waiting)
                log.warning(
                    "an object could not be taken in; it is tried again", authority=authority, broke=what_broke(error)
                )
            else:
                count += 1
        return count

    def _take(self, authority: AuthorityCode, folders: tuple[str, ...], name: str, found: _Found, key: str) -> None:
        with open_object(
            self._client, self._bucket, found.object_name, version=found.version, etag=found.etag
        ) as source:
            self._deliver(authority, inbox_folder(folders), name, source, key)
        self._taken.add(key)
        log.info("an object was taken from the bucket", action="dropped", authority=authority, bytes=found.size)

    def _is_taken(self, key: str) -> bool:
        if key in self._taken:
            return True
        if self._seen.is_taken(key):
            self._taken.add(key)
            return True
        return False

    def _listed(self, prefix: str) -> Iterator[_Found]:
        with translated("the intake bucket"):
            if self._by_version:
                try:
                    yield from self._versions(prefix)
                except self._client.exceptions.ClientError as error:
                    if error.response.get("Error", {}).get("Code") not in ("AccessDenied", "NotImplemented"):
                        raise
                    log.warning("the bucket's versions may not be listed; the newest of each object is taken")
                    self._by_version = False
                else:
                    return
            yield from self._newest(prefix)

    def _versions(self, prefix: str) -> Iterator[_Found]:
        for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix):
            for one in page.get("Versions", []):
                yield _Found(
                    object_name=one["Key"],
                    version="" if one["VersionId"] == "null" else one["VersionId"],
                    etag=one["ETag"],
                    size=one["Size"],
                    at=one["LastModified"],
                )

    def _newest(self, prefix: str) -> Iterator[_Found]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
            for one in page.get("Contents", []):
                yield _Found(
                    object_name=one["Key"], version="", etag=one["ETag"], size=one["Size"], at=one["LastModified"]
                )

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.poll_once()
            except StorageError as error:
                log.warning("the bucket could not be listed; it is tried again", reason=str(error))
            except Exception as error:  # noqa: BLE001 (an intake that ends loses everybody's files)
                log.warning("polling the bucket failed; it is tried again", broke=what_broke(error))
            self._stopping.wait(self._poll_seconds)
