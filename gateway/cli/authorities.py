"""``gateway authority``: who may send, with which keys, and what each takes part in."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import desk, operator
from gateway.cli.output import JsonFlag, out, plainly, read_text, rows_or_json
from gateway.db import accounts
from gateway.db.calendar import read_participations, set_participation
from gateway.domain.names import SLUG, AuthorityCode, CollectionId, authority_owner
from gateway.domain.sharing import Participation

app = typer.Typer(help="Authorities: keys and participation.", no_args_is_help=True)


@app.command("list")
@plainly
def list_(*, as_json: JsonFlag = False) -> None:
    """List the authorities and their numbers."""
    table = desk()
    with table.database.read() as connection:
        found = accounts.list_authorities(connection)
        keys = {one.code: len(accounts.list_keys(connection, authority_owner(one.code))) for one in found}
        takes_part: dict[str, list[str]] = {}
        for part in read_participations(connection):
            takes_part.setdefault(part.authority, []).append(part.collection)
    rows = [
        {
            "slug": one.code,
            "name": one.name,
            "dfe_number": one.dfe_number,
            "liia_code": one.liia_code,
            "keys": keys[one.code],
            "takes_part_in": ", ".join(sorted(set(takes_part.get(one.code, [])))),
        }
        for one in found
    ]
    rows_or_json("Authorities", rows, as_json=as_json)


@app.command()
@plainly
def add(
    slug: str,
    *,
    name: Annotated[str, typer.Option(help="Full name.")],
    dfe_number: Annotated[str, typer.Option(help="Three digits, as the Department for Education numbers it.")],
    gss_code: Annotated[str, typer.Option(help="For example E09000007.")],
    liia_code: Annotated[str, typer.Option(help="Three letters.")],
    email: Annotated[str, typer.Option(help="Where notices go by mail.")] = "",
) -> None:
    """Register an authority. London's 33 are there from the beginning."""
    if not SLUG.match(slug):
        raise typer.BadParameter(f"{slug!r} is not a slug; write for example waltham-forest")
    table = desk()
    made = accounts.Authority(
        code=AuthorityCode(slug),
        name=name,
        gss_code=gss_code,
        dfe_number=dfe_number,
        liia_code=liia_code,
        contact_email=email,
    )
    with table.database.write() as tx:
        accounts.add_authority(tx, made, by=operator(), at=table.clock.now())
    table.publish_signers()
    out.print(f"{name} is registered as {slug}. Next: gateway authority key {slug} --name NAME --public-key FILE.pub")


@app.command()
@plainly
def contact(slug: str, email: Annotated[str, typer.Argument(help="Where notices go by mail.")]) -> None:
    """Set the address that an authority's notices go to by mail."""
    table = desk()
    with table.database.write() as tx:
        accounts.set_contact(tx, table.directory.get(slug).code, email)
    out.print(f"Notices to {slug} go to {email}, where mail is enabled.")


@app.command()
@plainly
def key(
    slug: str,
    *,
    name: Annotated[str, typer.Option(help="What the key is called, for example the system that holds it.")],
    public_key: Annotated[Path, typer.Option("--public-key", help="OpenSSH public key file.")],
    until: Annotated[str | None, typer.Option(help="Last day it is good, for example 2027-03-31.")] = None,
) -> None:
    """Let a key in for an authority."""
    table = desk()
    expires = date.fromisoformat(until) if until else None
    owner = authority_owner(table.directory.get(slug).code)
    print_key(table.add_key(owner, name, read_text(public_key), expires, by=operator()), slug)


@app.command()
@plainly
def revoke(slug: str, fingerprint: str) -> None:
    """Shut a key out, at once."""
    table = desk()
    table.revoke_key(authority_owner(table.directory.get(slug).code), fingerprint, by=operator())
    out.print(f"{fingerprint} no longer opens {slug}.")


@app.command()
@plainly
def participation(
    slug: str,
    collection: str,
    *,
    since: Annotated[str, typer.Option(help="First day, for example 2026-04-01.")],
    until: Annotated[str | None, typer.Option(help="Last day.")] = None,
    agreement: Annotated[str | None, typer.Option(help="Reference of the data-protection agreement.")] = None,
    impact_assessment: Annotated[str | None, typer.Option(help="Reference of the impact assessment.")] = None,
    note: Annotated[str, typer.Option(help="Why, for example 'agreed individually'.")] = "",
) -> None:
    """Record that an authority takes part in a collection, with its papers."""
    table = desk()
    kept = Participation(
        authority=table.directory.get(slug).code,
        collection=CollectionId(table.collection(collection).id),
        since=date.fromisoformat(since),
        until=date.fromisoformat(until) if until else None,
        agreement=agreement,
        impact_assessment=impact_assessment,
        note=note,
    )
    with table.database.write() as tx:
        changed = set_participation(tx, kept, by=operator(), at=table.clock.now())
    out.print(f"{slug} takes part in {collection} since {since}." if changed else "It was on record already.")


def print_key(fingerprint: str, who: str) -> None:
    """Say which key opens what."""
    out.print(f"{fingerprint} opens {who}.")
