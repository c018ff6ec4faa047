"""Keys are made once, whoever asks first, and open only under the root key they were wrapped with."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from gateway.errors import KeyMissingError
from gateway.sealing.container import seal_bytes, unseal_bytes
from gateway.sealing.keys import Keyring, collection_key, load_private, load_public


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    made = Keyring(tmp_path / "keys")
    made.ensure()
    return made


def test_a_key_is_made_on_first_use_and_is_the_same_after_a_restart(keyring: Keyring, tmp_path: Path) -> None:
    first = keyring.private("ssda903/2026")
    again = Keyring(tmp_path / "keys")
    again.ensure()
    assert again.private("ssda903/2026") == first
    assert again.public("ssda903/2026").id == first.id
    assert again.spool_key() == keyring.spool_key()
    assert again.signing("receipts").private_bytes_raw() == keyring.signing("receipts").private_bytes_raw()
    assert keyring.private("home") != first
    assert keyring.names() == ["home", "ssda903/2026"]
    assert keyring.by_id(first.id) == first


def test_only_the_owner_can_read_and_nothing_lies_open(keyring: Keyring, tmp_path: Path) -> None:
    secret = keyring.private("home").raw
    keyring.signing("ledger")
    for path in (tmp_path / "keys", *(tmp_path / "keys").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        assert path.is_dir() or secret[:32] not in path.read_bytes()


def test_many_who_need_a_new_key_at_once_get_the_same_one(keyring: Keyring, tmp_path: Path) -> None:
    got: list[bytes] = []
    together = threading.Barrier(8)

    def ask() -> None:
        own = Keyring(tmp_path / "keys")
        together.wait()
        got.append(own.private("annex-a/2026").raw)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1
    assert not list((tmp_path / "keys").rglob(".new-*"))


def test_without_its_root_key_nothing_opens_and_no_new_root_is_made(keyring: Keyring, tmp_path: Path) -> None:
    keyring.private("home")
    (tmp_path / "keys/root.key").rename(tmp_path / "away")
    later = Keyring(tmp_path / "keys")
    with pytest.raises(KeyMissingError, match="Restore it from its backup"):
        later.ensure()
    with pytest.raises(KeyMissingError, match="no root key"):
        later.private("home")
    assert Keyring(tmp_path / "keys", tmp_path / "away").private("home") == keyring.private("home")


def test_another_root_key_opens_nothing(keyring: Keyring, tmp_path: Path) -> None:
    keyring.private("home")
    (tmp_path / "keys/root.key").write_bytes(bytes(32))
    with pytest.raises(KeyMissingError, match="does not open under the root key"):
        Keyring(tmp_path / "keys").private("home")


def test_a_key_file_renamed_to_stand_for_another_does_not_open(keyring: Keyring, tmp_path: Path) -> None:
    keyring.private("home")
    sealing = tmp_path / "keys/sealing"
    (sealing / "home.wrapped").rename(sealing / "other.wrapped")
    with pytest.raises(KeyMissingError):
        Keyring(tmp_path / "keys").private("other")


def test_a_root_key_that_others_can_read_is_not_used(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "keys/root.key").chmod(0o644)
    with pytest.raises(KeyMissingError, match="chmod 0600"):
        Keyring(tmp_path / "keys").ensure()


def test_an_exported_key_file_opens_what_was_sealed(keyring: Keyring) -> None:
    sealed = seal_bytes(b"a return", recipients=[keyring.public("ssda903/2026")], context=b"c")
    text = keyring.export_private("ssda903/2026")
    assert text.count("\n") == 1
    assert unseal_bytes(sealed, keys=[load_private("# kept in the safe\n" + text)]) == b"a return"
    assert load_public(keyring.export_public("ssda903/2026")) == keyring.public("ssda903/2026")


def test_exporting_never_makes_a_key(keyring: Keyring) -> None:
    with pytest.raises(KeyMissingError, match="no key 'ssda903/2031'"):
        keyring.export_private("ssda903/2031")
    assert keyring.names() == []


def test_a_damaged_key_file_is_noticed(keyring: Keyring) -> None:
    keyring.private("home")
    text = keyring.export_private("home")
    other = "A" if text[60] != "A" else "B"
    for damaged in ("", text[:-9], text[:60] + other + text[61:], keyring.export_public("home"), text + text):
        with pytest.raises(KeyMissingError, match="not a private key file"):
            load_private(damaged)


def test_a_secret_is_never_printed(keyring: Keyring) -> None:
    key = keyring.private("home")
    assert "raw" not in repr(key)
    assert "raw" not in repr(key.public)


@pytest.mark.parametrize("name", ["", "/etc", "../up", "a/../b", "Home", "a//b", ".hidden", "a/.b", "a b", "a/"])
def test_a_name_leads_nowhere_else(keyring: Keyring, name: str) -> None:
    with pytest.raises(ValueError, match="not a key's name"):
        keyring.private(name)


def test_a_collections_key_is_named_after_the_year_its_period_begins_in() -> None:
    assert collection_key("ssda903", 2026) == "ssda903/2026"
