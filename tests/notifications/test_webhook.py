"""A webhook's call: signed, to the address that was checked and no other, and to none inside a network."""

import hashlib
import hmac
import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer
from werkzeug import Response

from notifications import webhook

HOST = "hook.example"
SECRET = "whsec_test"
BODY = '{"title": "“Größe”"}'.encode()


def call(url: str) -> None:
    webhook.call(url, BODY, secret=SECRET, at=1_764_000_000)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A name server that says 127.0.0.1 for HOST the first time and another address afterwards; what it was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != HOST:
            return real(host, port, *args, **more)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.99"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_the_body_arrives_with_a_signature_that_proves_it(httpserver: HTTPServer, loopback_allowed) -> None:
    httpserver.expect_request("/hook", method="POST", query_string="a=1").respond_with_data("ok", status=202)
    call(httpserver.url_for("/hook?a=1"))
    ((request, _),) = httpserver.log
    assert request.get_data() == BODY
    assert request.headers["Content-Type"] == "application/json"
    expected = hmac.new(SECRET.encode(), b"1764000000." + BODY, hashlib.sha256).hexdigest()
    assert request.headers[webhook.SIGNATURE] == f"t=1764000000,v1={expected}"


def test_a_dead_address_of_a_name_gives_way_to_the_next(
    httpserver: HTTPServer, loopback_allowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **more: Any) -> Any:
        if host != HOST:
            return real(host, *args, **more)
        addresses = ("::1", "127.0.0.1")  # the server listens on the second only
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, httpserver.port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    httpserver.expect_request("/").respond_with_data("ok")
    call(f"http://{HOST}:{httpserver.port}/")
    assert len(httpserver.log) == 1


def test_the_name_is_looked_up_once_and_its_answer_is_where_the_call_goes(
    httpserver: HTTPServer, loopback_allowed, names: list[str]
) -> None:
    httpserver.expect_request("/").respond_with_data("ok")
    call(f"http://{HOST}:{httpserver.port}/")
    ((request, _),) = httpserver.log
    assert request.headers["Host"] == f"{HOST}:{httpserver.port}"
    assert names == [HOST]


@pytest.mark.parametrize("url", ["http://localhost:{port}/", "http://127.0.0.1:{port}/", "http://2130706433:{port}/"])
def test_this_machine_is_not_called(httpserver: HTTPServer, settings, url: str) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = []
    httpserver.expect_request("/").respond_with_data("secret")
    with pytest.raises(webhook.CallFailed, match="inside a network"):
        call(url.format(port=httpserver.port))
    assert httpserver.log == []


INSIDE = (
    "0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.8.8.8 169.254.169.254 172.16.0.1 192.0.2.1 192.168.1.1 224.0.0.1 "
    "240.0.0.1 255.255.255.255 :: ::1 fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 ::ffff:127.0.0.1 "
    "::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2002:0a00:0001::1 192.0.0.192 168.63.129.16 "
    "::ffff:168.63.129.16 fec0::1"
)


@pytest.mark.parametrize("address", INSIDE.split())
def test_addresses_inside_a_network_are_not_called(address: str) -> None:
    assert not webhook.may_be_called(ipaddress.ip_address(address), allowed=[])


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_public_addresses_are_called(address: str) -> None:
    assert webhook.may_be_called(ipaddress.ip_address(address), allowed=[])


def test_a_network_can_be_allowed_and_opens_no_other() -> None:
    allowed = [ipaddress.ip_network("10.1.0.0/16")]
    assert webhook.may_be_called(ipaddress.ip_address("10.1.2.3"), allowed=allowed)
    assert webhook.may_be_called(ipaddress.ip_address("::ffff:10.1.2.3"), allowed=allowed)
    assert not webhook.may_be_called(ipaddress.ip_address("10.2.0.1"), allowed=allowed)
    assert not webhook.may_be_called(ipaddress.ip_address("::1"), allowed=allowed)


def test_redirects_are_not_followed(httpserver: HTTPServer, loopback_allowed) -> None:
    elsewhere = Response(status=307, headers={"Location": httpserver.url_for("/inside")})
    httpserver.expect_request("/hook").respond_with_response(elsewhere)
    httpserver.expect_request("/inside").respond_with_data("ok")
    with pytest.raises(webhook.CallFailed, match=r"answered with 307\. Redirects are not followed"):
        call(httpserver.url_for("/hook"))
    assert [request.path for request, _ in httpserver.log] == ["/hook"]


def test_a_proxy_of_the_environment_is_not_asked(httpserver: HTTPServer, loopback_allowed, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    httpserver.expect_request("/").respond_with_data("ok")
    call(httpserver.url_for("/"))
    assert len(httpserver.log) == 1


def test_errors_name_the_host_and_no_more(httpserver: HTTPServer, loopback_allowed) -> None:
    httpserver.expect_request("/s3cr3t").respond_with_data("s3cr3t", status=500)
    with pytest.raises(webhook.CallFailed) as answered:
        call(httpserver.url_for("/s3cr3t"))
    assert str(answered.value) == f"{httpserver.host} answered with 500."
    with pytest.raises(webhook.CallFailed) as refused:
        call("http://127.0.0.1:1/s3cr3t")
    assert "could not be reached (NewConnectionError)" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
    with pytest.raises(webhook.CallFailed, match=r"The name nobody\.invalid is not known"):
        call("http://nobody.invalid/s3cr3t")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hook.example",
        "ftp://hook.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:password@hook.example/",
        "https://hook.example/a b",
        "https://hook.example/\r\nX: 1",
        "https://hook.example:99999/",
        "https://[::1/",
        "http://hook.example/",
        "https://例え.jp/",
        f"https://hook.example/{'x' * 2000}",
    ],
)
def test_what_is_no_address_is_refused(settings, url: str) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = []
    assert webhook.fault_of(url)


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "127.0.0.1:8443", "localhost"]
)
def test_an_address_inside_a_network_is_refused_where_it_is_entered(settings, host: str) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = []
    assert "inside a network" in webhook.fault_of(f"https://{host}/hook")
    settings.PORTAL_WEBHOOK_NETWORKS = [ipaddress.ip_network(net) for net in ("0.0.0.0/0", "::/0")]
    assert webhook.fault_of(f"https://{host}/hook") == ""


def test_international_names_are_asked_for_in_their_ascii_form(settings) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = [ipaddress.ip_network("0.0.0.0/0")]
    for scheme in ("http", "https"):
        assert "xn--" in webhook.fault_of(f"{scheme}://例え.jp/")
        assert webhook.fault_of(f"{scheme}://xn--r8jz45g.jp/") == ""


def test_https_addresses_are_taken(settings) -> None:
    settings.PORTAL_WEBHOOK_NETWORKS = []
    assert webhook.fault_of("https://hooks.example.com:8443/services/T0/B0?x=ü") == ""


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for `name` with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.mark.parametrize(("name", "is_trusted"), [(HOST, True), ("other.example", False)])
def test_the_certificate_must_be_that_of_the_name(
    tmp_path: Path, loopback_allowed, names: list[str], monkeypatch, name: str, *, is_trusted: bool
) -> None:
    """The connection goes to an address, and the name is checked all the same."""
    pem = certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/").respond_with_data("ok")
        if is_trusted:
            call(f"https://{HOST}:{server.port}/")
            assert len(server.log) == 1
        else:
            with pytest.raises(webhook.CallFailed, match="SSLError"):
                call(f"https://{HOST}:{server.port}/")
            assert server.log == []
