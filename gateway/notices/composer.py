"""Fills in a letter: facts in, words out. The words are files in ``letters/``, one a kind, as text and as HTML.

* The first line of a ``.txt`` letter is its subject.
* A letter that asks for a fact that is not there is refused, not sent with a gap.
* Facts have no place for a child's data, a cell or a file name, so no letter can hold one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path

import jinja2

from gateway.domain.london import day_in_words, instant_in_words
from gateway.domain.notice import Letter, NoticeKind
from gateway.errors import NoticeError

LETTERS = Path(__file__).parent / "letters"


@dataclass(frozen=True, kw_only=True, slots=True)
class LetterFacts:
    """What a letter may speak of. None is "not known for this letter"; a letter that needs it is then refused.

    Attributes:
        to_name: the authority's or the recipient's name.
        collection_title: title of the collection.
        period: label of the period; None for a drop that was not recognised.
        due: last day, extension included.
        original_due: the day before it was extended; equal to ``due`` where it was not.
        today: the day in London the letter is written.
        received_at: when the submission it is about was received.
        submission: its id.
        errors: number of errors found.
        queries: number of questions found.
        accepted_late: True where it was received after the due date.
        papers: folder under ``reports/`` and ``receipts/`` with the details.
        lciib_reference: decision under which an extract was made.
        load_due: first of two milestones, where there are two.
    """

    to_name: str
    collection_title: str | None = None
    period: str | None = None
    due: date | None = None
    original_due: date | None = None
    today: date | None = None
    received_at: datetime | None = None
    submission: str | None = None
    errors: int | None = None
    queries: int | None = None
    accepted_late: bool = False
    papers: str | None = None
    lciib_reference: str | None = None
    load_due: date | None = None


class Composer:
    """Writes letters. Thread-safe.

    Args:
        service_name: who writes.
        operator_email: whom to ask.
        letters: a folder whose letters are used before ours of the same name; None for ours alone.
    """

    def __init__(self, *, service_name: str, operator_email: str, letters: Path | None = None) -> None:
        self._always = {"service_name": service_name, "operator_email": operator_email}
        folders = [LETTERS] if letters is None else [letters, LETTERS]
        self._letters = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            autoescape=jinja2.select_autoescape(enabled_extensions=("html",), default=False),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._letters.filters |= {"day": day_in_words, "instant": instant_in_words, "count": _count}

    def compose(self, kind: NoticeKind, facts: LetterFacts) -> Letter:
        """Write one letter.

        Raises:
            NoticeError: the letter is missing, is not a template, or needs a fact that is not there.
        """
        known = {one.name: getattr(facts, one.name) for one in fields(facts)}
        given = {name: value for name, value in known.items() if value is not None} | self._always
        try:
            plain = self._letters.get_template(f"{kind}.txt").render(given)
            subject, _, text = plain.partition("\n")
            html = self._letters.get_template(f"{kind}.html").render(given, subject=subject.strip())
        except jinja2.TemplateError as error:
            raise NoticeError(
                f'The letter "{kind}" could not be written: {error}.',
                did="The notice was not raised; it will be tried again.",
                remedy=f"Mend {kind}.txt or {kind}.html in the letters folder.",
            ) from error
        return Letter(subject=subject.strip(), text=text.strip() + "\n", html=html)


def _count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 error``, ``2 errors``, ``2 queries``."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
