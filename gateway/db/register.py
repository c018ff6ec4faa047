"""Who may receive, under which decision, and what was delivered: recipients, authorisations, deliveries.

* Keeps what ``routing.ports`` asks of a ``RegisterStore`` and a ``DeliveryStore``; the rules are there.
* Every change is one transaction with its event. A decision or a delivery changes only from the state it was seen in.
* Lists are kept as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from gateway.db.core import Database, Instant, metadata
from gateway.domain.events import Event
from gateway.domain.names import RecipientCode
from gateway.domain.sharing import Authorisation, Delivery, Purpose, Recipient
from gateway.domain.states import AuthorisationState, DeliveryState
from gateway.errors import StorageError

_TRIES = 5


class Names(sa.types.TypeDecorator[tuple[str, ...]]):
    """A tuple of names, as JSON text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 (SQLAlchemy calls it so)
        """Write JSON."""
        return None if value is None else json.dumps(list(value), ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[str, ...] | None:  # noqa: ARG002
        """Read JSON."""
        return None if value is None else tuple(json.loads(value))


recipients = sa.Table(
    "recipients",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("seal_keys", Names, nullable=False),
    sa.Column("label_accepted_at", Instant),
)

authorisations = sa.Table(
    "authorisations",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("lciib_reference", sa.Text, nullable=False),
    sa.Column("decided_on", sa.Date, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("fields", Names, nullable=False),
    sa.Column("measures", Names, nullable=False),
    sa.Column("authorities", Names, nullable=False),
    sa.Column("periods_from", sa.Text, nullable=False),
    sa.Column("periods_until", sa.Text),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("proposed_by", sa.Text, nullable=False),
    sa.Column("proposed_at", Instant),
    sa.Column("approved_by", sa.Text),
    sa.Column("approved_at", Instant),
    sa.Column("revoked_by", sa.Text),
    sa.Column("revoked_at", Instant),
    sa.Column("revoked_reason", sa.Text, nullable=False, server_default=""),
    sa.Column("conditions", Names, nullable=False),
    sa.Column("document_digest", sa.Text),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("recipient", sa.Text, nullable=False),
    sa.Column("authorisation", sa.Text, nullable=False),
    sa.Column("lciib_reference", sa.Text, nullable=False),
    sa.Column("collection", sa.Text, nullable=False),
    sa.Column("period", sa.Text, nullable=False),
    sa.Column("edition", sa.Integer, nullable=False),
    sa.Column("submissions", Names, nullable=False),
    sa.Column("authorities", Names, nullable=False),
    sa.Column("fields", Names, nullable=False),
    sa.Column("measures", Names, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.Text),
    sa.Column("sealed_digest", sa.Text),
    sa.Column("recipe_digest", sa.Text),
    sa.Column("planned_at", Instant, nullable=False),
    sa.Column("changed_at", Instant),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("trouble", sa.Text, nullable=False, server_default=""),
    sa.Column("recalled", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("recipe", "period", "edition", name="delivery_edition"),
    sa.Index("deliveries_in_work", "state", "recalled"),
)


class RegisterRows:
    """The register in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recipients(self) -> Sequence[Recipient]:
        """Return every recipient, by code."""
        with self._database.read() as connection:
            return [_recipient(row) for row in connection.execute(sa.select(recipients).order_by(recipients.c.code))]

    def recipient(self, code: RecipientCode) -> Recipient | None:
        """Return one recipient."""
        with self._database.read() as connection:
            row = connection.execute(sa.select(recipients).where(recipients.c.code == code)).one_or_none()
        return _recipient(row) if row else None

    def save_recipient(self, recipient: Recipient, event: Event) -> None:
        """Add a recipient or put it in place of the one of the same code."""
        values = asdict(recipient)
        with self._database.write() as tx:
            known = recipients.c.code == recipient.code
            if not tx.connection.execute(recipients.update().where(known).values(**values)).rowcount:
                tx.connection.execute(recipients.insert().values(**values))
            tx.append(event)

    def authorisations(self) -> Sequence[Authorisation]:
        """Return every decision, by id."""
        query = sa.select(authorisations).order_by(authorisations.c.id)
        with self._database.read() as connection:
            return [_authorisation(row) for row in connection.execute(query)]

    def authorisation(self, authorisation: str) -> Authorisation | None:
        """Return one decision."""
        query = sa.select(authorisations).where(authorisations.c.id == authorisation)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return _authorisation(row) if row else None

    def add_authorisation(self, authorisation: Authorisation, event: Event) -> bool:
        """Add a decision; False where its id is taken."""
        try:
            with self._database.write() as tx:
                tx.connection.execute(authorisations.insert().values(**asdict(authorisation)))
                tx.append(event)
        except sa.exc.IntegrityError:
            return False
        return True

    def change_authorisation(self, authorisation: Authorisation, event: Event, *, was: AuthorisationState) -> bool:
        """Put a decision in place of the one of the same id, where that is still in state ``was``."""
        seen = sa.and_(authorisations.c.id == authorisation.id, authorisations.c.state == was)
        with self._database.write() as tx:
            changed = tx.connection.execute(authorisations.update().where(seen).values(**asdict(authorisation)))
            if changed.rowcount:
                tx.append(event)
            return bool(changed.rowcount)


class DeliveryRows:
    """The deliveries in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def about(self, recipe: str, period: str) -> Sequence[Delivery]:
        """Return every delivery of an extract for a period, oldest first."""
        return self._select(sa.and_(deliveries.c.recipe == recipe, deliveries.c.period == period))

    def delivery(self, delivery: str) -> Delivery | None:
        """Return one delivery."""
        found = self._select(deliveries.c.id == delivery)
        return found[0] if found else None

    def deliveries(self) -> Sequence[Delivery]:
        """Return every delivery, oldest first."""
        return self._select(sa.true())

    def in_states(self, *states: DeliveryState) -> Sequence[Delivery]:
        """Return the deliveries in these states that are not marked ``recalled``, oldest first."""
        return self._select(sa.and_(deliveries.c.state.in_(states), deliveries.c.recalled.is_(False)))

    def plan(self, key: str, recipe: str, period: str, make: Callable[[int], tuple[Delivery, Event]]) -> Delivery:
        """Add the delivery that ``make`` builds for the next edition, or return the one whose key is there already.

        Raises:
            StorageError: other nodes planned the same again and again at the same moment.
        """
        for _ in range(_TRIES):
            if there := self._select(deliveries.c.key == key):
                return there[0]
            try:
                return self._insert(key, recipe, period, make)
            except sa.exc.IntegrityError:
                continue  # another node was quicker: its delivery is the delivery, or its edition is taken
        raise StorageError(
            f"A delivery of {recipe} for {period} could not be planned.", did="It will be tried again.", passing=True
        )

    def change(self, delivery: Delivery, event: Event | None, *, was: DeliveryState) -> bool:
        """Put a delivery in place of the one of the same id, where that is still in state ``was``."""
        seen = sa.and_(deliveries.c.id == delivery.id, deliveries.c.state == was)
        with self._database.write() as tx:
            changed = tx.connection.execute(deliveries.update().where(seen).values(**asdict(delivery)))
            if changed.rowcount and event is not None:
                tx.append(event)
            return bool(changed.rowcount)

    def note(self, event: Event) -> None:
        """Append an event."""
        with self._database.write() as tx:
            tx.append(event)

    def _insert(self, key: str, recipe: str, period: str, make: Callable[[int], tuple[Delivery, Event]]) -> Delivery:
        same = sa.and_(deliveries.c.recipe == recipe, deliveries.c.period == period)
        with self._database.write() as tx:
            row = tx.connection.execute(sa.select(deliveries).where(deliveries.c.key == key)).one_or_none()
            if row is not None:
                return _delivery(row)
            last = tx.connection.execute(sa.select(sa.func.max(deliveries.c.edition)).where(same)).scalar_one()
            delivery, event = make((last or 0) + 1)
            tx.connection.execute(deliveries.insert().values(**asdict(delivery)))
            tx.append(event)
            return delivery

    def _select(self, wanted: sa.ColumnElement[bool]) -> list[Delivery]:
        query = sa.select(deliveries).where(wanted).order_by(deliveries.c.planned_at, deliveries.c.edition)
        with self._database.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]


def _values(row: Row[Any]) -> Mapping[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's public mapping)


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient(**_values(row))


def _authorisation(row: Row[Any]) -> Authorisation:
    values = _values(row)
    return Authorisation(
        **{**values, "purpose": Purpose(values["purpose"]), "state": AuthorisationState(values["state"])}
    )


def _delivery(row: Row[Any]) -> Delivery:
    values = _values(row)
    return Delivery(**{**values, "state": DeliveryState(values["state"])})
