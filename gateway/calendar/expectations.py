"""What each authority owes, and how that stands: computed from the collections, what was agreed, facts and the time.

* An authority owes a return where it takes part in the collection on the day the return is (originally) due.
  Taking part is voluntary: no record of taking part means not expected, which is neither late nor missing.
* An extension moves the due date and keeps the old one. An excuse ends the matter.
* What counts as "accepted at" is when the first accepted version was *received*: how long we take is our affair.
* ``late`` becomes ``missing`` when the collection has closed; a collection without a closing date stays ``late``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

from gateway.calendar.due import due_date, parse_rule
from gateway.calendar.workdays import BankHolidays
from gateway.domain.collection import Collection, Due
from gateway.domain.expectation import Agreed, Excuse, Expectation, Extension, Owed, Standing
from gateway.domain.london import end_of_day, london_date
from gateway.domain.names import AuthorityCode, CollectionId
from gateway.domain.period import Period
from gateway.domain.sharing import Participation
from gateway.domain.states import ExpectationState

AcceptedFacts: TypeAlias = Mapping[Owed, datetime]
"""When the return that was accepted was received, for each expectation that has one."""

PERIODS_BACK = 4
"""How many periods are looked at by default, the newest that is open or near included."""

DAYS_AHEAD = 31
"""A period is near when its return opens within so many days."""


def check_rules(collection: Collection) -> None:
    """Read every rule of a collection, so that a wrong one is refused at start and not in the night it matters.

    Raises:
        SettingsError: a rule is none of the forms.
    """
    if collection.due is not None:
        for rule in _rules(collection.due):
            parse_rule(rule)


def expected_periods(
    collection: Collection,
    on: date,
    bank_holidays: BankHolidays,
    *,
    back: int = PERIODS_BACK,
    ahead_days: int = DAYS_AHEAD,
) -> list[Period]:
    """Return the newest ``back`` periods whose return is open or opens within ``ahead_days``, oldest first.

    A collection that is only sent when asked for has none. A period older than the oldest data package is left out.
    """
    if collection.due is None or collection.cadence is None:
        return []
    period = Period.containing(on, collection.cadence).next()
    horizon = on + timedelta(days=ahead_days)
    while due_date(collection.due.opens, period, bank_holidays) > horizon:
        period = period.previous()
    found = [period]
    while len(found) < back:
        found.append(found[-1].previous())
    return [one for one in reversed(found) if collection.package_for(one) is not None]


def expectations(
    collections: Iterable[Collection],
    authorities: Iterable[AuthorityCode],
    agreed: Agreed,
    on: date,
    bank_holidays: BankHolidays,
    *,
    back: int = PERIODS_BACK,
) -> list[Expectation]:
    """Return what every authority owes for the periods that are open or near, by authority, collection and period."""
    terms = _Terms.of(agreed)
    dated = [
        _dates(one, period, terms, bank_holidays)
        for one in collections
        for period in expected_periods(one, on, bank_holidays, back=back)
    ]
    return [_expectation(authority, dates, terms, bank_holidays) for authority in authorities for dates in dated]


def expectation(
    collection: Collection, period: Period, authority: AuthorityCode, agreed: Agreed, bank_holidays: BankHolidays
) -> Expectation:
    """Return what one authority owes for one period, however long ago or far ahead.

    Raises:
        ValueError: the collection has no due rule.
    """
    terms = _Terms.of(agreed)
    return _expectation(authority, _dates(collection, period, terms, bank_holidays), terms, bank_holidays)


def standing(owed: Expectation, accepted_at: datetime | None, at: datetime) -> ExpectationState:
    """Return how an expectation stands at an instant.

    Args:
        owed: what is owed.
        accepted_at: when the return that was accepted was received; None where none was.
        at: the instant asked about; what was received after it does not count.
    """
    limit = end_of_day(owed.on_time_until)
    if accepted_at is not None and accepted_at <= at:
        return ExpectationState.ACCEPTED_ON_TIME if accepted_at < limit else ExpectationState.ACCEPTED_LATE
    if not owed.participates:
        return ExpectationState.NOT_EXPECTED
    if owed.excused:
        return ExpectationState.EXCUSED
    if at < limit:
        return ExpectationState.EXPECTED
    closed = owed.closes is not None and at >= end_of_day(owed.closes)
    return ExpectationState.MISSING if closed else ExpectationState.LATE


def standings(owed: Iterable[Expectation], facts: AcceptedFacts, at: datetime) -> list[Standing]:
    """Return how each expectation stands at an instant."""
    return [
        Standing(expectation=one, state=standing(one, facts.get(one.owed), at), accepted_at=facts.get(one.owed))
        for one in owed
    ]


def is_open(owed: Expectation, at: datetime) -> bool:
    """Say whether a return is looked for at an instant: it opened and did not close."""
    today = london_date(at)
    return owed.opens <= today and (owed.closes is None or today <= owed.closes)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dates:
    """The days of one collection and period, before anything was agreed with one authority."""

    collection: CollectionId
    period: Period
    opens: date
    due: date
    load_due: date | None
    closes: date | None
    grace_working_days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Terms:
    """What was agreed, ready to be looked up."""

    participations: Mapping[tuple[AuthorityCode, CollectionId], Sequence[Participation]]
    due_on: Mapping[tuple[CollectionId, str], date]
    extensions: Mapping[Owed, Extension]
    excuses: Mapping[Owed, Excuse]

    @classmethod
    def of(cls, agreed: Agreed) -> _Terms:
        taking_part: defaultdict[tuple[AuthorityCode, CollectionId], list[Participation]] = defaultdict(list)
        for one in agreed.participations:
            taking_part[one.authority, one.collection].append(one)
        return cls(
            participations=dict(taking_part),
            due_on={(one.collection, one.period): one.due_on for one in agreed.overrides},
            extensions={one.owed: one for one in agreed.extensions},
            excuses={one.owed: one for one in agreed.excuses},
        )

    def takes_part(self, owed: Owed, on: date) -> bool:
        spans = self.participations.get((owed.authority, owed.collection), ())
        return any(one.since <= on and (one.until is None or on <= one.until) for one in spans)


def _rules(due: Due) -> list[str]:
    return [rule for rule in (due.rule, due.opens, due.load_rule, due.closes) if rule is not None]


def _dates(collection: Collection, period: Period, terms: _Terms, bank_holidays: BankHolidays) -> _Dates:
    due = collection.due
    if due is None:
        message = f"{collection.id} has no due rule"
        raise ValueError(message)

    def day(rule: str | None) -> date | None:
        return None if rule is None else due_date(rule, period, bank_holidays)

    set_day = terms.due_on.get((collection.id, period.label))
    return _Dates(
        collection=collection.id,
        period=period,
        opens=due_date(due.opens, period, bank_holidays),
        due=set_day or due_date(due.rule, period, bank_holidays),
        load_due=day(due.load_rule),
        closes=day(due.closes),
        grace_working_days=due.grace_working_days,
    )


def _expectation(authority: AuthorityCode, dates: _Dates, terms: _Terms, bank_holidays: BankHolidays) -> Expectation:
    owed = Owed(authority, dates.collection, dates.period.label)
    extension, excuse = terms.extensions.get(owed), terms.excuses.get(owed)
    due = extension.new_due if extension else dates.due
    on_time_until = bank_holidays.working_days_after(due, dates.grace_working_days)
    return Expectation(
        authority=authority,
        collection=dates.collection,
        period=dates.period,
        opens=dates.opens,
        due=due,
        original_due=dates.due,
        on_time_until=on_time_until,
        load_due=dates.load_due,
        # A return that may still come on time is never shut out by the closing rule.
        closes=None if dates.closes is None else max(dates.closes, on_time_until),
        extension_reason=extension.reason if extension else "",
        participates=terms.takes_part(owed, dates.due),
        excused=excuse is not None,
        excuse_reason=excuse.reason if excuse else "",
    )
