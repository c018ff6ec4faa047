"""A small world for the notices' tests: a collection, three authorities, a database on disk, a lookout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from gateway.clock import FixedClock
from gateway.db.calendar import set_participation
from gateway.db.core import Database
from gateway.domain.collection import Collection, Due, Grain, Package, Shape
from gateway.domain.expectation import Owed
from gateway.domain.names import AuthorityCode, CollectionId, Owner
from gateway.domain.notice import Address, Letter, Notice, NoticeChannel, NoticeKey, NoticeKind
from gateway.domain.period import PeriodKind
from gateway.domain.sharing import Participation
from gateway.lookout import Lookout
from gateway.notices.composer import Composer
from gateway.notices.occasions import Schedule

CAMDEN, HACKNEY, BARNET = AuthorityCode("camden"), AuthorityCode("hackney"), AuthorityCode("barnet")
NAMES = {CAMDEN: "Camden", HACKNEY: "Hackney", BARNET: "Barnet"}
RIIA = CollectionId("riia-quarterly")
Q2_OPENS, Q2_DUE = date(2026, 10, 1), date(2026, 10, 28)
COMPOSER = Composer(service_name="The gateway", operator_email="data@gateway.example")


def riia(from_period: str = "2026-27-Q2") -> Collection:
    return Collection(
        id=RIIA,
        title="RIIA quarterly dataset",
        cadence=PeriodKind.QUARTER,
        grain=Grain.AGGREGATE,
        shape=Shape.FILE,
        due=Due(rule="20 working days after the period ends"),
        names=(),
        packages=(Package(from_period=from_period, descriptor={}, resources=()),),
    )


def notice(
    owner: str = "authority:camden", occasion: str = "2026-10-28/T-10", to: Sequence[Address] | None = None
) -> Notice:
    return Notice(
        key=NoticeKey(
            kind=NoticeKind.REMINDER, owner=Owner(owner), collection=RIIA, period="2026-27-Q2", occasion=occasion
        ),
        made_at=datetime(2026, 10, 18, 7, tzinfo=UTC),
        letter=Letter(subject="It is due", text="It is due.\nSend it, it costs £0.\n", html="<p>It is due.</p>"),
        to=tuple([folder_of(Owner(owner))] if to is None else to),
    )


def folder_of(owner: Owner) -> Address:
    return Address(NoticeChannel.FOLDER, owner)


def mail_to(address: str) -> Address:
    return Address(NoticeChannel.SMTP, address)


def database_at(path: Path) -> Database:
    database = Database(f"sqlite:///{path}")
    database.create_all()
    return database


@dataclass
class World:
    """Everything a lookout needs, over one database file; ``restart`` is a new process over the same file."""

    path: Path
    clock: FixedClock
    accepted: dict[Owed, datetime] = field(default_factory=dict)
    database: Database = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.database = database_at(self.path)

    def joins(self, *authorities: AuthorityCode) -> None:
        with self.database.write() as tx:
            for authority in authorities:
                part = Participation(authority=authority, collection=RIIA, since=date(2026, 1, 1))
                set_participation(tx, part, by="person:alice", at=self.clock.now())

    def lookout(
        self, database: Database | None = None, clock: FixedClock | None = None, composer: Composer = COMPOSER
    ) -> Lookout:
        return Lookout(
            database=database or self.database,
            catalogue=lambda: {RIIA: riia()},
            authorities=lambda: NAMES,
            accepted_facts=lambda: self.accepted,
            addresses=lambda owner: [folder_of(owner), mail_to(f"{owner.partition(':')[2]}@borough.example")],
            composer=composer,
            schedule=Schedule(),
            clock=clock or self.clock,
        )

    def restart(self) -> Lookout:
        self.database.close()
        self.database = Database(f"sqlite:///{self.path}")
        return self.lookout()


def told(keys: Sequence[NoticeKey]) -> list[str]:
    return [f"{key.owner.partition(':')[2]} {key.kind} {key.occasion}" for key in keys]
