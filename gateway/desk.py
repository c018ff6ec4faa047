"""Builds everything once, from the settings: the only file that knows all the others.

* Each thing is made when it is first asked for, so that a small command stays quick.
* What one room needs of another is handed over here. Nothing here decides anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Protocol

import paramiko

from gateway.answers import Answers, Due
from gateway.calendar.due import due_instant
from gateway.clock import Clock, SystemClock
from gateway.db import accounts
from gateway.db import calendar as calendar_rows
from gateway.db import ledger as ledger_rows
from gateway.db import submissions as submission_rows
from gateway.db.core import Database, Transaction
from gateway.db.migrate import migrate
from gateway.db.notices import NoticeOutbox, raise_notice
from gateway.db.register import DeliveryRows, RegisterRows
from gateway.directory import Directory
from gateway.domain.collection import Collection
from gateway.domain.expectation import Owed
from gateway.domain.finding import ReportSummary
from gateway.domain.names import (
    AuthorityCode,
    Channel,
    CollectionId,
    Owner,
    RecipientCode,
    SubmissionId,
    authority_owner,
)
from gateway.domain.notice import Address, Notice, NoticeChannel, NoticeKey, NoticeKind
from gateway.domain.period import Period
from gateway.domain.sharing import Participation
from gateway.domain.states import State
from gateway.domain.submission import SealedObject, Submission
from gateway.errors import NotFoundError, SettingsError
from gateway.homes import Area, Shelf
from gateway.intake.drops import Deliver
from gateway.intake.folder import FolderWatcher
from gateway.intake.reception import Doorbell, Received, Reception
from gateway.intake.sftp.accounts import Accounts, Admitted, fingerprint, read_public_key
from gateway.intake.sftp.home import Home, Limits
from gateway.intake.sftp.listener import ListenerSettings, SftpServer, ensure_host_key
from gateway.ledger.checkpoint import read_checkpoint
from gateway.ledger.signers import allowed_signers_text, ledger_signer, receipt_signer
from gateway.ledger.verify import LedgerVerdict, verify_ledger
from gateway.lookout import Lookout
from gateway.notices.channels import Channel as NoticeRoute
from gateway.notices.channels.folder import FolderChannel
from gateway.notices.channels.smtp import MailRelay, MailSecurity, SmtpChannel
from gateway.notices.composer import Composer, LetterFacts
from gateway.notices.occasions import Schedule
from gateway.notices.postmaster import Postmaster
from gateway.pages import Pages
from gateway.pipeline import Steps
from gateway.sealing.age import seal_to_age
from gateway.sealing.container import open_sealed
from gateway.sealing.keys import Keyring, collection_key
from gateway.sealing.seal import Sealer
from gateway.sealing.spool import Spool
from gateway.sealing.sshsig import Signer
from gateway.settings import Settings
from gateway.storage.port import Storage
from gateway.validation.catalogue import load_catalogue
from gateway.validation.scanner import ClamdScanner, NoScanner, Scanner
from routing.deliver import Router
from routing.ports import AcceptedReturn
from routing.recipe import Recipe, load_recipes
from routing.register import Register
from routing.transports.outbox import OutboxTransport

_NOTICE_OF = {
    State.ACCEPTED: NoticeKind.ACCEPTED,
    State.REJECTED: NoticeKind.REJECTED,
    State.QUARANTINED: NoticeKind.QUARANTINED,
}


class Intake(Protocol):
    """Something that lets files in."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; what is under way is finished or comes again."""


class Desk:
    """Everything, built from one set of settings."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.database_url)
        self.keyring = Keyring(settings.data / "keys", _root_key_file())
        self.doorbell = Doorbell()

    # -- ground ------------------------------------------------------------------------------------------------

    @cached_property
    def catalogue(self) -> Mapping[CollectionId, Collection]:
        """The collections."""
        return load_catalogue(self.settings.path(self.settings.validators_dir))

    @cached_property
    def spool(self) -> Spool:
        """What was received, encrypted."""
        return Spool(
            self.settings.data / "spool", self.keyring.spool_key(), reserve_bytes=self.settings.sftp.reserve_bytes
        )

    @cached_property
    def storage(self) -> Storage:
        """Where sealed objects live."""
        wanted = self.settings.storage
        if wanted.kind == "local":
            from gateway.storage.local import LocalStorage  # noqa: PLC0415 (only one of the two is needed)

            return LocalStorage(self.settings.data / wanted.root)
        from gateway.storage.s3 import S3Storage, make_client  # noqa: PLC0415 (boto3 takes a while to import)

        client = make_client(endpoint_url=wanted.endpoint_url, region=wanted.region)
        return S3Storage(client, wanted.bucket, wanted.prefix)

    @cached_property
    def shelf(self) -> Shelf:
        """The homes."""
        return Shelf(self.database, self.storage, self.keyring, self.clock, on_collected=self._collected)

    @cached_property
    def scanner(self) -> Scanner:
        """The malware scanner."""
        wanted = self.settings.scanner
        if wanted.kind == "off":
            return NoScanner()
        return ClamdScanner(address=wanted.address, timeout_seconds=wanted.timeout_seconds)

    @cached_property
    def signer(self) -> Signer:
        """Signs receipts."""
        return Signer(self.keyring.signing("receipts"))

    @cached_property
    def ledger_signer(self) -> Signer:
        """Signs the ledger's checkpoints."""
        return Signer(self.keyring.signing("ledger"))

    # -- people ------------------------------------------------------------------------------------------------

    @cached_property
    def directory(self) -> Directory:
        """The authorities."""
        return Directory(self.database)

    @cached_property
    def register(self) -> Register:
        """Recipients and decisions."""
        return Register(RegisterRows(self.database))

    # -- the way in --------------------------------------------------------------------------------------------

    @cached_property
    def reception(self) -> Reception:
        """Where every drop comes in."""
        return Reception(
            database=self.database,
            spool=self.spool,
            catalogue=self.catalogue,
            clock=self.clock,
            doorbell=self.doorbell,
        )

    def intakes(self) -> list[Intake]:
        """Return the watchers that the settings ask for."""
        found: list[Intake] = []
        folder, bucket = self.settings.folder, self.settings.s3_intake
        if folder.enabled:
            found.append(
                FolderWatcher(
                    self.settings.data / folder.root,
                    self._taker(Channel.FOLDER, "folder"),
                    self.directory.codes,
                    settle_seconds=folder.settle_seconds,
                    rescan_seconds=folder.rescan_seconds,
                )
            )
        if bucket.enabled:
            from gateway.intake.s3 import S3Intake  # noqa: PLC0415 (boto3 takes a while to import)
            from gateway.storage.s3 import make_client  # noqa: PLC0415

            found.append(
                S3Intake(
                    make_client(endpoint_url=bucket.endpoint_url, region=bucket.region),
                    bucket=bucket.bucket,
                    prefix=bucket.prefix,
                    deliver=self._taker(Channel.S3, f"s3:{bucket.bucket}"),
                    known=self.directory.codes,
                    seen=_Seen(self.database),
                    poll_seconds=bucket.poll_seconds,
                )
            )
        return found

    def _taker(self, channel: Channel, sent_by: str) -> Deliver:
        def take(authority: AuthorityCode, folder: tuple[str, ...], name: str, source: BinaryIO, key: str) -> Received:
            return self.reception.deliver(
                authority, folder, name, source, channel=channel, sent_by=sent_by, delivery_key=key
            )

        return take

    # -- calendar and notices ----------------------------------------------------------------------------------

    @cached_property
    def lookout(self) -> Lookout:
        """The calendar at work."""
        wanted = self.settings.calendar
        return Lookout(
            database=self.database,
            catalogue=lambda: self.catalogue,
            authorities=self.directory.names,
            accepted_facts=self._accepted_facts,
            addresses=self._addresses,
            composer=self.composer,
            schedule=Schedule(reminder_days=wanted.reminder_days, late_days=wanted.late_days, hour=wanted.hour),
            clock=self.clock,
        )

    @cached_property
    def composer(self) -> Composer:
        """Writes letters."""
        service = self.settings.service
        return Composer(service_name=service.name, operator_email=service.operator_email)

    @cached_property
    def postmaster(self) -> Postmaster:
        """Posts letters."""
        channels: dict[NoticeChannel, NoticeRoute] = {NoticeChannel.FOLDER: FolderChannel(self.shelf)}
        if self.settings.mail.enabled:
            channels[NoticeChannel.SMTP] = self.mail
        return Postmaster(NoticeOutbox(self.database), channels, self.clock)

    @cached_property
    def mail(self) -> SmtpChannel:
        """The mail relay."""
        wanted = self.settings.mail
        return SmtpChannel(
            MailRelay(
                host=wanted.host,
                port=wanted.port,
                security=MailSecurity(wanted.security),
                username=wanted.username,
                password=os.environ.get("GATEWAY_MAIL_PASSWORD", ""),
                sender=wanted.sender,
                sender_name=self.settings.service.name,
            )
        )

    def _accepted_facts(self) -> Mapping[Owed, datetime]:
        with self.database.read() as connection:
            return submission_rows.accepted_facts(connection)

    def _addresses(self, owner: Owner) -> Sequence[Address]:
        """Return where notices to an owner go: its folder, and its mail address where mail is on."""
        found = [Address(NoticeChannel.FOLDER, owner)]
        email = self.directory.emails().get(owner)
        if email and self.settings.mail.enabled:
            found.append(Address(NoticeChannel.SMTP, email))
        return found

    # -- the story ---------------------------------------------------------------------------------------------

    @cached_property
    def answers(self) -> Answers:
        """Makes and places receipts."""
        return Answers(
            database=self.database,
            shelf=self.shelf,
            signer=self.signer,
            ledger_public=self.ledger_signer.public_bytes(),
            ledger_sign=self.ledger_signer.sign_raw,
            name=self.directory.name,
            due=self._due,
            clock=self.clock,
        )

    @cached_property
    def recipes(self) -> Mapping[str, Recipe]:
        """The extracts, as their folders describe them."""
        return load_recipes(self.settings.path(self.settings.extracts_dir))

    @cached_property
    def router(self) -> Router:
        """Decides and delivers."""
        return Router(
            recipes=self.recipes,
            collections=self.catalogue,
            register=self.register,
            deliveries=DeliveryRows(self.database),
            accepted=_Accepted(self),
            participations=_Participations(self.database),
            seal=seal_to_age,
            transport=OutboxTransport(self.shelf),
            clock=self.clock,
        )

    @cached_property
    def steps(self) -> Steps:
        """The steps of the story, with their hands."""
        return Steps(
            database=self.database,
            holding=self.spool,
            catalogue=self.catalogue,
            directory=self.directory,
            scanner=self.scanner,
            sealer=Sealer(self.keyring, self.settings.data / "holding", self._on_record),
            storage=self.storage,
            shelf=self.shelf,
            route_all=self._route,
            answers=self.answers,
            announce=self._announce,
            clock=self.clock,
        )

    def _route(self, collection: CollectionId, period: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        outcome = self.router.route(collection, period)
        return outcome.deliveries, outcome.refusals

    def _on_record(self, submission: SubmissionId) -> Sequence[SealedObject]:
        with self.database.read() as connection:
            return submission_rows.stored(connection, submission)

    def _due(self, submission: Submission) -> Due | None:
        if submission.collection is None or submission.period is None:
            return None
        try:
            found = self.lookout.look_at(
                Owed(submission.authority, submission.collection, submission.period.label)
            ).expectation
        except NotFoundError:
            return None
        if not found.participates:
            return None
        last = due_instant(found.on_time_until)
        return Due(on=found.due.isoformat(), in_time=submission.last_file_at <= last)

    def _announce(self, tx: Transaction, outcome: State, submission: Submission, report: ReportSummary | None) -> None:
        """Raise the notice that tells an authority what became of a submission."""
        kind = _NOTICE_OF.get(outcome)
        if kind is None:
            return
        owner, at = authority_owner(submission.authority), self.clock.now()
        due = self._due(submission)
        collection = self.catalogue[submission.collection].title if submission.collection else None
        period = submission.period.label if submission.period else None
        facts = LetterFacts(
            to_name=self.directory.name(submission.authority),
            collection_title=collection,
            period=period,
            due=date.fromisoformat(due.on) if due else None,
            received_at=submission.received_at,
            submission=submission.id,
            errors=report.errors if report else None,
            queries=report.queries if report else None,
            accepted_late=due is not None and not due.in_time,
            papers=submission.folder,
        )
        key = NoticeKey.about_submission(kind, owner, submission.id, submission.collection, period)
        letter = self.composer.compose(kind, facts)
        raise_notice(tx, Notice(key=key, made_at=at, letter=letter, to=tuple(self._addresses(owner))))

    def _collected(self, owner: Owner, folder: str, name: str) -> None:
        """Tell routing that a recipient has read something from its outbox to the end."""
        kind, _, code = owner.partition(":")
        if kind == "recipient":
            self.router.collected(RecipientCode(code), folder, name)

    # -- the SFTP front ----------------------------------------------------------------------------------------

    def sftp_server(self) -> SftpServer:
        """Build the SFTP listener."""
        wanted = self.settings.sftp
        return SftpServer(
            ListenerSettings(
                host=wanted.host,
                port=wanted.port,
                handshake_seconds=wanted.handshake_seconds,
                idle_seconds=wanted.idle_seconds,
            ),
            host_keys=[self.host_key],
            accounts=Accounts(self.database, self.clock),
            homes=self._home,
        )

    @cached_property
    def host_key(self) -> paramiko.PKey:
        """The SFTP server's own key."""
        return ensure_host_key(self.settings.data / "keys" / "ssh_host_ed25519")

    def host_key_line(self) -> str:
        """Return the host key as a ``known_hosts`` line has it."""
        return f"{self.host_key.get_name()} {self.host_key.get_base64()}"

    def host_key_fingerprint(self) -> str:
        """Return the host key's fingerprint as OpenSSH shows it."""
        return fingerprint(self.host_key.asbytes())

    def _home(self, admitted: Admitted) -> Home:
        wanted = self.settings.sftp
        return Home(
            owner=admitted.owner,
            sent_by=f"{admitted.key_name} {admitted.fingerprint}",
            database=self.database,
            spool=self.spool,
            reception=self.reception,
            shelf=self.shelf,
            pages=self.pages,
            folders=_Folders(self),
            limits=Limits(
                max_file_bytes=wanted.max_file_bytes,
                quota_bytes=wanted.quota_bytes,
                linger=timedelta(seconds=wanted.linger_seconds),
            ),
            clock=self.clock,
        )

    @cached_property
    def pages(self) -> Pages:
        """Texts made when they are read."""
        return Pages(
            service=self.settings.service.name,
            operator=self.settings.service.operator_email,
            deadlines=self.lookout.deadlines,
            collections=self.catalogue,
        )

    # -- for the command line ----------------------------------------------------------------------------------

    def collection(self, name: str) -> Collection:
        """Return a collection by its id.

        Raises:
            NotFoundError: there is none.
        """
        found = self.catalogue.get(CollectionId(name))
        if found is None:
            raise NotFoundError(
                f"There is no collection {name[:60]!r}.", remedy=f"The collections are {', '.join(self.catalogue)}."
            )
        return found

    def add_key(self, owner: Owner, name: str, text: str, until: date | None, *, by: str) -> str:
        """Let a public key in; return its fingerprint."""
        kind, line, print_ = read_public_key(text)
        key = accounts.AccountKey(
            owner=owner,
            name=name,
            kind=kind,
            public_key=line,
            fingerprint=print_,
            added_at=self.clock.now(),
            expires_at=due_instant(until) if until else None,
        )
        with self.database.write() as tx:
            accounts.add_key(tx, key, by=by)
        return print_

    def revoke_key(self, owner: Owner, fingerprint: str, *, by: str) -> None:
        """Shut a key out."""
        with self.database.write() as tx:
            accounts.revoke_key(tx, owner, fingerprint, by=by, at=self.clock.now())

    def verify_ledger(self) -> LedgerVerdict:
        """Verify the whole record and every signed checkpoint."""
        public = self.ledger_signer.public_bytes()
        with self.database.read() as connection:
            kept = [read_checkpoint(text, public) for text in ledger_rows.kept_checkpoints(connection)]
            return verify_ledger(
                ledger_rows.iterate_events(connection),
                ledger_rows.kept_root(connection),
                kept,
                kept_nodes=lambda level: ledger_rows.read_level(connection, level),
            )

    def make(self) -> None:
        """Make what an installation needs and has not: keys, tables, authorities."""
        self.keyring.ensure()
        migrate(self.database)
        with self.database.write() as tx:
            accounts.seed_authorities(tx, self.clock.now())
        for name in ("spool", "storage", "holding"):
            (self.settings.data / name).mkdir(exist_ok=True, mode=0o700)
        self.host_key_line()
        self.publish_signers()

    def publish_signers(self) -> None:
        """Place the file that receipts are verified with into every authority's home."""
        text = allowed_signers_text(
            [receipt_signer(self.signer.public_bytes()), ledger_signer(self.ledger_signer.public_bytes())]
        ).encode()
        for code in self.directory.codes():
            self.shelf.put(authority_owner(code), Area.RECEIPTS, "", "allowed_signers", text)

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()


def open_desk(settings: Settings, *, make: bool = False, clock: Clock | None = None) -> Desk:
    """Build the desk.

    Args:
        settings: what the installation is like.
        make: make what is missing.
        clock: the machine's, if None.

    Raises:
        SettingsError: there is no installation here.
    """
    if not make and not (settings.data / "keys").is_dir():
        raise SettingsError(
            f"There is no installation at {settings.data}.", remedy="Run `gateway init DIR` and use its settings.toml."
        )
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Everything below is the gateway's own: not even the names of files are for others on the machine.
    settings.data.chmod(0o700)
    desk = Desk(settings, clock or SystemClock())
    if make:
        desk.make()
    return desk


class _Seen:
    """Tells the bucket's watcher what was taken before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def is_taken(self, key: str) -> bool:
        with self._database.read() as connection:
            return submission_rows.find_delivery(connection, key) is not None


class _Accepted:
    """Gives routing the returns that stand, opened from storage."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def current(self, collection: CollectionId, period: str) -> Sequence[AcceptedReturn]:
        with self._desk.database.read() as connection:
            found = submission_rows.current(connection, collection, period)
            keys = {one.submission.id: submission_rows.stored_keys(connection, one.submission.id) for one in found}
        return [
            AcceptedReturn(
                submission=one.submission.id,
                authority=one.submission.authority,
                version=one.submission.version,
                open=self._opener(one.submission, keys[one.submission.id]),
            )
            for one in found
        ]

    def _opener(self, submission: Submission, keys: Mapping[str, str]) -> Callable[[str], BinaryIO]:
        def opened(resource: str) -> BinaryIO:
            if resource not in keys:
                raise NotFoundError(f"Submission {submission.id} has no table {resource}.")
            keyring = self._desk.keyring
            name = collection_key(submission.collection or "", submission.period.start.year if submission.period else 0)
            return open_sealed(self._desk.storage.get(keys[resource]), [keyring.private(name)])

        return opened


class _Participations:
    """Gives routing who takes part."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, collection: CollectionId) -> Sequence[Participation]:
        with self._database.read() as connection:
            return calendar_rows.read_participations(connection, collection)


class _Folders:
    """Tells a home which folders its inbox has."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def inbox(self, owner: Owner) -> Sequence[str]:  # noqa: ARG002 (the same for every authority: taking part is not access)
        return list(self._desk.catalogue)

    def is_period(self, collection: str, name: str) -> bool:
        try:
            period = Period.parse(name)
        except ValueError:
            return False
        cadence = self._desk.catalogue[CollectionId(collection)].cadence
        return cadence is None or period.kind is cadence

    def in_work_bytes(self, owner: Owner) -> int:
        with self._desk.database.read() as connection:
            return submission_rows.in_work_bytes(connection, owner.partition(":")[2])


def _root_key_file() -> Path | None:
    named = os.environ.get("GATEWAY_ROOT_KEY_FILE", "")
    return Path(named) if named else None
