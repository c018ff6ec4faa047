"""Folder, bucket and command line come through the same pipeline as SFTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ceph import S3Server
from support.homes import looking
from support.returns import RIIA, digest, riia, written
from support.service import Installation, Service, serving

from gateway.storage.s3 import make_client


def test_a_file_put_into_a_watched_folder_is_answered_in_the_home(service: Service, tmp_path: Path) -> None:
    content = riia("camden", "2025-26-Q1", contacts=71)
    folder = service.at.data / "inboxes" / "camden" / RIIA / "2025-26-Q1"
    waiting = written(folder, "q1.csv.tmp", content)
    waiting.rename(folder / "q1.csv")
    with looking(service.account("camden")) as home:
        assert home.outcome_for(digest(content)).outcome == "accepted"
    (one,) = [one for one in service.at.submissions() if _has(one, digest(content))]
    assert one["authority"] == "camden"


def test_a_file_dropped_while_the_service_is_down_is_taken_at_start_and_once(service: Service, tmp_path: Path) -> None:
    service.terminate()
    content = riia("hackney", "2025-26-Q1", contacts=72)
    written(service.at.data / "inboxes" / "hackney" / RIIA / "2025-26-Q1", "q1.csv", content)
    service.start()
    with looking(service.account("hackney")) as home:
        assert home.outcome_for(digest(content)).outcome == "accepted"
    service.restart()
    with looking(service.account("hackney")) as home:
        assert len(home.outcomes_for(digest(content))) == 1


@pytest.mark.s3
def test_an_object_put_into_the_bucket_is_answered_in_the_home_and_sealed_into_another_bucket(
    installed: Installation, s3_server: S3Server, tmp_path: Path
) -> None:
    client = make_client(
        endpoint_url=s3_server.endpoint_url, access_key=s3_server.access_key, secret_key=s3_server.secret_key
    )
    for bucket in ("story-inbox", "story-storage"):
        client.create_bucket(Bucket=bucket)
    installation = installed.copied_to(
        tmp_path / "gateway",
        AWS_ACCESS_KEY_ID=s3_server.access_key,
        AWS_SECRET_ACCESS_KEY=s3_server.secret_key,
        GATEWAY__S3_INTAKE__ENABLED="true",
        GATEWAY__S3_INTAKE__ENDPOINT_URL=s3_server.endpoint_url,
        GATEWAY__S3_INTAKE__BUCKET="story-inbox",
        GATEWAY__S3_INTAKE__POLL_SECONDS="0.5",
        GATEWAY__STORAGE__KIND="s3",
        GATEWAY__STORAGE__ENDPOINT_URL=s3_server.endpoint_url,
        GATEWAY__STORAGE__BUCKET="story-storage",
    )
    content = riia("camden", "2025-26-Q4", contacts=74)
    with serving(installation) as service:
        client.put_object(Bucket="story-inbox", Key=f"camden/inbox/{RIIA}/2025-26-Q4/q4.csv", Body=content)
        with looking(service.account("camden")) as home:
            assert home.outcome_for(digest(content)).outcome == "accepted"
        keys = [one["Key"] for one in client.list_objects_v2(Bucket="story-storage")["Contents"]]
        assert [key for key in keys if RIIA in key and "camden" in key]
        assert len([one for one in service.at.submissions() if _has(one, digest(content))]) == 1


def test_the_command_line_submits(service: Service, tmp_path: Path) -> None:
    content = riia("camden", "2025-26-Q2", contacts=73)
    service.at.do(
        "submit", "camden", written(tmp_path, "q2.csv", content), "--collection", RIIA, "--period", "2025-26-Q2"
    )
    with looking(service.account("camden")) as home:
        assert home.outcome_for(digest(content)).outcome == "accepted"


def test_check_finds_at_the_desk_what_the_service_would_find(service: Service, tmp_path: Path) -> None:
    options = ("--collection", RIIA, "--period", "2025-26-Q3", "--authority", "camden")
    good = service.at.command("check", written(tmp_path, "good.csv", riia("camden", "2025-26-Q3")), *options)
    assert good.code == 0, good.out + good.err
    bad = riia("camden", "2025-26-Q3", set_to={"A05": "many"})
    found = service.at.command("check", written(tmp_path, "bad.csv", bad), *options)
    assert found.code == 1, found.out + found.err
    assert "measure_value" in found.out
    other = service.at.command("check", tmp_path / "absent.csv", *options)
    assert other.code == 2


def test_doctor_finds_a_running_installation_sound(service: Service) -> None:
    said = service.at.do("doctor", "--json").json
    assert said


def _has(one: dict[str, object], sha256: str) -> bool:
    files = one["files"]
    assert isinstance(files, list)
    return any(file["sha256"] == sha256 for file in files)
