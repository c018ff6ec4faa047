"""The bucket: what it does when the server is away, slow, refuses, or breaks off in the middle."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest
from support.ceph import S3Server

from gateway.errors import StorageError
from gateway.storage.s3 import S3Storage, make_client

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

pytestmark = pytest.mark.s3


def put(storage: S3Storage, key: str, content: bytes) -> None:
    storage.put(key, io.BytesIO(content), size=len(content), sha256=sha256(content).hexdigest())


def test_the_digest_stays_with_the_object_and_no_half_upload_remains(
    s3_client: S3Client, new_bucket: Callable[..., str]
) -> None:
    bucket = new_bucket()
    storage = S3Storage(s3_client, bucket, "p/", part_bytes=5 * 1024 * 1024)
    content = os.urandom(6 * 1024 * 1024)
    put(storage, "a/b", content)
    assert s3_client.head_object(Bucket=bucket, Key="p/a/b")["Metadata"]["sha256"] == sha256(content).hexdigest()
    with pytest.raises(StorageError):
        storage.put("a/c", io.BytesIO(content), size=len(content), sha256="0" * 64)
    assert s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_deleting_leaves_no_version_behind(s3_client: S3Client, new_bucket: Callable[..., str]) -> None:
    bucket = new_bucket(versions=True)
    storage = S3Storage(s3_client, bucket)
    put(storage, "a/b", b"one")
    s3_client.delete_object(Bucket=bucket, Key="a/b")
    put(storage, "a/b", b"two")
    storage.delete("a/b")
    left = s3_client.list_object_versions(Bucket=bucket)
    assert left.get("Versions", []) == []
    assert left.get("DeleteMarkers", []) == []


def test_wrong_credentials_are_told_with_a_remedy_and_do_not_pass_by_waiting(
    s3_server: S3Server, new_bucket: Callable[..., str]
) -> None:
    client = make_client(endpoint_url=s3_server.endpoint_url, access_key="WRONG", secret_key="wrong")
    with pytest.raises(StorageError, match="refuses us") as failed:
        put(S3Storage(client, new_bucket()), "a/b", b"x")
    assert not failed.value.passing
    assert "credentials" in failed.value.remedy


def test_a_missing_bucket_is_told(s3_client: S3Client) -> None:
    with pytest.raises(StorageError) as failed:
        list(S3Storage(s3_client, "nowhere-to-be-found").list(""))
    assert not failed.value.passing


def test_a_server_that_is_away_is_passing() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        client = make_client(
            endpoint_url=f"http://127.0.0.1:{held.getsockname()[1]}", access_key="A", secret_key="b", timeout_seconds=1
        )
        with pytest.raises(StorageError, match="does not answer") as failed:
            S3Storage(client, "bucket").head("a/b")
    assert failed.value.passing


@contextmanager
def breaking_off(server: S3Server, after_bytes: int, times: int) -> Iterator[str]:
    """Pass connections on to the server, and cut the first ``times`` answers after so many bytes."""
    target = urlparse(server.endpoint_url)
    left = [times]

    def carry(client: socket.socket) -> None:
        address = (str(target.hostname), int(target.port or 80))
        # A connection that both sides keep and neither uses ends here after ten seconds, without a word.
        with suppress(TimeoutError), client, socket.create_connection(address, timeout=10) as upstream:
            threading.Thread(target=_pump, args=(client, upstream), daemon=True).start()
            passed = 0
            while block := upstream.recv(65536):
                passed += len(block)
                if left[0] and passed > after_bytes:
                    left[0] -= 1
                    client.shutdown(socket.SHUT_RDWR)
                    return
                try:
                    client.sendall(block)
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=carry, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(65536):
            sink.sendall(block)
    except OSError:
        return


def test_a_download_that_breaks_off_is_taken_up_where_it_broke(
    s3_server: S3Server, s3_client: S3Client, new_bucket: Callable[..., str]
) -> None:
    bucket, content = new_bucket(), os.urandom(6 * 1024 * 1024)
    put(S3Storage(s3_client, bucket), "a/b", content)
    with breaking_off(s3_server, 2 * 1024 * 1024, times=2) as endpoint:
        client = make_client(endpoint_url=endpoint, access_key=s3_server.access_key, secret_key=s3_server.secret_key)
        with S3Storage(client, bucket).get("a/b") as stream:
            assert stream.read() == content
        client.close()


def test_an_object_that_changes_while_it_is_read_is_not_mixed(
    s3_client: S3Client, new_bucket: Callable[..., str]
) -> None:
    bucket, content = new_bucket(), os.urandom(4 * 1024 * 1024)
    storage = S3Storage(s3_client, bucket)
    put(storage, "a/b", content)
    with storage.get("a/b") as stream:
        stream.read(10)
        s3_client.put_object(Bucket=bucket, Key="a/b", Body=os.urandom(4 * 1024 * 1024))
        stream.seek(3 * 1024 * 1024)
        with pytest.raises(StorageError):
            stream.read()
