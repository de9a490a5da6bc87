"""Deleting the oldest end of a log while a person's records are deleted on request."""

from collections.abc import Collection
from datetime import timedelta

import pytest

from events import purge
from events.erasure import delete_people, erase_rows
from events.logs import EVENTS
from events.models import Erased, Erasure, Event, PurgedLog
from events.rollup import roll_up_all
from projects.models import Project
from tests.events.capture import NOW, at_once, capture, event
from tests.factories import TESTS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("erased", "purged"), [(["asha"], 2), (["asha", "ravi"], 0)])
def test_what_an_erasure_takes_meanwhile_is_counted_there_alone(
    project: Project, erased: list[str], purged: int
) -> None:
    capture(project, event("asha"), event("ravi"), event("ravi"))
    roll_up_all()
    delete_people(project=project, identities=erased, by=TESTS, now=NOW)
    last = Event.objects.latest("pk")

    def erase_after_these_were_picked(_first: int, _last: int) -> Collection[int]:
        assert at_once(lambda: erase_rows([Erasure.objects.get()], is_last=False)) == []
        return ()

    needs = purge.Needs(ids=erase_after_these_were_picked)
    assert purge.step(project_id=project.pk, log=EVENTS, before=NOW + timedelta(1), needs=lambda: needs) == purged
    mark = PurgedLog.objects.get(project=project, log=EVENTS.table)
    assert (mark.records, mark.tx_id, mark.row_id) == (purged, last.tx_id, last.pk)
    assert mark.received_until == (NOW if purged else None)
    assert Erased.objects.filter(log=Erased.Log.EVENTS).count() == 3 - purged
    assert not Event.objects.exists()
