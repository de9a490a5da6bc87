"""Operators of profile updates: what each makes of a value, and what the profile log says of it."""

from typing import Any

import pytest

from events.models import Person, ProfileChange
from projects.models import Project
from tests.events.capture import capture, profile
from tests.factories import ProjectFactory

pytestmark = pytest.mark.django_db(transaction=True)
ABSENT = object()


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


def properties_of(project: Project, identity: str = "asha") -> dict[str, Any]:
    return Person.objects.get(project=project, identity=identity).properties


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        (ABSENT, {"$add": ["bag", "shoes", "bag"]}, ["bag", "shoes"]),
        (["bag"], {"$add": ["hat", "bag"]}, ["bag", "hat"]),
        (["bag"], {"$add": "hat"}, ["bag", "hat"]),
        ("bag", {"$add": ["hat"]}, ["bag", "hat"]),
        ([1, True, 2.5], {"$add": [7]}, ["1", "true", "2.5", "7"]),
        (["bag"], {"$add": ["", None]}, ["bag"]),
        ([str(number) for number in range(100)], {"$add": ["new"]}, [*map(str, range(1, 100)), "new"]),
        (["bag", "hat"], {"$remove": ["bag", "shoes"]}, ["hat"]),
        (["bag"], {"$remove": "bag"}, ABSENT),
        ("bag", {"$remove": ["bag"]}, ABSENT),
        (ABSENT, {"$remove": ["bag"]}, ABSENT),
        (["bag"], {"$set": ["hat", "hat"]}, ["hat"]),
        (5, {"$set": ["hat"]}, ["hat"]),
        (["bag"], {"$set": []}, ABSENT),
        (["bag"], {"$delete": 1}, ABSENT),
        (5, {"$delete": True}, ABSENT),
        (ABSENT, {"$incr": 5}, 5),
        (5, {"$incr": 2}, 7),
        (5, {"$incr": 0.5}, 5.5),
        (5, {"$decr": 7}, -2),
        (ABSENT, {"$decr": 3}, -3),
        (2**63 - 1, {"$incr": 1}, 9223372036854776000),  # as jsonb writes 2.0**63
        ("old", {"nested": {"$add": 1}}, {"nested": {"$add": 1}}),
    ],
)
def test_each_operator_makes_of_a_value_what_clevertap_says(
    project: Project, before: Any, given: Any, after: Any
) -> None:
    if before is not ABSENT:
        assert capture(project, profile(Stuff=before)).refused == []
    assert capture(project, profile(Stuff=given)).refused == []
    assert properties_of(project).get("Stuff", ABSENT) == after
    change = ProfileChange.objects.order_by("tx_id", "id").last()
    assert change is not None
    if after is not ABSENT:
        assert (change.changed, change.removed) == ({"Stuff": after}, [])
    else:
        assert change.changed == {}
        assert change.removed == ([] if before is ABSENT else ["Stuff"])


@pytest.mark.parametrize(
    ("before", "given", "says"),
    [
        (ABSENT, {"$push": ["a"]}, "must have one operator out of"),
        (ABSENT, {"$add": ["a"], "$remove": ["b"]}, "must have one operator out of"),
        (ABSENT, {"$add": ["a"], "b": 1}, "must have one operator out of"),
        (ABSENT, {"$add": [["a"]]}, "must be texts"),
        (ABSENT, {"$add": {"a": 1}}, "must be texts"),
        ({"a": 1}, {"$add": ["a"]}, "is an object"),
        (ABSENT, {"$incr": 0}, "above 0"),
        (ABSENT, {"$incr": -1}, "above 0"),
        (ABSENT, {"$incr": True}, "above 0"),
        (ABSENT, {"$incr": "5"}, "above 0"),
        (ABSENT, {"$incr": float("nan")}, "above 0"),
        ("five", {"$incr": 1}, "needs a number"),
        (["a"], {"$decr": 1}, "needs a number"),
        (1.7e308, {"$incr": 1.7e308}, "too large"),
    ],
)
def test_an_operator_that_cannot_be_applied_changes_nothing(
    project: Project, before: Any, given: Any, says: str
) -> None:
    if before is not ABSENT:
        capture(project, profile(Stuff=before))
        kept = properties_of(project)
    logged = ProfileChange.objects.count()
    (refused,) = capture(project, profile(Stuff=given, City="Pune")).refused
    assert refused.code == 512
    assert says in refused.error
    assert ProfileChange.objects.count() == logged
    if before is not ABSENT:
        assert properties_of(project) == kept


@pytest.mark.parametrize("key", ["Name", "email", "Phone", "DOB", "Gender", "Age", "Married", "Education", "fbid"])
def test_fields_of_one_value_take_no_lists(project: Project, key: str) -> None:
    for given in ({"$add": ["a"]}, {"$set": ["a"]}, {"$remove": ["a"]}, {"$incr": 1}, ["a"]):
        assert len(capture(project, profile(**{key: given})).refused) == 1


def test_delete_takes_standard_fields_away_too(project: Project) -> None:
    capture(project, profile(Email="asha@example.com", gender="F", City="Pune"))
    gone = {"$delete": 1}
    assert capture(project, profile(email=gone, Gender=gone, City=gone)).refused == []
    person = Person.objects.get()
    assert (person.email, person.properties) == (None, {})
    assert ProfileChange.objects.order_by("tx_id").last().removed == ["Email", "Gender", "City"]  # type: ignore[union-attr]


def test_operators_of_one_request_follow_one_another(project: Project) -> None:
    capture(
        project,
        profile(Tags={"$add": ["a"]}, Points={"$incr": 1}),
        profile(Tags={"$add": ["b"]}, Points={"$incr": 2}),
        profile(Tags={"$remove": ["a"]}, Points={"$decr": 4}),
    )
    assert properties_of(project) == {"Tags": ["b"], "Points": -1}
    log = ProfileChange.objects.order_by("id").values_list("changed", flat=True)
    assert [row["Points"] for row in log] == [1, 3, -1]


def test_a_list_of_texts_holds_each_once_and_the_last_hundred(project: Project) -> None:
    capture(project, profile(Tags=["a", "b", "a"], Many=[str(number) for number in range(150)], Mixed=[1, 1]))
    assert properties_of(project) == {"Tags": ["a", "b"], "Many": [*map(str, range(50, 150))], "Mixed": [1, 1]}


def test_fields_of_clevertaps_own_have_one_name_however_typed(project: Project) -> None:
    capture(project, profile(gender="F", dob="$D_0", AGE=30, **{"msg-EMAIL": "false", "MSG-push": True}))
    found = {"Gender": "F", "DOB": "1970-01-01T00:00:00Z", "Age": 30, "MSG-email": False, "MSG-push": True}
    assert properties_of(project) == found


@pytest.mark.parametrize("given", ["maybe", 2, [True], {"a": 1}])
def test_an_opt_in_is_true_or_false(project: Project, given: Any) -> None:
    assert [one.code for one in capture(project, profile(**{"MSG-sms": given})).refused] == [512]


def test_only_a_persons_own_keys_count_towards_the_256(project: Project) -> None:
    own = {f"k{number}": 1 for number in range(256)}
    assert capture(project, profile(**own, Gender="F", Age=30, Name="Asha", **{"MSG-sms": True})).refused == []
    assert [one.code for one in capture(project, profile(one_more=1)).refused] == [522]
    assert [one.code for one in capture(project, profile(one_more={"$add": ["a"]})).refused] == [522]
    assert capture(project, profile(k0={"$delete": 1}, one_more=1)).refused == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"Employed": {"$set": ["maybe"]}}, 517),
        ({"Employed": ["Y"]}, 517),
        ({"MSG-email": {"$add": ["x"]}}, 512),
        ({"msg-sms": {"$incr": 5}}, 512),
        ({"Photo": ["a.png"]}, 512),
        ({"photo": {"$add": ["a.png"]}}, 512),
    ],
)
def test_operators_and_lists_go_around_no_check_of_a_field(project: Project, given: dict[str, Any], code: int) -> None:
    assert [one.code for one in capture(project, profile(**given)).refused] == [code]
    assert not Person.objects.exists()


def test_numbers_may_be_written_as_floats(project: Project) -> None:
    assert capture(project, profile(Phone=35922333232.0, Age=25.0)).refused == []
    person = Person.objects.get()
    assert (person.phone, person.properties) == ("35922333232", {"Age": 25})


@pytest.mark.parametrize(
    ("given", "code"),
    [({"Phone": -35922333232}, 516), ({"Phone": 12345.5}, 516), ({"Age": 25.5}, 520), ({"Age": [25]}, 520)],
)
def test_other_numbers_are_no_phone_and_no_age(project: Project, given: dict[str, Any], code: int) -> None:
    assert [one.code for one in capture(project, profile(**given)).refused] == [code]
