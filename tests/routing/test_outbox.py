"""The outbox over the real homes and real age: what the shelf in memory promises, the real one keeps."""

from __future__ import annotations

import io
from pathlib import Path

import pyrage
import pytest
from routing_world import CAMDEN, DFE, EXTRACTS, NOON, OUTBOX, PERIOD, RIIA, World, database_world, dfe, peopled, riia

from gateway.clock import FixedClock
from gateway.db.core import Database
from gateway.domain.names import Owner
from gateway.domain.states import DeliveryState
from gateway.homes import Area, Shelf
from gateway.sealing.age import seal_to_age
from gateway.sealing.keys import Keyring
from gateway.storage.local import LocalStorage
from routing.deliver import Router
from routing.recipe import load_recipes
from routing.transports.outbox import OutboxTransport

FIRST = f"RIIA_London_{PERIOD}.csv.age"


class Installed:
    """A router over what the desk hands it."""

    def __init__(self, folder: Path) -> None:
        self.identity = pyrage.x25519.Identity.generate()
        self.world: World = peopled(database_world(folder / "gateway.db"))
        self.world.register.add_recipient(dfe(seal_keys=(str(self.identity.to_public()),)), by="alice", at=NOON)
        self.world.authorise()
        keyring = Keyring(folder / "keys")
        keyring.ensure()
        self.database = Database(f"sqlite:///{folder / 'gateway.db'}")
        clock = FixedClock(NOON)
        self.shelf = Shelf(
            self.database, LocalStorage(folder / "storage"), keyring, clock, on_collected=self._collected
        )
        self.router = Router(
            recipes=load_recipes(EXTRACTS),
            collections={RIIA: riia()},
            register=self.world.register,
            deliveries=self.world.delivery_store,
            participations=self.world,
            accepted=self.world,
            seal=seal_to_age,
            transport=OutboxTransport(self.shelf),
            clock=clock,
        )

    def _collected(self, _owner: Owner, folder: str, name: str) -> None:
        self.router.collected(DFE, folder, name)

    def names(self) -> list[str]:
        return [one.name for one in self.shelf.entries(OUTBOX, Area.OUTBOX, PERIOD)]

    def states(self) -> list[DeliveryState]:
        return [one.state for one in self.router.deliveries()]


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def test_the_recipient_opens_it_with_its_own_key_only(installed: Installed) -> None:
    (delivery,) = installed.router.route(RIIA, PERIOD).deliveries
    assert installed.names() == [f"RIIA_London_{PERIOD}.README.txt", FIRST]
    sealed = installed.shelf.read(OUTBOX, Area.OUTBOX, PERIOD, FIRST)
    assert sealed is not None
    assert b"202,2026-27,Q2,A01,417," in pyrage.decrypt(sealed, [installed.identity])
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(sealed, [pyrage.x25519.Identity.generate()])
    assert installed.router.route(RIIA, PERIOD).deliveries == (delivery,)


def test_what_is_revoked_disappears_and_what_is_superseded_makes_room(installed: Installed) -> None:
    installed.router.route(RIIA, PERIOD)
    installed.world.accept(CAMDEN, 418, version=2)
    installed.router.route(RIIA, PERIOD)
    assert FIRST not in installed.names()
    assert len(installed.names()) == 2
    installed.world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    installed.router.tend()
    assert installed.names() == []
    assert installed.states() == [DeliveryState.WITHDRAWN] * 2


def test_what_was_read_to_its_end_is_collected_and_stays(installed: Installed) -> None:
    installed.router.route(RIIA, PERIOD)
    (entry,) = [one.id for one in installed.shelf.entries(OUTBOX, Area.OUTBOX, PERIOD) if one.name == FIRST]
    with installed.shelf.open(entry) as stream:
        assert io.BytesIO(stream.read()).getvalue()
    installed.shelf.collected(entry)
    assert installed.states() == [DeliveryState.COLLECTED]
    installed.world.register.revoke("a1", by="bob", reason="enough", at=NOON)
    installed.router.tend()
    assert FIRST in installed.names()
    assert installed.states() == [DeliveryState.COLLECTED]
