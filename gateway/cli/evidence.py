"""``gateway receipt``, ``ledger``, ``unseal``, ``key``: what can be proved, and what can be opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.context import desk
from gateway.cli.output import EXIT_FINDINGS, JsonFlag, err, out, plainly, print_json, read_text
from gateway.errors import GatewayError

receipts = typer.Typer(help="Receipts.", no_args_is_help=True)
ledger = typer.Typer(help="The record.", no_args_is_help=True)
keys = typer.Typer(help="The gateway's own keys.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(unseal)


@receipts.command()
@plainly
def verify(
    file: Annotated[Path, typer.Argument(help="The receipt, NAME.json.")],
    *,
    signature: Annotated[Path | None, typer.Option("--signature", help="NAME.json.sig if it lies elsewhere.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a receipt: its signature, its checkpoint, and that its event is in the ledger."""
    from gateway.ledger.receipts import RECEIPT_NAMESPACE, verify_receipt  # noqa: PLC0415 (only here)
    from gateway.sealing import sshsig  # noqa: PLC0415 (only here)

    table = desk()
    signed = read_text(signature or file.with_name(f"{file.name}.sig"))
    try:
        content = file.read_bytes()
    except OSError as error:
        raise GatewayError(f"{file} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    public_line = table.signer.public_line("gateway")
    verdict = verify_receipt(
        content,
        lambda message: sshsig.verify(message, signed, RECEIPT_NAMESPACE, public_line),
        table.ledger_signer.public_bytes(),
    )
    if as_json:
        print_json(
            {
                "ok": True,
                "kind": verdict.kind,
                "submission": verdict.submission,
                "outcome": verdict.outcome,
                "event": verdict.event,
                "ledger_size": verdict.ledger_size,
            }
        )
        return
    out.print(
        f"[green]Genuine.[/] {verdict.kind.capitalize()} receipt: {verdict.outcome}, submission {verdict.submission}, "
        f"event {verdict.event} of a ledger of {verdict.ledger_size}.",
        soft_wrap=True,
    )


@ledger.command("verify")
@plainly
def verify_all(*, as_json: JsonFlag = False) -> None:
    """Re-hash every event and compare with every signed checkpoint."""
    verdict = desk().verify_ledger()
    if as_json:
        print_json(
            {
                "ok": verdict.ok,
                "events": verdict.events,
                "root": verdict.root.hex(),
                "checkpoints": verdict.checkpoints,
                "problems": list(verdict.problems),
            }
        )
    elif verdict.ok:
        out.print(f"[green]Sound.[/] {verdict.events} events, {verdict.checkpoints} signed checkpoints.")
        out.print(f"Root {verdict.root.hex()}", soft_wrap=True)
    else:
        for problem in verdict.problems:
            err.print(f"[bold red]Altered:[/] {problem}", soft_wrap=True)
        err.print("Keep this database as it is, and compare with the checkpoints in the authorities' receipts.")
    if not verdict.ok:
        raise typer.Exit(EXIT_FINDINGS)


@ledger.command()
@plainly
def show(
    *,
    last: Annotated[int, typer.Option(help="How many of the newest events; 0 shows all.")] = 0,
    subject: Annotated[str | None, typer.Option(help="One subject, for example submission:ID.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show events, oldest first."""
    from gateway.db.ledger import tail  # noqa: PLC0415 (only here)

    with desk().database.read() as connection:
        found = tail(connection, last or 10_000_000, subject=subject)
    if as_json:
        print_json(
            [
                {
                    "seq": seq,
                    "action": one.action,
                    "subject": one.subject,
                    "at": one.at,
                    "actor": one.actor,
                    "facts": dict(one.facts),
                    "key": one.key,
                }
                for seq, one in found
            ]
        )
        return
    for seq, one in found:
        facts = " ".join(f"{name}={value}" for name, value in one.facts.items())
        out.print(
            f"{seq:>6} {one.at:%Y-%m-%d %H:%M:%S} {one.action} {one.subject} {facts}", soft_wrap=True, markup=False
        )


@plainly
def unseal(
    sealed: Annotated[Path, typer.Argument(help="A sealed object, or its key in storage.")],
    *,
    key: Annotated[Path | None, typer.Option("--key", help="A key file made by `gateway key export`.")] = None,
    to: Annotated[Path, typer.Option("--out", help="Where the content goes; must not exist.")],
) -> None:
    """Open a sealed object with a key file, or with the installation's own keys."""
    from gateway.sealing.container import read_header, unseal_stream  # noqa: PLC0415 (only here)
    from gateway.sealing.keys import load_private  # noqa: PLC0415

    table = None if key and sealed.exists() else desk()
    source = sealed.open("rb") if sealed.exists() or table is None else table.storage.get(str(sealed))
    with source:
        if key is not None:
            opening = [load_private(read_text(key))]
        else:
            header = read_header(source)
            source.seek(0)
            opening = [(table or desk()).keyring.by_id(one) for one in header.key_ids[:1]]
        fresh = to.with_name(f".{to.name}.opening")
        try:
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise GatewayError(f"{to} cannot be written: {error.strerror}.", remedy="Choose another --out.") from error
        try:
            with os.fdopen(handle, "wb") as sink:
                opened = unseal_stream(source, sink, keys=opening)
            os.link(fresh, to)
        except FileExistsError as error:
            raise GatewayError(
                f"{to} is there already.", did="It was left as it is.", remedy="Choose another --out."
            ) from error
        finally:
            fresh.unlink(missing_ok=True)
    out.print(f"{opened.plain_bytes:,} bytes in {to}, SHA-256 {opened.plain_digest}.", soft_wrap=True)


@keys.command("list")
@plainly
def list_keys(*, as_json: JsonFlag = False) -> None:
    """List the keys by name."""
    names = desk().keyring.names()
    if as_json:
        print_json(list(names))
    else:
        for name in names:
            out.print(name)


@keys.command()
@plainly
def export(name: str, *, to: Annotated[Path, typer.Option("--out", help="Where it goes, mode 0600.")]) -> None:
    """Write a private key to a file. Whoever has it opens everything that is sealed to it."""
    text = desk().keyring.export_private(name)
    try:
        handle = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise GatewayError(f"{to} cannot be written: {error.strerror}.", remedy="Choose another --out.") from error
    with os.fdopen(handle, "w") as sink:
        sink.write(text)
    out.print(f"The key {name} is in {to}. Keep it where only those may read who may open returns.", soft_wrap=True)
