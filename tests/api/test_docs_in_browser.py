"""The docs page under the strict policy, in a real browser."""

import pytest
from playwright.sync_api import Page


@pytest.mark.django_db(transaction=True)
def test_the_docs_draw_every_address_and_the_policy_blocks_nothing(live_server, page: Page):
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{live_server.url}/api/docs/")
    page.get_by_text("/api/v1/exports/{id}/run-now/").wait_for()
    assert complaints == []
    assert all(url.startswith((live_server.url, "data:")) for url in requested)
