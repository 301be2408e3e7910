"""Hosts with https: which certificates are trusted, and that connections are kept as without it."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.scripted_core import FakeClock, ScriptedCore, reply_and_close

from flask_stsession.core.http import CoreCall
from flask_stsession.errors import CoreUnavailableError

from .conftest import MakeTransport

ACT = CoreCall("POST", "/recipe/session", content=b"{}")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a file with a key and a certificate for 127.0.0.1 that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "core")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "core.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure_core(certificate: Path) -> Iterator[ScriptedCore]:
    """Provide a server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    core = ScriptedCore(tls=context)
    yield core
    core.stop()


def test_an_untrusted_certificate_is_refused_before_anything_is_sent(
    secure_core: ScriptedCore, make_transport: MakeTransport
) -> None:
    with pytest.raises(CoreUnavailableError) as caught:
        make_transport(hosts=[secure_core.url], api_key="secret").send(ACT)
    assert str(caught.value) == (
        f"The core did not answer POST /recipe/session. {secure_core.url}: its certificate is not trusted "
        "(self-signed certificate). Name a file with its authority in STSESSION_CORE_TLS."
    )
    assert secure_core.received == []


def test_connections_are_kept_and_replaced_as_without_tls(
    secure_core: ScriptedCore,
    certificate: Path,
    make_transport: MakeTransport,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    transport = make_transport(hosts=[secure_core.url])
    transport.send(ACT)
    transport.send(ACT)
    assert secure_core.connections == 1
    clock.now += 5
    secure_core.will(reply_and_close({}))
    transport.send(ACT)
    assert secure_core.connections == 2
    secure_core.wait_until_closed()
    transport.send(ACT)
    assert (len(secure_core.received), secure_core.connections) == (4, 3)


def test_authorities_and_a_certificate_of_ones_own_are_named_by_files(
    certificate: Path, make_transport: MakeTransport
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    core = ScriptedCore(tls=context)
    file = str(certificate)
    try:
        for tls in ({"ca": file, "cert": file}, {"ca": file, "cert": file, "key": file}):
            make_transport(hosts=[core.url], tls=tls).send(ACT)
        with pytest.raises(CoreUnavailableError):
            make_transport(hosts=[core.url], tls={"ca": file}).send(ACT)
    finally:
        core.stop()
    assert len(core.received) == 2


def test_https_to_a_host_that_speaks_http_is_reported(
    core: ScriptedCore, make_transport: MakeTransport
) -> None:
    url = core.url.replace("http://", "https://")
    with pytest.raises(CoreUnavailableError) as caught:
        make_transport(hosts=[url], timeout=(0.2, 0.2)).send(ACT)
    assert url in str(caught.value)
