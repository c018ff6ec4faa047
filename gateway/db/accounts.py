"""Who may come in, and what is on its way: authorities, keys, uploads, and files that stay listed in an inbox.

* A key lets one owner in: an authority or a recipient. Revoked or expired, it does not.
* An upload is a file that is open, was cut off, or waits for its rename; ``listed`` files were received and stay in
  sight for a while, because clients look again after sending.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.db.core import Instant, Transaction, metadata
from gateway.db.submissions import submission_files
from gateway.domain.events import Event
from gateway.domain.names import AuthorityCode, FileId, Owner
from gateway.errors import AlreadyExistsError, NotFoundError

authorities = sa.Table(
    "authorities",
    metadata,
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("gss_code", sa.Text, nullable=False, unique=True),
    sa.Column("dfe_number", sa.Text, nullable=False, unique=True),
    sa.Column("liia_code", sa.Text, nullable=False, unique=True),
    sa.Column("subregion", sa.Text, nullable=False),
    sa.Column("contact_email", sa.Text, nullable=False),
)

account_keys = sa.Table(
    "account_keys",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("added_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("last_used_at", Instant),
    sa.Column("revoked_at", Instant),
    sa.UniqueConstraint("owner", "fingerprint", name="account_key_once"),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("mtime", sa.BigInteger, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.UniqueConstraint("owner", "path", name="upload_place"),
)

listed = sa.Table(
    "listed",
    metadata,
    sa.Column("file", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime", sa.BigInteger, nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.UniqueConstraint("owner", "path", name="listed_place"),
)

_ASKED_AT_ONCE = 500

SEED = Path(__file__).parent / "london_authorities.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """One London local authority."""

    code: AuthorityCode
    name: str
    gss_code: str
    dfe_number: str
    liia_code: str
    subregion: str = ""
    contact_email: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountKey:
    """A key that opens one home."""

    owner: Owner
    name: str
    kind: str
    public_key: str
    """The OpenSSH line without its comment."""
    fingerprint: str
    """``SHA256:...`` as OpenSSH shows it."""
    added_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def opens(self, at: datetime) -> bool:
        """Say whether it lets its owner in at a moment."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file on its way in."""

    file: FileId
    owner: Owner
    path: str
    mtime: int
    started_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A received file that stays in sight."""

    file: FileId
    owner: Owner
    path: str
    size_bytes: int
    mtime: int
    received_at: datetime


def seed_authorities(tx: Transaction, at: datetime) -> int:
    """Add the 33 authorities that are missing; return how many."""
    there = set(tx.connection.execute(sa.select(authorities.c.code)).scalars())
    with SEED.open(encoding="utf-8", newline="") as source:
        missing = [row for row in csv.DictReader(source) if row["code"] not in there]
    for row in missing:
        add_authority(tx, _seed(row), by="gateway", at=at)
    return len(missing)


def _seed(row: dict[str, str]) -> Authority:
    return Authority(
        code=AuthorityCode(row["code"]),
        name=row["name"],
        gss_code=row["gss_code"],
        dfe_number=row["dfe_number"],
        liia_code=row["liia_code"],
    )


def add_authority(tx: Transaction, authority: Authority, *, by: str, at: datetime) -> None:
    """Add one authority.

    Raises:
        AlreadyExistsError: there is one of this slug.
    """
    there = tx.connection.execute(sa.select(authorities.c.code).where(authorities.c.code == authority.code)).first()
    if there is not None:
        raise AlreadyExistsError(f"There is an authority {authority.code} already.", did="Nothing was changed.")
    tx.connection.execute(
        authorities.insert().values(
            code=authority.code,
            name=authority.name,
            gss_code=authority.gss_code,
            dfe_number=authority.dfe_number,
            liia_code=authority.liia_code,
            subregion=authority.subregion,
            contact_email=authority.contact_email,
        )
    )
    facts = {"dfe_number": authority.dfe_number}
    tx.append(Event(action="registered", subject=f"authority:{authority.code}", at=at, actor=by, facts=facts))


def set_contact(tx: Transaction, code: AuthorityCode, email: str) -> None:
    """Set the mail address that notices to an authority go to."""
    tx.connection.execute(authorities.update().where(authorities.c.code == code).values(contact_email=email))


def list_authorities(connection: Connection) -> list[Authority]:
    """Return every authority by slug."""
    rows = connection.execute(sa.select(authorities).order_by(authorities.c.code)).mappings().all()
    return [Authority(**{**row, "code": AuthorityCode(row["code"])}) for row in rows]


def add_key(tx: Transaction, key: AccountKey, *, by: str) -> bool:
    """Let a key in; False where it is let in already. One that is there with another end gets the new one.

    Raises:
        AlreadyExistsError: the key was revoked.
    """
    there = tx.connection.execute(
        sa.select(account_keys.c.id, account_keys.c.revoked_at, account_keys.c.expires_at).where(
            account_keys.c.owner == key.owner, account_keys.c.fingerprint == key.fingerprint
        )
    ).first()
    if there is not None:
        if there.revoked_at is not None:
            raise AlreadyExistsError("This key was revoked.", did="Nothing was changed.", remedy="Make a new key pair.")
        if there.expires_at == key.expires_at:
            return False
        tx.connection.execute(
            account_keys.update().where(account_keys.c.id == there.id).values(expires_at=key.expires_at, name=key.name)
        )
        _append(tx, "key_renewed", key.owner, key.fingerprint, by=by, at=key.added_at)
        return True
    tx.connection.execute(
        account_keys.insert().values(
            owner=key.owner,
            name=key.name,
            kind=key.kind,
            public_key=key.public_key,
            fingerprint=key.fingerprint,
            added_at=key.added_at,
            expires_at=key.expires_at,
        )
    )
    _append(tx, "key_added", key.owner, key.fingerprint, by=by, at=key.added_at)
    return True


def revoke_key(tx: Transaction, owner: Owner, fingerprint: str, *, by: str, at: datetime) -> None:
    """Shut a key out.

    Raises:
        NotFoundError: the owner has no such key.
    """
    done = tx.connection.execute(
        account_keys.update()
        .where(account_keys.c.owner == owner, account_keys.c.fingerprint == fingerprint)
        .where(account_keys.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    if not done.rowcount:
        raise NotFoundError(f"{owner} has no key {fingerprint[:60]} that is let in.", remedy="List its keys.")
    _append(tx, "key_revoked", owner, fingerprint, by=by, at=at)


def list_keys(connection: Connection, owner: Owner) -> list[AccountKey]:
    """Return an owner's keys, oldest first."""
    rows = connection.execute(
        sa.select(account_keys).where(account_keys.c.owner == owner).order_by(account_keys.c.id)
    ).mappings()
    return [AccountKey(**{name: row[name] for name in row if name != "id"}) for row in rows.all()]


def key_used(tx: Transaction, owner: Owner, fingerprint: str, at: datetime) -> None:
    """Remember that a key was used; the first time is an event."""
    where = (account_keys.c.owner == owner, account_keys.c.fingerprint == fingerprint)
    first = tx.connection.execute(sa.select(account_keys.c.last_used_at).where(*where)).scalar_one_or_none() is None
    tx.connection.execute(account_keys.update().where(*where).values(last_used_at=at))
    if first:
        _append(tx, "key_first_used", owner, fingerprint, by=owner, at=at)


def _append(tx: Transaction, action: str, owner: Owner, fingerprint: str, *, by: str, at: datetime) -> None:
    tx.append(
        Event(
            action=action,
            subject=owner,
            at=at,
            actor=by,
            facts={"fingerprint": fingerprint},
            key=f"{owner}/{fingerprint}/{action}/{at.isoformat()}",
        )
    )


# -- files on their way ------------------------------------------------------------------------------------------------


def start_upload(tx: Transaction, upload: Upload) -> FileId | None:
    """Remember an upload; return the file that was on its way to the same place, which it replaces."""
    earlier = clear_place(tx, upload.owner, upload.path)
    tx.connection.execute(
        uploads.insert().values(
            file=upload.file, owner=upload.owner, path=upload.path, mtime=upload.mtime, started_at=upload.started_at
        )
    )
    return earlier


def clear_place(tx: Transaction, owner: Owner, path: str) -> FileId | None:
    """Forget the upload on its way to a place; return its file, unless somebody else has just ended it."""
    file = tx.connection.execute(
        sa.select(uploads.c.file).where(uploads.c.owner == owner, uploads.c.path == path)
    ).scalar_one_or_none()
    return FileId(file) if file is not None and end_upload(tx, FileId(file)) else None


def end_upload(tx: Transaction, file: FileId) -> bool:
    """Forget an upload; False where it was ended or replaced already."""
    return bool(tx.connection.execute(uploads.delete().where(uploads.c.file == file)).rowcount)


def move_upload(tx: Transaction, file: FileId, owner: Owner, path: str) -> FileId | None:
    """Give an upload another place; return the file that was on its way there, which it replaces.

    Raises:
        NotFoundError: the upload was ended or replaced meanwhile.
    """
    earlier = clear_place(tx, owner, path)
    moved = tx.connection.execute(uploads.update().where(uploads.c.file == file).values(path=path))
    if not moved.rowcount:
        raise NotFoundError("The upload is gone.", remedy="Send it again.")
    return earlier


def touch(tx: Transaction, file: FileId, mtime: int) -> None:
    """Set the time a client gave to a file."""
    for table in (uploads, listed):
        tx.connection.execute(table.update().where(table.c.file == file).values(mtime=mtime))


def list_uploads(connection: Connection, owner: Owner) -> list[Upload]:
    """Return an owner's uploads by place."""
    rows = connection.execute(sa.select(uploads).where(uploads.c.owner == owner).order_by(uploads.c.path)).mappings()
    return [Upload(**row) for row in rows.all()]


def get_upload(connection: Connection, file: FileId) -> Upload | None:
    """Return an upload by its file."""
    found = connection.execute(sa.select(uploads).where(uploads.c.file == file)).mappings().one_or_none()
    return Upload(**found) if found is not None else None


def find_upload(connection: Connection, owner: Owner, path: str) -> Upload | None:
    """Return what is on its way to a place."""
    asked = sa.select(uploads).where(uploads.c.owner == owner, uploads.c.path == path)
    found = connection.execute(asked).mappings().one_or_none()
    return Upload(**found) if found is not None else None


def find_received(connection: Connection, owner: Owner, path: str, since: datetime) -> Listed | None:
    """Return the received file in sight at a place."""
    asked = sa.select(listed).where(listed.c.owner == owner, listed.c.path == path, listed.c.received_at >= since)
    found = connection.execute(asked).mappings().one_or_none()
    return Listed(**found) if found is not None else None


def not_received(connection: Connection, files: Sequence[FileId]) -> list[FileId]:
    """Return those of some files that no submission has."""
    there: set[str] = set()
    for begin in range(0, len(files), _ASKED_AT_ONCE):
        asked = sa.select(submission_files.c.id).where(submission_files.c.id.in_(files[begin : begin + _ASKED_AT_ONCE]))
        there |= set(connection.execute(asked).scalars())
    return [file for file in files if file not in there]


def list_received(connection: Connection, owner: Owner, since: datetime) -> list[Listed]:
    """Return the received files still in sight, by place."""
    rows = connection.execute(
        sa.select(listed).where(listed.c.owner == owner, listed.c.received_at >= since).order_by(listed.c.path)
    ).mappings()
    return [Listed(**row) for row in rows.all()]


def keep_in_sight(tx: Transaction, one: Listed) -> None:
    """List a received file; it takes the place of an earlier one of the same path."""
    tx.connection.execute(listed.delete().where(listed.c.owner == one.owner, listed.c.path == one.path))
    tx.connection.execute(
        listed.insert().values(
            file=one.file,
            owner=one.owner,
            path=one.path,
            size_bytes=one.size_bytes,
            mtime=one.mtime,
            received_at=one.received_at,
        )
    )


def out_of_sight(tx: Transaction, owner: Owner, path: str) -> None:
    """Take a received file out of the listing; the submission stays."""
    tx.connection.execute(listed.delete().where(listed.c.owner == owner, listed.c.path == path))


def forget_old(tx: Transaction, at: datetime, linger: timedelta) -> None:
    """Take files out of the listing that were in sight long enough."""
    tx.connection.execute(listed.delete().where(listed.c.received_at < at - linger))
