"""What projects are told of their exports: on change only, many at once in one, and no flood."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from exports import actions, alerts, tick, totals
from exports.models import Alert, Export, Run, Shard, Status
from notifications.models import Notification
from partners.models import Integration
from projects.models import Project
from tests.exports.conftest import ANN, deliver, now
from tests.factories import ExportFactory, IntegrationFactory, RunFactory
from tests.notifications.conftest import prefer

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db: Any) -> Project:
    """A project without a sandbox or real commits: what is wrong is written into its exports."""
    return IntegrationFactory(nickname="Growth").project


@pytest.fixture
def export(shop: Project) -> Callable[..., Export]:
    def make(name: str = "", **more: Any) -> Export:
        integration = more.pop("integration", None) or Integration.objects.filter(project=shop).first()
        return ExportFactory(project=shop, integration=integration, name=name, status="RUNNING", **more)

    return make


def fail(*exports: Export, attention: bool = True, message: str = "The API key is invalid.") -> None:
    keys = [export.pk for export in exports]
    Export.objects.filter(pk__in=keys).update(failing_since=now(), needs_attention=attention, last_error=message)


def mend(*exports: Export) -> None:
    keys = [export.pk for export in exports]
    Export.objects.filter(pk__in=keys).update(failing_since=None, needs_attention=False, last_error="")


def look(after: timedelta = timedelta(0)) -> list[tuple[str, str]]:
    """A look some time from now; what has been told so far."""
    later = timezone.now() + after
    alerts.watch(now=later)
    alerts.tell(now=later)
    return told()


def told() -> list[tuple[str, str]]:
    return list(Notification.objects.order_by("pk").values_list("kind", "title"))


MINUTE = timedelta(minutes=1)


def test_a_failing_export_is_told_once_and_its_recovery_too(export) -> None:
    one = export("Daily")
    assert look() == []
    fail(one)
    assert look() == [("failing", "“Daily” cannot send")]
    assert Notification.objects.get().text == "The API key is invalid."
    assert Notification.objects.get().path.endswith(f"/exports/{one.pk}/")
    for hours in range(3):
        assert len(look(after=timedelta(hours=hours))) == 1
    mend(one)
    assert look(after=MINUTE) == [("failing", "“Daily” cannot send"), ("recovered", "“Daily” sends again")]
    assert len(look(after=timedelta(days=1))) == 2
    assert not Alert.objects.exists()


def test_the_database_takes_no_alert_of_what_is_not_wrong(export) -> None:
    with pytest.raises(IntegrityError, match="alert_of_what_is_wrong"):
        Alert.objects.create(export=export(), kind="recovered", since=now())


def test_no_recovery_is_told_while_only_an_empty_list_gets_through(export) -> None:
    one = export("Daily")
    fail(one)
    assert len(look()) == 1
    Export.objects.update(needs_attention=False, last_error="")  # as a probe leaves it
    Integration.objects.update(recoveries=1)
    assert len(look()) == 1
    Integration.objects.update(recoveries=0)
    mend(one)
    assert [kind for kind, _ in look()] == ["failing", "recovered"]


def test_a_passing_fault_is_told_only_when_it_lasts(export) -> None:
    one = export("Daily")
    fail(one, attention=False)
    assert look() == []
    mend(one)
    assert look() == []
    fail(one, attention=False)
    assert look(after=alerts.FAILING_AFTER) == [("failing", "“Daily” cannot send")]


def test_many_exports_of_one_integration_make_one_notification(export) -> None:
    many = [export(f"Export {number}") for number in range(12)]
    fail(*many)
    assert look() == [("failing", "12 exports to “Growth” cannot send")]
    text = Notification.objects.get().text
    assert text.startswith("“Export 0”, “Export 1”, ")
    assert text.endswith("“Export 9” and 2 more.\nThe API key is invalid.")
    assert Notification.objects.get().exports == [one.pk for one in many]
    mend(*many)
    assert look()[1:] == [("recovered", "12 exports to “Growth” send again")]


def test_an_export_that_flaps_is_told_of_every_ten_minutes_at_most(export) -> None:
    one = export("Daily")
    for second in range(0, 540, 20):
        fail(one) if second % 40 == 0 else mend(one)
        look(after=timedelta(seconds=second))
    assert [kind for kind, _ in told()] == ["failing", "recovered"]
    fail(one)
    assert [kind for kind, _ in look(after=alerts.QUIET + MINUTE)] == ["failing", "recovered", "failing"]


def test_those_that_fail_later_are_told_together_once_it_has_been_quiet(export) -> None:
    fail(export("First"))
    look()
    fail(export("Second"), export("Third"))
    assert len(look(after=MINUTE)) == 1
    assert look(after=alerts.QUIET + MINUTE)[1:] == [("failing", "2 exports to “Growth” cannot send")]


def test_another_integration_is_told_at_once(export, shop: Project) -> None:
    fail(export("First"))
    look()
    fail(export("Second", integration=IntegrationFactory(project=shop, nickname="Campaigns")))
    assert look()[1:] == [("failing", "“Second” cannot send")]


def test_an_export_that_a_person_stops_does_not_send_again(export) -> None:
    one = export("Daily")
    fail(one)
    look()
    actions.stop_export(export=one, by=ANN, now=now())
    assert len(look()) == 1
    assert not Alert.objects.exists()


def test_one_that_the_portal_stops_is_told_with_the_reason(export) -> None:
    one = export("Daily")
    fail(one)
    look()
    Export.objects.update(failing_since=now() - actions.GIVE_UP)
    actions.stop_failing(now=now())
    assert look()[1:] == [("stopped", "“Daily” was stopped by the portal")]
    assert "accepted no request for 3 days. Last: The API key is invalid." in Notification.objects.latest("pk").text
    assert len(look(after=timedelta(days=1))) == 2


def ended(export: Export, **counts: int) -> None:
    RunFactory(export=export, done=True, counts=counts)
    Export.objects.filter(pk=export.pk).update(status="RUNNING")
    alerts.runs_ended(totals.add_up(), now=now())


def test_a_share_of_rejected_records_is_told_until_a_run_is_well_again(export, shop: Project) -> None:
    one = export("Daily", recurring=True)
    ended(one, delivered=95, rejected=5)
    assert look() == []
    ended(one, delivered=94, rejected=6)
    assert look() == [("rejected", "“Daily” has many rejected records")]
    assert Notification.objects.get().text == "6 of 100 records were rejected (6%)."
    ended(one, delivered=90, rejected=10)
    assert len(look(after=timedelta(hours=1))) == 1
    ended(one, delivered=100)
    ended(one, rejected=10)
    assert len(look(after=timedelta(hours=1))) == 1, "ten records tell nothing about a share"
    ended(one, delivered=10, rejected=90)
    assert len(look(after=timedelta(hours=1))) == 2
    prefer(shop, rejected_percent=95)
    ended(export("Other", recurring=True), delivered=10, rejected=90)
    assert len(look(after=timedelta(hours=2))) == 2


def test_what_was_told_of_an_export_that_is_over_is_kept_no_longer(export) -> None:
    one, other = export("Over", recurring=True), export("Going on", recurring=True)
    for each in (one, other):
        ended(each, delivered=10, rejected=90)
    assert len(look()) == 1, "of one integration one notification"
    Export.objects.filter(pk=one.pk).update(status="STOPPED")
    look()
    assert list(Alert.objects.values_list("export__name", flat=True)) == ["Going on"]


def test_a_long_run_is_told_while_it_is_read(export) -> None:
    RunFactory(export=export("Backfill"), running=True, counts={"delivered": 500, "rejected": 500})
    assert look() == [("rejected", "“Backfill” has many rejected records")]


def test_of_a_live_export_the_last_two_hours_count(export) -> None:
    one = export("Stream", live=True)
    run = RunFactory(export=one, running=True, counts={"delivered": 1_000, "rejected": 1_000})
    shard = Shard.objects.filter(run=run)
    shard.update(hours={"2026-11-23T10:00:00+05:30": [0, 900], "2026-11-23T11:00:00+05:30": [500, 5],
                        "2026-11-23T12:00:00+05:30": [500, 5]})  # fmt: skip
    assert look() == []
    shard.update(hours={"2026-11-23T12:00:00+05:30": [500, 5], "2026-11-23T13:00:00+05:30": [0, 95]})
    assert look() == [("rejected", "“Stream” has many rejected records")]
    assert Notification.objects.get().text == "100 of 600 records were rejected (17%)."


def test_windows_without_records_are_told_once_there_are_enough(export, shop: Project) -> None:
    one = export("Daily", recurring=True)
    ended(one)
    ended(one)
    assert look() == []
    ended(one)
    assert look() == [("empty", "“Daily” has had nothing to send")]
    ended(one)
    assert len(look(after=timedelta(days=1))) == 1
    ended(one, delivered=1)
    for _ in range(3):
        ended(one)
    assert len(look(after=timedelta(days=1))) == 2
    prefer(shop, empty_windows=1)
    ended(export("Other", recurring=True))
    assert look(after=timedelta(days=2))[2:] == [("empty", "“Other” has had nothing to send")]


def test_what_a_project_does_not_want_to_hear_of_is_not_told_later_either(export, shop: Project) -> None:
    prefer(shop, kinds=["lag"])
    one = export("Daily")
    fail(one)
    assert look() == []
    prefer(shop, kinds=["failing"])
    assert look(after=timedelta(hours=1)) == []


@pytest.mark.django_db(transaction=True)
def test_a_live_export_that_lags_is_told_and_that_it_has_caught_up(project, live, capture) -> None:
    one = live(name="Stream")
    deliver(one, slices=2)
    capture(3)
    assert look() == []
    prefer(project, lag_minutes=10)
    assert look(after=9 * MINUTE) == []
    assert look(after=11 * MINUTE) == [("lag", "“Stream” lags behind")]
    assert "captured 11 min" in Notification.objects.get().text
    deliver(one, slices=3)
    assert look(after=12 * MINUTE)[1:] == [("recovered", "“Stream” sends again")]


@pytest.mark.django_db(transaction=True)
def test_the_tick_watches_and_looks_at_each_ended_run_once(project, one_time, capture, sandbox) -> None:
    capture(30, name="Poison")
    sandbox.faults({"kind": "refuse_events", "event_type": "Poison"})
    export = deliver(one_time(name="Once"))
    assert (export.status, export.rejected) == (Status.DONE, 30)
    tick.tick(now=now())
    assert Alert.objects.get().message == "30 of 30 records were rejected (100%)."
    assert Run.objects.get().shards.get().counted
    alerts.tell(now=now())
    assert told() == [("rejected", "“Once” has many rejected records")]
