"""No answer of CleverTap's may hang a source: a bad record is refused alone, what nobody foresaw waits and is shown."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from events.models import RefusedUpload
from events.refusals import IDENTITY_MISSING, STRUCTURE, TIMESTAMP
from projects.models import Project
from sources import actions
from tests.events.capture import NOW, properties, stored
from tests.factories import TESTS, ProjectFactory
from tests.sources.account import Account, record
from tests.sources.conftest import source_of
from tests.sources.turns import numbers, only, turn, turn_by_turn

pytestmark = pytest.mark.django_db(transaction=True)
DAY = ("UTM Visited", 20261119)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


def with_properties(given: Any, **others: Any) -> dict[str, Any]:
    return record(1) | {"event_props": given} | others


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (with_properties({"n": 1, "x": deep(300)}), STRUCTURE),
        (with_properties({"n": 1, "x": deep(800)}), STRUCTURE),
        (with_properties([1]), STRUCTURE),
        (with_properties({}, session_props="none"), STRUCTURE),
        (record(1, identity="x" * 2_000), IDENTITY_MISSING),
        (record(1, identity={"a": 1}, email="a@example.com"), IDENTITY_MISSING),
        (record(1, ts=99991231235959), TIMESTAMP),
        (record(1, ts="00010101000000"), TIMESTAMP),
        (record(1, ts="00001350000000"), TIMESTAMP),
        (record(1, ts=deep(300)), TIMESTAMP),
    ],
)
def test_a_bad_record_is_refused_alone(project: Project, account: Account, bad: Any, code: int) -> None:
    account.days[DAY] = [[record(0), bad, record(2)], [record(3)]]
    for zone in ("Asia/Kolkata", "America/New_York"):
        source = turn(source_of(ProjectFactory(), timezone=zone))
        assert source.last_error == ""
        assert numbers(source.project) == [0, 2, 3]
        assert [one.code for one in RefusedUpload.objects.filter(project=source.project)] == [code]
        assert (only(source).state, only(source).refused) == ("done", 1)


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        (with_properties({"n": 1, "x": "cut \ud83d"}), "cut ?"),
        (with_properties({"n": 1, "x": "nul\0x"}), "nul-x"),
        (with_properties({"n": 1, "x": 2**70}), 2**70),
        (with_properties({"n": 1, "x": "own"}, session_props={"x": deep(300)}), "own"),
    ],
)
def test_an_odd_value_is_cleaned_and_costs_nothing_else(
    project: Project, account: Account, odd: Any, kept: Any
) -> None:
    account.days[DAY] = [[record(0), odd], [odd]]
    source = turn(source_of(project))
    assert [one.get("x") for one in properties(project)] == [None, kept, kept]
    assert only(source).state == "done"


def test_what_a_record_is_does_not_depend_on_those_beside_it(project: Project, account: Account) -> None:
    large = with_properties({"n": 1, "x": 2**70, "y": 10**400})
    account.days[DAY] = [[large], [record(2) | {"event_props": {"x": "cut \ud83d"}}, large]]
    source = turn(source_of(project))
    assert len({row.uid for row in stored(project)}) == 3
    account.days[DAY] = [[large, large]]
    actions.read_again(source=source, by=TESTS, now=NOW)
    turn(source)
    assert (only(source).known, len(stored(project))) == (2, 3)


def test_ids_are_looked_for_as_they_are_kept(project: Project, account: Account) -> None:
    odd = record(1, identity="nul\0x", name="Asha")
    account.days[DAY] = [[odd], [odd]]
    source = turn(source_of(project))
    assert [row.identity for row in stored(project)] == ["nul-x", "nul-x"]
    assert (only(source).state, only(source).refused) == ("done", 0)


@pytest.mark.parametrize("cursor", ["nul\0x", "\ud83d"])
def test_what_nobody_foresaw_is_waited_for_and_shown(project: Project, account: Account, cursor: str) -> None:
    account.days[DAY] = [[record(1)]]
    source = source_of(project)
    turn_by_turn(source, 1)
    account.faults = [(200, {"status": "success", "records": [record(1)], "next_cursor": cursor})] * 2
    turn(source)
    assert "UTM Visited on 2026-11-19" in source.last_error
    assert (source.failures, source.fault, numbers(project)) == (1, "", [])
    assert source.not_before is not None
    turn(source)
    assert source.failures == 2
    turn(source)
    assert (source.last_error, source.failures, numbers(project)) == ("", 0, [1])


def test_odd_words_of_an_error_can_be_shown(project: Project, account: Account) -> None:
    account.faults = [(500, {"status": "fail", "error": "nul\0 and cut \ud83d"})]
    source = turn(source_of(project))
    assert "nul- and cut ?" in source.last_error


_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud83d", 20261119054937, "20261119054937", "20261350000000", "a@example.com", ""])
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
_profiles = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("identity", "objectId", "email", "phone", "name", "profileData", "os_version"), _values),
)
_records = _values | st.fixed_dictionaries(
    {"profile": st.one_of(_profiles, _values), "ts": st.one_of(st.just(20261119054937), _values)},
    optional={"event_props": _values, "session_props": _values},
)


@settings(
    max_examples=40,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(pages=st.lists(st.lists(_records, max_size=10), min_size=1, max_size=2))
def test_whatever_the_records_are_each_is_captured_or_refused(account: Account, pages: list[list[Any]]) -> None:
    account.days[DAY] = pages
    source = turn(source_of(ProjectFactory()))
    pull = only(source)
    assert (source.last_error, pull.state, pull.read) == ("", "done", sum(len(page) for page in pages))
    assert pull.captured == pull.read - pull.refused == len(stored(source.project))
