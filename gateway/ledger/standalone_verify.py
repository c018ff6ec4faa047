"""Checks a receipt of the gateway with nothing but Python: no library, no network, no gateway. Read it, then run it.

    python3 verify.py RECEIPT.json RECEIPT.json.sig allowed_signers

1. The signature in the ``.sig`` fits the receipt and was made for receipts (OpenSSH's SSHSIG, Ed25519, RFC 8032).
2. The checkpoint in the receipt was signed by the ledger's key (C2SP signed-note).
3. The event in the receipt lies in the ledger of that checkpoint (RFC 6962 inclusion proof).
4. The event is about what the receipt says: this submission, this outcome, this file.

Exit 0: all four hold. Exit 1: one does not, and the line says which. Python 3.8 or newer.
"""

# It stands alone, also on an old Python, and is read by people who check the numbers against the standards:
# ruff: noqa: PLR2004, UP006, UP017, UP031, UP035, PTH123, N818

import base64
import hashlib
import json
import re
import struct
import sys
from datetime import datetime, timezone
from typing import Any, Dict, List, Tuple

ORIGIN = "gateway.london/ledger"
RECEIPT = ("gateway", "receipt@gateway.london")
CHECKPOINT = ("ledger", "checkpoint@gateway.london")

Point = Tuple[int, int, int, int]
"""A point of the curve in extended coordinates."""

# -- Ed25519 (RFC 8032, section 5.1) ---------------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE: int = pow(2, (P - 1) // 4, P)


class Refused(Exception):
    """Something does not hold."""


def x_of(y: int, sign: int) -> int:
    """Return the x of a point, or refuse: not every 32 bytes are a point."""
    if y >= P:
        raise Refused("a key or signature is not a point of the curve")
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - x2) % P or (x == 0 and sign):
        raise Refused("a key or signature is not a point of the curve")
    return P - x if x & 1 != sign else x


def add(one: Point, two: Point) -> Point:
    """Add two points in extended coordinates."""
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = two
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """Multiply a point."""
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def point_of(raw: bytes) -> Point:
    """Read a point from 32 bytes."""
    number = int.from_bytes(raw, "little")
    y, sign = number & (1 << 255) - 1, number >> 255
    x = x_of(y, sign)
    return x, y, 1, x * y % P


def bytes_of(point: Point) -> bytes:
    """Write a point as 32 bytes."""
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = point_of(b"\x58" + b"\x66" * 31)


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether an Ed25519 signature fits."""
    if len(public) != 32 or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % ORDER
    x, y, z, t = point_of(public)
    return bytes_of(add(times(s, BASE), times(h, (-x % P, y, z, -t % P)))) == r


# -- Files of OpenSSH ------------------------------------------------------------------------------------------------


def decoded(text: str) -> bytes:
    """Read base64, strictly."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise Refused("base64 is not written the one way")
    return raw


def strings(raw: bytes) -> List[bytes]:
    """Split SSH's length-prefixed strings."""
    found: List[bytes] = []
    while raw:
        if len(raw) < 4 or len(raw) < 4 + struct.unpack(">I", raw[:4])[0]:
            raise Refused("an SSH structure is cut short")
        end = 4 + struct.unpack(">I", raw[:4])[0]
        found.append(raw[4:end])
        raw = raw[end:]
    return found


def packed(*parts: bytes) -> bytes:
    """Join strings as SSH does."""
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def moment(stamp: str) -> datetime:
    """Read a time of allowed_signers; without a zone it is read as UTC."""
    digits = stamp.rstrip("Z")
    form = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}[len(digits)]
    return datetime.strptime(digits, form).replace(tzinfo=timezone.utc)


def keys_for(allowed: str, who: Tuple[str, str], at: datetime) -> List[bytes]:
    """Return the raw keys that allowed_signers gives a name for a namespace at an instant."""
    option = r'(?:namespaces|valid-after|valid-before)="[^"]*"'
    shape = re.compile(r"(\S+) (" + option + "(?:," + option + r")*) ssh-ed25519 (\S+)(?: .*)?")
    found = []
    for line in allowed.splitlines():
        matched = shape.fullmatch(line.strip())
        if not matched:
            continue
        options = dict(re.findall(r'([a-z-]+)="([^"]*)"', matched.group(2)))
        named = who[0] in matched.group(1).split(",") and who[1] in options.get("namespaces", "").split(",")
        early = "valid-after" in options and at < moment(options["valid-after"])
        late = "valid-before" in options and at >= moment(options["valid-before"])
        if named and not early and not late:
            kind, public = strings(decoded(matched.group(3)))
            if kind == b"ssh-ed25519":
                found.append(public)
    if not found:
        raise Refused("allowed_signers names no key of '%s' for %s that was valid then" % who)
    return found


def check_signature(message: bytes, armoured: str, publics: List[bytes]) -> None:
    """Check an SSHSIG signature: format of OpenSSH's PROTOCOL.sshsig."""
    lines = armoured.strip().splitlines()
    if lines[0] != "-----BEGIN SSH SIGNATURE-----" or lines[-1] != "-----END SSH SIGNATURE-----":
        raise Refused("the .sig is not an SSH signature")
    blob = decoded("".join(lines[1:-1]))
    if blob[:10] != b"SSHSIG" + struct.pack(">I", 1):
        raise Refused("the .sig is not an SSH signature")
    key, namespace, _, hashed_with, signature = strings(blob[10:])
    kind, public = strings(key)
    signature_kind, raw = strings(signature)
    if kind != b"ssh-ed25519" or signature_kind != kind or public not in publics:
        raise Refused("the receipt is signed by a key that allowed_signers does not name")
    if namespace != RECEIPT[1].encode() or hashed_with != b"sha512":
        raise Refused("the signature was not made for a receipt")
    signed = b"SSHSIG" + packed(namespace, b"", hashed_with, hashlib.sha512(message).digest())
    if not signed_by(public, signed, raw):
        raise Refused("the signature does not fit the receipt: one of the two was altered")


# -- The ledger ------------------------------------------------------------------------------------------------------


def check_checkpoint(note: str, publics: List[bytes]) -> Tuple[int, bytes]:
    """Check a signed note; return size and root."""
    body, _, signatures = note.partition("\n\n")
    origin, size, root = body.split("\n")
    if origin != ORIGIN or not re.fullmatch("0|[1-9][0-9]*", size) or len(decoded(root)) != 32:
        raise Refused("the checkpoint is not one of the ledger")
    start = "\u2014 " + ORIGIN + " "
    for line in signatures.split("\n"):
        if line.startswith(start):
            blob = decoded(line[len(start) :])
            for public in publics:
                name = hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
                if blob[:4] == name and signed_by(public, (body + "\n").encode(), blob[4:]):
                    return int(size), decoded(root)
    raise Refused("the checkpoint is not signed by the ledger's key")


def check_inclusion(leaf: bytes, index: int, size: int, proof: List[bytes], root: bytes) -> None:
    """Climb from the leaf to the root (RFC 9162, section 2.1.3.2)."""
    hashed, at, last = leaf, index, size - 1
    if not 0 <= index < size:
        raise Refused("the event's number is beyond the ledger")
    for sibling in proof:
        if last == 0:
            raise Refused("the proof is too long")
        if at & 1 or at == last:
            hashed = hashlib.sha256(b"\x01" + sibling + hashed).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            hashed = hashlib.sha256(b"\x01" + hashed + sibling).digest()
        at, last = at >> 1, last >> 1
    if last or hashed != root:
        raise Refused("the event is not in the ledger of the checkpoint")


def check_event(event: Dict[str, Any], receipt: Dict[str, Any]) -> None:
    """Check that the event is about what the receipt says."""
    if event["subject"] != "submission:" + receipt["submission"]:
        raise Refused("the event is about another submission")
    if receipt["kind"] == "arrival":
        (file,) = receipt["files"]
        good = event["action"] == "received" and event["facts"]["sha256"] == file["sha256"]
    else:
        # What was superseded in the meantime was accepted first, and that is the event.
        good = event["action"] == {"superseded": "accepted"}.get(receipt["outcome"], receipt["outcome"])
    if not good:
        raise Refused("the event says another thing than the receipt")


def check(message: bytes, armoured: str, allowed: str) -> str:
    """Check a receipt; return what it says."""
    receipt = json.loads(message)
    issued = datetime.fromisoformat(receipt["issued_at"]["utc"]).replace(tzinfo=timezone.utc)
    check_signature(message, armoured, keys_for(allowed, RECEIPT, issued))
    ledger = receipt["ledger"]
    size, root = check_checkpoint(ledger["checkpoint"], keys_for(allowed, CHECKPOINT, issued))
    body = ledger["body"].encode()
    leaf = hashlib.sha256(b"\x00" + body).digest()
    check_inclusion(leaf, ledger["event"], size, [decoded(one) for one in ledger["proof"]], root)
    if (decoded(ledger["leaf"]), ledger["size"], decoded(ledger["root"])) != (leaf, size, root):
        raise Refused("the receipt says another thing of the ledger than its checkpoint")
    check_event(json.loads(body), receipt)
    what = receipt.get("outcome", "received")
    return "GOOD: submission %s of %s was %s; event %d of a ledger of %d." % (
        receipt["submission"],
        receipt["authority"]["name"],
        what,
        ledger["event"],
        size,
    )


def main(arguments: List[str]) -> int:
    """Check the three files named on the command line."""
    if len(arguments) != 3:
        sys.stderr.write("usage: python3 verify.py RECEIPT.json RECEIPT.json.sig allowed_signers\n")
        return 2
    try:
        contents = []
        for name in arguments:
            with open(name, "rb") as file:
                contents.append(file.read())
        said, code = check(contents[0], contents[1].decode(), contents[2].decode()), 0
    except Refused as reason:
        said, code = "REFUSED: %s." % reason, 1
    except OSError as trouble:
        said, code = "REFUSED: cannot read %s." % trouble.filename, 1
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        said, code = "REFUSED: one of the three files is not what it should be.", 1
    sys.stdout.write(said + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
