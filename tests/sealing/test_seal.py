"""A return is sealed once, however often it is tried, and half a table is never taken for a whole."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pytest

from gateway.domain.finding import ReportSummary
from gateway.domain.names import AuthorityCode, Channel, CollectionId, SubmissionId
from gateway.domain.period import Period
from gateway.domain.states import State
from gateway.domain.submission import Return, Submission
from gateway.sealing.container import read_header, unseal_bytes
from gateway.sealing.keys import Keyring
from gateway.sealing.seal import Sealer


@dataclass(frozen=True)
class Written:
    resource: str
    content: bytes

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


class BrokenError(Exception):
    pass


class Breaking(Written):
    def open(self) -> BinaryIO:
        raise BrokenError


HEADER, EPISODES = Written("header", b"CHILD,SEX\n"), Written("episodes", b"CHILD,DECOM\n1,01/04/2026\n")


def accepted() -> Return:
    period = Period.parse("2026-27")
    collection = CollectionId("ssda903")
    submission = Submission(
        id=SubmissionId("0198-a"),
        authority=AuthorityCode("camden"),
        collection=collection,
        period=period,
        version=2,
        state=State.ACCEPTED,
        channel=Channel.SFTP,
        sent_by="test",
        received_at=datetime(2026, 11, 25, tzinfo=UTC),
        last_file_at=datetime(2026, 11, 25, tzinfo=UTC),
        files=(),
    )
    summary = ReportSummary(accepted=True, errors=0, queries=0, by_code={}, rows={})
    return Return(submission=submission, collection=collection, period=period, report=summary)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path / "keys")
    made.ensure()
    return made


def test_each_table_is_sealed_to_its_collections_key_for_its_place(keyring: Keyring, tmp_path: Path) -> None:
    sealed = Sealer(keyring, tmp_path / "holding").seal(accepted(), [HEADER, EPISODES])
    assert sealed.recipient_key == keyring.public("ssda903/2026").id
    assert [one.key for one in sealed.objects] == [
        "returns/ssda903/2026-27/camden/2-0198-a/header.csv.sealed",
        "returns/ssda903/2026-27/camden/2-0198-a/episodes.csv.sealed",
    ]
    one = sealed.objects[1]
    whole = Path(one.holding).read_bytes()
    assert (one.size_bytes, one.digest) == (len(whole), sha256(whole).hexdigest())
    assert one.plain_digest == sha256(EPISODES.content).hexdigest()
    context = b"camden/ssda903/2026-27/0198-a/episodes"
    assert unseal_bytes(whole, keys=[keyring.private("ssda903/2026")], context=context) == EPISODES.content
    assert read_header(io.BytesIO(whole)).key_ids == (sealed.recipient_key,)


def test_sealing_again_offers_the_same_bytes(keyring: Keyring, tmp_path: Path) -> None:
    first = Sealer(keyring, tmp_path / "holding").seal(accepted(), [HEADER, EPISODES])
    again = Sealer(keyring, tmp_path / "holding").seal(accepted(), [HEADER, EPISODES])
    assert again == first


def test_a_crash_between_two_tables_is_made_good(keyring: Keyring, tmp_path: Path) -> None:
    sealer = Sealer(keyring, tmp_path / "holding")
    with pytest.raises(BrokenError):
        sealer.seal(accepted(), [HEADER, Breaking("episodes", b"")])
    folder = tmp_path / "holding/0198-a"
    (folder / "episodes.sealing").write_bytes(b"half")
    (folder / "episodes.sealed").write_bytes((folder / "header.sealed").read_bytes()[:-3])
    sealed = sealer.seal(accepted(), [HEADER, EPISODES])
    assert sorted(path.name for path in folder.iterdir()) == ["episodes.sealed", "header.sealed"]
    assert sealed.objects[1].plain_digest == sha256(EPISODES.content).hexdigest()


def test_changed_content_is_sealed_anew(keyring: Keyring, tmp_path: Path) -> None:
    sealer = Sealer(keyring, tmp_path / "holding")
    first = sealer.seal(accepted(), [HEADER])
    other = sealer.seal(accepted(), [Written("header", b"other")])
    assert other.objects[0].digest != first.objects[0].digest


def test_what_storage_has_is_not_sealed_again(keyring: Keyring, tmp_path: Path) -> None:
    sealer = Sealer(keyring, tmp_path / "holding")
    first = sealer.seal(accepted(), [HEADER])
    sealer.let_go(first)
    sealer.let_go(first)
    assert not list((tmp_path / "holding").iterdir())
    later = Sealer(keyring, tmp_path / "holding", on_record=lambda submission: first.objects)
    assert later.seal(accepted(), [Breaking("header", b"")]) == first
