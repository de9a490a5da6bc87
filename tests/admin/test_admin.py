"""Django admin: every model is there and opens, no secret is ever on a page, the portal's own state is read-only."""

import uuid

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from events.models import DailyCount, Erased, Erasure, Identifier, LogBase, ProfileChange, PurgedLog, RollupPosition
from exports.models import Alert, Export, Held, PurgedRuns, PurgeMark, Total
from exports_portal.common.admin import BoundedPaginator, ReadOnlyAdmin
from exports_portal.common.models import AuditEntry
from notifications.actions import News, notify, set_webhook
from notifications.models import Preferences, Seen
from projects.models import Credential, Membership, Project, User
from tests.factories import (
    API_KEY,
    PASSWORD,
    TESTS,
    EventFactory,
    EventNameFactory,
    ExportFactory,
    IntegrationFactory,
    MembershipFactory,
    ProjectFactory,
    RejectedFactory,
    RunFactory,
    SkippedFactory,
    UserFactory,
    passcode_for,
    token_for,
)

OURS = ("common", "projects", "partners", "events", "notifications", "exports")
MODELS = sorted((model for app in OURS for model in apps.get_app_config(app).get_models()), key=lambda m: m._meta.label)
WEBHOOK = "https://hooks.example.com/services/5ecret"
WRITABLE = {User, Project, Membership}


@pytest.fixture
def root(client, db):
    """A superuser's browser."""
    client.force_login(UserFactory(superuser=True))
    return client


@pytest.fixture
def secrets(db):
    """A row of every model; gives all the secrets that must never be shown."""
    project = ProjectFactory()
    membership = MembershipFactory(project=project)
    values = [passcode_for(project), token_for(project), API_KEY, PASSWORD, membership.user.password]
    values += list(Credential.objects.values_list("digest", flat=True))
    fill_logs(project)
    fill_exports(project)
    Total.objects.create()
    fill_notifications(project)
    values += [WEBHOOK, Preferences.objects.get().webhook["secret"]]
    return values


def fill_logs(project):
    event = EventFactory(project=project, name=EventNameFactory(project=project))
    Identifier.objects.create(project=project, kind="identity", value="customer-1", person=event.person)
    DailyCount.objects.create(name=event.name, day=timezone.now().date(), count=1)
    RollupPosition.objects.create(project=project)
    PurgedLog.objects.create(project=project, log="events_event")
    LogBase.objects.get_or_create(pk=1, defaults={"system_identifier": 1})
    ProfileChange.objects.create(
        project=project,
        person=event.person,
        uid=uuid.uuid4(),
        tx_id=1,
        received_at=timezone.now(),
        clevertap_id=event.clevertap_id,
        lane=0,
        changed={"Plan": "Gold ☕"},
    )
    erasure = Erasure.objects.create(project=project, people=[7], tx_id=1, requested_at=timezone.now())
    gone = {"log": "events", "record_id": 1, "tx_id": 1, "name": event.name, "lane": 0, "received_at": timezone.now()}
    Erased.objects.create(erasure=erasure, project=project, **gone)


def fill_exports(project):
    integration = IntegrationFactory(project=project)
    run = RunFactory(export=ExportFactory(project=project, integration=integration), done=True)
    RejectedFactory(run=run)
    SkippedFactory(run=run)
    PurgedRuns.objects.create(export=run.export)
    PurgeMark.objects.create(project=project, kind="runs")
    shard = run.shards.get()
    Held.objects.create(export=run.export, shard=shard, record_id=1, ids=["u:customer-1"], not_before=timezone.now())


def fill_notifications(project):
    """The webhook's address and secret are among the secrets."""
    now, export = timezone.now(), Export.objects.get(project=project)
    set_webhook(project=project, url=WEBHOOK, by=TESTS, now=now)
    notify(project=project, news=News("failing", "“Growth” cannot send"), now=now)
    Seen.objects.create(project=project, user=UserFactory())
    Alert.objects.create(export=export, kind="failing", since=now)


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def open_without_secret(browser, path, secrets):
    answer = browser.get(path)
    assert answer.status_code == 200, path
    text = answer.content.decode()
    assert not [secret for secret in secrets if secret in text], path
    return text


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_model_opens_and_shows_no_secret(root, secrets, model):
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    open_without_secret(root, address(model, "changelist"), secrets)
    open_without_secret(root, address(model, "change", row.pk), secrets)
    open_without_secret(root, f"{address(model, 'changelist')}?q={row.pk}", secrets)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_any_search_opens(root, model):
    for query in ("abc", "ab cd", "%27%22", "99999999999999999999999", "Ⅷ", "%00"):
        assert root.get(f"{address(model, 'changelist')}?q={query}").status_code == 200, query


@pytest.mark.parametrize("model", [model for model in MODELS if model not in WRITABLE], ids=lambda m: m._meta.label)
def test_what_the_portal_owns_is_read_only(root, secrets, model):
    row = model._default_manager.order_by("pk").first()
    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    assert root.get(address(model, "add")).status_code == 403
    assert root.post(address(model, "add"), {}).status_code == 403
    assert root.post(address(model, "change", row.pk), {"status": "DONE"}).status_code == 403
    assert root.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert "delete_selected" not in root.get(address(model, "changelist")).content.decode()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_list_counts_its_whole_table(model):
    assert admin.site._registry[model].show_full_result_count is False


def test_big_tables_are_counted_to_a_bound(db, django_assert_num_queries):
    pages = BoundedPaginator(Identifier.objects.order_by("id"), 50)
    with django_assert_num_queries(1) as queries:
        assert pages.count == 0
    assert "LIMIT 10000" in queries[0]["sql"]


def test_lists_cost_the_same_few_queries_for_many_rows(root, secrets, django_assert_max_num_queries):
    for number in range(5):
        RunFactory(export=ExportFactory(integration__nickname=f"N{number}"), done=True)
    with django_assert_max_num_queries(12):
        root.get(address(Export, "changelist"))


@pytest.mark.parametrize("path", ["/admin/", "/admin/exports/export/", "/admin/events/event/1/change/"])
def test_admin_is_for_staff_only(client, db, path):
    client.force_login(UserFactory())
    assert client.get(path).status_code == 302


def test_staff_without_rights_see_nothing(client, db):
    client.force_login(UserFactory(is_staff=True))
    assert client.get(address(Export, "changelist")).status_code == 403


def act(browser, model, name, *rows):
    body = {"action": name, "_selected_action": [row.pk for row in rows]}
    return browser.post(address(model, "changelist"), body, follow=True)


def test_stop_goes_through_the_verb(root, db):
    active, done = ExportFactory(name="nightly", recurring=True), ExportFactory(name="backfill", done=True)
    page = act(root, Export, "stop", active, done).content.decode()
    active.refresh_from_db()
    assert active.status == "STOPPED"
    assert active.stopped_by.is_superuser
    assert AuditEntry.objects.filter(action="export.stop", target_id=active.pk, actor_id=active.stopped_by_id).exists()
    assert "“nightly” has been stopped" in page
    assert "“backfill”: This export is DONE" in page


def test_retry_goes_through_the_verb(root, db):
    export = ExportFactory(recurring=True, running=True, needs_attention=True)
    act(root, Export, "retry", export)
    export.refresh_from_db()
    assert not export.needs_attention
    assert AuditEntry.objects.filter(action="export.retry", target_id=export.pk).exists()


def test_revoke_goes_through_the_verb(root, db):
    token_for(ProjectFactory())
    credential = Credential.objects.get()
    act(root, Credential, "revoke", credential)
    credential.refresh_from_db()
    assert credential.revoked_at is not None


def test_a_project_is_made_by_its_verb(root, db):
    answer = root.post(address(Project, "add"), {"name": "Chai", "timezone": "Asia/Kolkata"})
    assert answer.status_code == 302
    project = Project.objects.get(name="Chai")
    assert len(project.account_id) == 12
    assert AuditEntry.objects.filter(action="project.create", target_id=project.pk).count() == 1


def test_a_project_is_changed_by_its_verb(root, db):
    project = ProjectFactory(timezone="UTC")
    answer = root.post(address(Project, "change", project.pk), {"name": "Tea", "timezone": "Europe/Berlin"})
    assert answer.status_code == 302
    entry = AuditEntry.objects.get(action="project.edit")
    assert entry.before["timezone"] == "UTC"
    assert entry.after == {"name": "Tea", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize("given", [{"name": "", "timezone": "UTC"}, {"name": "Chai", "timezone": "Mars"}])
def test_a_wrong_project_is_told_at_its_field(root, db, given):
    answer = root.post(address(Project, "add"), given)
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors
    assert not Project.objects.exists()


def test_a_user_is_made_with_a_lower_case_email(root, db):
    body = {"email": "Mira@Example.com", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert root.post(address(User, "add"), body).status_code == 302
    user = User.objects.get(email="mira@example.com")
    assert user.check_password(PASSWORD)
    assert AuditEntry.objects.get(action="user.create").target_id == user.pk
    assert root.post(address(User, "add"), body).context["adminform"].form.errors["email"]


def test_members_change_by_hand_with_an_audit_entry_each(root, db):
    membership = MembershipFactory(role="viewer")
    body = {"project": membership.project_id, "user": membership.user_id, "role": "marketer"}
    root.post(address(Membership, "change", membership.pk), body)
    root.post(address(Membership, "delete", membership.pk), {"post": "yes"})
    entries = AuditEntry.objects.filter(project_id=membership.project_id).order_by("id")
    assert [entry.action for entry in entries] == ["membership.edit", "membership.delete"]
    assert (entries[0].before, entries[0].after) == ({"role": "viewer"}, {"role": "marketer"})
    assert not Membership.objects.exists()


def test_the_rights_that_a_user_gets_stand_in_the_audit_log(root, db):
    user, group = UserFactory(), Group.objects.create(name="Operators")
    body = {"email": user.email, "items_per_page": 20, "is_active": "on", "groups": [group.pk]}
    assert root.post(address(User, "change", user.pk), body).status_code == 302
    entry = AuditEntry.objects.get(action="user.edit", target_id=user.pk)
    assert (entry.before["groups"], entry.after["groups"]) == ([], ["Operators"])


def test_a_project_cannot_be_deleted(root, db):
    project = ProjectFactory()
    assert root.post(address(Project, "delete", project.pk), {"post": "yes"}).status_code == 403


def test_an_audit_entry_links_to_what_it_speaks_of(root, db):
    export = ExportFactory(recurring=True)
    act(root, Export, "retry", export)
    page = root.get(address(AuditEntry, "changelist")).content.decode()
    assert address(Export, "change", export.pk) in page
