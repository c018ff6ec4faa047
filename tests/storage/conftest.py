"""Every storage there is, each empty at the start of a test."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.ceph import S3Server

from gateway.storage import Storage
from gateway.storage.local import LocalStorage
from gateway.storage.memory import MemoryStorage
from gateway.storage.s3 import S3Storage, make_client

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PART_BYTES = 5 * 1024 * 1024
_buckets = itertools.count()


@pytest.fixture(scope="session")
def s3_client(s3_server: S3Server) -> S3Client:
    return make_client(
        endpoint_url=s3_server.endpoint_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key
    )


@pytest.fixture
def new_bucket(s3_client: S3Client) -> Callable[..., str]:
    def make(*, versions: bool = False) -> str:
        name = f"storage-{next(_buckets)}"
        s3_client.create_bucket(Bucket=name)
        if versions:
            s3_client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    return make


def _memory(_request: pytest.FixtureRequest) -> Storage:
    return MemoryStorage()


def _local(request: pytest.FixtureRequest) -> Storage:
    folder: Path = request.getfixturevalue("tmp_path")
    return LocalStorage(folder / "storage")


def _s3(request: pytest.FixtureRequest, *, versions: bool, prefix: str) -> Storage:
    bucket = request.getfixturevalue("new_bucket")(versions=versions)
    return S3Storage(request.getfixturevalue("s3_client"), bucket, prefix, part_bytes=PART_BYTES)


MAKERS: dict[str, Callable[[pytest.FixtureRequest], Storage]] = {
    "memory": _memory,
    "local": _local,
    "s3": lambda request: _s3(request, versions=False, prefix=""),
    "s3-versions-prefix": lambda request: _s3(request, versions=True, prefix="liia/gateway/"),
}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.s3] if name.startswith("s3") else []) for name in MAKERS])
def storage(request: pytest.FixtureRequest) -> Storage:
    return MAKERS[request.param](request)
