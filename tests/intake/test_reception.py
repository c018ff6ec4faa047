"""A drop is on record or is not, whatever breaks between; sets gather, and nothing is taken twice."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import uuid_utils

from gateway.clock import FixedClock
from gateway.db import submissions as rows
from gateway.db.core import Database, Transaction, ledger_events
from gateway.domain.names import AuthorityCode, Channel, Digest, FileId
from gateway.domain.submission import Drop
from gateway.errors import AlreadyExistsError, DatabaseUnavailableError, GatewayError, SpoolFullError
from gateway.intake import reception as module
from gateway.intake.reception import Doorbell, Reception
from gateway.sealing.spool import Spool
from gateway.validation.catalogue import Catalogue, load_catalogue

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
CAMDEN, HACKNEY = AuthorityCode("camden"), AuthorityCode("hackney")
SET = ("ssda903", "2025-26")
WHOLE = ("riia-quarterly", "2026-27-Q2")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(Path(__file__).parents[2] / "validators")


class House:
    """Reception with a real database and a real spool."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self.clock = FixedClock(NOON)
        self.database = Database(f"sqlite:///{folder / 'gateway.sqlite'}")
        self.database.create_all()
        self.spool = Spool(folder / "spool", bytes(32), reserve_bytes=0)
        self.doorbell = Doorbell()
        self.catalogue = dict(catalogue)
        self.reception = Reception(
            database=self.database,
            spool=self.spool,
            catalogue=self.catalogue,
            clock=self.clock,
            doorbell=self.doorbell,
        )

    def drop(self, name: str, content: bytes, folder: tuple[str, ...] = (), who: AuthorityCode = CAMDEN) -> Drop:
        file = FileId(str(uuid_utils.uuid7()))
        writer = self.spool.create(file)
        writer.write_at(0, content)
        digest, size = writer.finish()
        return Drop(
            file=file,
            authority=who,
            folder=folder,
            name=name,
            digest=digest,
            size_bytes=size,
            channel=Channel.SFTP,
            sent_by="a key",
            received_at=self.clock.now(),
        )

    def deliver(self, name: str, content: bytes, key: str = "", folder: tuple[str, ...] = WHOLE) -> module.Received:
        return self.reception.deliver(
            CAMDEN, folder, name, io.BytesIO(content), channel=Channel.FOLDER, sent_by="test", delivery_key=key
        )

    def submissions(self) -> list[rows.Standing]:
        with self.database.read() as connection:
            found = connection.execute(sa.select(rows.submissions.c.id).order_by(rows.submissions.c.id)).scalars()
            return [rows.load(connection, one) for one in found.all()]

    def files(self) -> list[str]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(rows.submission_files.c.id)).scalars())

    def events(self) -> list[str]:
        with self.database.read() as connection:
            return list(connection.execute(sa.select(ledger_events.c.action)).scalars())


@pytest.fixture
def house(tmp_path: Path, catalogue: Catalogue) -> Iterator[House]:
    house = House(tmp_path, catalogue)
    yield house
    house.database.close()


# -- one drop ----------------------------------------------------------------------------------------------------------


def test_a_drop_is_a_submission_with_its_event_once(house: House):
    drop = house.drop("riia.csv", b"la_code\r\n202\r\n", WHOLE)
    first, again = house.reception.receive(drop), house.reception.receive(drop)
    assert first.submission == again.submission
    (standing,) = house.submissions()
    assert standing.submission.files[0].digest == hashlib.sha256(b"la_code\r\n202\r\n").hexdigest()
    assert standing.completed_at == NOON
    assert house.events() == ["received"]
    assert house.doorbell._rung.is_set()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        b"PK\x03\x04 not a zip",
        b"\xff\xfe",
        b"\xd0\xcf\x11\xe0",
        b'"never closed' * 9000,
        b"<xml",
        b"x" * 200_000,
        bytes(range(256)) * 300,
    ],
    ids=["empty", "nul", "no zip", "utf-16", "ole", "quote", "xml", "one line", "binary"],
)
def test_whatever_it_is_it_is_kept_and_is_a_submission_of_its_own(house: House, content: bytes):
    drop = house.drop("what is this", content)
    house.reception.receive(drop)
    (standing,) = house.submissions()
    assert standing.submission.collection is None
    assert standing.submission.trouble
    assert standing.completed_at is not None
    with house.spool.open(drop.file) as stream:
        assert stream.read() == content


def test_a_file_that_breaks_recognition_is_kept_and_answered(house: House, monkeypatch: pytest.MonkeyPatch):
    def breaks(*_: object) -> None:
        raise RecursionError("a reader's own bug")

    monkeypatch.setattr(module, "sniff", breaks)
    house.reception.receive(house.drop("riia.csv", b"x", WHOLE))
    (standing,) = house.submissions()
    assert "could not be read" in standing.submission.trouble


def test_what_the_way_in_changes_is_committed_with_it_or_not_at_all(house: House):
    drop = house.drop("riia.csv", b"x", WHOLE)

    def changes(tx: Transaction) -> None:
        tx.connection.execute(sa.text("CREATE TABLE seen (one TEXT)"))
        raise AlreadyExistsError("Somebody else has it.")

    with pytest.raises(AlreadyExistsError):
        house.reception.receive(drop, also=changes)
    assert house.submissions() == []
    assert house.events() == []
    assert not sa.inspect(house.database.engine).has_table("seen")
    house.reception.receive(drop)
    assert len(house.submissions()) == 1


def test_a_database_that_refuses_is_a_failure_in_words(house: House):
    drop = house.drop("riia.csv", b"x", WHOLE)
    house.database.engine.dispose()
    with house.database.write() as tx:
        tx.connection.execute(sa.text("ALTER TABLE submission_files RENAME TO away"))
    with pytest.raises(DatabaseUnavailableError) as said:
        house.reception.receive(drop)
    assert said.value.passing
    assert "riia.csv" not in str(said.value)
    with house.database.write() as tx:
        tx.connection.execute(sa.text("ALTER TABLE away RENAME TO submission_files"))
    assert house.submissions() == []
    house.reception.receive(drop)
    assert len(house.submissions()) == 1


def test_a_spool_file_that_was_altered_is_our_failure_not_theirs(house: House, tmp_path: Path):
    drop = house.drop("riia.csv", b"x" * 100, WHOLE)
    (tmp_path / "spool" / drop.file).write_bytes(b"LCGSPOOL" + bytes(200))
    with pytest.raises(GatewayError):
        house.reception.receive(drop)
    assert house.submissions() == []


# -- a copy that reception makes ---------------------------------------------------------------------------------------


def test_a_delivery_is_taken_once(house: House):
    first = house.deliver("riia.csv", b"x", "bucket/1")
    again = house.deliver("riia.csv", b"x", "bucket/1")
    assert first.submission == again.submission
    assert house.spool.files() == house.files() == [first.file]


def test_the_same_delivery_twice_at_once_is_one_and_leaves_one_copy(house: House):
    barrier = threading.Barrier(4)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 0:
                barrier.wait(10)
            return super().read(size)

    def send() -> None:
        house.reception.deliver(
            CAMDEN, WHOLE, "riia.csv", Slow(b"x" * 70_000), channel=Channel.S3, sent_by="test", delivery_key="one"
        )

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(house.submissions()) == 1
    assert house.spool.files() == house.files()


def test_a_delivery_that_could_not_be_committed_leaves_no_copy_and_comes_again(house: House):
    with house.database.write() as tx:
        tx.connection.execute(sa.text("ALTER TABLE submissions RENAME TO away"))
    for _ in range(3):
        with pytest.raises(DatabaseUnavailableError):
            house.deliver("riia.csv", b"x" * 1000, "bucket/1")
    assert house.spool.files() == []
    with house.database.write() as tx:
        tx.connection.execute(sa.text("ALTER TABLE away RENAME TO submissions"))
    received = house.deliver("riia.csv", b"x" * 1000, "bucket/1")
    assert house.spool.files() == [received.file]


def test_a_source_that_breaks_half_way_leaves_nothing(house: House):
    class Breaks(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise OSError("the source is gone")
            return super().read(1000)

    with pytest.raises(OSError, match="gone"):
        house.reception.deliver(
            CAMDEN, WHOLE, "riia.csv", Breaks(b"x" * 5000), channel=Channel.S3, sent_by="test", delivery_key="one"
        )
    assert house.spool.files() == []
    assert house.submissions() == []


def test_a_full_spool_is_told_and_leaves_nothing(house: House):
    house.spool._reserve = 1 << 60
    with pytest.raises(SpoolFullError):
        house.deliver("riia.csv", b"x")
    assert house.spool.files() == []


# -- sets --------------------------------------------------------------------------------------------------------------


def test_files_of_a_set_gather_and_another_authority_s_do_not_mix(house: House):
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET))
    house.reception.receive(house.drop("episodes.csv", b"CHILD,DECOM\r\n", SET))
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET, who=HACKNEY))
    found = house.submissions()
    assert sorted((one.submission.authority, len(one.submission.files)) for one in found) == [
        ("camden", 2),
        ("hackney", 1),
    ]
    assert [one.completed_at for one in found] == [None, None]


def test_many_files_of_a_set_at_once_are_one_set(house: House):
    names = ["header", "episodes", "reviews", "uasc", "oc2", "oc3", "ad1", "missing"]
    drops = [house.drop(f"{name}.csv", name.encode(), SET) for name in names]
    threads = [threading.Thread(target=house.reception.receive, args=(drop,)) for drop in drops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    gathering = [one for one in house.submissions() if one.completed_at is None]
    assert len(gathering) == 1
    assert len(house.files()) == len(names)


def test_a_set_that_waits_in_vain_is_completed_after_patience_and_not_before(house: House):
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET))
    patience = timedelta(minutes=30)
    assert house.reception.settle(patience) == 0
    house.clock.advance(patience)
    assert house.reception.settle(patience) == 1
    assert house.reception.settle(patience) == 0
    (standing,) = house.submissions()
    assert (standing.completed_at, standing.submission.version) == (NOON + patience, 1)


def test_a_file_that_comes_while_a_set_is_settled_makes_it_wait_on(house: House, monkeypatch: pytest.MonkeyPatch):
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET))
    house.clock.advance(timedelta(hours=1))
    look = rows.still_gathering

    def look_and_receive(connection: sa.Connection) -> list[tuple[rows.Standing, datetime]]:
        found = look(connection)
        connection.rollback()
        house.reception.receive(house.drop("episodes.csv", b"CHILD,DECOM\r\n", SET))
        return found

    monkeypatch.setattr(rows, "still_gathering", look_and_receive)
    assert house.reception.settle(timedelta(minutes=30)) == 0
    (standing,) = house.submissions()
    assert standing.completed_at is None
    assert len(standing.submission.files) == 2


def test_a_collection_that_was_taken_away_holds_up_no_other_set(house: House):
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET))
    for name in list(house.catalogue):
        if name == "ssda903":
            del house.catalogue[name]
    house.clock.advance(timedelta(hours=1))
    assert house.reception.settle(timedelta(minutes=30)) == 1


def test_the_event_tells_the_channel_of_its_own_file(house: House):
    house.reception.receive(house.drop("header.csv", b"CHILD,SEX\r\n", SET))
    house.reception.receive(replace(house.drop("episodes.csv", b"C\r\n", SET), channel=Channel.S3))
    with house.database.read() as connection:
        bodies = list(connection.execute(sa.select(ledger_events.c.body).order_by(ledger_events.c.seq)).scalars())
    assert [b'"channel":"s3"' in body.replace(b" ", b"") for body in bodies] == [False, True]


def test_a_digest_that_is_wrong_is_never_made_here(house: House):
    received = house.deliver("riia.csv", b"abc")
    (standing,) = house.submissions()
    assert standing.submission.files[0].digest == Digest(hashlib.sha256(b"abc").hexdigest())
    assert received.file == standing.submission.files[0].id
