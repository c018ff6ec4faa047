"""Sends a notice by electronic mail through the operator's relay. The only home of ``smtplib``.

* The Message-ID is made from the notice's key and the address: a copy sent twice after a crash is one message to
  every mail program that looks.
* With STARTTLS or TLS the relay's certificate is checked; without either no password is sent.
* Trouble the relay calls permanent (5xx) is not tried again; everything else is.
"""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.headerregistry import Address as MailAddress
from email.message import EmailMessage
from email.utils import format_datetime
from enum import StrEnum

from gateway.domain.notice import Post
from gateway.errors import NoticeError, SettingsError

_PERMANENT = 500


class MailSecurity(StrEnum):
    """How the connection to the relay is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, kw_only=True, slots=True)
class MailRelay:
    """The relay and how to speak to it.

    Attributes:
        host: its name, as in its certificate.
        port: 25, 587 (STARTTLS) or 465 (TLS).
        security: how the connection is protected.
        username: empty to send without logging in.
        password: never printed.
        sender: the From address; its domain also names our messages.
        sender_name: shown beside it.
        timeout_seconds: for connecting and for each answer.
        tls: context for TLS; None for the system's certificates.
    """

    host: str
    port: int
    security: MailSecurity = MailSecurity.NONE
    username: str = ""
    password: str = field(default="", repr=False)
    sender: str
    sender_name: str = ""
    timeout_seconds: float = 20
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.username and self.security is MailSecurity.NONE:
            raise SettingsError(
                "A mail password would travel unprotected.",
                did="Mail was not set up.",
                remedy='Set mail.security to "starttls" or "tls", or empty mail.username.',
            )


class SmtpChannel:
    """Posts by SMTP, one connection a message."""

    def __init__(self, relay: MailRelay) -> None:
        self._relay = relay

    def post(self, post: Post) -> None:
        """Send one copy."""
        message = self.message(post)
        with _in_our_words(), self._connected() as connection:
            connection.send_message(message, from_addr=self._relay.sender, to_addrs=[post.address.address])

    def check(self) -> None:
        """Connect, log in and leave: for ``gateway doctor``.

        Raises:
            NoticeError: the relay does not answer or does not let us in.
        """
        with _in_our_words(), self._connected() as connection:
            connection.noop()

    def message(self, post: Post) -> EmailMessage:
        """Return the mail as it is sent: text, and the same as HTML."""
        relay, notice = self._relay, post.notice
        message = EmailMessage()
        message["From"] = MailAddress(relay.sender_name, addr_spec=relay.sender)
        message["To"] = post.address.address
        message["Subject"] = notice.letter.subject
        message["Date"] = format_datetime(notice.made_at)
        message["Message-ID"] = message_id(post, relay.sender)
        # Answering machines leave mail with these two headers alone.
        message["Auto-Submitted"] = "auto-generated"
        message["Precedence"] = "bulk"
        message.set_content(notice.letter.text)
        message.add_alternative(notice.letter.html, subtype="html")
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        relay = self._relay
        context = relay.tls or ssl.create_default_context()
        if relay.security is MailSecurity.TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                relay.host, relay.port, timeout=relay.timeout_seconds, context=context
            )
        else:
            connection = smtplib.SMTP(relay.host, relay.port, timeout=relay.timeout_seconds)
        with connection:
            if relay.security is MailSecurity.STARTTLS:
                connection.starttls(context=context)
            if relay.username:
                connection.login(relay.username, relay.password)
            yield connection


def message_id(post: Post, sender: str) -> str:
    """Return the identity of a copy: the same for the same notice and address, and telling neither."""
    named = f"{post.notice.key.text}\n{post.address.address}"
    return f"<{hashlib.sha256(named.encode()).hexdigest()[:40]}@{sender.rpartition('@')[2]}>"


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Translate the vendor's errors. Their texts may quote addresses, so only numbers and names are kept."""
    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code = max((answer[0] for answer in error.recipients.values()), default=0)
        raise _trouble(f"The relay refused the recipient ({code})", passing=code < _PERMANENT) from error
    except smtplib.SMTPAuthenticationError as error:
        # Passing: the operator mends the password, and what waits then goes out.
        raise _trouble(f"The relay did not accept the user name and password ({error.smtp_code})") from error
    except smtplib.SMTPResponseException as error:
        passing = error.smtp_code < _PERMANENT
        raise _trouble(f"The relay answered {error.smtp_code}", passing=passing) from error
    except (smtplib.SMTPException, OSError) as error:
        raise _trouble(f"The relay could not be used ({type(error).__name__})") from error


def _trouble(happened: str, *, passing: bool = True) -> NoticeError:
    did = "The mail waits and will be tried again." if passing else "The mail will not be tried again."
    remedy = "Look at [mail] in settings.toml and at the relay." if passing else "Look at the contact's mail address."
    return NoticeError(f"{happened}.", did=did, remedy=remedy, passing=passing)
