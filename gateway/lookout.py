"""Looks who owes what, tells people in time, and shows how everything stands.

* ``tick`` may run as often as wanted, on as many nodes as wanted, after any downtime: a notice is raised once.
* How an expectation stands is computed each time, from the collections, what was agreed, and what was accepted.
* Looking takes no lock; only a notice that is new begins a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import structlog

from gateway.calendar.deadlines import render_deadlines
from gateway.calendar.expectations import PERIODS_BACK, AcceptedFacts, expectation, expectations, standing, standings
from gateway.calendar.workdays import ENGLAND, BankHolidays
from gateway.clock import Clock
from gateway.db.calendar import grant_extension, read_agreed
from gateway.db.core import Database
from gateway.db.notices import raise_notice, raised_already
from gateway.domain.collection import Collection
from gateway.domain.expectation import Expectation, Extension, Owed, Standing
from gateway.domain.london import london_date
from gateway.domain.names import AuthorityCode, CollectionId, Owner, authority_owner
from gateway.domain.notice import Address, Notice, NoticeKey
from gateway.domain.period import Period
from gateway.domain.states import ExpectationState
from gateway.errors import NotAllowedError, NotFoundError, NoticeError
from gateway.notices.composer import Composer, LetterFacts
from gateway.notices.occasions import Schedule, due_notices

_log = structlog.get_logger(__name__)


class Lookout:
    """The calendar at work.

    Args:
        database: where agreements and notices are kept.
        catalogue: the collections, asked for each time, so that a new folder counts at once.
        authorities: the authorities' names by code, asked for each time.
        accepted_facts: for each expectation that was met, when the first accepted version was *received*.
        addresses: where notices to an owner go (its folder, its contacts' mail addresses).
        composer: writes the letters.
        schedule: when people are told.
        clock: the time.
        bank_holidays: England's, with local changes.
        back: how many periods of a collection are looked at.
    """

    def __init__(
        self,
        *,
        database: Database,
        catalogue: Callable[[], Mapping[CollectionId, Collection]],
        authorities: Callable[[], Mapping[AuthorityCode, str]],
        accepted_facts: Callable[[], AcceptedFacts],
        addresses: Callable[[Owner], Sequence[Address]],
        composer: Composer,
        schedule: Schedule,
        clock: Clock,
        bank_holidays: BankHolidays = ENGLAND,
        back: int = PERIODS_BACK,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._authorities = authorities
        self._accepted_facts = accepted_facts
        self._addresses = addresses
        self._composer = composer
        self._schedule = schedule
        self._clock = clock
        self._bank_holidays = bank_holidays
        self._back = back

    def tick(self) -> list[NoticeKey]:
        """Raise every notice that is due and was not raised, and return the keys of those raised now.

        Raises:
            NoticeError: a letter could not be written; every notice with another letter was raised all the same.
        """
        at = self._clock.now()
        matrix = {one.expectation.owed: one for one in self.matrix(at=at)}
        due = due_notices(matrix.values(), self._schedule, at)
        with self._database.read() as connection:
            there = raised_already(connection, due)
        new = [key for key in due if key not in there]
        if not new:
            return []
        names, collections = self._authorities(), self._catalogue()
        by_owner = {
            (authority_owner(owed.authority), owed.collection, owed.period): one for owed, one in matrix.items()
        }
        raised: list[NoticeKey] = []
        trouble: NoticeError | None = None
        for key in new:
            owed = by_owner[key.owner, CollectionId(key.collection or ""), key.period or ""].expectation
            facts = _letter_facts(owed, names[owed.authority], collections[owed.collection].title, london_date(at))
            try:
                letter = self._composer.compose(key.kind, facts)
            except NoticeError as error:
                trouble = error
                continue
            notice = Notice(key=key, made_at=at, letter=letter, to=tuple(self._addresses(key.owner)))
            with self._database.write() as tx:
                if raise_notice(tx, notice):
                    raised.append(key)
        if raised:
            _log.info("Notices were raised.", action="notified", count=len(raised))
        if trouble is not None:
            raise trouble
        return raised

    def matrix(
        self, *, at: datetime | None = None, back: int | None = None, authority: AuthorityCode | None = None
    ) -> list[Standing]:
        """Return how every expectation that is open or near stands, by authority, collection and period.

        Those that are not expected are in it, so that a table has no holes.

        Args:
            at: the instant asked about; None for now. What was agreed is taken as it is on record today.
            back: how many periods of a collection; None for as many as ``tick`` looks at.
            authority: one only; None for all.
        """
        at = at or self._clock.now()
        authorities = sorted(self._authorities()) if authority is None else [authority]
        with self._database.read() as connection:
            agreed = read_agreed(connection)
        owed = expectations(
            self._catalogue().values(),
            authorities,
            agreed,
            london_date(at),
            self._bank_holidays,
            back=self._back if back is None else back,
        )
        return standings(owed, self._accepted_facts(), at)

    def look_at(self, owed: Owed) -> Standing:
        """Return how one expectation stands now, however old or far ahead.

        Raises:
            NotFoundError: there is no such collection, it has no due dates, or the period is not one of its.
        """
        one = self._expectation(owed)
        accepted_at = self._accepted_facts().get(owed)
        state: ExpectationState = standing(one, accepted_at, self._clock.now())
        return Standing(expectation=one, state=state, accepted_at=accepted_at)

    def extend(self, extension: Extension) -> bool:
        """Grant an extension. False where it is granted already.

        Raises:
            NotAllowedError: the new date is not later than the original one.
            NotFoundError: there is no such expectation.
        """
        one = self._expectation(extension.owed)
        if extension.new_due <= one.original_due:
            raise NotAllowedError(
                f"{extension.owed} is due on {one.original_due}; {extension.new_due} is no extension.",
                did="Nothing was changed.",
                remedy="Give a later date.",
            )
        with self._database.write() as tx:
            return grant_extension(tx, extension)

    def deadlines(self, authority: AuthorityCode) -> str:
        """Return the text of an authority's DEADLINES.txt as of now."""
        at = self._clock.now()
        titles = {one.id: one.title for one in self._catalogue().values()}
        shown = [one for one in self.matrix(at=at, authority=authority) if _worth_showing(one, at)]
        return render_deadlines(self._authorities().get(authority, authority), shown, titles, at)

    def _expectation(self, owed: Owed) -> Expectation:
        collection = self._catalogue().get(owed.collection)
        if collection is None or collection.due is None:
            raise NotFoundError(
                f"No return {owed.collection} has due dates.", remedy="Run `gateway status` to see all."
            )
        try:
            period = Period.parse(owed.period)
        except ValueError as error:
            raise NotFoundError(f"{error}") from error
        if collection.cadence is not None and period.kind is not collection.cadence:
            raise NotFoundError(f"{owed.collection} is sent by {collection.cadence}; {owed.period} is a {period.kind}.")
        with self._database.read() as connection:
            agreed = read_agreed(connection)
        return expectation(collection, period, owed.authority, agreed, self._bank_holidays)


def _letter_facts(owed: Expectation, name: str, title: str, today: date) -> LetterFacts:
    return LetterFacts(
        to_name=name,
        collection_title=title,
        period=owed.period.label,
        due=owed.due,
        original_due=owed.original_due,
        load_due=owed.load_due,
        today=today,
    )


def _worth_showing(one: Standing, at: datetime) -> bool:
    """Leave out what was answered and is over: a page of old successes hides what is due."""
    answered = one.accepted_at is not None or one.state is ExpectationState.EXCUSED
    return not answered or one.expectation.period.next().end >= london_date(at)
