"""Every page and panel in a real browser: it fits at each width, is fit for screen readers, and bears any data."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from projects.models import Project, Role, User
from tests.factories import (
    EventFactory,
    EventNameFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    PersonFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    UserFactory,
)
from tests.pages.browsing import EMAIL, WIDTHS, check_fits, listen, look_at, said, sign_in, unexpected

pytestmark = pytest.mark.django_db(transaction=True)

GERMAN = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenverleihungsurkunde"  # 76 letters, no place to break
ARABIC = "تصدير الأحداث إلى أمبليتود 🚀 (2026)"
LONG = "W" * 200


def test_every_page_and_panel_fits_and_is_accessible(signed_in: Page, root: str, scene: Any) -> None:
    for name, path in scene[1].items():
        signed_in.goto(root + path)
        look_at(signed_in, name)
    signed_in.goto(f"{root}/settings/partners/exports/")
    signed_in.get_by_text("Filter", exact=True).click()
    look_at(signed_in, "the filter")


def test_the_payload_ends_where_the_chart_does_and_shows_whole_without_one(
    signed_in: Page, root: str, scene: Any
) -> None:
    signed_in.set_viewport_size({"width": 1440, "height": 900})
    signed_in.goto(root + scene[1]["export-view"])
    chart, payload = (signed_in.locator(f".split > .card >> nth={place}") for place in (0, 1))
    assert _bottom(chart) == _bottom(payload)
    assert chart.evaluate("card => card.scrollHeight - card.lastElementChild.getBoundingClientRect().height") < 50
    code = payload.locator("pre")
    assert _bottom(code) <= _bottom(payload)
    fresh = ExportFactory(project=scene[0], integration=scene[0].integrations.first(), live=True, running=True)
    signed_in.goto(f"{root}/settings/partners/exports/{fresh.pk}/")
    expect(signed_in.get_by_text("Nothing has been delivered yet.")).to_be_visible()
    assert code.evaluate("code => code.scrollHeight - code.clientHeight") <= 0
    assert _bottom(code) <= _bottom(payload)


def _bottom(place: Locator) -> float:
    box = place.bounding_box()
    assert box is not None
    return round(box["y"] + box["height"])


def test_what_belongs_on_one_line_stands_on_one(signed_in: Page, root: str, scene: Any) -> None:
    exports, view = (root + scene[1][name] for name in ("exports", "export-view"))
    signed_in.set_viewport_size({"width": 1024, "height": 768})
    signed_in.goto(exports)
    assert _lines(signed_in.locator(".exports time, .exports .frequency")) == {1}
    signed_in.set_viewport_size({"width": 1440, "height": 900})
    signed_in.goto(view)
    expect(signed_in.locator(".head .button")).to_have_count(5)
    assert _lines(signed_in.locator(".head-line")) == {1}
    signed_in.goto(root + scene[1]["export-rejected"])
    assert _lines(signed_in.locator("td[data-label=Field]")) == {1}
    signed_in.goto(root + scene[1]["profiles"])
    search = signed_in.get_by_placeholder("Identity, email, phone or CleverTap ID")
    search.fill("Identity, email, phone or CleverTap ID")
    assert search.evaluate("field => field.scrollWidth - field.clientWidth") <= 0
    signed_in.set_viewport_size({"width": 390, "height": 844})
    middles = [_middle(part) for part in signed_in.locator(".bar > *:visible").all()]
    assert len(middles) == 4
    assert max(middles) - min(middles) <= 2


def _lines(texts: Locator) -> set[int]:
    """How many lines each of them takes."""
    count = "element => { const all = document.createRange(); all.selectNodeContents(element);"
    count += " return new Set([...all.getClientRects()].map(line => line.top)).size }"
    return {text.evaluate(count) for text in texts.all()}


def _middle(place: Locator) -> float:
    box = place.bounding_box()
    assert box is not None
    return box["y"] + box["height"] / 2


def test_pages_outside_a_project_and_empty_ones_fit_and_are_accessible(page: Page, live_server: Any) -> None:
    errors = listen(page)
    empty = ProjectFactory(name="Empty shop")
    MembershipFactory(project=empty, user=UserFactory(email=EMAIL), role=Role.ADMIN)
    page.goto(f"{live_server.url}/login/")
    look_at(page, "sign in")
    page.get_by_role("button", name="Sign in").click()
    look_at(page, "sign in, refused")
    sign_in(page, live_server.url)
    settings = f"/{empty.account_id}/settings"
    paths = (
        "/password/", "/nowhere/", f"{settings}/partners/", f"{settings}/partners/exports/",
        f"{settings}/partners/exports/new/amplitude/", f"{settings}/project/", f"/{empty.account_id}/events/",
        f"/{empty.account_id}/profiles/",
    )  # fmt: skip
    for path in paths:
        page.goto(live_server.url + path)
        look_at(page, path)
    assert unexpected(errors) == []


def odd_shop() -> tuple[Project, list[str]]:
    """A project whose people name things as long and as foreign as they may; its pages."""
    now = datetime.now(UTC)
    project = ProjectFactory(name=f"{GERMAN} {ARABIC}"[:120])
    user = User.objects.filter(email=EMAIL).first() or UserFactory(email=EMAIL)
    MembershipFactory(project=project, user=user, role=Role.ADMIN)
    integration = IntegrationFactory(project=project, nickname=GERMAN)
    IntegrationFactory(project=project, nickname=ARABIC, setup_fault=LONG)
    names = [EventNameFactory(project=project, name=name, count=10**12) for name in (GERMAN * 6, ARABIC, LONG)]
    for name in names:
        person = PersonFactory(
            project=project, name=ARABIC, identity=f"{name.pk}{LONG}", email=f"{name.pk}{GERMAN}@example.com",
            properties={GERMAN: ARABIC, LONG: LONG},
        )  # fmt: skip
        EventFactory(
            project=project, name=name, person=person, received_at=now - timedelta(hours=1),
            properties={GERMAN: ARABIC, "🚀": LONG},
        )  # fmt: skip
    exports = [
        ExportFactory(
            project=project, integration=integration, recurring=True, running=True, name=name, events="selected",
            selected_events=[GERMAN * 6, LONG], excluded_properties=[GERMAN], last_error=GERMAN, created_at=now,
        )
        for name in (LONG, ARABIC, GERMAN)
    ]  # fmt: skip
    run = RunFactory(
        export=exports[0], running=True, estimate=10**12, last_error=GERMAN,
        counts={"delivered": 10**11, "rejected": 10**9, "held": 10**9, "skipped": 10**9, "altered": 10**9},
    )  # fmt: skip
    RejectedFactory(run=run, message=LONG, cure=GERMAN, field=GERMAN, reason=GERMAN[:64], payload=f'{{"{LONG}": 1}}')
    partners, view = "/settings/partners/", f"/settings/partners/exports/{exports[0].pk}/"
    return project, [
        partners, f"{partners}exports/", f"{partners}exports/?search={LONG}&partner=amplitude", view,
        f"{view}?tab=rejected", f"{view}?tab=payload", f"{view}?tab=settings", f"{view}edit/", f"{view}stop/",
        f"{partners}exports/new/amplitude/", f"{partners}integrations/{integration.pk}/edit/", "/events/",
        "/profiles/", f"/profiles/{project.people.latest('pk').pk}/", "/settings/project/",
    ]  # fmt: skip


def test_long_words_emoji_and_text_from_right_to_left_stay_within_the_window(page: Page, live_server: Any) -> None:
    project, paths = odd_shop()
    errors = listen(page)
    sign_in(page, live_server.url)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for path in paths:
            page.goto(f"{live_server.url}/{project.account_id}{path}")
            check_fits(page, f"{path} at {width}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert unexpected(errors) == []


def test_the_whole_way_works_with_the_keyboard_alone(signed_in: Page, root: str) -> None:
    """Create an export, look at it and stop it without a mouse."""
    page = signed_in
    page.goto(f"{root}/settings/partners/exports/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    _tab_to(page, "#create-export")
    page.keyboard.press("Enter")
    _tab_to(page, "#create-amplitude")
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Export to Amplitude")
    expect(panel.get_by_label("Partner Nickname")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("By keyboard")
    _tab_to(page, "input[name=frequency]")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_label("Export every")).to_be_visible()
    page.keyboard.press("Enter")
    expect(said(page, "Amplitude data export initiated")).to_be_visible()
    row = page.locator("table.exports tbody tr").first
    expect(row).to_contain_text("By keyboard")
    stop = row.get_by_role("link", name="Stop")
    _tab_to(page, f"#{stop.get_attribute('id')}")
    expect(stop).to_be_in_viewport()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Stop export?")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(stop).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("link", name="Cancel")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(said(page, "Amplitude data export stopped")).to_be_visible()


def _tab_to(page: Page, selector: str, *, at_most: int = 60) -> None:
    """Press Tab until the element has the focus, which must be visible all the way."""
    for _ in range(at_most):
        if page.evaluate("selector => document.activeElement?.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached by Tab")
