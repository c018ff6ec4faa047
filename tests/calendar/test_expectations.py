from datetime import UTC, date, datetime, timedelta

import pytest
from calendar_builders import CAMDEN, SSDA903, collection, expectation, takes_part
from hypothesis import given
from hypothesis import strategies as st

from gateway.calendar.expectations import check_rules, expectations, expected_periods, is_open, standing
from gateway.calendar.expectations import expectation as owed_by
from gateway.calendar.workdays import ENGLAND
from gateway.domain.expectation import Agreed, DueOverride, Excuse, Extension, Owed
from gateway.domain.london import end_of_day
from gateway.domain.period import Period, PeriodKind
from gateway.domain.states import ExpectationState as State
from gateway.errors import SettingsError

PERIOD = Period.parse("2026-27")
OWED = Owed(CAMDEN, SSDA903, "2026-27")
NOW = datetime(2027, 4, 20, 9, tzinfo=UTC)
EXTENSION = Extension(
    owed=OWED, new_due=date(2027, 6, 14), reason="system change", granted_by="person:alice", granted_at=NOW
)
EXCUSE = Excuse(owed=OWED, reason="cyber-attack", granted_by="person:alice", granted_at=NOW)
INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2053, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def owed(agreed: Agreed, **due: object):
    return owed_by(collection(**due), PERIOD, CAMDEN, agreed, ENGLAND)


def test_a_return_received_in_the_last_second_is_on_time_and_one_after_it_is_late():
    limit = end_of_day(date(2027, 6, 1))
    assert standing(expectation(), limit - timedelta(microseconds=1), limit) is State.ACCEPTED_ON_TIME
    assert standing(expectation(), limit, limit) is State.ACCEPTED_LATE


def test_nothing_accepted_is_expected_then_late_then_missing_when_closed():
    one = expectation(closes=date(2027, 6, 30))
    assert standing(one, None, end_of_day(one.due) - timedelta(seconds=1)) is State.EXPECTED
    assert standing(one, None, end_of_day(one.due)) is State.LATE
    assert standing(one, None, end_of_day(date(2027, 6, 30))) is State.MISSING
    assert standing(expectation(), None, NOW + timedelta(days=1000)) is State.LATE


def test_a_return_not_received_yet_does_not_count_at_an_earlier_instant():
    assert standing(expectation(), NOW + timedelta(days=1), NOW) is State.EXPECTED


def test_who_does_not_take_part_is_neither_late_nor_missing():
    assert standing(owed(Agreed()), None, NOW + timedelta(days=500)) is State.NOT_EXPECTED


def test_who_does_not_take_part_may_still_send_one():
    assert standing(owed(Agreed()), NOW, NOW) is State.ACCEPTED_ON_TIME


def test_taking_part_counts_on_the_day_it_is_due():
    assert owed(Agreed(participations=[takes_part(since=date(2027, 5, 31))])).participates
    assert not owed(Agreed(participations=[takes_part(since=date(2027, 6, 1))])).participates
    assert owed(Agreed(participations=[takes_part(until=date(2027, 5, 31))])).participates
    assert not owed(Agreed(participations=[takes_part(until=date(2027, 5, 30))])).participates


def test_an_extension_moves_the_due_date_and_keeps_the_old_one():
    one = owed(Agreed(participations=[takes_part()], extensions=[EXTENSION]))
    assert (one.due, one.original_due, one.extension_reason) == (date(2027, 6, 14), date(2027, 5, 31), "system change")
    assert standing(one, None, datetime(2027, 6, 10, tzinfo=UTC)) is State.EXPECTED


def test_an_extension_cannot_be_escaped_by_the_closing_date():
    one = owed(Agreed(extensions=[EXTENSION]), closes="4 June after the period ends")
    assert one.closes == date(2027, 6, 14)


def test_who_is_excused_is_neither_late_nor_missing():
    one = owed(Agreed(participations=[takes_part()], excuses=[EXCUSE]))
    assert standing(one, None, NOW + timedelta(days=500)) is State.EXCUSED


def test_a_due_date_set_for_a_period_replaces_the_rules_for_everyone():
    override = DueOverride(
        collection=SSDA903, period="2026-27", due_on=date(2027, 6, 7), reason="late guidance", set_by="person:alice"
    )
    one = owed(Agreed(overrides=[override]))
    assert (one.due, one.original_due) == (date(2027, 6, 7), date(2027, 6, 7))


def test_days_of_grace_are_on_time_and_do_not_move_the_due_date():
    one = owed(Agreed(participations=[takes_part()]), grace_working_days=2)
    assert (one.due, one.on_time_until) == (date(2027, 5, 31), date(2027, 6, 2))
    assert standing(one, None, end_of_day(date(2027, 6, 1))) is State.EXPECTED


def test_two_milestones_and_the_window_are_read_from_their_rules():
    one = owed(
        Agreed(),
        rule="31 July after the period ends",
        load_rule="30 June after the period ends",
        opens="1 April after the period ends",
        closes="30 September after the period ends",
    )
    assert (one.opens, one.load_due, one.due, one.closes) == (
        date(2027, 4, 1),
        date(2027, 6, 30),
        date(2027, 7, 31),
        date(2027, 9, 30),
    )
    assert is_open(one, datetime(2027, 4, 1, tzinfo=UTC))
    assert not is_open(one, datetime(2027, 3, 31, 12, tzinfo=UTC))
    assert not is_open(one, datetime(2027, 10, 1, tzinfo=UTC))


def test_periods_that_are_open_or_near_are_expected_newest_last():
    quarterly = collection(cadence=PeriodKind.QUARTER, rule="20 working days after the period ends")
    labels = [one.label for one in expected_periods(quarterly, date(2026, 11, 25), ENGLAND, back=3)]
    assert labels == ["2025-26-Q4", "2026-27-Q1", "2026-27-Q2"]
    labels = [one.label for one in expected_periods(quarterly, date(2026, 12, 10), ENGLAND, back=1)]
    assert labels == ["2026-27-Q3"]  # opens on 1 January, near


def test_a_period_before_the_first_data_package_is_not_expected():
    young = collection(from_period="2025-26")
    assert [one.label for one in expected_periods(young, date(2027, 5, 1), ENGLAND)] == ["2025-26", "2026-27"]


def test_a_collection_sent_only_when_asked_for_is_never_expected():
    assert expected_periods(collection(cadence=None), date(2027, 5, 1), ENGLAND) == []


def test_everyone_owes_every_period_and_the_order_is_by_authority():
    both = expectations([collection()], [CAMDEN, "hackney"], Agreed(), date(2027, 5, 1), ENGLAND, back=2)
    assert [str(one.owed) for one in both] == [
        "camden/ssda903/2025-26",
        "camden/ssda903/2026-27",
        "hackney/ssda903/2025-26",
        "hackney/ssda903/2026-27",
    ]


def test_a_wrong_rule_is_refused_when_the_collection_is_read():
    check_rules(collection())
    with pytest.raises(SettingsError, match="is not a due rule"):
        check_rules(collection(closes="sometime"))


@given(INSTANTS, st.sampled_from(PeriodKind), st.integers(1, 8))
def test_over_30_years_the_expected_periods_are_neighbours_and_the_newest_is_open_or_near(at, kind, back):
    periodic = collection(cadence=kind, rule="20 working days after the period ends")
    periods = expected_periods(periodic, at.date(), ENGLAND, back=back)
    assert [one.next() for one in periods[:-1]] == periods[1:]
    assert periods[-1].end < at.date() + timedelta(days=31) <= periods[-1].next().end + timedelta(days=40)


@given(INSTANTS, st.one_of(st.none(), INSTANTS), st.integers(0, 60), st.booleans(), st.booleans())
def test_over_30_years_every_expectation_has_one_state_and_acceptance_always_counts(at, received, days, part, excused):
    due = (at + timedelta(days=days - 30)).date()
    one = expectation(due=due, on_time_until=due, participates=part, excused=excused)
    state = standing(one, received, at)
    accepted = received is not None and received <= at
    assert (state in {State.ACCEPTED_ON_TIME, State.ACCEPTED_LATE}) == accepted
    if not accepted and (excused or not part):
        assert state in {State.EXCUSED, State.NOT_EXPECTED}
    if not accepted and part and not excused:
        assert (state is State.LATE) == (at >= end_of_day(due))
