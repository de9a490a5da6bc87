"""What htmx swaps in equals what a reload shows: every panel, every answer of a panel, and every part that is followed.

Rows of the table, the records that come in and the View page are compared beside what else is said of them.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils.html import escape

from exports.models import Rejected, Shard
from projects.models import Project
from tests.factories import ExportFactory, HeldFactory, RejectedFactory, RunFactory, passcode_for
from tests.pages.html import Site, body, element

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
PANELS = {
    "integrate": "partners/amplitude/new/",
    "edit an integration": "partners/integrations/{integration}/edit/",
    "disconnect": "partners/integrations/{integration}/disconnect/",
    "export": "partners/exports/new/amplitude/",
    "edit an export": "partners/exports/{export}/edit/",
    "stop": "partners/exports/{export}/stop/",
    "credential": "project/credentials/new/",
    "revoke": "project/credentials/{credential}/revoke/",
}
REFUSED = {
    "integrate": {"nickname": "", "api_key": "with spaces", "data_residency": "standard"},
    "edit an integration": {"nickname": "", "data_residency": "mars"},
    "disconnect": {},
    "export": {"export": "yes", "frequency": "recurring", "name": "x" * 201, "events": "selected"},
    "edit an export": {"export": "yes", "frequency": "recurring", "start_date": "nonsense"},
    "credential": {"kind": "nonsense"},
}


@pytest.fixture(autouse=True)
def frozen() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def export(project: Project, integration: Any) -> Any:
    """One that has something of everything to show, and waits."""
    export = ExportFactory(project=project, integration=integration, recurring=True, running=True, last_error="Away.")
    counts = {"delivered": 7, "rejected": 1, "held": 1, "unconfirmed": 2, "altered": 1}
    run = RunFactory(export=export, running=True, estimate=20, counts=counts)
    RunFactory(export=export, done=True, counts={"delivered": 3})
    Shard.objects.filter(run=run).update(not_before=NOW + timedelta(seconds=50), failures=2)
    HeldFactory(run=run, not_before=NOW + timedelta(seconds=20))
    RejectedFactory(run=run)
    type(integration).objects.update(paused_until=NOW + timedelta(seconds=15))
    return export


@pytest.fixture
def root(project: Project, export: Any, integration: Any) -> Any:
    passcode_for(project)
    keys = {"integration": integration.pk, "export": export.pk, "credential": project.credentials.get().pk}
    return lambda path: f"/{project.account_id}/settings/{path.format(**keys)}"


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_equals_a_reload(name: str, site: Site, root: Any) -> None:
    whole, swap = (site.get(root(PANELS[name]), htmx=htmx) for htmx in (False, True))
    assert element(swap, "panel") == element(whole, "panel")


@pytest.mark.parametrize("name", REFUSED)
def test_a_panel_that_is_refused_equals_the_page_without_a_script(name: str, site: Site, root: Any) -> None:
    whole, swap = (site.post(root(PANELS[name]), REFUSED[name], htmx=htmx) for htmx in (False, True))
    assert (whole.status_code, swap.status_code) == (422, 422)
    assert element(swap, "panel") == element(whole, "panel")


@pytest.mark.parametrize("tab", ["runs", "rejected", "skipped", "payload", "settings", "history"])
@pytest.mark.parametrize("status", ["RUNNING", "STOPPED"])
def test_a_view_page_equals_a_reload_in_each_tab(tab: str, status: str, site: Site, root: Any, export: Any) -> None:
    type(export).objects.update(status=status)
    url = root("partners/exports/{export}/")
    whole, swap = (site.get(url, {"tab": tab}, htmx=htmx) for htmx in (False, True))
    for part in ("live", "chart", "tabs", *(["runs"] if tab == "runs" else [])):
        assert element(swap, part) == element(whole, part)


@pytest.mark.parametrize("count", [0, 1, 25])
def test_rejected_records_that_come_equal_a_reload(count: int, site: Site, root: Any, export: Any) -> None:
    url = root("partners/exports/{export}/")
    Rejected.objects.all().delete()
    follow = "tab=rejected&page=1&follow=rejected"
    assert escape(f"{url}?{follow}") in body(site.get(url, {"tab": "rejected"}))
    for _ in range(count):
        RejectedFactory(run=export.runs.earliest("sequence"))
    whole, swap = site.get(url, {"tab": "rejected", "page": 1}), site.get(f"{url}?{follow}", htmx=True)
    for part in ("live", "tabs", "rejected"):
        assert element(swap, part) == element(whole, part)
    assert (escape(follow) in body(swap)) == (count == 0)


def test_a_row_that_waits_equals_a_reload(site: Site, root: Any, export: Any) -> None:
    whole = site.get(root("partners/exports/"))
    swap = site.get(root("partners/exports/rows/"), {"id": [export.pk, "²", "x", "9" * 30]}, htmx=True)
    for part in (f"export-{export.pk}", "poller"):
        assert element(swap, part) == element(whole, part)
