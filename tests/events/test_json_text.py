"""Reading JSON: one odd value sinks no other, and changes none."""

import math

import pytest

from events.json_text import parse

ODD = rb'"cut \ud83d"'


@pytest.mark.parametrize("digits", ["0", "-1", str(2**64 - 1), str(2**64), str(-(2**63)), str(-(2**63) - 1), "1" * 300])
def test_a_number_is_the_same_beside_an_odd_value(digits: str) -> None:
    [alone] = parse(f"[{digits}]".encode())
    [beside, _] = parse(f"[{digits},".encode() + ODD + b"]")
    assert (beside, type(beside)) == (alone, type(alone))


def test_a_number_without_end_sinks_no_other() -> None:
    assert parse(b"[" + b"1" * 5_000 + b", 2]") == [math.inf, 2]
