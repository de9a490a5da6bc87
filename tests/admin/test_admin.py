"""Django admin: every model is there and opens, no secret is ever on a page, the portal's own state is read-only."""

import csv
import html
import io
import json
import uuid

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.urls import reverse
from django.utils import timezone

from events.models import (
    DailyCount,
    Erased,
    Erasure,
    Identifier,
    LifetimeCount,
    LogBase,
    ProfileChange,
    PropertySeen,
    PurgedLog,
    RefusedUpload,
    RollupPosition,
)
from exports.models import Alert, Export, Held, PurgedRuns, PurgeMark, Rejected, Shard, Skipped, Total
from exports_portal.common import audit
from exports_portal.common.admin import BoundedPaginator, ReadOnlyAdmin
from exports_portal.common.audit import Actor
from exports_portal.common.models import AuditEntry
from notifications.actions import News, notify, set_webhook
from notifications.models import Preferences, Seen
from partners.models import Integration
from projects.credentials import project_for_passcode
from projects.models import Credential, Invitation, Membership, Project, User
from projects.team import invite
from sources.models import Imported, Pull
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
    SourceFactory,
    UserFactory,
    passcode_for,
    token_for,
)

OURS = ("common", "projects", "partners", "events", "notifications", "sources", "exports")
NO_PAGES = {LifetimeCount}  # the admin takes no composite keys: these counts stand on the page of their person
MODELS = sorted(
    {model for app in OURS for model in apps.get_app_config(app).get_models()} - NO_PAGES, key=lambda m: m._meta.label
)
WEBHOOK = "https://hooks.example.com/services/5ecret"
WRITABLE = {User, Project, Membership}  # by their verbs


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
    _, link, _ = invite(project=project, email="mira@example.com", role="viewer", by=TESTS, now=timezone.now())
    values += [link, *Credential.objects.values_list("digest", flat=True)]
    values += list(Invitation.objects.values_list("digest", flat=True))
    values += [SourceFactory.passcode]
    fill_logs(project)
    fill_sources(project)
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
    seen = {"first_seen_at": timezone.now(), "last_seen_at": timezone.now()}
    LifetimeCount.objects.create(person=event.person, name=event.name, count=1, **seen)
    PurgedLog.objects.create(project=project, log="events_event")
    PropertySeen.objects.create(name=event.name, key="Item", type="string", count=1, last_seen_at=timezone.now())
    RefusedUpload.objects.create(project=project, received_at=timezone.now(), code=509, error="Why.", record="{}")
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


def fill_sources(project):
    source = SourceFactory(project=project)
    pull = Pull.objects.create(source=source, name="App Launched", day=source.date_from)
    Imported.objects.create(project=project, fingerprint=uuid.uuid4(), captured=1, pull_id=pull.pk, walk=1, met=1)


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


@pytest.mark.parametrize("model", [Rejected, Skipped, Shard, Held])
def test_what_became_of_records_is_found_by_run_and_project(root, secrets, model):
    row = model.objects.order_by("pk").first()
    export = row.export if model is Held else row.run.export
    of = "export" if model is Held else "run__export"
    sought = row.record_id if model is Held else row.run_id
    other = ProjectFactory()

    def shown(query):
        return address(model, "change", row.pk) in root.get(f"{address(model, 'changelist')}?{query}").content.decode()

    assert shown(f"q={sought}")
    assert shown(f"{of}__project__id__exact={export.project_id}")
    assert not shown(f"{of}__project__id__exact={other.pk}")


def test_sources_are_found_by_their_account(root, secrets):
    source = SourceFactory(account_id="KRN-MOB-2025")
    pages = [root.get(f"/admin/sources/source/?q={text}").content.decode() for text in ("KRN-MOB", "ABC")]
    found = [address(type(source), "change", source.pk) in page for page in pages]
    assert found == [True, False]


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


@pytest.mark.parametrize(
    "address",
    [
        "exports/export/?status__exact=%00",
        "exports/export/?q=%00",
        "autocomplete/?app_label=projects&model_name=membership&field_name=user&term=%00",
    ],
)
def test_an_address_that_no_row_can_have_is_no_fault_of_ours(root, db, address):
    assert root.get(f"/admin/{address}").status_code in (200, 302)


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


def test_members_change_by_their_verbs(root, db):
    project, user = ProjectFactory(), UserFactory()
    MembershipFactory(project=project, role="admin")
    root.post(address(Membership, "add"), {"project": project.pk, "user": user.pk, "role": "viewer"})
    membership = Membership.objects.get(user=user)
    root.post(address(Membership, "change", membership.pk), {"role": "marketer"})
    root.post(address(Membership, "delete", membership.pk), {"post": "yes"})
    entries = AuditEntry.objects.filter(project_id=project.pk).order_by("id")
    assert [entry.action for entry in entries] == ["member.add", "member.role", "member.remove"]
    assert (entries[1].before["role"], entries[1].after["role"]) == ("viewer", "marketer")
    assert {entry.address for entry in entries} == {"127.0.0.1"}
    assert not Membership.objects.filter(user=user).exists()


def test_what_a_verb_refuses_is_told_and_nothing_is_saved(root, db):
    admin = MembershipFactory(role="admin")
    for page, body in (("change", {"role": "viewer"}), ("delete", {"post": "yes"})):
        answer = root.post(address(Membership, page, admin.pk), body, follow=True)
        assert "A project needs an admin." in answer.content.decode()
    admin.refresh_from_db()
    assert admin.role == "admin"


@pytest.fixture
def clerk(client, db):
    """Staff with every right of the admin, member of no project."""
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.all())
    client.force_login(user)
    return client


def test_rights_in_the_admin_give_no_role_in_a_project(clerk):
    export = ExportFactory(recurring=True)
    membership = MembershipFactory(role="viewer", project=export.project)
    token_for(export.project)
    refusals = [
        act(clerk, Export, "stop", export),
        act(clerk, Integration, "retest", export.integration),
        act(clerk, Credential, "revoke", Credential.objects.get()),
        clerk.post(address(Membership, "change", membership.pk), {"role": "admin"}, follow=True),
        clerk.post(address(Project, "add"), {"name": "Chai", "timezone": "UTC"}, follow=True),
    ]
    assert all("This needs the role" in page.content.decode() for page in refusals[:-1])
    assert "Only a superuser may do this." in refusals[-1].content.decode()
    export.refresh_from_db()
    assert (export.status, Project.objects.count()) == ("PENDING", 1)


def test_only_superusers_give_rights_or_touch_who_has_some(clerk):
    user, root = UserFactory(), UserFactory(superuser=True)
    body = {"email": user.email, "items_per_page": 20, "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert clerk.post(address(User, "change", user.pk), body).status_code == 302
    user.refresh_from_db()
    assert not user.is_staff
    assert not user.is_superuser
    assert clerk.post(address(User, "change", root.pk), body).status_code == 403
    assert clerk.post(f"/admin/projects/user/{root.pk}/password/", {}).status_code == 403
    assert clerk.post(address(User, "delete", root.pk), {"post": "yes"}).status_code == 403


def test_staff_take_over_nobody_who_may_do_more(clerk):
    """Rights in the admin are no role in a project (docs/decisions/0018)."""
    member = MembershipFactory(role="admin")
    user = member.user
    MembershipFactory(project=member.project, role="admin")
    new = {"usable_password": "true", "password1": "a much better passphrase", "password2": "a much better passphrase"}
    body = {"email": "clerk@example.com", "items_per_page": 20, "is_active": "on"}
    refused = [
        clerk.post(f"/admin/projects/user/{user.pk}/password/", new),
        clerk.post(address(User, "change", user.pk), body),
        clerk.post(address(User, "delete", user.pk), {"post": "yes"}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    user.refresh_from_db()
    assert user.email != "clerk@example.com"
    assert user.check_password(PASSWORD)
    clerks = MembershipFactory(project=member.project, role="admin", user=User.objects.get(is_staff=True))
    assert clerk.post(f"/admin/projects/user/{user.pk}/password/", new).status_code == 302
    clerks.delete()


def test_a_deleted_user_leaves_each_project_by_the_verb(root, db):
    member = MembershipFactory(role="admin")
    user, delete = member.user, {"post": "yes"}
    page = root.post(address(User, "delete", user.pk), delete, follow=True).content.decode()
    assert "A project needs an admin." in page
    assert "delete_selected" not in root.get(address(User, "changelist")).content.decode()
    MembershipFactory(project=member.project, role="admin")
    assert root.post(address(User, "delete", user.pk), delete).status_code == 302
    assert not User.objects.filter(pk=user.pk).exists()
    entries = AuditEntry.objects.filter(action__in=["member.remove", "user.delete"]).order_by("id")
    assert [(entry.action, entry.project_id) for entry in entries] == [
        ("member.remove", member.project_id),
        ("user.delete", None),
    ]


def test_the_last_admin_of_a_project_is_not_deactivated(root, db):
    member = MembershipFactory(role="admin")
    body = {"email": member.user.email, "items_per_page": 20}
    page = root.post(address(User, "change", member.user.pk), body, follow=True).content.decode()
    assert "A project needs an admin." in page
    member.user.refresh_from_db()
    assert member.user.is_active
    MembershipFactory(project=member.project, role="admin")
    assert root.post(address(User, "change", member.user.pk), body).status_code == 302
    entry = AuditEntry.objects.get(action="user.edit")
    assert (entry.project_id, entry.before["is_active"], entry.after["is_active"]) == (member.project_id, True, False)


def test_who_is_no_superuser_any_more_comes_back_by_no_invitation_of_their_own(root, db):
    user = User.objects.get()  # themselves
    made = invite(
        project=ProjectFactory(),
        email="mira@example.com",
        role="admin",
        by=Actor(user.pk, user.email),
        now=timezone.now(),
    )
    body = {"email": user.email, "items_per_page": 20, "is_active": "on", "is_staff": "on"}
    assert root.post(address(User, "change", user.pk), body).status_code == 302
    user.refresh_from_db()
    assert not user.is_superuser
    made.invitation.refresh_from_db()
    assert made.invitation.revoked_at is not None


def test_a_password_that_is_set_here_stands_in_the_audit_log(root, db):
    user = UserFactory()
    body = {"usable_password": "true", "password1": "a much better passphrase", "password2": "a much better passphrase"}
    assert root.post(f"/admin/projects/user/{user.pk}/password/", body).status_code == 302
    entry = AuditEntry.objects.get(action="user.password", target_id=user.pk)
    assert "passphrase" not in f"{entry.before}{entry.after}"


def test_run_now_goes_through_the_verb(root, db):
    recurring, single = ExportFactory(name="nightly", recurring=True), ExportFactory(name="backfill")
    page = act(root, Export, "run_now", recurring, single).content.decode()
    assert "Run 1 of “nightly” has been started" in page
    assert "“backfill”: Only recurring exports can be run now." in page
    assert recurring.runs.count() == 1


def test_re_test_tells_what_the_partner_said(root, db, settings):
    settings.AMPLITUDE_EU_URL = settings.AMPLITUDE_STANDARD_URL = "http://127.0.0.1:1"
    integration, gone = IntegrationFactory(nickname="Growth"), IntegrationFactory(nickname="Old", disconnected=True)
    page = act(root, Integration, "retest", integration, gone).content.decode()
    integration.refresh_from_db()
    assert integration.test_ok is not True
    assert html.escape(integration.test_message) in page
    assert "“Old”: It has been disconnected" in page


def test_rotated_credentials_are_shown_once(root, db):
    project = ProjectFactory()
    old = passcode_for(project)
    answer = act(root, Credential, "rotate", Credential.objects.get())
    assert "no-store" in answer["Cache-Control"]
    new = answer.content.decode().split("<code>")[1].split("</code>")[0]
    assert project_for_passcode(project.account_id, old) is None
    assert project_for_passcode(project.account_id, new) == project
    assert new not in root.get(address(Credential, "changelist")).content.decode()


def test_an_invitation_is_revoked_by_its_verb(root, db):
    invitation, *_ = invite(
        project=ProjectFactory(), email="mira@example.com", role="viewer", by=TESTS, now=timezone.now()
    )
    act(root, Invitation, "revoke", invitation)
    invitation.refresh_from_db()
    assert invitation.revoked_at is not None


def test_the_audit_log_is_downloaded_safe_from_formulas(root, db):
    project = ProjectFactory(name="Chai", timezone="UTC")
    root.post(address(Project, "change", project.pk), {"name": "=1+1", "timezone": "UTC"})
    rogue = Actor(None, "=cmd|' /C calc'!A0")
    audit.record(action="test.act", by=rogue, now=timezone.now(), project_id=1, target=project)
    answer = act(root, AuditEntry, "download", *AuditEntry.objects.all())
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["action"] for row in rows] == ["project.edit", "test.act"]
    assert json.loads(rows[0]["after"])["name"] == "=1+1"
    assert (rows[0]["address"], rows[1]["actor"]) == ("127.0.0.1", "'=cmd|' /C calc'!A0")


def test_the_rights_that_a_user_gets_stand_in_the_audit_log(root, db):
    user, group = UserFactory(), Group.objects.create(name="Operators")
    body = {"email": user.email, "items_per_page": 20, "is_active": "on", "groups": [group.pk]}
    assert root.post(address(User, "change", user.pk), body).status_code == 302
    entry = AuditEntry.objects.get(action="user.edit", target_id=user.pk)
    assert (entry.before["groups"], entry.after["groups"]) == ([], ["Operators"])


def test_what_a_group_of_rights_becomes_stands_in_the_audit_log(root, db):
    right = Permission.objects.get(codename="view_export")
    root.post("/admin/auth/group/add/", {"name": "Ops", "permissions": [right.pk]})
    group = Group.objects.get()
    root.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Ops"})
    root.post("/admin/auth/group/", {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"})
    root.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert not Group.objects.exists()
    entries = AuditEntry.objects.filter(target_type="group").order_by("id")
    assert [(entry.action, entry.before, entry.after) for entry in entries] == [
        ("group.create", {}, {"name": "Ops", "permissions": [str(right)]}),
        ("group.edit", {"permissions": [str(right)]}, {"permissions": []}),
        ("group.delete", {"name": "Ops", "permissions": [], "users": []}, {}),
    ]


def test_staff_widen_no_group_that_they_are_in(client, db):
    staff = UserFactory(is_staff=True)
    group = Group.objects.create(name="Clerks")
    staff.groups.add(group)
    group.permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    client.force_login(staff)
    rights = [right.pk for right in Permission.objects.all()]
    for path in (f"{group.pk}/change/", "add/", f"{group.pk}/delete/"):
        assert client.post(f"/admin/auth/group/{path}", {"name": "Clerks", "permissions": rights}).status_code == 403
    assert client.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200
    assert not staff.has_perm("projects.change_user")


def test_a_project_cannot_be_deleted(root, db):
    project = ProjectFactory()
    assert root.post(address(Project, "delete", project.pk), {"post": "yes"}).status_code == 403


def test_an_audit_entry_links_to_what_it_speaks_of(root, db):
    export = ExportFactory(recurring=True)
    act(root, Export, "retry", export)
    page = root.get(address(AuditEntry, "changelist")).content.decode()
    assert address(Export, "change", export.pk) in page
