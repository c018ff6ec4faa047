"""``gateway submit``, ``check``, ``status``, ``sample``, ``home``, ``held``: returns, seen by operator and borough."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as Grid

from gateway.cli.context import desk, operator, settings
from gateway.cli.output import EXIT_FINDINGS, JsonFlag, err, out, plainly, print_json, rows_or_json
from gateway.db import submissions as rows
from gateway.domain.names import AuthorityCode, Channel, authority_owner
from gateway.domain.period import Period
from gateway.domain.states import ExpectationState
from gateway.errors import GatewayError

held = typer.Typer(help="Submissions that wait for a person.", no_args_is_help=True)

CollectionOption = Annotated[
    str | None, typer.Option("--collection", "-c", help="The collection, if the name does not tell.")
]
PeriodOption = Annotated[str | None, typer.Option("--period", "-p", help="The period, for example 2026-27-Q2.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(submit)
    app.command()(check)
    app.command()(status)
    app.command()(sample)
    app.command()(home)


@plainly
def submit(
    authority: str,
    files: Annotated[list[Path], typer.Argument(help="Files to drop.")],
    *,
    collection: CollectionOption = None,
    period: PeriodOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Drop files for an authority, as if it had sent them; the running service takes them up."""
    table = desk()
    code = table.directory.get(authority).code
    folder = tuple(part for part in (collection, period) if part)
    if period and not collection:
        raise typer.BadParameter("give --collection with --period")
    dropped = []
    for path in files:
        try:
            with path.open("rb") as source:
                received = table.reception.deliver(
                    code, folder, path.name, source, channel=Channel.CLI, sent_by=operator()
                )
        except OSError as error:
            raise GatewayError(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
        dropped.append({"file": str(path), "submission": received.submission, "missing": list(received.missing)})
    rows_or_json("Dropped", dropped, as_json=as_json)


@plainly
def check(
    files: Annotated[list[Path], typer.Argument(help="Files of one return.")],
    *,
    collection: CollectionOption = None,
    period: PeriodOption = None,
    authority: Annotated[
        str | None, typer.Option("--authority", "-a", help="Whose return it is, to check its numbers.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, html, csv or json.")] = "text",
    as_json: JsonFlag = False,
) -> None:
    """Check a return at your own desk: as the service would, and nothing is sent. Ends with 0 where it is good."""
    from gateway.cli.check import check_files  # noqa: PLC0415 (heavy imports only where needed)

    verdict = check_files(files, collection, period, authority, settings())
    wanted = "json" if as_json else form
    if wanted not in {"text", "html", "csv", "json"}:
        raise typer.BadParameter("--format is text, html, csv or json")
    if wanted == "text":
        _print_verdict(verdict.report)
    else:
        sys.stdout.write(verdict.rendered(wanted))
    if not verdict.report.accepted:
        raise typer.Exit(EXIT_FINDINGS)


def _print_verdict(report: Any) -> None:
    shown = 50
    for one in report.findings[:shown]:
        place = " ".join(
            part
            for part in (
                one.file,
                f"row {one.row}" if one.row else "",
                f"column {one.column}" if one.column else "",
                one.label or "",
            )
            if part
        )
        out.print(f"[bold]{_plain(place)}[/]: {_plain(one.message)} [dim]{_plain(one.remedy)}[/]", soft_wrap=True)
    if len(report.findings) > shown:
        out.print(f"... and {len(report.findings) - shown} more; use --format csv for all.")
    for note in report.notes:
        out.print(f"[dim]Noticed: {_plain(note)}[/]", soft_wrap=True)
    errors = report.summary().errors
    out.print("[bold green]Good.[/]" if report.accepted else f"[bold red]{errors} to mend.[/]")


def _plain(text: str) -> str:
    """Return text that a terminal only shows: no markup of ours, no control characters of a file's name."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text).replace("[", r"\[")


_COLOURS = {
    ExpectationState.ACCEPTED_ON_TIME: "green",
    ExpectationState.ACCEPTED_LATE: "yellow",
    ExpectationState.EXPECTED: "blue",
    ExpectationState.LATE: "bold red",
    ExpectationState.MISSING: "bold red",
    ExpectationState.EXCUSED: "dim",
    ExpectationState.NOT_EXPECTED: "dim",
}


@plainly
def status(
    *,
    authority: Annotated[str | None, typer.Option(help="One authority's slug.")] = None,
    submissions: Annotated[bool, typer.Option("--submissions", help="List the submissions too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show who has sent what: authority x collection x period."""
    table = desk()
    code = table.directory.get(authority).code if authority else None
    matrix = table.lookout.matrix(authority=code)
    with table.database.read() as connection:
        found = rows.find(connection, authority=code)
    if as_json:
        print_json(
            {"matrix": [_expectation(one) for one in matrix], "submissions": [_submission(one) for one in found]}
        )
        return
    _print_matrix([one for one in matrix if one.expectation.participates])
    waiting = [one for one in found if one.held]
    if submissions:
        lines = [
            {
                "submission": one.submission.id,
                "authority": one.submission.authority,
                "collection": one.submission.collection or "unrecognised",
                "period": one.submission.folder,
                "version": one.submission.version,
                "state": one.submission.state.value,
                "received": one.submission.received_at.isoformat(timespec="seconds"),
            }
            for one in found
        ]
        rows_or_json("Submissions", lines, as_json=False)
    if waiting:
        err.print(f"{len(waiting)} submissions are held; see `gateway held list`.")


def _expectation(one: Any) -> dict[str, Any]:
    owed = one.expectation
    return {
        "authority": owed.authority,
        "collection": owed.collection,
        "period": owed.period.label,
        "state": one.state.value,
        "due": owed.due,
        "original_due": owed.original_due,
        "accepted_at": one.accepted_at,
    }


def _submission(one: rows.Standing) -> dict[str, Any]:
    submission = one.submission
    return {
        "id": submission.id,
        "authority": submission.authority,
        "collection": submission.collection,
        "period": submission.period.label if submission.period else None,
        "version": submission.version,
        "state": submission.state.value,
        "channel": submission.channel.value,
        "received_at": submission.received_at,
        "completed_at": one.completed_at,
        "accepted_at": one.accepted_at,
        "finished_at": one.finished_at,
        "files": [
            {
                "id": file.id,
                "name": file.name,
                "resource": file.resource,
                "sha256": file.digest,
                "size_bytes": file.size_bytes,
            }
            for file in submission.files
        ],
        "trouble": submission.trouble,
        "duplicate_of": one.duplicate_of,
        "held": one.held,
    }


def _print_matrix(matrix: Sequence[Any]) -> None:
    if not matrix:
        out.print("No authority takes part in anything that is due. See `gateway authority participation`.")
        return
    by_collection: dict[str, list[Any]] = defaultdict(list)
    for one in matrix:
        by_collection[one.expectation.collection].append(one)
    for collection, found in by_collection.items():
        periods = sorted({one.expectation.period for one in found})
        grid = Grid(title=collection, title_justify="left")
        for name in ("authority", *(period.label for period in periods)):
            grid.add_column(name)
        cells = {(one.expectation.authority, one.expectation.period.label): one for one in found}
        for slug in sorted({one.expectation.authority for one in found}):
            grid.add_row(slug, *(_cell(cells.get((slug, period.label))) for period in periods))
        out.print(grid)


def _cell(one: Any) -> str:
    if one is None:
        return ""
    words = one.state.value.replace("_", " ")
    due = f" ({one.expectation.due:%d %b})" if one.state in {ExpectationState.EXPECTED, ExpectationState.LATE} else ""
    return f"[{_COLOURS[one.state]}]{words}{due}[/]"


@plainly
def sample(
    collection: str,
    *,
    authority: Annotated[str, typer.Option("--authority", "-a", help="Whose numbers to write.")] = "camden",
    period: Annotated[str, typer.Option("--period", "-p", help="The period.")],
    children: Annotated[int, typer.Option("--rows", help="Children, or measures.")] = 31,
    faults: Annotated[int, typer.Option(help="Cells to spoil.")] = 0,
    seed: Annotated[int, typer.Option(help="Another seed, other numbers.")] = 1,
    to: Annotated[Path, typer.Option("--to", help="Folder to write to.")] = Path(),
) -> None:
    """Make a synthetic return about nobody, to try an upload with."""
    from gateway.validation.sample import make_sample  # noqa: PLC0415 (heavy imports only where needed)

    table = desk()
    made = make_sample(
        table.collection(collection),
        table.directory.numbers(AuthorityCode(authority)),
        _period(period),
        rows=children,
        faults=faults,
        seed=seed,
    )
    to.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        (to / name).write_bytes(content)
        out.print(str(to / name), soft_wrap=True)


def _period(label: str) -> Period:
    try:
        return Period.parse(label)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@plainly
def home(
    authority: str,
    path: Annotated[str, typer.Argument(help="For example receipts/2026-27-Q2/NAME.json; a folder is listed.")] = "",
) -> None:
    """Look into an authority's home, or print one of its papers. Reports hold data about children: it is recorded."""
    from gateway.domain.events import Event  # noqa: PLC0415 (only here)

    table = desk()
    owner = authority_owner(table.directory.get(authority).code)
    area, _, rest = path.strip("/").partition("/")
    folder, _, name = rest.rpartition("/")
    content = table.shelf.read(owner, area, folder, name) if name else None
    if content is None:
        folders = [f"{one}/" for one in table.shelf.folders(owner, area)] if not rest else []
        for line in folders + [one.name for one in table.shelf.entries(owner, area, rest)]:
            out.print(line, soft_wrap=True, markup=False)
        return
    at = table.clock.now()
    with table.database.write() as tx:
        subject = f"{owner}/{area}"
        digest = sha256(path.encode()).hexdigest()
        key = f"{subject}/{digest}/looked_into/{at.isoformat()}"
        tx.append(
            Event(
                action="looked_into", subject=subject, at=at, actor=operator(), key=key, facts={"path_sha256": digest}
            )
        )
    sys.stdout.buffer.write(content)


@held.command("list")
@plainly
def list_held(*, as_json: JsonFlag = False) -> None:
    """List what waits, and why."""
    table = desk()
    with table.database.read() as connection:
        found = [one for one in rows.find(connection) if one.held]
    lines = [{"submission": one.submission.id, "authority": one.submission.authority, "why": one.held} for one in found]
    rows_or_json("Held", lines, as_json=as_json)


@held.command()
@plainly
def release(submission: str) -> None:
    """Take a submission up again, from its first step."""
    table = desk()
    with table.database.write() as tx:
        found = rows.resolve(tx.connection, submission)
        rows.release(tx, found)
    out.print(f"{found} is taken up again by the running service.")
