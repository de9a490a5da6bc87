"""Test connection: which step fails, what it says, and that nothing is recorded."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_httpserver import HTTPServer

from amplitude_client import Residency, is_ok, test_connection
from amplitude_client.sandbox import Sandbox
from tests.amplitude_client.wires import KEY, RawServer, http


@pytest.fixture
def overrides(sandbox):
    return {Residency.EUROPE: sandbox.eu_url, Residency.STANDARD: sandbox.standard_url}


def outcomes(steps):
    return {step.name: step.outcome for step in steps}


def test_a_good_key_passes_without_recording_and_without_asking_the_other_region(sandbox, overrides):
    steps = test_connection(KEY, Residency.EUROPE, overrides)
    assert is_ok(steps) is True
    assert outcomes(steps) == {"Address": "passed", "Secure connection": "skipped", "API key": "passed"}
    assert sandbox.events() == []
    assert [entry["region"] for entry in sandbox.requests()] == ["europe"]


def test_a_key_of_the_other_region_is_found_there(sandbox, overrides):
    sandbox.register_keys("standard", [KEY])
    steps = test_connection(KEY, Residency.EUROPE, overrides)
    assert is_ok(steps) is False
    assert outcomes(steps)["API key"] == "failed"
    assert (steps[-1].name, steps[-1].outcome) == ("Other data residency", "passed")
    assert "choose Standard" in steps[-1].message


def test_a_key_that_no_region_knows(sandbox, overrides):
    sandbox.register_keys("standard", ["another"])
    steps = test_connection(KEY, Residency.STANDARD, overrides)
    assert is_ok(steps) is False
    assert steps[-1].outcome == "failed"
    assert KEY not in repr(steps)


def test_a_wall_is_no_question_of_the_region(sandbox, overrides):
    sandbox.faults({"kind": "forbidden"})
    steps = test_connection(KEY, Residency.EUROPE, overrides)
    assert is_ok(steps) is False
    assert "firewall" in steps[-1].message
    assert {entry["region"] for entry in sandbox.requests()} == {"europe"}


@pytest.mark.parametrize("reply", [http("503 Service Unavailable"), http("200 OK", b"hello"), b""])
def test_an_answer_that_tells_nothing_is_unknown(reply):
    with RawServer(reply) as server:
        steps = test_connection(KEY, Residency.EUROPE, {Residency.EUROPE: server.url})
    assert is_ok(steps) is None
    assert steps[-1].outcome == "unknown"


def test_an_empty_list_that_is_refused_for_being_empty_is_unknown():
    body = b'{"code":400,"error":"Request missing required field","missing_field":"events"}'
    with RawServer(http("400 Bad Request", body)) as server:
        assert is_ok(test_connection(KEY, Residency.EUROPE, {Residency.EUROPE: server.url})) is None


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "http://127.0.0.1:99999"])
def test_an_address_that_does_not_exist(url):
    steps = test_connection(KEY, Residency.EUROPE, {Residency.EUROPE: url})
    assert is_ok(steps) is None
    assert outcomes(steps) == {"Address": "failed", "API key": "skipped"}


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", None])
def test_a_connection_that_cannot_be_secured(url):
    with RawServer(b"not TLS at all", reads=False) as server:
        address = url or server.url.replace("http:", "https:")
        steps = test_connection(KEY, Residency.EUROPE, {Residency.EUROPE: address})
    assert outcomes(steps) == {"Address": "passed", "Secure connection": "failed", "API key": "skipped"}


def test_an_authority_of_ones_own_is_trusted_by_each_step_alike(tmp_path, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate := self_signed(tmp_path / "authority.pem"))
    with HTTPServer("127.0.0.1", ssl_context=tls) as server:
        server.expect_request("/batch").respond_with_json({"code": 200, "events_ingested": 0})
        overrides = {Residency.EUROPE: server.url_for("").rstrip("/")}
        assert outcomes(test_connection(KEY, Residency.EUROPE, overrides))["Secure connection"] == "failed"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        steps = outcomes(test_connection(KEY, Residency.EUROPE, overrides))
    assert steps == {"Address": "passed", "Secure connection": "passed", "API key": "passed"}


def self_signed(path):
    """A certificate for 127.0.0.1 that is its own authority, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=7))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(pem)
    path.write_bytes(certificate + key.private_bytes(pem, form, serialization.NoEncryption()))
    return path


def test_nobody_listens():
    steps = test_connection(KEY, Residency.EUROPE, {Residency.EUROPE: "http://127.0.0.1:1"})
    assert is_ok(steps) is None
    assert "could not be reached" in steps[-1].message


def test_an_answer_that_does_not_speak_of_the_key_asks_no_other_region(sandbox, overrides):
    sandbox.faults({"kind": "bad_request", "html": True})
    steps = test_connection(KEY, Residency.EUROPE, overrides)
    assert is_ok(steps) is False
    assert {entry["region"] for entry in sandbox.requests()} == {"europe"}


def test_another_region_that_is_behind_a_wall_has_not_refused_the_key(overrides):
    with Sandbox() as europe, Sandbox() as standard:
        europe.faults({"kind": "invalid_key"})
        standard.faults({"kind": "forbidden"})
        steps = test_connection(
            KEY, Residency.EUROPE, {Residency.EUROPE: europe.eu_url, Residency.STANDARD: standard.standard_url}
        )
    assert (steps[-1].name, steps[-1].outcome) == ("Other data residency", "unknown")
    assert "either" not in steps[-1].message


def test_a_throttled_test_promises_no_next_try(sandbox, overrides):
    sandbox.faults({"kind": "throttle_all"})
    steps = test_connection(KEY, Residency.EUROPE, overrides)
    assert is_ok(steps) is None
    assert steps[-1].message.endswith("Test again in a while.")
