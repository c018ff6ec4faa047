"""Receipts: what they say, what they never say, and everything a forger might try. Checked here in all three ways."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ledger_world import (
    ALLOWED,
    LEDGER,
    RECEIPTS,
    START,
    STRANGER,
    Papers,
    accepted_event,
    altered,
    arrival,
    event,
    good,
    outcome,
    papers,
    proof_of,
    received_event,
)

from gateway.domain.states import State
from gateway.errors import KeyMissingError, RecordAlteredError, TamperedError
from gateway.ledger import standalone_verify
from gateway.ledger.receipts import canonical, receipt_page, schema
from gateway.ledger.signers import allowed_signers_text, ledger_signer, read_allowed_signers, receipt_signer
from gateway.ledger.verify_receipt import ReceiptVerdict, check_receipt, verify_receipt
from gateway.sealing import sshsig

GOLDEN = Path(__file__).parent / "golden"
STANDALONE = Path(standalone_verify.__file__)


def offline(held: Papers) -> ReceiptVerdict:
    return check_receipt(held.receipt, held.signature, held.allowed, sshsig.verify)


def written(held: Papers, folder: Path) -> list[str]:
    names = [folder / "r.json", folder / "r.json.sig", folder / "allowed_signers"]
    for name, content in zip(names, (held.receipt, held.signature.encode(), held.allowed.encode()), strict=True):
        name.write_bytes(content)
    return [str(name) for name in names]


def bare(held: Papers, folder: Path) -> tuple[int, str]:
    """Run the single file in a Python that has nothing else: isolated, no site-packages, from another folder."""
    verifier = shutil.copy(STANDALONE, folder / "verify.py")
    command = [sys.executable, "-I", "-S", str(verifier), *written(held, folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize(("name", "receipt"), [("arrival", arrival()), ("outcome", outcome())])
def test_a_receipt_reads_as_the_golden_one(name, receipt):
    golden = GOLDEN / f"{name}.json"
    assert canonical(receipt).decode() == golden.read_text(encoding="utf-8")
    page = GOLDEN / f"{name}.html"
    assert receipt_page(receipt, "r.json") == page.read_text(encoding="utf-8")


@pytest.mark.parametrize("receipt", [arrival(), *(outcome(state) for state in State if state in {
    State.ACCEPTED, State.REJECTED, State.QUARANTINED, State.DUPLICATED, State.SUPERSEDED,
})])  # fmt: skip
def test_every_receipt_keeps_to_the_schema(receipt):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(json.loads(canonical(receipt)), schema())


@pytest.mark.parametrize(
    "change",
    [
        {"value": "31/02/2026"},
        {"kind": "statement"},
        {"files": []},
        {"outcome": "accepted"},
        {"id": ""},
        {"missing": 1},
    ],
)
def test_the_schema_refuses_what_is_no_receipt(change):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(canonical(arrival(**change))), schema())


def test_an_unrecognised_file_gets_a_receipt_that_keeps_to_the_schema():
    receipt = outcome(State.QUARANTINED, collection=None, period=None, due=None, in_time=None, version=0)
    jsonschema.validate(json.loads(canonical(receipt)), schema())
    assert "not recognised" in receipt_page(receipt, "r.json")


@pytest.mark.parametrize("receipt", [arrival(), outcome()])
def test_a_good_receipt_is_good_in_all_three_ways(receipt, tmp_path):
    held = papers(receipt)
    verdict = offline(held)
    assert (verdict.event, verdict.ledger_size, verdict.authority) == (5, 11, "camden")
    assert verdict.outcome == receipt.get("outcome", "received")
    code, said = bare(held, tmp_path)
    assert code == 0, said
    assert said == (
        f"GOOD: submission {receipt['submission']} of Camden was {verdict.outcome}; event 5 of a ledger of 11.\n"
    )
    told = receipt["verify"].replace(re.search(r"-s (\S+)\.sig", receipt["verify"])[1], "r.json")
    done = subprocess.run(["sh", "-c", told], cwd=tmp_path, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


FORGERIES: dict[str, Callable[[], Papers]] = {
    "another outcome, old signature": lambda: _with(good(), receipt=good().receipt.replace(b"accepted", b"rejected")),
    "a space more": lambda: _with(good(), receipt=good().receipt + b" "),
    "no receipt": lambda: _with(good(), receipt=b""),
    "no JSON": lambda: _with(good(), receipt=b"\xff"),
    "nothing but brackets": lambda: _with(good(), receipt=b"[" * 100_000),
    "a list": lambda: _with(good(), receipt=b"[]"),
    "a signature of a stranger": lambda: papers(outcome(), by=STRANGER),
    "a signature of the ledger's key": lambda: papers(outcome(), by=LEDGER),
    "a signature for another purpose": lambda: _with(good(), signature=RECEIPTS.sign(good().receipt, "file")),
    "no signature": lambda: _with(good(), signature=""),
    "half a signature": lambda: _with(good(), signature=good().signature[:150]),
    "another receipt's signature": lambda: _with(good(), signature=papers(arrival()).signature),
    "no signers": lambda: _with(good(), allowed=""),
    "no ledger key": lambda: _with(good(), allowed=ALLOWED.splitlines()[0] + "\n"),
    "the keys in each other's place": lambda: _with(
        good(),
        allowed=allowed_signers_text([receipt_signer(LEDGER.public_bytes()), ledger_signer(RECEIPTS.public_bytes())]),
    ),
    "a checkpoint of a stranger": lambda: papers(outcome(ledger=proof_of(accepted_event(), by=STRANGER))),
    "an event of another submission": lambda: papers(outcome(ledger=proof_of(event(7)))),
    "an event of another kind": lambda: papers(outcome(ledger=proof_of(received_event()))),
    "an outcome the event does not say": lambda: papers(outcome(outcome="rejected")),
    "another file than the event's": lambda: papers(arrival(files=[{**arrival()["files"][0], "sha256": "0" * 64}])),
    "two files on one arrival": lambda: papers(arrival(files=arrival()["files"] * 2)),
    "another number": lambda: papers(altered(outcome(), event=6)),
    "a number beyond the ledger": lambda: papers(altered(outcome(), event=11)),
    "a negative number": lambda: papers(altered(outcome(), event=-1)),
    "another body": lambda: papers(altered(outcome(), body=accepted_event().canonical().decode() + " ")),
    "a shorter proof": lambda: papers(altered(outcome(), proof=outcome()["ledger"]["proof"][1:])),
    "a longer proof": lambda: papers(altered(outcome(), proof=outcome()["ledger"]["proof"] * 2)),
    "no proof": lambda: papers(altered(outcome(), proof=None)),
    "another size than the checkpoint's": lambda: papers(altered(outcome(), size=12)),
    "another root than the checkpoint's": lambda: papers(altered(outcome(), root=outcome()["ledger"]["leaf"])),
    "another leaf than the body's": lambda: papers(altered(outcome(), leaf=outcome()["ledger"]["root"])),
    "a checkpoint of another size": lambda: papers(
        altered(outcome(), checkpoint=outcome()["ledger"]["checkpoint"].replace("\n11\n", "\n12\n"))
    ),
}


def _with(held: Papers, **changes: Any) -> Papers:
    return Papers(**({"receipt": held.receipt, "signature": held.signature, "allowed": held.allowed} | changes))


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_receipt_is_refused_by_both_verifiers(what, tmp_path, capsys):
    held = FORGERIES[what]()
    with pytest.raises((TamperedError, RecordAlteredError, KeyMissingError)):
        offline(held)
    assert standalone_verify.main(written(held, tmp_path)) == 1
    assert capsys.readouterr().out.startswith("REFUSED: ")


@pytest.mark.parametrize("what", ["another outcome, old signature", "no ledger key", "a checkpoint of a stranger"])
def test_a_forged_receipt_is_refused_in_a_bare_python(what, tmp_path):
    code, said = bare(FORGERIES[what](), tmp_path)
    assert code == 1
    assert said.startswith("REFUSED: ")


def test_no_byte_of_a_receipt_may_change(tmp_path, capsys):
    held = good()
    for at in range(0, len(held.receipt), 97):
        changed = _with(held, receipt=held.receipt[:at] + bytes([held.receipt[at] ^ 1]) + held.receipt[at + 1 :])
        with pytest.raises((TamperedError, RecordAlteredError, KeyMissingError)):
            offline(changed)
        assert standalone_verify.main(written(changed, tmp_path)) == 1
    capsys.readouterr()


def test_the_bare_verifier_says_how_to_use_it_and_what_is_not_there(tmp_path, capsys):
    assert standalone_verify.main([]) == 2
    assert "usage: python3 verify.py" in capsys.readouterr().err
    assert standalone_verify.main([str(tmp_path / name) for name in "abc"]) == 1
    assert "cannot read" in capsys.readouterr().out


def test_the_bare_verifiers_ed25519_is_that_of_the_standard():
    """RFC 8032, section 7.1, test 2; and what must not pass: a high S, a point that is none, a cut key."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    check = standalone_verify.signed_by
    assert check(public, b"\x72", signature)
    assert not check(public, b"\x73", signature)
    high = (int.from_bytes(signature[32:], "little") + standalone_verify.ORDER).to_bytes(32, "little")
    assert not check(public, b"\x72", signature[:32] + high)
    assert not check(public[:31], b"\x72", signature)
    assert not check(public, b"\x72", signature[:63])
    for none in (b"\xff" * 32, (2).to_bytes(32, "little"), (1 | 1 << 255).to_bytes(32, "little")):
        with pytest.raises(standalone_verify.Refused):
            check(none, b"\x72", signature)


def test_both_ed25519_agree_on_signatures_of_our_own():
    for number in range(8):
        message = bytes([number]) * number
        raw = RECEIPTS.sign_raw(message)
        assert standalone_verify.signed_by(RECEIPTS.public_bytes(), message, raw)
        assert not standalone_verify.signed_by(STRANGER.public_bytes(), message, raw)


def test_after_a_key_is_rotated_old_receipts_stay_good_and_the_old_key_signs_no_new_ones(tmp_path):
    change = START + timedelta(hours=1)
    allowed = allowed_signers_text(
        [
            receipt_signer(RECEIPTS.public_bytes(), valid_before=change),
            receipt_signer(STRANGER.public_bytes(), valid_after=change),
            ledger_signer(LEDGER.public_bytes()),
        ]
    )
    late = {"utc": (change + timedelta(minutes=1)).isoformat(timespec="microseconds"), "london": "later"}
    sound = [papers(outcome(), allowed=allowed), papers(outcome(issued_at=late), by=STRANGER, allowed=allowed)]
    for held in sound:
        assert offline(held).outcome == "accepted"
        assert bare(held, tmp_path)[0] == 0
    unsound = [papers(outcome(), by=STRANGER, allowed=allowed), papers(outcome(issued_at=late), allowed=allowed)]
    for held in unsound:
        with pytest.raises(TamperedError):
            offline(held)
        assert bare(held, tmp_path)[0] == 1


def test_ssh_keygen_takes_a_retired_key_for_the_time_it_was_valid(tmp_path):
    allowed = allowed_signers_text([receipt_signer(RECEIPTS.public_bytes(), START, START + timedelta(hours=1))])
    written(papers(outcome(), allowed=allowed), tmp_path)
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "gateway", "-n", "receipt@gateway.london"]
    for when, good_then in (("20261020220000Z", True), ("20261020235959Z", False), ("20261019000000Z", False)):
        done = subprocess.run(
            [*command, "-s", "r.json.sig", f"-Overify-time={when}"],
            input=(tmp_path / "r.json").read_bytes(), cwd=tmp_path, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is good_then, when


def test_allowed_signers_reads_back_as_written_and_passes_strange_lines_over():
    signers = [receipt_signer(RECEIPTS.public_bytes(), START), ledger_signer(LEDGER.public_bytes(), None, START)]
    text = allowed_signers_text(signers)
    key = signers[0].public_line
    strange = [
        "# a remark", "", f"someone {key}", f'someone namespace="x" {key}', "someone ssh-rsa AAAA",
        f'gateway cert-authority,namespaces="receipt@gateway.london" {key}',
        f'gateway namespaces="receipt@gateway.london",valid-befor="20200101" {key}',
    ]  # fmt: skip
    assert read_allowed_signers(text + "\n".join(strange)) == signers
    shared = read_allowed_signers(f'gateway,ledger namespaces="a,b" {key} a remark')
    assert [(one.identity, one.namespace) for one in shared] == [
        ("gateway", "a"), ("gateway", "b"), ("ledger", "a"), ("ledger", "b"),
    ]  # fmt: skip
    for broken in (key[:-4], key[:-4] + "!!!!"):
        with pytest.raises(ValueError):
            read_allowed_signers(f'gateway namespaces="a" {broken}')
    with pytest.raises(ValueError):
        read_allowed_signers(f'gateway namespaces="a",valid-after="tomorrow" {key}')


def test_a_receipt_may_be_checked_with_the_keys_at_hand():
    held = good()

    def fits(message: bytes) -> None:
        sshsig.verify(message, held.signature, "receipt@gateway.london", RECEIPTS.public_line(""))

    assert verify_receipt(held.receipt, fits, LEDGER.public_bytes()).kind == "outcome"
    assert verify_receipt(held.receipt, fits, STRANGER.public_bytes(), LEDGER.public_bytes()).kind == "outcome"


def test_the_page_shows_a_file_name_as_text_whatever_it_holds():
    name = '<script>alert("$name")</script>.csv'
    page = receipt_page(outcome(files=[{"name": name, "size_bytes": 1, "sha256": "0" * 64}]), "r.json")
    assert "<script" not in page
    assert "&lt;script&gt;alert(&quot;$name&quot;)&lt;/script&gt;.csv" in page
    assert "http" not in page, "the page stands alone"


def test_half_a_character_in_a_file_name_is_escaped_and_signed_like_any_other(tmp_path):
    receipt = outcome(files=[{"name": "caf\udce9\x07.csv", "size_bytes": 1, "sha256": "0" * 64}])
    held = papers(receipt)
    assert rb"caf\udce9\u0007.csv" in held.receipt
    assert json.loads(held.receipt)["files"] == receipt["files"]
    assert offline(held).outcome == "accepted"
    assert bare(held, tmp_path)[0] == 0
    assert receipt_page(receipt, "r.json").encode()
