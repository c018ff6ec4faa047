import re
from datetime import UTC, date, datetime

import pytest

from gateway.domain.notice import NoticeKind
from gateway.errors import NoticeError
from gateway.notices.composer import LETTERS, Composer, LetterFacts

COMPOSER = Composer(service_name="The gateway", operator_email="data@gateway.example")
FACTS = LetterFacts(
    to_name="Kensington & Chelsea",
    collection_title="RIIA quarterly dataset",
    period="2026-27-Q2",
    due=date(2026, 10, 28),
    original_due=date(2026, 10, 28),
    today=date(2026, 10, 18),
    received_at=datetime(2026, 10, 20, 11, 5, tzinfo=UTC),
    submission="01992f1e-0000-7000-8000-000000000001",
    errors=12,
    queries=0,
    papers="2026-27-Q2",
    lciib_reference="LCIIB 2026/14",
)
HARSH = re.compile(r"\b(fail\w*|breach\w*|overdue|must|penalt\w*|immediately|unacceptable|demand\w*)\b", re.IGNORECASE)


@pytest.mark.parametrize("kind", NoticeKind)
def test_every_kind_has_a_letter_as_text_and_as_html_in_neutral_words(kind):
    letter = COMPOSER.compose(kind, FACTS)
    assert letter.subject
    assert "\n" not in letter.subject
    for body in (letter.text, letter.html):
        assert "data@gateway.example" in body
        assert "{{" not in body
        assert not HARSH.search(body)
    assert "Kensington & Chelsea" in letter.text
    assert "Kensington &amp; Chelsea" in letter.html
    assert all(len(line) <= 120 for line in letter.text.splitlines())
    assert "\n\n\n" not in letter.text


def test_there_is_no_letter_without_a_kind():
    names = {path.stem for path in LETTERS.glob("*") if not path.name.startswith("_")}
    assert names == set(NoticeKind)


def test_a_reminder_says_what_is_due_when_and_how_to_send_it():
    text = COMPOSER.compose(NoticeKind.REMINDER, FACTS).text
    assert "by the end of Wednesday 28 October 2026,\nin 10 days" in text
    assert "extended" not in text


def test_a_letter_about_a_moved_due_date_names_the_old_one():
    moved = LetterFacts(
        to_name="Camden",
        collection_title="RIIA",
        period="2026-27-Q2",
        due=date(2026, 11, 11),
        original_due=date(2026, 10, 28),
        today=date(2026, 11, 11),
    )
    assert "extended from Wednesday 28 October 2026" in COMPOSER.compose(NoticeKind.DUE_TODAY, moved).text
    assert "today." in COMPOSER.compose(NoticeKind.REMINDER, moved).text


def test_a_letter_that_lacks_a_fact_is_refused():
    with pytest.raises(NoticeError, match="rejected"):
        COMPOSER.compose(NoticeKind.REJECTED, LetterFacts(to_name="Camden"))


def test_an_operator_may_put_their_own_words_first(tmp_path):
    (tmp_path / "late.txt").write_text("Ours\n\nDear {{ to_name }}\n", encoding="utf-8")
    own = Composer(service_name="x", operator_email="y@z.example", letters=tmp_path)
    assert own.compose(NoticeKind.LATE, FACTS).text == "Dear Kensington & Chelsea\n"
    assert "was due" in own.compose(NoticeKind.LATE, FACTS).html
