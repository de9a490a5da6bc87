"""What must hold after every upload, however odd: a whole answer, what was accepted in the log, nothing left open."""

import re
from typing import Any

from django.db import connection

from events import refusals
from tests.fuzz.records import Pool, records

CODES = {value for name, value in vars(refusals).items() if name.isupper() and isinstance(value, int)}
NUMBER = re.compile(r"Skipped record number : (\d+)$")

STORED = """
SELECT count(*), count(*) FILTER (WHERE p.id IS NULL OR n.id IS NULL OR e.tx_id = 0), max(e.id)
  FROM events_event e
  LEFT JOIN events_person p ON p.id = e.person_id LEFT JOIN events_eventname n ON n.id = e.name_id
 WHERE e.id > %s
"""
# Of others too: this session is in none.
OPEN = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'
"""
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"


def check_answer(pool: Pool, status: int, answer: Any) -> int:
    """A verdict for every record, none twice; returns how many events were accepted."""
    assert status == 200, (status, answer)
    given = records(pool)
    refused = [int(found[1]) - 1 for one in answer["unprocessed"] if (found := NUMBER.search(one["error"]))]
    assert len(refused) == len(answer["unprocessed"]) == len(set(refused))
    assert answer["processed"] + len(refused) == len(given)
    assert {one["code"] for one in answer["unprocessed"]} <= CODES
    expected = "success" if not refused else "partial" if answer["processed"] else "fail"
    assert answer["status"] == expected
    taken = set(range(len(given))) - set(refused)
    return sum(isinstance(given[place], dict) and given[place].get("type") == "event" for place in taken)


def check_refused_body(status: int, answer: Any) -> None:
    assert status == 400, (status, answer)
    assert (answer["status"], answer["code"]) == ("fail", 400)


class Log:
    """The event log, looked at from time to time."""

    def __init__(self) -> None:
        self.last = 0

    def check(self, accepted: int) -> None:
        """As many events as were accepted since the last look, each with its person and name, and no lock held."""
        with connection.cursor() as cursor:
            cursor.execute(STORED, [self.last])
            count, broken, last = cursor.fetchone()
            assert (count, broken) == (accepted, 0)
            self.last = last or self.last
            for question in (OPEN, LOCKS):
                cursor.execute(question)
                assert cursor.fetchone() == (0,), question
