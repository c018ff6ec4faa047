"""Storage in a bucket of any S3: AWS, Ceph, MinIO and others. The only home of boto3.

* Created once: looked for first, then written with ``If-None-Match: *``. Servers that ignore the condition (Ceph up
  to 16 does for versioned buckets and multipart) still refuse by the look; a key holds the id of its submission, so
  two writers of different bytes never meet by right.
* What was written is verified twice: our count and SHA-256 of what was sent, and the server's MD5 of every request.
  The SHA-256 stays with the object as metadata ``sha256``.
* Large objects go in parts and are never held in memory or on disk whole.
* Retries are botocore's ``standard``: growing pauses with jitter; what is left becomes a passing ``StorageError``.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from gateway.errors import GatewayError, StorageError
from gateway.storage.port import Measured, StoredObject, already_there, check_key, not_there

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3.client import S3Client

PART_BYTES = 16 * 1024 * 1024
"""Up to this size an object goes in one request; above, in parts of at least this size."""
SMALL_BYTES = 1024 * 1024
"""Up to this size an object is fetched whole with one request."""
_MAX_PARTS = 10_000
_ATTEMPTS = 5
_REOPENS = 3
_GONE = frozenset({"NoSuchKey", "404", "NotFound", "NoSuchVersion"})
_DENIED = frozenset({"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401"})
_BUSY = frozenset({"SlowDown", "Throttling", "ThrottlingException", "RequestTimeout", "RequestTimeTooSkewed", "429"})
_TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
_SERVER_FAULT = 500


def make_client(
    *,
    endpoint_url: str = "",
    region: str = "eu-west-2",
    access_key: str = "",
    secret_key: str = "",
    path_style: bool | None = None,
    ca_file: str = "",
    timeout_seconds: float = 60,
) -> S3Client:
    """Make a client.

    Args:
        endpoint_url: the server; empty for AWS.
        region: its region.
        access_key: empty to use what boto3 finds in the environment, files or the machine's role.
        secret_key: belongs to ``access_key``.
        path_style: bucket in the path instead of the host name; by default for every server but AWS.
        ca_file: certificates to trust for the server, where they are not the system's.
        timeout_seconds: for each read and write.
    """
    by_path = bool(endpoint_url) if path_style is None else path_style
    config = Config(
        s3={"addressing_style": "path" if by_path else "auto"},
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=10,
        read_timeout=timeout_seconds,
        max_pool_connections=32,
        # The trailing checksums of newer clients are not understood by older servers; we send Content-MD5 ourselves.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client: S3Client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url or None,
        region_name=region,
        aws_access_key_id=access_key or None,
        aws_secret_access_key=secret_key or None,
        verify=ca_file or None,
        config=config,
    )
    return client


class S3Storage:
    """Keeps objects in a bucket.

    Args:
        client: see ``make_client``.
        bucket: must exist.
        prefix: before every key, for example ``gateway/``; empty for none.
        part_bytes: size of a part of a large object, at least 5 MiB (S3's own limit).
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str = "", *, part_bytes: int = PART_BYTES) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._part_bytes = part_bytes

    def put(self, key: str, source: BinaryIO, *, size: int, sha256: str) -> None:
        """Create an object; see ``Storage.put``."""
        name = self._name(key)
        measured = Measured(source, key=key, size=size, sha256=sha256)
        with translated(key):
            if self._same_is_there(key, name, sha256):
                return
            try:
                if size <= self._part_bytes:
                    self._put_whole(name, measured, size, sha256)
                else:
                    self._put_parts(name, measured, size, sha256)
            except ClientError as error:
                if _code(error) not in _TAKEN or not self._same_is_there(key, name, sha256):
                    raise

    def get(self, key: str) -> BinaryIO:
        """Open an object; see ``Storage.get``."""
        return open_object(self._client, self._bucket, self._name(key), said_as=key)

    def head(self, key: str) -> StoredObject | None:
        """Look at an object; see ``Storage.head``."""
        with translated(key):
            found = self._look(self._name(key))
        if found is None:
            return None
        return StoredObject(key=key, size_bytes=found["ContentLength"], stored_at=found["LastModified"])

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Yield objects; see ``Storage.list``."""
        pages = self._client.get_paginator("list_objects_v2")
        with translated(prefix):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + prefix):
                for one in page.get("Contents", []):
                    key = one["Key"].removeprefix(self._prefix)
                    yield StoredObject(key=key, size_bytes=one["Size"], stored_at=one["LastModified"])

    def delete(self, key: str) -> None:
        """Remove an object with all its versions; see ``Storage.delete``."""
        name = self._name(key)
        pages = self._client.get_paginator("list_object_versions")
        with translated(key):
            for page in pages.paginate(Bucket=self._bucket, Prefix=name):
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    if one["Key"] == name:
                        self._client.delete_object(Bucket=self._bucket, Key=name, VersionId=one["VersionId"])

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _look(self, name: str) -> Any | None:
        try:
            return self._client.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if _code(error) in _GONE:
                return None
            raise

    def _same_is_there(self, key: str, name: str, sha256: str) -> bool:
        found = self._look(name)
        if found is None:
            return False
        there = found["Metadata"].get("sha256") or self._digest(key)
        if there != sha256:
            raise already_there(key)
        return True

    def _digest(self, key: str) -> str:
        with self.get(key) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]  # reads like one

    def _put_whole(self, name: str, measured: Measured, size: int, sha256: str) -> None:
        content = measured.read(size + 1)
        measured.check()
        self._client.put_object(
            Bucket=self._bucket,
            Key=name,
            Body=content,
            ContentMD5=_md5(content),
            IfNoneMatch="*",
            Metadata={"sha256": sha256},
            ContentType="application/octet-stream",
        )

    def _put_parts(self, name: str, measured: Measured, size: int, sha256: str) -> None:
        part_bytes = max(self._part_bytes, -(-size // _MAX_PARTS))
        begun = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=name, Metadata={"sha256": sha256}, ContentType="application/octet-stream"
        )
        upload = begun["UploadId"]
        try:
            parts: list[Any] = []
            while block := measured.read(part_bytes):
                number = len(parts) + 1
                sent = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=name,
                    UploadId=upload,
                    PartNumber=number,
                    Body=block,
                    ContentMD5=_md5(block),
                )
                parts.append({"ETag": sent["ETag"], "PartNumber": number})
            measured.check()
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=name, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with suppress(ClientError, BotoCoreError):
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload)
            raise


def open_object(
    client: S3Client, bucket: str, name: str, *, version: str = "", said_as: str = "", etag: str = ""
) -> BinaryIO:
    """Open an object, or one version of it, as a stream that can seek.

    A connection that breaks is opened again where it broke, for the same bytes only.

    Raises:
        NotFoundError: it is not there.
        StorageError: the server failed, here or on a later read.
    """
    asked: dict[str, Any] = {"Bucket": bucket, "Key": name}
    if version:
        asked["VersionId"] = version
    if etag:
        asked["IfMatch"] = etag
    said = said_as or "an object"
    with translated(said):
        answer: Any = client.get_object(**asked)
        if answer["ContentLength"] <= SMALL_BYTES:
            with answer["Body"] as body:
                return io.BytesIO(body.read())
    return io.BufferedReader(_RangedReader(client, asked, answer, said), SMALL_BYTES)


class _RangedReader(io.RawIOBase):
    """Reads an object from any place, opening it again where it is not read on."""

    def __init__(self, client: S3Client, asked: dict[str, Any], answer: Any, said_as: str) -> None:
        super().__init__()
        self._client = client
        self._asked = {**asked, "IfMatch": answer["ETag"]}
        self._said_as = said_as
        self._size: int = answer["ContentLength"]
        self._body: Any = answer["Body"]
        self._body_at = 0
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._place >= self._size or not view:
            return 0
        with translated(self._said_as):
            block = self._read_on(len(view))
        view[: len(block)] = block
        self._place += len(block)
        self._body_at = self._place
        return len(block)

    def _read_on(self, size: int) -> bytes:
        for attempt in range(_REOPENS + 1):
            try:
                self._be_there()
                block: bytes = self._body.read(size)
            except (BotoCoreError, OSError):
                self._let_go()
                if attempt == _REOPENS:
                    raise
                continue
            if block:
                return block
            self._let_go()
        raise StorageError(
            f"Storage ended {self._said_as} too early.",
            did="Reading stopped.",
            remedy="It is tried again.",
            passing=True,
        )

    def _be_there(self) -> None:
        if self._body is not None and self._body_at == self._place:
            return
        self._let_go()
        self._body = self._client.get_object(**self._asked, Range=f"bytes={self._place}-")["Body"]
        self._body_at = self._place

    def _let_go(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        if not self.closed:
            self._let_go()
        super().close()


@contextmanager
def translated(said_as: str) -> Iterator[None]:
    """Turn the vendor's trouble into ours.

    Args:
        said_as: what was worked on, in words fit for a log.
    """
    try:
        yield
    except GatewayError:
        raise
    except ClientError as error:
        raise _from_answer(error, said_as) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageError(
            "There are no S3 credentials.",
            did="Nothing was sent.",
            remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
        ) from error
    except (BotoCoreError, OSError) as error:
        raise StorageError(
            f"The S3 server does not answer ({type(error).__name__}) for {said_as}.",
            did="It is tried again.",
            remedy="If it stays so: check endpoint_url, the network and the server (`gateway doctor`).",
            passing=True,
        ) from error


def _from_answer(error: ClientError, said_as: str) -> GatewayError:
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _GONE:
        return not_there(said_as)
    if code in _DENIED:
        return StorageError(
            f"The S3 server refuses us ({code}) for {said_as}.",
            did="Nothing was changed.",
            remedy="Check the credentials and what their policy allows on this bucket; object lock refuses deletion.",
        )
    if code == "NoSuchBucket":
        return StorageError(
            "The bucket does not exist.", did="Nothing was changed.", remedy="Make it, or correct the settings."
        )
    return StorageError(
        f"The S3 server answered {code or status} for {said_as}.",
        did="The work waits.",
        remedy="If it stays so, look at the server.",
        passing=code in _BUSY or code in _TAKEN or status >= _SERVER_FAULT,
    )


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
