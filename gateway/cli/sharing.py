"""``gateway recipient``, ``authorisation``, ``extract``: who may receive what, under which decision of the LCIIB."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
import uuid_utils

from gateway.cli.context import desk, operator
from gateway.cli.output import JsonFlag, out, plainly, read_text, rows_or_json
from gateway.domain.names import SLUG, AuthorityCode, CollectionId, Digest, RecipientCode, recipient_owner
from gateway.domain.sharing import Authorisation, Purpose, Recipient
from gateway.domain.states import AuthorisationState
from gateway.errors import GatewayError
from gateway.sealing.age import parse_recipient

recipients = typer.Typer(help="Bodies that may receive.", no_args_is_help=True)
authorisations = typer.Typer(help="LCIIB decisions: propose, approve, revoke.", no_args_is_help=True)
extracts = typer.Typer(help="Extracts and deliveries.", no_args_is_help=True)

By = Annotated[str, typer.Option("--by", help="Who; the proposer and the approver are two people.")]


@recipients.command()
@plainly
def add(
    code: str,
    *,
    name: Annotated[str, typer.Option(help="Full name.")],
    basis: Annotated[str, typer.Option(help="Where the MoU names it, for example 'Appendix A'.")],
    age_key: Annotated[list[str], typer.Option("--age-key", help="age1... or an SSH public key; repeat for several.")],
    ssh_key: Annotated[Path | None, typer.Option("--ssh-key", help="Public key file it collects with by SFTP.")] = None,
    accept_label: Annotated[
        bool, typer.Option("--accept-label", help="It accepted the limited-use label and onward conditions.")
    ] = False,
) -> None:
    """Register a recipient with the keys that extracts are sealed to."""
    if not SLUG.match(code):
        raise typer.BadParameter(f"{code!r} is not a code; write for example dfe or met-police")
    for one in age_key:
        parse_recipient(one)
    table = desk()
    recipient = Recipient(code=RecipientCode(code), name=name, basis=basis, seal_keys=tuple(age_key))
    table.register.add_recipient(recipient, by=operator(), at=table.clock.now())
    if accept_label:
        table.register.accept_label(recipient.code, by=operator(), at=table.clock.now())
    if ssh_key is not None:
        table.add_key(recipient_owner(recipient.code), "sftp", read_text(ssh_key), None, by=operator())
    out.print(
        f"{name} may receive what an authorisation in force allows. "
        f"Its label is {'' if accept_label else 'not yet '}accepted."
    )


@recipients.command("list")
@plainly
def list_recipients(*, as_json: JsonFlag = False) -> None:
    """List the recipients."""
    rows = [
        {
            "code": one.code,
            "name": one.name,
            "basis": one.basis,
            "keys": len(one.seal_keys),
            "label_accepted_at": one.label_accepted_at,
        }
        for one in desk().register.recipients()
    ]
    rows_or_json("Recipients", rows, as_json=as_json)


@authorisations.command()
@plainly
def propose(file: Path, *, by: By) -> None:
    """Propose a decision from a TOML file; prints its id. See docs/authorisation.md for the keys."""
    table = desk()
    proposal = read_decision(file, by)
    table.register.propose(proposal, at=table.clock.now())
    typer.echo(proposal.id)


@authorisations.command()
@plainly
def approve(authorisation: str, *, by: By) -> None:
    """Approve a proposal; another person than its proposer."""
    table = desk()
    table.register.approve(authorisation, by=by, at=table.clock.now())
    out.print(f"{authorisation} is approved by {by}.")


@authorisations.command()
@plainly
def revoke(authorisation: str, *, by: By, reason: Annotated[str, typer.Option(help="Why.")]) -> None:
    """Revoke a decision: from this moment nothing leaves under it."""
    table = desk()
    table.register.revoke(authorisation, by=by, reason=reason, at=table.clock.now())
    table.router.tend()
    out.print(f"{authorisation} is revoked; what was queued under it is stopped.")


@authorisations.command("list")
@plainly
def list_authorisations(*, as_json: JsonFlag = False) -> None:
    """List decisions and how they stand."""
    table = desk()
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "lciib_reference": one.lciib_reference,
            "recipient": one.recipient,
            "collection": one.collection,
            "purpose": one.purpose.value,
            "state": one.state.value,
            "valid_from": one.valid_from,
            "valid_until": one.valid_until,
            "proposed_by": one.proposed_by,
            "approved_by": one.approved_by,
        }
        for one in table.register.authorisations(at=table.clock.now())
    ]
    rows_or_json("Authorisations", rows, as_json=as_json)


@extracts.command("deliveries")
@plainly
def deliveries(*, as_json: JsonFlag = False) -> None:
    """List what was handed to whom."""
    rows = [
        {
            "delivery": one.id,
            "extract": one.recipe,
            "recipient": one.recipient,
            "period": one.period,
            "state": one.state.value,
            "name": one.name,
            "authorisation": one.authorisation,
            "authorities": ", ".join(one.authorities),
            "trouble": one.trouble,
        }
        for one in desk().router.deliveries()
    ]
    rows_or_json("Deliveries", rows, as_json=as_json)


@extracts.command()
@plainly
def explain(extract: str, period: str) -> None:
    """Say in words what the policy decides about an extract now, and why."""
    typer.echo(desk().router.explain(extract, period))


_KEYS = {
    "lciib_reference",
    "decided_on",
    "purpose",
    "recipient",
    "collection",
    "fields",
    "measures",
    "authorities",
    "periods_from",
    "periods_until",
    "valid_from",
    "valid_until",
    "conditions",
    "document_sha256",
}


def read_decision(file: Path, by: str) -> Authorisation:
    """Read a proposal from TOML.

    Raises:
        GatewayError: a key is missing, unknown or of the wrong kind.
    """
    try:
        values = tomllib.loads(read_text(file))
    except tomllib.TOMLDecodeError as error:
        raise GatewayError(f"{file} is not valid TOML: {error}.", remedy="Mend that line.") from error
    if unknown := sorted(set(values) - _KEYS):
        raise GatewayError(
            f"{file}: unknown {', '.join(unknown)}.",
            did="Nothing was proposed.",
            remedy=f"The keys are {', '.join(sorted(_KEYS))}.",
        )
    try:
        return Authorisation(
            id=str(uuid_utils.uuid7()),
            lciib_reference=values["lciib_reference"],
            decided_on=_date(values, "decided_on"),
            purpose=Purpose(values["purpose"]),
            recipient=RecipientCode(values["recipient"]),
            collection=CollectionId(values["collection"]),
            fields=tuple(values["fields"]),
            measures=tuple(values.get("measures", ["*"])),
            authorities=tuple(AuthorityCode(one) for one in values["authorities"]),
            periods_from=values["periods_from"],
            periods_until=values.get("periods_until"),
            valid_from=_date(values, "valid_from"),
            valid_until=_date(values, "valid_until"),
            state=AuthorisationState.PROPOSED,
            proposed_by=by,
            conditions=tuple(values.get("conditions", [])),
            document_digest=Digest(values["document_sha256"]) if "document_sha256" in values else None,
        )
    except KeyError as error:
        raise GatewayError(f"{file}: {error} is missing.", did="Nothing was proposed.", remedy="Add it.") from error
    except (ValueError, TypeError) as error:
        raise GatewayError(f"{file}: {error}.", did="Nothing was proposed.", remedy="Mend it.") from error


def _date(values: dict[str, Any], name: str) -> date:
    value = values[name]
    if not isinstance(value, date):
        message = f"{name} is not a date; write it without quotes, for example 2026-11-30"
        raise TypeError(message)
    return value
