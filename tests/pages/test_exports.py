"""Settings > Partners > Exports: the table, its filters and pages, and the live rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projects.models import Project, User
from tests.factories import EventFactory, ExportFactory, IntegrationFactory, RunFactory
from tests.pages.html import Site, body, element, text


@pytest.fixture
def exports(project: Project) -> str:
    return f"/{project.account_id}/settings/partners/exports/"


def test_the_first_step_is_to_integrate(exports: str, site: Site) -> None:
    shown = site.text(exports)
    assert "No partner is integrated yet" in shown
    assert "Integrate Amplitude" in shown


def test_the_next_step_is_to_create_an_export(exports: str, site: Site, integration: Any) -> None:
    shown = site.text(exports)
    assert "No exports yet" in shown
    assert "Create Export" in shown


def test_a_row_tells_what_goes_where_how_often_and_how_far_it_is(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    export = ExportFactory(
        project=project, integration=integration, running=True, events="selected",
        selected_events=["Charged", "Searched", "Product Viewed"],
    )  # fmt: skip
    RunFactory(export=export, running=True, estimate=2000, counts={"delivered": 1234, "rejected": 6})
    shown = site.text(exports)
    assert "Growth analytics Amplitude · Europe Events Charged, Searched +1 JSON One time" in shown
    assert "RUNNING" in shown
    assert "62%" in shown
    assert "1,234" in shown
    assert "6 rejected" in shown


def test_a_live_row_tells_how_far_it_is_behind(exports: str, site: Site, project: Project, integration: Any) -> None:
    created = datetime.now(UTC) - timedelta(hours=1)
    export = ExportFactory(project=project, integration=integration, live=True, running=True, created_at=created)
    RunFactory(export=export, running=True, axis="position", until_tx_id=None, counts={"delivered": 1234})
    assert "1,234 Up to date" in site.text(exports)
    EventFactory(project=project, received_at=datetime.now(UTC) - timedelta(seconds=12))
    response = site.get(exports)
    assert "1,234 12 s behind" in text(response)
    assert "<progress" not in body(response)


def test_a_live_export_that_has_not_begun_tells_no_next_run(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    ExportFactory(project=project, integration=integration, live=True, next_run_at=datetime.now(UTC) + timedelta(1))
    shown = site.text(exports)
    assert "PENDING" in shown
    assert "next " not in shown


def test_the_name_of_an_export_leads_to_it(exports: str, site: Site, project: Project, integration: Any) -> None:
    export = ExportFactory(project=project, integration=integration, name="Nightly")
    assert f'<a id="name-{export.pk}" href="{exports}{export.pk}/">Nightly</a>' in body(site.get(exports))


def test_a_list_without_a_match_has_no_pages(exports: str, site: Site, integration: Any) -> None:
    shown = site.text(exports, {"search": "nothing like it"})
    assert "No export matches these filters" in shown
    assert "of 0" not in shown


def test_only_allowed_actions_are_offered(exports: str, site: Site, project: Project, integration: Any) -> None:
    kinds: dict[str, dict[str, Any]] = {
        "View Edit Stop": {"recurring": True},
        "View Stop": {"running": True},
        "View": {"done": True},
    }
    for wanted, traits in kinds.items():
        export = ExportFactory(project=project, integration=integration, name="X", **traits)
        row = " ".join(part for part in element(site.get(exports), f"export-{export.pk}") if not part.startswith("<"))
        assert row.replace(" X", "").endswith(wanted), row


def test_a_live_row_equals_the_row_of_a_reload(exports: str, site: Site, project: Project, integration: Any) -> None:
    export = ExportFactory(project=project, integration=integration, running=True)
    RunFactory(export=export, done=True, counts={"delivered": 10})
    whole = site.get(exports)
    swap = site.get(f"{exports}rows/?id={export.pk}", htmx=True)
    assert element(swap, f"export-{export.pk}") == element(whole, f"export-{export.pk}")
    assert element(swap, "poller") == element(whole, "poller")


def test_rows_are_asked_for_only_while_they_are_active(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    done = ExportFactory(project=project, integration=integration, done=True)
    assert 'hx-trigger="every' not in body(site.get(exports))
    active = ExportFactory(project=project, integration=integration)
    shown = body(site.get(exports))
    assert f"rows/?id={active.pk}&quot;" in shown.replace('"', "&quot;")
    assert "hx-trigger" not in body(site.get(f"{exports}rows/?id={done.pk}", htmx=True))


@pytest.mark.parametrize("ids", ["x", "-1", "9" * 30, ""])
def test_odd_row_ids_do_no_harm(exports: str, site: Site, ids: str) -> None:
    assert site.get(f"{exports}rows/?id={ids}", htmx=True).status_code == 200


def test_filters_live_in_the_address_and_stand_as_chips(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    ExportFactory(project=project, integration=integration, name="Stopped one", stopped=True)
    ExportFactory(project=project, integration=integration, name="Done one", done=True)
    shown = site.text(exports, {"status": ["DONE", "RUNNING"], "frequency": "one_time"})
    assert "Done one" in shown
    assert "Stopped one" not in shown
    assert "Status: Running, Done" in shown
    assert "Frequency: One time" in shown
    shown = site.text(exports, {"format": "JSON", "frequency": "live"})
    assert "Format: JSON" in shown
    assert "Frequency: Live Data Streaming" in shown
    shown = site.text(exports, {"status": ["DONE", "RUNNING"], "frequency": "one_time"})
    assert "Filter · 2" in shown
    assert "Reset all" in shown
    assert "Stopped one" in site.text(exports)


def test_exported_on_takes_local_days(exports: str, site: Site, project: Project, integration: Any) -> None:
    midnight = datetime(2026, 11, 3, 18, 30, tzinfo=UTC)  # 12:00 a.m. of the 4th in Kolkata
    ExportFactory(project=project, integration=integration, name="Before", created_at=midnight - timedelta(seconds=1))
    ExportFactory(project=project, integration=integration, name="After", created_at=midnight)
    shown = site.text(exports, {"exported_on_after": "2026-11-04", "exported_on_before": "2026-11-04"})
    assert "After" in shown
    assert "Before Amplitude" not in shown
    assert "Exported on: 4 Nov 2026" in shown


def test_an_unknown_filter_value_is_named_where_it_stands_and_left_out(
    exports: str, site: Site, project: Project, integration: Any
) -> None:
    for status in ("running", "done"):
        ExportFactory(project=project, integration=integration, name=f"One {status}", **{status: True})
    query = "status=DONE&type=people&exported_on_after=yesterday&exported_on_before=2999-01-01"
    shown = text(response := site.get(f"{exports}?{query}"))
    assert "One done" in shown
    assert "One running" not in shown
    assert "Filter · 2" in shown
    for chip in ("Status: Done", "Exported on: until 1 Jan 2999"):
        assert chip in shown
    for name, chip in (("type", "Type: “people” is not one of the choices."),
                       ("exported_on_after", "Exported on: Write a date as 2026-11-23.")):  # fmt: skip
        assert chip in shown
        without = "&amp;".join(part for part in query.split("&") if not part.startswith(name))
        assert f'<a class="chip wrong" href="?{without}" aria-label="Remove the filter {chip}">' in body(response)
    assert body(response).count('<ul class="errorlist">') == 2


def test_a_search_or_sorting_that_is_not_understood_is_said(exports: str, site: Site, integration: Any) -> None:
    assert "Select a valid choice" in site.text(exports, {"ordering": "colour"})


def test_nothing_found_offers_reset(exports: str, site: Site, integration: Any) -> None:
    shown = site.text(exports, {"search": "nothing like it"})
    assert "No export matches these filters" in shown


def test_twenty_rows_a_page_and_the_choice_is_remembered(
    exports: str, site: Site, project: Project, integration: Any, user: User
) -> None:
    ExportFactory.create_batch(23, project=project, integration=integration, done=True)
    assert "1–20 of 23" in site.text(exports)
    assert "1–10 of 23" in site.text(exports, {"page_size": "10"})
    user.refresh_from_db()
    assert user.items_per_page == 10
    assert "21–23 of 23" in site.text(exports, {"page": "3"})
    assert "1–10 of 23" in site.text(exports, {"page_size": "1000"})


def test_filters_survive_paging_and_sorting(exports: str, site: Site, project: Project, integration: Any) -> None:
    ExportFactory.create_batch(11, project=project, integration=integration, done=True)
    shown = body(site.get(exports, {"status": "DONE", "page_size": "10"}))
    assert "?status=DONE&amp;page_size=10&amp;page=2" in shown
    assert '<input type="hidden" name="status" value="DONE">' in shown
    assert "?status=DONE&amp;page_size=10&amp;ordering=exported_on" in shown


def test_the_list_asks_the_same_few_questions_however_many_there_are(
    exports: str, site: Site, project: Project, integration: Any, django_assert_num_queries: Any
) -> None:
    other = IntegrationFactory(project=project)
    for place in range(12):
        export = ExportFactory(project=project, integration=other if place % 2 else integration, running=True)
        RunFactory(export=export, running=True, counts={"delivered": place})
    with django_assert_num_queries(14):
        site.get(exports)
    with django_assert_num_queries(9):
        site.get(exports + "rows/", {"id": [export.pk]}, htmx=True)
