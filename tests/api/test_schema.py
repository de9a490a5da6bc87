"""REST: event names with their properties, discarding and restoring them, and the stream."""

from typing import Any

import pytest
from django.utils import timezone

from events.models import EventName, PropertySeen, RefusedUpload
from exports_portal.common.models import AuditEntry
from tests.factories import EventFactory, EventNameFactory, ProjectFactory


@pytest.fixture
def name(project: Any) -> EventName:
    return EventNameFactory(project=project, name="Charged", kind="system", count=31_870)


def test_one_name_has_its_properties_with_their_types(api: Any, name: EventName) -> None:
    for key, kind, count in (("Amount", "number", 31_000), ("Amount", "string", 12), ("Gift wrap", "boolean", 5)):
        PropertySeen.objects.create(name=name, key=key, type=kind, count=count, last_seen_at=timezone.now())
    (listed,) = api.get("/api/v1/events/").json()["results"]
    body = api.get(f"/api/v1/events/{listed['id']}/").json()
    assert (body["name"], body["discarded_at"]) == ("Charged", None)
    assert [(one["key"], one["count"], one["types"]) for one in body["properties"]] == [
        ("Amount", 31_012, [{"type": "number", "count": 31_000}, {"type": "string", "count": 12}]),
        ("Gift wrap", 5, [{"type": "boolean", "count": 5}]),
    ]


def test_a_name_is_discarded_and_restored_by_the_verbs(api: Any, name: EventName) -> None:
    path = f"/api/v1/events/{name.pk}"
    for _ in range(2):
        assert api.post(f"{path}/discard/").json()["discarded_at"] is not None
    for _ in range(2):
        assert api.post(f"{path}/restore/").json()["discarded_at"] is None
    actions = AuditEntry.objects.filter(target_type="eventname").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["event_name.discard", "event_name.restore"]


def test_another_projects_name_is_not_found(api: Any) -> None:
    foreign = EventNameFactory(project=ProjectFactory())
    assert api.get(f"/api/v1/events/{foreign.pk}/").status_code == 404
    assert api.post(f"/api/v1/events/{foreign.pk}/discard/").status_code == 404


def test_the_stream_tells_what_came_in_and_what_was_refused(api: Any, project: Any) -> None:
    event = EventFactory(project=project, identity="customer-1", properties={"Amount": 12.5})
    EventFactory(project=ProjectFactory())
    RefusedUpload.objects.create(
        project=project, received_at=timezone.now(), code=513, error="No event name.", record='{"type": "event"}'
    )
    body = api.get("/api/v1/events/stream/").json()
    (received,), (refused,) = body["received"], body["refused"]
    assert (received["name"], received["identity"]) == (event.name.name, "customer-1")
    assert received["properties"] == {"Amount": 12.5}
    assert (refused["code"], refused["record"]) == (513, '{"type": "event"}')
