"""A small world for routing's tests: DfE, three authorities, one decision, one extract, an outbox."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa

from gateway.clock import FixedClock
from gateway.db.core import Database, ledger_events
from gateway.db.register import DeliveryRows, RegisterRows
from gateway.domain.collection import Collection, Grain, Shape
from gateway.domain.events import Event
from gateway.domain.names import AuthorityCode, CollectionId, RecipientCode, SubmissionId, recipient_owner
from gateway.domain.period import PeriodKind
from gateway.domain.sharing import Authorisation, Participation, Purpose, Recipient
from gateway.domain.states import AuthorisationState
from routing.deliver import Router
from routing.memory import MemoryShelf, MemoryStore
from routing.ports import AcceptedReturn
from routing.recipe import load_recipes
from routing.register import Register
from routing.transports.outbox import OutboxTransport

EXTRACTS = Path(__file__).parents[2] / "routing" / "extracts"
DFE, D2I = RecipientCode("dfe"), RecipientCode("d2i")
RIIA = CollectionId("riia-quarterly")
CAMDEN, HACKNEY, BARNET = AuthorityCode("camden"), AuthorityCode("hackney"), AuthorityCode("barnet")
NUMBERS = {CAMDEN: "202", HACKNEY: "204", BARNET: "302"}
PERIOD = "2026-27-Q2"
NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
OUTBOX = recipient_owner(DFE)
HEADER = "la_code,financial_year,quarter,measure_id,measure_value,measure_quality"


def decision(**changed: Any) -> Authorisation:
    standing = Authorisation(
        id="a1",
        lciib_reference="LCIIB 2026-04/7",
        decided_on=date(2026, 4, 1),
        purpose=Purpose.BENCHMARKING,
        recipient=DFE,
        collection=RIIA,
        fields=("*",),
        authorities=("*",),
        periods_from="2026-27-Q1",
        periods_until=None,
        valid_from=date(2026, 4, 1),
        valid_until=date(2027, 3, 31),
        state=AuthorisationState.PROPOSED,
        proposed_by="alice",
    )
    return replace(standing, **changed)


def dfe(**changed: Any) -> Recipient:
    known = Recipient(
        code=DFE,
        name="Department for Education",
        basis="Appendix A",
        seal_keys=("age1x",),
        label_accepted_at=datetime(2026, 4, 2, tzinfo=UTC),
    )
    return replace(known, **changed)


def takes_part(authority: AuthorityCode, **changed: Any) -> Participation:
    record = Participation(
        authority=authority, collection=RIIA, since=date(2024, 4, 1), agreement="DPA-1", impact_assessment="DPIA-1"
    )
    return replace(record, **changed)


def table(authority: AuthorityCode, contacts: int, *more: str) -> bytes:
    rows = [f"{NUMBERS[authority]},2026-27,Q2,{measure},{contacts}," for measure in ("A01", "A03", "A24")]
    return "\r\n".join([HEADER, *rows, *more, ""]).encode()


def seal(source: BinaryIO, sink: BinaryIO, keys: Sequence[str], /) -> None:
    """Turns every byte over: enough to see what was sealed and what was not."""
    assert keys
    sink.write(source.read()[::-1])


def riia() -> Collection:
    return Collection(
        id=RIIA,
        title="RIIA",
        cadence=PeriodKind.QUARTER,
        grain=Grain.AGGREGATE,
        shape=Shape.FILE,
        due=None,
        names=(),
        packages=(),
    )


@dataclass
class World:
    """Returns, records of taking part, a register and a router over them; ``before`` is called at every port call."""

    register_store: Any
    delivery_store: Any
    read_events: Callable[[], list[Event]]
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))
    shelf: MemoryShelf = field(default_factory=MemoryShelf)
    returns: dict[AuthorityCode, AcceptedReturn] = field(default_factory=dict)
    records: list[Participation] = field(default_factory=lambda: [takes_part(one) for one in NUMBERS])
    before: Callable[[str], None] = lambda _: None
    collections: dict[CollectionId, Collection] = field(default_factory=lambda: {RIIA: riia()})

    @property
    def register(self) -> Register:
        return Register(self.register_store)

    @property
    def router(self) -> Router:
        watched = Watched(self)
        return Router(
            recipes=load_recipes(EXTRACTS),
            collections=self.collections,
            register=Register(watched.of("register", self.register_store)),
            deliveries=watched.of("deliveries", self.delivery_store),
            participations=watched.of("participations", self),
            accepted=watched.of("accepted", self),
            seal=watched.call("seal", seal),
            transport=OutboxTransport(watched.of("shelf", self.shelf)),
            clock=self.clock,
        )

    def current(self, collection: CollectionId, period: str) -> list[AcceptedReturn]:
        return list(self.returns.values()) if (collection, period) == (RIIA, PERIOD) else []

    def of(self, collection: CollectionId) -> list[Participation]:
        return list(self.records)

    def accept(self, authority: AuthorityCode, contacts: int, *more: str, version: int = 1) -> None:
        content = table(authority, contacts, *more)
        self.returns[authority] = AcceptedReturn(
            submission=SubmissionId(f"{authority}-v{version}"),
            authority=authority,
            version=version,
            open=lambda _: io.BytesIO(content),
        )

    def authorise(self, **changed: Any) -> Authorisation:
        proposed = self.register.propose(decision(**changed), at=NOON)
        return self.register.approve(proposed.id, by="bob", at=NOON)

    def extracts(self) -> dict[str, str]:
        """What DfE sees of sealed extracts, opened."""
        found = self.shelf.visible(OUTBOX)
        return {name: content[::-1].decode() for name, content in found.items() if name.endswith(".age")}

    def actions(self) -> list[str]:
        return [one.action for one in self.read_events()]

    def events(self, action: str) -> list[Event]:
        return [one for one in self.read_events() if one.action == action]


class Watched:
    """Puts ``world.before`` in front of every call of a port."""

    def __init__(self, world: World) -> None:
        self._world = world

    def of(self, name: str, port: Any) -> Any:
        watched = self

        class Port:
            def __getattr__(self, method: str) -> Any:
                return watched.call(f"{name}.{method}", getattr(port, method))

        return Port()

    def call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            self._world.before(name)
            done = method(*arguments, **named)
            self._world.before(f"after {name}")
            return done

        return called


def memory_world() -> World:
    store = MemoryStore()
    return World(register_store=store, delivery_store=store, read_events=lambda: list(store.events))


def database_world(path: Path) -> World:
    database = Database(f"sqlite:///{path}")
    database.create_all()

    def read() -> list[Event]:
        with database.read() as connection:
            bodies = connection.execute(sa.select(ledger_events.c.body).order_by(ledger_events.c.seq)).scalars()
            return [Event.from_canonical(body) for body in bodies]

    return World(register_store=RegisterRows(database), delivery_store=DeliveryRows(database), read_events=read)


def peopled(world: World) -> World:
    """DfE on the register and two returns accepted; no decision yet."""
    world.register.add_recipient(dfe(label_accepted_at=None), by="alice", at=NOON)
    world.register.accept_label(DFE, by="alice", at=NOON)
    world.accept(CAMDEN, 417)
    world.accept(HACKNEY, 88)
    return world
