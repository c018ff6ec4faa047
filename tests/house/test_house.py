"""How the house is built: who may import whom, who may make what, and what must stand in no file."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from house_rules import HOUSE, imports, modules, tracked

MAKERS = {"Return": "gateway/validation/", "Sealed": "gateway/sealing/"}

HOMES = {
    "apscheduler": ("gateway/timetable.py",),
    "boto3": ("gateway/storage/s3.py", "gateway/intake/s3.py"),
    "botocore": ("gateway/storage/s3.py", "gateway/intake/s3.py"),
    # The ledger checks its checkpoints' signatures itself, so that a receipt is proven without the sealing room.
    "cryptography": ("gateway/sealing/", "gateway/intake/sftp/", "gateway/ledger/checkpoint.py"),
    "dbos": ("gateway/engine.py",),
    # Cross-table rules on one side, extracts' recipes on the other: both are SQL files.
    "duckdb": ("gateway/validation/", "routing/extract.py"),
    "frictionless": ("gateway/validation/",),
    # The desk hands over the host key.
    "paramiko": ("gateway/intake/sftp/", "gateway/desk.py"),
    "polars": ("gateway/validation/",),
    "smtplib": ("gateway/notices/channels/",),
    "watchdog": ("gateway/intake/folder.py",),
}
"""Where each outside library lives. ``gateway/cli/`` may use one to play a client's part in demo and doctor."""


def test_nobody_imports_upwards_or_a_neighbour():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", MAKERS)
def test_only_its_own_room_makes_a_proof(name):
    """A ``Return`` proves validation, a ``Sealed`` proves sealing: whoever else made one would forge the proof."""
    makers = {
        module
        for module, tree in modules("gateway", "routing")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
    }
    strangers = {module for module in makers if not module.startswith(MAKERS[name])}
    assert not strangers, f"{name} is made in {sorted(strangers)}"


@pytest.mark.parametrize("library", HOMES)
def test_an_outside_library_has_one_home(library):
    users = {module for module, tree in modules("gateway", "routing") if library in imports(tree)}
    strangers = {one for one in users if not one.startswith((*HOMES[library], "gateway/cli/"))}
    assert not strangers, f"{library} is used in {sorted(strangers)}"


def test_the_domain_imports_nothing_but_python():
    for module, tree in modules("gateway/domain"):
        outside = imports(tree) - sys.stdlib_module_names - {"gateway"}
        assert not outside, f"{module} imports {outside}"


def test_the_bare_verifier_imports_nothing_but_python():
    (tree,) = (tree for module, tree in modules("gateway/ledger") if module.endswith("standalone_verify.py"))
    assert imports(tree) <= sys.stdlib_module_names


def test_every_module_says_what_it_is():
    silent = [module for module, tree in modules("gateway", "routing") if tree.body and not ast.get_docstring(tree)]
    assert not silent


def test_validators_holds_data_only():
    """A package named ``validators`` would stand in the way of the library of that name, which frictionless needs."""
    assert not list((HOUSE / "validators").rglob("*.py"))


def test_no_tracked_file_names_a_machine_or_a_registry():
    machine = re.compile(rb"(?<![\w.$}-])[/](work|root)/[a-z.]")
    registry = re.compile(rb"(index-url|trusted-host)[ =]+https?:|://[^/\s]*\.(internal|corp|lan)\b")
    told = [
        f"{path.relative_to(HOUSE)}: {found[0].decode(errors='replace')}"
        for path in tracked()
        for pattern in (machine, registry)
        if (found := pattern.search(path.read_bytes()))
    ]
    assert not told


def test_no_private_key_lies_in_the_repository():
    """Keys for tests are made by the tests; ``version-1.key`` is a published test vector, which opens nothing else."""
    begin = b"-----BEGIN " + b"(OPENSSH |RSA |EC |ENCRYPTED )?PRIVATE KEY-----"
    told = [path.relative_to(HOUSE).as_posix() for path in tracked() if re.search(begin, path.read_bytes())]
    assert not told


@pytest.mark.parametrize("word", ["upload", "blacklist", "whitelist", "job", "client"])
def test_letters_and_receipts_use_the_words_of_the_house(word):
    """A drop is a drop, a submission a submission, a recipient a recipient."""
    texts = [*(HOUSE / "gateway/notices/letters").glob("*.*"), *(HOUSE / "gateway/ledger").glob("*.html")]
    assert texts
    told = [path.name for path in texts if re.search(rf"\b{word}", path.read_text(encoding="utf-8"), re.IGNORECASE)]
    assert not told
