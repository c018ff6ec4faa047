"""Receipts: what an authority can show without us.

* A receipt is JSON, sorted and indented, so that one reads it and any program signs and checks the same bytes.
* It holds digests, counts and the sender's own file names; never a cell.
* It carries the ledger's checkpoint and the proof that the event it speaks of is in it.
"""

from __future__ import annotations

import html
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.domain.merkle import ReadNode, leaf_hash
from gateway.errors import RecordAlteredError, TamperedError
from gateway.ledger.checkpoint import Checkpoint, read_checkpoint
from gateway.ledger.proofs import inclusion_proof, verify_inclusion

RECEIPT_NAMESPACE = "receipt@gateway.london"
"""What a receipt's signature is for (``ssh-keygen -Y verify -n``)."""

IDENTITY = "gateway"
"""Who signs (``ssh-keygen -Y verify -I``)."""

SCHEMA = "https://gateway.london/receipt/1"


def canonical(receipt: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed."""
    return (json.dumps(receipt, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


def evidence(seq: int, body: bytes, checkpoint: Checkpoint, read: ReadNode) -> dict[str, Any]:
    """Return a receipt's proof that an event is in the ledger.

    Args:
        seq: the event's number.
        body: its canonical bytes.
        checkpoint: a signed checkpoint of more than ``seq`` events.
        read: reads kept nodes.
    """
    return {
        "event": seq,
        "body": body.decode(),
        "checkpoint": checkpoint.text,
        "proof": [b64encode(one).decode() for one in inclusion_proof(seq, checkpoint.size, read)],
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiptVerdict:
    """What a verified receipt says."""

    kind: str
    submission: str
    authority: str
    outcome: str
    event: int
    ledger_size: int


def verify_receipt(receipt: bytes, verify_signature: Callable[[bytes], None], ledger_public: bytes) -> ReceiptVerdict:
    """Check a receipt offline: its signature, its checkpoint, and its event's place in the ledger.

    Args:
        receipt: the JSON file, byte for byte.
        verify_signature: raises ``TamperedError`` where the signature does not fit the bytes.
        ledger_public: raw Ed25519 key of the ledger.

    Raises:
        TamperedError: the signature does not fit.
        RecordAlteredError: the proof does not hold, or the event is about something else.
    """
    verify_signature(receipt)
    try:
        read = json.loads(receipt)
        ledger = read["ledger"]
        checkpoint = read_checkpoint(ledger["checkpoint"], ledger_public)
        proof = [b64decode(one, validate=True) for one in ledger["proof"]]
        body, seq = ledger["body"].encode(), int(ledger["event"])
        subject = json.loads(body)["subject"]
        verdict = ReceiptVerdict(
            kind=read["kind"],
            submission=read["submission"],
            authority=read["authority"]["code"],
            outcome=read.get("outcome", "received"),
            event=seq,
            ledger_size=checkpoint.size,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedError("This is not a receipt of the gateway.", remedy="Fetch it again from receipts/.") from error
    verify_inclusion(leaf_hash(body), seq, checkpoint.size, proof, checkpoint.root)
    if subject != f"submission:{verdict.submission}":
        raise RecordAlteredError("The proof in this receipt is about another submission.", remedy="Fetch it again.")
    return verdict


_PAGE = """<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{{font:1.1875rem/1.5 Arial,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#0b0c0c}}
h1{{font-size:2rem;border-bottom:.25rem solid #1d70b8}} th{{text-align:left;vertical-align:top;padding:.4rem 1.5rem .4rem 0}}
td{{padding:.4rem 0;overflow-wrap:anywhere}} tr{{border-bottom:1px solid #b1b4b6}} table{{border-collapse:collapse;width:100%}}
code{{font-size:.95rem;overflow-wrap:anywhere}} @media print{{body{{margin:0;max-width:none}}}}
</style></head><body>
<h1>{title}</h1><table>{lines}</table>
<h2>Check it yourself</h2>
<p>With the files <code>{name}</code>, <code>{name}.sig</code> and <code>allowed_signers</code> (in <code>receipts/</code>):</p>
<p><code>ssh-keygen -Y verify -f allowed_signers -I {identity} -n {namespace} -s {name}.sig &lt; {name}</code></p>
</body></html>
"""


def receipt_page(receipt: Mapping[str, Any], name: str) -> str:
    """Return a page to read and print. ``name`` is the JSON file's."""
    rows: list[tuple[str, str]] = [
        ("Authority", receipt["authority"]["name"]),
        ("Collection", receipt["collection"] or "not recognised"),
        ("Period", receipt["period"] or "not recognised"),
        ("Submission", receipt["submission"]),
        ("Received", receipt["received_at"]["london"]),
    ]
    if "outcome" in receipt:
        rows += [("Outcome", receipt["outcome"]), ("Version", str(receipt["version"]))]
    if receipt.get("due"):
        rows.append(("Due", receipt["due"]))
    rows += [
        ("File", f"{one['name']} ({one['size_bytes']:,} bytes, SHA-256 {one['sha256']})") for one in receipt["files"]
    ]
    rows += [("What this means", receipt["meaning"]), ("What happens next", receipt["next"])]
    checkpoint = str(receipt["ledger"]["checkpoint"]).splitlines()[1]
    rows.append(("Ledger", f"event {receipt['ledger']['event']} of {checkpoint}"))
    return _PAGE.format(
        title=html.escape(f"{str(receipt['kind']).capitalize()} receipt"),
        lines=_rows(rows),
        name=html.escape(name),
        identity=IDENTITY,
        namespace=RECEIPT_NAMESPACE,
    )


def _rows(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<tr><th scope="row">{html.escape(one)}</th><td>{html.escape(two)}</td></tr>' for one, two in rows)
