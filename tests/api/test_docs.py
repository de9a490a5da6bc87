"""The OpenAPI document and the page that shows it."""

import io

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient


def test_the_schema_is_made_without_a_warning(capsys):
    out = io.StringIO()
    call_command("spectacular", validate=True, fail_on_warn=True, stdout=out)
    assert "/api/v1/exports/{id}/run-now/" in out.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("address", ["/api/schema/", "/api/docs/"])
def test_schema_and_docs_are_open_and_their_assets_local(db, address):
    answer = APIClient().get(address)
    assert answer.status_code == 200
    assert b"cdn." not in answer.content


def test_the_docs_run_no_inline_script(db):
    answer = APIClient().get("/api/docs/")
    policy = answer["Content-Security-Policy"]
    assert "script-src" not in policy  # falls back to default-src 'self'
    assert "default-src 'self'" in policy
    assert "unsafe-inline" in policy.split("style-src")[1].split(";")[0]
    assert b"<script>" not in answer.content


def test_only_the_docs_loosen_the_policy(api, project):
    assert "unsafe-inline" not in api.get("/api/v1/exports/")["Content-Security-Policy"]
