"""Nothing leaves without a decision in force: examples, then properties that try to break it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from routing_world import BARNET, CAMDEN, D2I, DFE, HACKNEY, NOON, PERIOD, RIIA, decision, dfe, takes_part

from gateway.domain.london import LONDON
from gateway.domain.names import AuthorityCode
from gateway.domain.period import Period
from gateway.domain.sharing import Authorisation, Deny, Participation, Permit, Purpose, Recipient, ReleaseRequest
from gateway.domain.states import AuthorisationState
from routing.policy import decide, explain

APPROVED = {"state": AuthorisationState.APPROVED, "approved_by": "bob"}
FIELDS = ("t.la_code", "t.measure_id", "t.value")
ASKED = ReleaseRequest(
    recipient=DFE,
    collection=RIIA,
    child_level=False,
    period=PERIOD,
    fields=FIELDS,
    authorities=(CAMDEN, HACKNEY),
    purpose=Purpose.BENCHMARKING,
    measures=("A01", "A02"),
)
EVERYONE = (takes_part(CAMDEN), takes_part(HACKNEY))
KNOWN = dfe()


def ask(
    *authorisations: Authorisation,
    request: ReleaseRequest = ASKED,
    recipient: Recipient | None = KNOWN,
    participation: tuple[Participation, ...] = EVERYONE,
    at: datetime = NOON,
) -> Permit | Deny:
    return decide(request, authorisations=authorisations, recipient=recipient, participation=participation, at=at)


def reasons(answer: Permit | Deny) -> str:
    assert isinstance(answer, Deny)
    return "\n".join(answer.reasons)


def test_a_decision_in_force_permits_exactly_what_was_asked() -> None:
    answer = ask(decision(**APPROVED, conditions=("internal",)))
    assert answer == Permit(
        authorisation="a1",
        lciib_reference="LCIIB 2026-04/7",
        fields=FIELDS,
        measures=("A01", "A02"),
        authorities=(CAMDEN, HACKNEY),
        conditions=("internal",),
    )


def test_without_any_decision_it_is_denied() -> None:
    assert reasons(ask()) == "authorisation: no decision of the LCIIB lets dfe have riia-quarterly"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"state": AuthorisationState.PROPOSED}, "only proposed"),
        ({"approved_by": "Alice "}, "another person"),
        ({"approved_by": "person:alice"}, "another person"),
        ({"approved_by": None}, "another person"),
        ({"valid_from": date(2026, 10, 21)}, "not in force yet"),
        ({"valid_until": date(2026, 10, 19)}, "expired"),
        ({"state": AuthorisationState.EXPIRED}, "expired"),
        ({"revoked_at": NOON}, "revoked"),
        ({"revoked_at": NOON + timedelta(days=1)}, "revoked"),
        ({"state": AuthorisationState.REVOKED}, "revoked"),
        ({"decided_on": date(2026, 10, 21)}, "future"),
        ({"purpose": Purpose.IMPROVEMENT}, "is for improvement, not benchmarking"),
        ({"collection": "ssda903"}, "no decision"),
        ({"recipient": D2I}, "no decision"),
        ({"periods_from": "2026-27-Q3"}, "does not cover 2026-27-Q2"),
        ({"periods_until": "2026-27-Q1"}, "does not cover 2026-27-Q2"),
        ({"periods_until": "later"}, "does not cover 2026-27-Q2"),
        ({"fields": FIELDS[:2]}, "does not cover field t.value"),
        ({"fields": ()}, "does not cover field"),
        ({"fields": ("*", "t.la_code")}, "does not cover field"),
        ({"measures": ("A01",)}, "does not cover measure A02"),
        ({"authorities": ("barnet",)}, "names none of camden, hackney"),
        ({"authorities": ()}, "names none of"),
    ],
)
def test_a_decision_that_falls_short_is_denied_in_words(changed: dict[str, object], words: str) -> None:
    answer = ask(decision(**{**APPROVED, **changed}))
    assert words in reasons(answer)
    assert reasons(answer).startswith("authorisation: ")


def test_every_measure_is_permitted_only_by_a_decision_for_every_measure() -> None:
    every = replace(ASKED, measures=("*",))
    assert "measure *" in reasons(ask(decision(**APPROVED, measures=("A01", "*")), request=every))
    assert isinstance(ask(decision(**APPROVED), request=every), Permit)


def test_two_decisions_that_cover_a_half_each_cover_nothing() -> None:
    halves = [decision(**APPROVED, id=f"h{n}", fields=part) for n, part in enumerate((FIELDS[:2], FIELDS[1:]))]
    assert isinstance(ask(*halves), Deny)


def test_who_is_not_named_is_left_out_and_the_fullest_decision_is_taken() -> None:
    narrow = decision(**APPROVED, id="a0", authorities=("camden",))
    answer = ask(narrow)
    assert isinstance(answer, Permit)
    assert answer.authorities == (CAMDEN,)
    assert answer.left_out == ("hackney: LCIIB 2026-04/7 does not name it",)
    fullest = ask(narrow, decision(**APPROVED))
    assert fullest == ask(decision(**APPROVED), narrow)
    assert isinstance(fullest, Permit)
    assert fullest.authorisation == "a1"


def test_of_equal_decisions_the_newest_is_taken_then_the_lowest_id() -> None:
    old, new = decision(**APPROVED), decision(**APPROVED, id="a2", decided_on=date(2026, 5, 1))
    twin = replace(new, id="a3")
    answer = ask(twin, old, new)
    assert isinstance(answer, Permit)
    assert answer.authorisation == "a2"


def test_who_withdrew_is_left_out_from_the_day_after_its_last() -> None:
    last = takes_part(HACKNEY, until=date(2026, 10, 20))
    on_the_day = ask(decision(**APPROVED), participation=(EVERYONE[0], last))
    assert isinstance(on_the_day, Permit)
    assert on_the_day.authorities == (CAMDEN, HACKNEY)
    answer = ask(decision(**APPROVED), participation=(EVERYONE[0], last), at=NOON + timedelta(days=1))
    assert isinstance(answer, Permit)
    assert answer.left_out == ("hackney: no longer takes part in riia-quarterly",)


def test_an_older_record_does_not_outlive_a_withdrawal() -> None:
    withdrew = takes_part(HACKNEY, since=date(2025, 4, 1), until=date(2026, 1, 1))
    answer = ask(decision(**APPROVED), participation=(*EVERYONE, withdrew))
    assert isinstance(answer, Permit)
    assert answer.authorities == (CAMDEN,)


@pytest.mark.parametrize("lacking", [{"agreement": None}, {"impact_assessment": None}, {"agreement": " "}])
def test_child_level_data_need_both_papers(lacking: dict[str, str | None]) -> None:
    bare = (EVERYONE[0], takes_part(HACKNEY, **lacking))
    assert isinstance(ask(decision(**APPROVED), participation=bare), Permit)
    answer = ask(decision(**APPROVED), participation=bare, request=replace(ASKED, child_level=True))
    assert isinstance(answer, Permit)
    assert answer.authorities == (CAMDEN,)
    assert "on record" in answer.left_out[0]


def test_nobody_left_is_denied() -> None:
    assert reasons(ask(decision(**APPROVED), participation=())).startswith("participation: camden: does not take part")
    nobody = ask(decision(**APPROVED), request=replace(ASKED, authorities=()))
    assert "participation: the request names no authority" in reasons(nobody)


def test_the_label_must_be_accepted_by_then() -> None:
    yes = decision(**APPROVED)
    for recipient in (
        None,
        dfe(code=D2I),
        dfe(label_accepted_at=None),
        dfe(label_accepted_at=NOON + timedelta(seconds=1)),
    ):
        assert reasons(ask(yes, recipient=recipient)).startswith("label: dfe ")


def test_every_gate_that_stays_shut_is_named() -> None:
    told = reasons(ask(recipient=None, participation=()))
    assert [line.split(":")[0] for line in told.splitlines()] == ["authorisation", "label", *["participation"] * 2]


def test_the_day_is_a_day_in_london_over_summer_time_midnight_and_29_february() -> None:
    ends = decision(**APPROVED, valid_until=date(2028, 2, 29))
    asked = replace(ASKED, period="2027-28-Q3")
    assert isinstance(ask(ends, request=asked, at=datetime(2028, 2, 29, 23, 59, tzinfo=UTC)), Permit)
    assert isinstance(ask(ends, request=asked, at=datetime(2028, 3, 1, tzinfo=UTC)), Deny)
    summer = decision(**APPROVED, valid_until=date(2026, 7, 31))
    assert isinstance(ask(summer, at=datetime(2026, 7, 31, 22, 59, tzinfo=UTC)), Permit)
    assert isinstance(ask(summer, at=datetime(2026, 7, 31, 23, 0, tzinfo=UTC)), Deny)


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ask(at=datetime(2026, 10, 20))  # noqa: DTZ001 (that is the point)


def test_it_is_explained_in_words() -> None:
    yes = explain(ASKED, ask(decision(**APPROVED, authorities=("camden",), conditions=("internal",))))
    assert "PERMITTED under LCIIB 2026-04/7" in yes
    assert "left out: hackney" in yes
    assert "DENIED: nothing leaves." in explain(ASKED, ask())


# -- properties ----------------------------------------------------------------------------------------------------

AUTHORITIES = [CAMDEN, HACKNEY, BARNET]
DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))
NAMED = st.sampled_from([("*",), (), FIELDS, FIELDS[:1], FIELDS[1:]])
PERIODS = ["2025-26-Q4", "2026-27-Q1", "2026-27-Q2", "2026-27-Q3"]


@st.composite
def some_authorisation(draw: st.DrawFn) -> Authorisation:
    begins = draw(DAYS)
    return decision(
        id=draw(st.sampled_from(["a", "b", "c", "d", "e"])),
        decided_on=draw(DAYS),
        purpose=draw(st.sampled_from([Purpose.BENCHMARKING, Purpose.BENCHMARKING, Purpose.IMPROVEMENT])),
        recipient=draw(st.sampled_from([DFE, DFE, DFE, D2I])),
        fields=draw(NAMED),
        measures=draw(st.sampled_from([("*",), ("A01",), ("A01", "A02"), ()])),
        authorities=draw(st.sampled_from([("*",), ("camden",), ("camden", "barnet"), ()])),
        periods_from=draw(st.sampled_from(PERIODS)),
        periods_until=draw(st.sampled_from([None, *PERIODS])),
        valid_from=begins,
        valid_until=begins + timedelta(days=draw(st.integers(0, 600))),
        state=draw(st.sampled_from([AuthorisationState.APPROVED] * 4 + list(AuthorisationState))),
        approved_by=draw(st.sampled_from(["bob", "bob", "bob", "alice", None])),
        revoked_at=draw(st.sampled_from([None, None, None, NOON])),
    )


@st.composite
def some_participation(draw: st.DrawFn) -> Participation:
    return takes_part(
        draw(st.sampled_from(AUTHORITIES)),
        since=draw(DAYS),
        until=draw(st.one_of(st.none(), DAYS)),
        agreement=draw(st.sampled_from(["DPA", None])),
        impact_assessment=draw(st.sampled_from(["DPIA", None])),
    )


@st.composite
def some_request(draw: st.DrawFn) -> ReleaseRequest:
    return replace(
        ASKED,
        child_level=draw(st.booleans()),
        period=draw(st.sampled_from(PERIODS)),
        fields=draw(st.sampled_from([FIELDS, FIELDS[:1], FIELDS[1:], ("*",), ()])),
        measures=draw(st.sampled_from([("*",), ("A01",), ("A01", "A02")])),
        authorities=tuple(draw(st.lists(st.sampled_from(AUTHORITIES), max_size=4))),
    )


INSTANTS = st.integers(0, 730 * 48).map(
    lambda halves: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=30 * halves)
)
REGISTERS = st.lists(some_authorisation(), max_size=6, unique_by=lambda one: one.id)
RECORDS = st.lists(some_participation(), max_size=6)
RECIPIENTS = st.sampled_from([dfe(), dfe(), dfe(), dfe(label_accepted_at=None), None])
thorough = settings(max_examples=120, deadline=None)


def in_force(one: Authorisation, at: datetime) -> bool:
    """Said another way than in the policy, on purpose."""
    today = at.astimezone(LONDON).date()
    fine = one.state.value in {"approved", "in_force"} and one.revoked_at is None
    return fine and one.approved_by == "bob" and one.valid_from <= today <= one.valid_until and one.decided_on <= today


def allows(allowed: tuple[str, ...], name: str) -> bool:
    return allowed == ("*",) or (name != "*" and name in allowed)


@thorough
@given(some_request(), REGISTERS, RECORDS, RECIPIENTS, INSTANTS)
def test_no_cell_leaves_that_one_decision_in_force_does_not_name(
    request: ReleaseRequest,
    register: list[Authorisation],
    records: list[Participation],
    recipient: Recipient | None,
    at: datetime,
) -> None:
    answer = decide(request, authorisations=register, recipient=recipient, participation=records, at=at)
    if isinstance(answer, Deny):
        assert answer.reasons
        assert all(one.startswith(("authorisation: ", "participation: ", "label: ")) for one in answer.reasons)
        return
    (named,) = [one for one in register if one.id == answer.authorisation]
    assert in_force(named, at)
    assert (named.recipient, named.collection, named.purpose) == (DFE, RIIA, request.purpose)
    assert Period.parse(named.periods_from).start <= Period.parse(request.period).start
    assert named.periods_until is None or Period.parse(request.period).end <= Period.parse(named.periods_until).end
    assert answer.fields
    assert all(allows(named.fields, one) and one in request.fields for one in answer.fields)
    assert all(allows(named.measures, one) and one in request.measures for one in answer.measures)
    assert answer.authorities
    assert all(allows(named.authorities, one) and one in request.authorities for one in answer.authorities)
    assert recipient is not None
    assert recipient.label_accepted_at is not None
    kept = {one.split(":")[0] for one in answer.left_out} | set(answer.authorities)
    assert kept == set(request.authorities)


@thorough
@given(some_request(), REGISTERS, RECORDS, INSTANTS)
def test_who_has_not_signed_is_never_in(
    request: ReleaseRequest, register: list[Authorisation], records: list[Participation], at: datetime
) -> None:
    answer = decide(request, authorisations=register, recipient=dfe(), participation=records, at=at)
    today = at.astimezone(LONDON).date()
    for authority in answer.authorities if isinstance(answer, Permit) else ():
        signed = [
            one
            for one in records
            if one.authority == authority
            and one.since <= today
            and not (one.until and one.until < today)
            and (not request.child_level or (one.agreement and one.impact_assessment))
        ]
        assert signed


def cells(answer: Permit | Deny) -> set[tuple[AuthorityCode, str, str]]:
    if isinstance(answer, Deny):
        return set()
    return {(a, f, m) for a in answer.authorities for f in answer.fields for m in answer.measures}


@thorough
@given(some_request(), REGISTERS, RECORDS, INSTANTS, st.data())
def test_a_revocation_never_lets_more_out(
    request: ReleaseRequest,
    register: list[Authorisation],
    records: list[Participation],
    at: datetime,
    data: st.DataObject,
) -> None:
    def permitted(decisions: list[Authorisation]) -> Permit | Deny:
        return decide(request, authorisations=decisions, recipient=dfe(), participation=records, at=at)

    before = permitted(register)
    if not register:
        return
    gone = data.draw(st.sampled_from(register))
    revoked = replace(gone, state=AuthorisationState.REVOKED, revoked_at=at)
    after = permitted([revoked if one is gone else one for one in register])
    assert len(cells(after)) <= len(cells(before))
    alone: set[tuple[AuthorityCode, str, str]] = set().union(*(cells(permitted([one])) for one in register))
    assert cells(after) <= alone
    assert not (isinstance(after, Permit) and after.authorisation == gone.id)

    assert after == permitted([one for one in register if one is not gone]) or isinstance(after, Deny)


@thorough
@given(some_request(), REGISTERS, RECORDS, INSTANTS, some_authorisation(), some_participation())
def test_what_is_in_anothers_name_never_widens(  # noqa: PLR0917 (hypothesis fills them)
    request: ReleaseRequest,
    register: list[Authorisation],
    records: list[Participation],
    at: datetime,
    other: Authorisation,
    record: Participation,
) -> None:
    def permitted(decisions: list[Authorisation], taking_part: list[Participation]) -> Permit | Deny:
        return decide(request, authorisations=decisions, recipient=dfe(), participation=taking_part, at=at)

    answer = permitted(register, records)
    assert permitted([*register, replace(other, id="z", recipient=D2I)], records) == answer
    assert permitted([replace(other, id="0", recipient=D2I), *register], records) == answer
    withdrawal = replace(record, since=date(2026, 1, 1), until=date(2025, 12, 31))
    assert cells(permitted(register, [*records, withdrawal])) <= cells(answer)


@thorough
@given(some_request(), some_authorisation(), INSTANTS)
def test_nothing_leaves_outside_a_decisions_dates(request: ReleaseRequest, one: Authorisation, at: datetime) -> None:
    everyone = [takes_part(authority) for authority in AUTHORITIES]
    for outside in (one.valid_from - timedelta(days=1), one.valid_until + timedelta(days=1)):
        noon = datetime(outside.year, outside.month, outside.day, 12, tzinfo=UTC)
        answer = decide(request, authorisations=[one], recipient=dfe(), participation=everyone, at=noon)
        assert isinstance(answer, Deny)


@thorough
@given(some_request(), REGISTERS, RECORDS, INSTANTS, st.randoms())
def test_the_order_of_the_registers_does_not_matter(
    request: ReleaseRequest, register: list[Authorisation], records: list[Participation], at: datetime, random: object
) -> None:
    shuffled = list(register)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(request, authorisations=register, recipient=dfe(), participation=records, at=at) == decide(
        request, authorisations=shuffled, recipient=dfe(), participation=records, at=at
    )
