"""Capturing: what is stored, for whom, in which transaction. Real commits."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from events import catalogue, positions
from events.models import Event, EventName, Flag, Identifier, LogBase, Person, ProfileChange
from events.people import Claim, People, lane_of
from events.people_rows import find
from events.store import Filter, read_by_position
from exports_portal.common.models import AuditEntry
from projects.models import Project
from tests.events.capture import NOW, at_once, capture, event, profile, properties, stored
from tests.factories import TESTS, ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def person_of(project: Project, value: str) -> Person:
    return Identifier.objects.get(project=project, value=value).person


def test_an_event_is_stored_as_it_was_sent(project: Project) -> None:
    data = {"Price": 59.99, "Currency": "USD", "Note": 'a/b "c" \\ \n', "Emoji": "🛒", "n": None, "ok": True}
    result = capture(project, event(objectId="__d1", ts=1_468_308_340, data=data))
    row = stored(project)[0]
    assert (result.processed, result.refused) == (1, [])
    assert (row.name, row.time_ms, row.identity, row.clevertap_id) == (
        "Product Viewed",
        1_468_308_340_000,
        "asha",
        "__d1",
    )
    assert properties(project) == [data]
    assert row.plain
    assert Event.objects.get().received_at == NOW


def test_events_keep_the_order_of_the_request(project: Project) -> None:
    capture(project, *(event(data={"n": number}) for number in range(50)))
    assert [found["n"] for found in properties(project)] == list(range(50))


def test_a_bad_record_sinks_no_other(project: Project) -> None:
    bad = event(name="")
    result = capture(project, event(), bad, event(), profile(Email="x"))
    assert result.processed == 2
    assert [(refused.index, refused.code, refused.record) for refused in result.refused] == [
        (1, 509, bad),
        (3, 515, profile(Email="x")),
    ]
    assert len(stored(project)) == 2


def test_nothing_is_written_when_everything_is_refused(project: Project) -> None:
    assert capture(project, event(name=""), "x").processed == 0
    assert not Person.objects.exists()
    assert not EventName.objects.exists()


def test_a_dry_run_answers_the_same_and_stores_nothing(project: Project) -> None:
    capture(project, event(name="Dropped"), profile(Plan="Gold"))
    catalogue.discard(name=EventName.objects.get(name="Dropped"), by=TESTS, now=NOW)
    records = [
        event("ravi", "New"),
        event(name=""),
        event(name="Dropped"),
        profile("ravi", Name="Ravi"),
        profile(Plan={"$incr": 1}),
        {"type": "token", "objectId": "__d1", "tokenData": {"id": "abc", "type": "fcm"}},
    ]
    tables = (Event, EventName, Person, Identifier, ProfileChange)
    before = [table.objects.count() for table in tables]
    dry = capture(project, *records, dry_run=True)
    assert [table.objects.count() for table in tables] == before
    assert [(one.index, one.code) for one in dry.refused] == [(1, 509), (2, 528), (4, 512)]
    assert capture(project, *records) == dry


def test_a_request_is_one_transaction_with_one_position(project: Project) -> None:
    capture(project, event(), event("ravi"), profile())
    capture(project, event())
    tx_ids = [row.tx_id for row in stored(project)]
    assert tx_ids[0] == tx_ids[1] < tx_ids[2]
    assert ProfileChange.objects.get().tx_id == tx_ids[0]


def test_every_event_has_a_uid_of_its_own_and_a_given_one_is_kept(project: Project) -> None:
    given = "0192f0c1-2f4e-7cc3-98c4-dc0c0c07398f"
    capture(project, event(), event(), event(uid=given))
    uids = [row.uid for row in stored(project)]
    assert len(set(uids)) == 3
    assert uids[2] == given.encode()


def test_long_values_are_cut_and_flagged(project: Project) -> None:
    capture(project, event(data={"Text": "é" * 600}))
    assert properties(project) == [{"Text": "é" * 512}]
    assert Event.objects.get().flags == Flag.CUT


def test_the_limit_of_values_can_be_raised(project: Project, settings: Any) -> None:
    settings.PORTAL_VALUE_CHARACTERS = 5_000
    capture(project, event(data={"Text": "x" * 2_000}))
    assert properties(project) == [{"Text": "x" * 1_024}]


def test_what_postgresql_refuses_is_cleaned(project: Project) -> None:
    capture(project, event("a\x00b", name="N\x00", objectId="__1", data={"k\x00": "\ud800\x00", "nan": float("nan")}))
    assert properties(project) == [{"k-": "?-", "nan": None}]
    assert (stored(project)[0].identity, stored(project)[0].name) == ("a-b", "N-")


def test_history_counts_as_received_when_it_happened(project: Project) -> None:
    ts = int((NOW - timedelta(days=30)).timestamp())
    capture(project, event(ts=ts), captured_at_event_time=True)
    assert Event.objects.get().received_at == NOW - timedelta(days=30)
    assert EventName.objects.get().first_seen_at == NOW - timedelta(days=30)
    assert Person.objects.get().created_at == NOW - timedelta(days=30)


def test_new_names_enter_the_catalogue_with_their_kind(project: Project) -> None:
    capture(project, event(), event(name="App Launched"), event(name="Notification Sent"), event())
    kinds = dict(EventName.objects.values_list("name", "kind"))
    assert kinds == {"Product Viewed": "custom", "App Launched": "system", "Notification Sent": "engagement"}


def test_an_unknown_identity_makes_a_person_with_a_clevertap_id_that_stays(project: Project) -> None:
    capture(project, event())
    capture(project, event(), event("ravi"))
    asha = person_of(project, "asha")
    assert asha.clevertap_id.startswith("__")
    assert len(asha.clevertap_id) == 34
    assert [row.clevertap_id for row in stored(project)][:2] == [asha.clevertap_id] * 2
    assert Person.objects.count() == 2


def test_the_made_up_clevertap_id_leads_to_its_person(project: Project) -> None:
    capture(project, event())
    asha = person_of(project, "asha")
    capture(project, event(None, objectId=asha.clevertap_id))
    assert [(row.person_id, row.identity) for row in stored(project)] == [(asha.pk, "asha")] * 2


def test_an_anonymous_device_that_logs_in_becomes_that_person(project: Project) -> None:
    capture(project, event(None, objectId="__d1"))
    capture(project, event("asha", objectId="__d1"))
    capture(project, event(None, objectId="__d1"))
    assert Person.objects.get().identity == "asha"
    assert [row.identity for row in stored(project)] == [None, "asha", "asha"]


def test_a_login_within_one_request_follows_the_order_of_records(project: Project) -> None:
    capture(project, event(None, objectId="__d1"), event("asha", objectId="__d1"), event(None, objectId="__d1"))
    assert Person.objects.get().identity == "asha"
    assert [row.identity for row in stored(project)] == [None, "asha", "asha"]


def test_an_anonymous_device_goes_over_to_a_known_identity(project: Project) -> None:
    capture(project, event("asha", objectId="__d1"), event(None, objectId="__d2"))
    orphan = person_of(project, "__d2")
    capture(project, event("asha", objectId="__d2"), event(None, objectId="__d2"))
    asha = person_of(project, "__d2")
    assert asha == person_of(project, "__d1") != orphan
    assert [row.person_id for row in stored(project)] == [asha.pk, orphan.pk, asha.pk, asha.pk]
    assert [row.clevertap_id for row in stored(project)] == ["__d1", "__d2", "__d2", "__d2"]


def test_a_device_of_somebody_else_stays_where_it_is(project: Project) -> None:
    capture(project, event("asha", objectId="__d1"))
    capture(project, event("ravi", objectId="__d1"))
    assert person_of(project, "__d1").identity == "asha"
    assert [(row.identity, row.clevertap_id) for row in stored(project)] == [("asha", "__d1"), ("ravi", "__d1")]
    assert person_of(project, "ravi").clevertap_id != "__d1"


def test_the_same_identity_in_two_projects_is_two_people(project: Project) -> None:
    other = ProjectFactory()
    capture(project, event())
    capture(other, event())
    assert person_of(project, "asha") != person_of(other, "asha")
    assert len(stored(project)) == 1


def test_a_person_lives_in_one_lane_for_ever(project: Project) -> None:
    capture(project, event(), event("ravi"))
    capture(project, event())
    lanes = dict(Event.objects.values_list("person_id", "lane"))
    assert all(lanes[person] == lane_of(person) for person in lanes)
    assert Event.objects.values("person_id", "lane").distinct().count() == 2


def test_lanes_are_spread_evenly() -> None:
    lanes = [lane_of(person) for person in range(1, 100_001)]
    assert set(lanes) == set(range(1024))
    for shards in (2, 3, 4):
        shares = [sum(lane % shards == index for lane in lanes) for index in range(shards)]
        assert max(shares) < min(shares) * 1.02


def test_a_profile_changes_its_person_and_appends_to_the_log(project: Project) -> None:
    capture(project, profile(Name="Asha", Email="asha@example.com", Phone="+919876543210", City="Pune", VIP=True))
    capture(project, profile(City="Mumbai", VIP=None), now=NOW + timedelta(hours=1))
    asha = person_of(project, "asha")
    assert (asha.name, asha.email, asha.phone) == ("Asha", "asha@example.com", "+919876543210")
    assert asha.properties == {"City": "Mumbai"}
    assert (asha.created_at, asha.changed_at) == (NOW, NOW + timedelta(hours=1))
    first, second = ProfileChange.objects.order_by("tx_id", "id")
    assert first.changed["Email"] == "asha@example.com"
    assert (second.changed, second.removed) == ({"City": "Mumbai"}, ["VIP"])
    assert (second.identity, second.clevertap_id, second.lane) == ("asha", asha.clevertap_id, lane_of(asha.pk))


def test_updates_of_one_person_in_one_request_apply_in_order(project: Project) -> None:
    capture(project, profile(Email="a@example.com", n=1), profile(Email=None, n=2), profile(m=3))
    asha = person_of(project, "asha")
    assert (asha.email, asha.properties) == (None, {"n": 2, "m": 3})
    assert ProfileChange.objects.count() == 3


def test_large_numbers_of_a_profile_survive_the_next_update(project: Project) -> None:
    capture(project, profile(big=1e25))
    capture(project, profile(other=1))
    assert person_of(project, "asha").properties == {"big": 10**25, "other": 1}


def test_a_person_has_256_properties_at_most(project: Project) -> None:
    capture(project, profile(**{f"a{number}": 1 for number in range(200)}))
    result = capture(project, profile(**{f"b{number}": 1 for number in range(100)}), event())
    assert [(refused.index, refused.code) for refused in result.refused] == [(0, 522)]
    assert result.processed == 1
    assert len(person_of(project, "asha").properties) == 200
    assert ProfileChange.objects.count() == 1


def test_a_token_stays_with_its_person_and_out_of_the_log(project: Project) -> None:
    token = {"type": "token", "objectId": "__d1", "tokenData": {"id": "abc", "type": "fcm"}}
    assert capture(project, token).processed == 1
    assert person_of(project, "__d1").properties == {"push_token": "fcm:abc"}
    assert not ProfileChange.objects.exists()


def test_events_of_a_discarded_name_are_refused_and_make_nobody(project: Project) -> None:
    capture(project, event(name="Dropped"))
    name = EventName.objects.get()
    for _ in range(2):
        catalogue.discard(name=name, by=TESTS, now=NOW)
    (refused,) = capture(project, event("ravi", "Dropped"), event()).refused
    assert (refused.index, refused.code) == (0, 528)
    assert "Event Name is incorrect. ErrorCode: 528 - " in refused.error
    assert not Person.objects.filter(identity="ravi").exists()
    assert len(stored(project)) == 2
    catalogue.restore(name=name, by=TESTS, now=NOW)
    assert capture(project, event("ravi", "Dropped")).refused == []
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "event_name.discard",
        "event_name.restore",
    ]


def test_a_project_has_512_event_types_and_more_only_of_the_systems_own(project: Project, settings: Any) -> None:
    settings.PORTAL_EVENT_TYPES = 3
    capture(project, event(name="A"), event(name="App Launched"))
    names = ["A", "B", "C", "D", "B", "Notification Sent", "Stayed", "App Launched"]
    refused = capture(project, *(event("ravi", name) for name in names)).refused
    assert [(one.index, one.code) for one in refused] == [(2, 512), (3, 512)]
    assert "3 event types already" in refused[0].error
    assert capture(ProjectFactory(), event(name="C")).refused == []
    assert [one.code for one in capture(project, event("mia", "E")).refused] == [512]
    assert not Person.objects.filter(identity="mia").exists()


def test_capture_stops_after_a_restored_dump(project: Project) -> None:
    LogBase.objects.update(system_identifier=7)
    with pytest.raises(positions.RestoredDump):
        capture(project, event())
    assert not Event.objects.exists()
    assert not Person.objects.exists()


def test_uploads_of_the_same_new_people_at_once_make_each_of_them_once(project: Project) -> None:
    people = [(f"user-{number}", f"__d{number}") for number in range(100)]

    def upload(order: int) -> None:
        chosen = people if order % 2 else list(reversed(people))
        for _ in range(3):
            capture(project, *(event(name, f"Event {name}", objectId=device) for name, device in chosen))
            capture(project, *(profile(name, visits=order) for name, _ in chosen))
            capture(project, *(event(None, objectId=device) for _, device in chosen))

    errors = at_once(*(lambda order=order: upload(order) for order in range(4)))
    assert errors == []
    assert Person.objects.count() == 100
    assert Identifier.objects.count() == 200
    assert EventName.objects.count() == 101
    assert Event.objects.count() == 4 * 3 * 200
    assert Event.objects.values("identity", "person_id").distinct().count() == 100


def test_what_was_answered_is_below_the_next_horizon_also_among_many_writers(project: Project) -> None:
    seen: list[bool] = []

    def upload(order: int) -> None:
        for number in range(10):
            uid = f"{order}-{number}"
            capture(project, event(f"user-{order}", uid=uid))
            ceiling = positions.ceiling()
            seen.append(all(row.tx_id < ceiling for row in Event.objects.filter(identity=f"user-{order}")))

    assert at_once(*(lambda order=order: upload(order) for order in range(4))) == []
    assert all(seen)
    assert len(stored(project)) == 40


def test_a_reader_that_follows_the_horizon_meets_every_event_once(project: Project) -> None:
    found: list[int] = []
    done = threading.Event()

    def follow() -> None:
        after = (0, 0)
        while True:
            last_round = done.is_set()
            page = read_by_position(
                filter=Filter(project.pk), from_tx=0, until_tx=positions.horizon(), after=after, limit=7
            )
            found.extend(row.id for row in page.rows)
            after = page.end
            if last_round and page.exhausted:
                return

    def write(order: int) -> None:
        for _ in range(15):
            capture(project, *(event(f"user-{order}") for _ in range(5)))

    reader = threading.Thread(target=lambda: (follow(), connection.close()))
    reader.start()
    assert at_once(*(lambda order=order: write(order) for order in range(3))) == []
    done.set()
    reader.join()
    assert sorted(found) == sorted(Event.objects.values_list("pk", flat=True))
    assert len(found) == len(set(found)) == 225


def test_finding_people_costs_by_the_request_not_by_the_people_stored(project: Project) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_person (project_id, clevertap_id, identity, properties, created_at, changed_at)"
            " SELECT %s, '__' || n, 'user-' || n, '{}', now(), now() FROM generate_series(1, 5000) AS n",
            [project.pk],
        )
        cursor.execute(
            "INSERT INTO events_identifier (project_id, kind, value, person_id)"
            " SELECT project_id, 'identity', identity, id FROM events_person"
        )
        cursor.execute("ANALYZE events_person, events_identifier")
    identities = [f"user-{number}" for number in range(1, 1001)]
    with transaction.atomic(), connection.cursor() as cursor:
        found = People(project.pk, [Claim(identity, None, NOW) for identity in identities])
        query, values = find(project.pk, {"identity": identities})
        cursor.execute(f"EXPLAIN {query}", values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert not found.is_changed
    assert "one_person_per_identifier" in plan
    assert "Seq Scan on events_identifier" not in plan
