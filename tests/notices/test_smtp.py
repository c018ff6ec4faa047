"""Real SMTP servers on a local port receive the mails."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from notice_world import mail_to, notice

from gateway.domain.notice import Post
from gateway.errors import NoticeError, SettingsError
from gateway.notices.channels.smtp import MailRelay, MailSecurity, SmtpChannel, message_id

SENDER = "no-reply@gateway.example"
POST = Post(notice=notice(), address=mail_to("data@camden.example"))


class Letterbox:
    """Keeps what arrives; answers ``refuse`` to a recipient where it is set."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse: str | None = None

    async def handle_RCPT(  # noqa: N802 (aiosmtpd calls it so)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


Serve = Callable[..., int]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def letterbox() -> Letterbox:
    return Letterbox()


@pytest.fixture
def serve(letterbox: Letterbox) -> Iterator[Serve]:
    controllers: list[Controller] = []

    def start(**options: object) -> int:
        controller = Controller(letterbox, hostname="127.0.0.1", port=free_port(), **options)
        controller.start()
        controllers.append(controller)
        return controller.port

    yield start
    for controller in controllers:
        controller.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "relay.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def only_data_and_secret(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
) -> AuthResult:
    good = isinstance(given, LoginPassword) and (given.login, given.password) == (b"gateway", b"secret")
    return AuthResult(success=good, handled=good)


def relay(port: int, **changed: object) -> MailRelay:
    return MailRelay(**{"host": "127.0.0.1", "port": port, "sender": SENDER, "timeout_seconds": 3, **changed})


def test_a_mail_arrives_with_text_and_html_and_says_it_is_automatic(serve, letterbox):
    SmtpChannel(relay(serve(), sender_name="The gateway")).post(POST)
    (mail,) = letterbox.mails
    assert (mail["From"], mail["To"], mail["Subject"]) == (
        "The gateway <no-reply@gateway.example>",
        "data@camden.example",
        "It is due",
    )
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == POST.notice.letter.text
    assert "<p>It is due.</p>" in mail.get_body(("html",)).get_content()


def test_a_mail_sent_again_has_the_same_identity_and_another_address_has_its_own(serve, letterbox):
    channel = SmtpChannel(relay(serve()))
    channel.post(POST)
    channel.post(POST)
    channel.post(Post(notice=POST.notice, address=mail_to("director@camden.example")))
    first, again, other = (mail["Message-ID"] for mail in letterbox.mails)
    assert first == again == message_id(POST, SENDER)
    assert other != first
    assert "camden" not in first


def test_starttls_is_used_and_the_certificate_checked(serve, letterbox, certificate):
    port = serve(tls_context=server_context(certificate), require_starttls=True)
    starttls = {"host": "localhost", "security": MailSecurity.STARTTLS}
    SmtpChannel(relay(port, **starttls, tls=trusting(certificate))).post(POST)
    assert len(letterbox.mails) == 1
    with pytest.raises(NoticeError, match="SSLCertVerificationError"):
        SmtpChannel(relay(port, **starttls)).post(POST)
    assert len(letterbox.mails) == 1


def test_a_user_name_and_password_are_given_over_tls(serve, letterbox, certificate):
    port = serve(tls_context=server_context(certificate), authenticator=only_data_and_secret, auth_required=True)
    known = {
        "host": "localhost",
        "security": MailSecurity.STARTTLS,
        "username": "gateway",
        "tls": trusting(certificate),
    }
    SmtpChannel(relay(port, **known, password="secret")).post(POST)
    assert len(letterbox.mails) == 1
    with pytest.raises(NoticeError, match="user name and password") as refused:
        SmtpChannel(relay(port, **known, password="wrong")).post(POST)
    assert refused.value.passing


def test_tls_from_the_first_byte(serve, letterbox, certificate):
    class Wrapped(Controller):
        """aiosmtpd looks whether it answers in clear; over TLS it does not."""

        def _trigger_server(self) -> None:
            with (
                socket.create_connection(("127.0.0.1", self.port)) as plain,
                trusting(certificate).wrap_socket(plain, server_hostname="localhost") as wrapped,
            ):
                wrapped.recv(64)

    server = Wrapped(letterbox, hostname="127.0.0.1", port=free_port(), ssl_context=server_context(certificate))
    server.start()
    try:
        channel = SmtpChannel(
            relay(server.port, host="localhost", security=MailSecurity.TLS, tls=trusting(certificate))
        )
        channel.check()
        channel.post(POST)
    finally:
        server.stop()
    assert len(letterbox.mails) == 1


def test_a_relay_that_is_down_or_silent_is_passing_trouble():
    with pytest.raises(NoticeError, match="ConnectionRefusedError") as refused:
        SmtpChannel(relay(free_port())).post(POST)
    assert refused.value.passing
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(NoticeError) as timed_out:
            SmtpChannel(relay(silent.getsockname()[1], timeout_seconds=0.2)).post(POST)
    assert timed_out.value.passing


@pytest.mark.parametrize(
    ("answer", "passing"), [("450 try later", True), ("550 no such person data@camden.example", False)]
)
def test_a_refused_recipient_is_passing_or_lasting_as_the_relay_says_and_no_address_is_told(
    serve, letterbox, answer, passing
):
    letterbox.refuse = answer
    with pytest.raises(NoticeError) as refused:
        SmtpChannel(relay(serve())).post(POST)
    assert refused.value.passing is passing
    assert "@camden" not in str(refused.value)


def test_a_password_never_travels_unprotected_and_is_never_printed():
    with pytest.raises(SettingsError, match="unprotected"):
        relay(25, username="gateway", password="secret")
    assert "secret" not in repr(relay(25, username="gateway", password="secret", security=MailSecurity.TLS))
