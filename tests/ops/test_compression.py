"""What leaves compressed, and what must not."""

import gzip

import pytest

STATIC = "/static/css/components.css"


def test_pages_leave_compressed_for_whoever_takes_it(client, db):
    plain, packed = client.get("/login/"), client.get("/login/", headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert b"Exports Portal" in gzip.decompress(packed.content)
    assert "Accept-Encoding" in packed["Vary"]


def test_static_files_too(client):
    plain = client.get(STATIC).getvalue()
    packed = client.get(STATIC, headers={"Accept-Encoding": "gzip"})
    content = packed.getvalue()
    assert len(content) < len(plain) / 3
    assert gzip.decompress(content) == plain


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_static_file_that_has_not_changed_is_not_sent_again(client, encoding):
    headers = {"Accept-Encoding": encoding}
    first = client.get(STATIC, headers=headers)
    first.getvalue()
    again = client.get(STATIC, headers={**headers, "If-None-Match": first["ETag"]})
    assert (again.status_code, again.getvalue()) == (304, b"")


def test_the_head_of_a_file_has_no_body(client):
    assert client.head(STATIC, headers={"Accept-Encoding": "gzip"}).getvalue() == b""
