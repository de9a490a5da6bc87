"""The supervisor's children: what they say last is kept."""

import sys

from exports_portal.children import Child, Nursery


def test_last_words_without_a_line_break_are_kept() -> None:
    nursery = Nursery()
    command = [sys.executable, "-c", "print('first'); print('last', end='')"]
    child = nursery.start(Child("talker", command, once=True, quiet=True))
    while child.is_running():
        nursery.step(0.05)
    nursery.end([child], within=0)
    assert list(child.tail) == ["first", "last"]
    assert child.partial == b""
