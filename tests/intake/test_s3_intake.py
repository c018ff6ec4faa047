"""An object put into the bucket is taken once for each version, from a real S3 server."""

from __future__ import annotations

import itertools
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import pytest
from support.ceph import S3Server

from gateway.domain.names import AuthorityCode
from gateway.errors import SpoolFullError, StorageError
from gateway.intake.s3 import S3Intake
from gateway.storage.s3 import make_client

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

pytestmark = pytest.mark.s3
_buckets = itertools.count()


@dataclass
class Record:
    """Receives drops and remembers them, as the database does."""

    taken: dict[str, tuple[str, tuple[str, ...], str, bytes]] = field(default_factory=dict)
    refuse: set[str] = field(default_factory=set)
    arrived: threading.Event = field(default_factory=threading.Event)

    def deliver(self, authority: AuthorityCode, folder: tuple[str, ...], name: str, source: BinaryIO, key: str) -> None:
        if name in self.refuse:
            raise SpoolFullError("There is no room.", passing=True)
        assert key not in self.taken
        self.taken[key] = (authority, folder, name, source.read())
        self.arrived.set()

    def is_taken(self, key: str) -> bool:
        return key in self.taken

    @property
    def drops(self) -> list[tuple[str, tuple[str, ...], str, bytes]]:
        return list(self.taken.values())


@pytest.fixture(scope="session")
def client(s3_server: S3Server) -> S3Client:
    return make_client(
        endpoint_url=s3_server.endpoint_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key
    )


@pytest.fixture(params=[False, True], ids=["plain", "versions"])
def bucket(client: S3Client, request: pytest.FixtureRequest) -> str:
    name = f"intake-{next(_buckets)}"
    client.create_bucket(Bucket=name)
    if request.param:
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def intake(client: S3Client, bucket: str, record: Record, poll_seconds: float = 60) -> S3Intake:
    return S3Intake(
        client,
        bucket=bucket,
        prefix="returns/",
        deliver=record.deliver,
        known=lambda: [AuthorityCode("camden"), AuthorityCode("hackney")],
        seen=record,
        poll_seconds=poll_seconds,
    )


def put(client: S3Client, bucket: str, key: str, content: bytes = b"a,b\n") -> None:
    client.put_object(Bucket=bucket, Key=f"returns/{key}", Body=content)


def test_each_object_is_taken_once_and_left_in_place(client: S3Client, bucket: str) -> None:
    record = Record()
    put(client, bucket, "camden/inbox/ssda903/2026-27/header.csv", b"CHILD\n")
    put(client, bucket, "hackney/inbox/q1 é.csv", b"x")
    polled = intake(client, bucket, record)
    assert polled.poll_once() == 2
    assert polled.poll_once() == 0
    assert intake(client, bucket, record).poll_once() == 0
    assert record.drops == [
        ("camden", ("ssda903", "2026-27"), "header.csv", b"CHILD\n"),
        ("hackney", (), "q1 é.csv", b"x"),
    ]
    assert all(key.startswith(f"s3:{bucket}/returns/") and "@" in key for key in record.taken)
    assert len(client.list_objects_v2(Bucket=bucket)["Contents"]) == 2


def test_a_new_version_is_another_drop(client: S3Client, bucket: str) -> None:
    record = Record()
    polled = intake(client, bucket, record)
    put(client, bucket, "camden/inbox/a.csv", b"one")
    polled.poll_once()
    put(client, bucket, "camden/inbox/a.csv", b"two")
    polled.poll_once()
    assert [drop[3] for drop in record.drops] == [b"one", b"two"]


def test_two_versions_between_two_polls_are_both_taken_in_their_order(client: S3Client) -> None:
    name, record = "intake-quick-succession", Record()
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    put(client, name, "camden/inbox/a.csv", b"one")
    put(client, name, "camden/inbox/a.csv", b"two")
    client.delete_object(Bucket=name, Key="returns/camden/inbox/a.csv")
    assert intake(client, name, record).poll_once() == 2
    assert [drop[3] for drop in record.drops] == [b"one", b"two"]


def test_temporary_names_strangers_and_other_folders_are_left(client: S3Client, bucket: str) -> None:
    record = Record()
    for key in (
        "camden/inbox/a.csv.filepart",
        "camden/inbox/.hidden",
        "camden/inbox/.tmp/a.csv",
        "camden/inbox/ssda903/",
        "camden/outbox/a.csv",
        "stranger/inbox/a.csv",
        "camden-other/inbox/a.csv",
    ):
        put(client, bucket, key)
    assert intake(client, bucket, record).poll_once() == 0
    assert record.drops == []


def test_one_that_cannot_be_taken_keeps_no_other_waiting_and_is_tried_again(client: S3Client, bucket: str) -> None:
    record = Record(refuse={"a.csv"})
    put(client, bucket, "camden/inbox/a.csv")
    put(client, bucket, "camden/inbox/b.csv")
    polled = intake(client, bucket, record)
    assert polled.poll_once() == 1
    record.refuse.clear()
    assert polled.poll_once() == 1
    assert sorted(drop[2] for drop in record.drops) == ["a.csv", "b.csv"]


def test_a_large_object_comes_whole(client: S3Client, bucket: str) -> None:
    content, record = os.urandom(5 * 1024 * 1024), Record()
    put(client, bucket, "camden/inbox/big.csv", content)
    intake(client, bucket, record).poll_once()
    assert record.drops[0][3] == content


def test_a_bucket_that_cannot_be_listed_is_told(client: S3Client) -> None:
    with pytest.raises(StorageError):
        intake(client, "intake-nowhere", Record()).poll_once()


def test_the_running_intake_polls_and_stops(client: S3Client, bucket: str) -> None:
    record = Record()
    running = intake(client, bucket, record, poll_seconds=0.1)
    running.start()
    try:
        put(client, bucket, "camden/inbox/a.csv")
        assert record.arrived.wait(20)
    finally:
        running.stop()
        running.stop()
    assert len(record.drops) == 1
