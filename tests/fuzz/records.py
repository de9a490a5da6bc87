"""Upload records out of odd values: some good, most with something wrong in one place or another."""

import json
import math
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

NAMES = ("Product Viewed", "Charged", "App Launched", "UTM Visited", "Séarched 🔍")
KEYS = ("Price", "CT App Version", "City", "Items", "$odd.key", "utm_source")
STANDARD = ("Name", "email", "Phone", "Age", "Gender", "DOB", "Education", "Married", "Employed", "MSG-email", "Plan")
CONTACTS = ("a@example.com", "B@example.com", "+919812345678", "+4915112345678", "M", "Y", "School", 30)
OPERATORS = ("$add", "$remove", "$set", "$delete", "$incr", "$decr", "$unknown")
ODD_TEXTS = (
    "\0",
    "\ud83d",
    "\x1b[31m",
    "$D_1700000000",
    "$D_99999999999999",
    "x" * 600,
    "ä" * 1_100,
    "".join(chr(0x4E00 + place * 613 % 20_000) for place in range(1_000)),  # more bytes than an index takes
    "👩‍👩‍👧",
    "\u202e",
    "%s' OR 1=1 --",
    "{}",
    "",
    " ",
    "NaN",
    "__proto__",
)
ODD_NUMBERS = (0, -1, 2**31, 2**63, 10**30, 1e308, -0.0, math.nan, math.inf, 1_795_000_000_000, 0.1)


class Pool(NamedTuple):
    """What records are put together from. Few values for many records: to draw each one would take all the time."""

    values: list[Any]
    texts: list[str]
    seed: int
    count: int


_texts = st.text(max_size=12) | st.sampled_from(ODD_TEXTS)
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _texts | st.sampled_from(ODD_NUMBERS)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4), max_leaves=8
)


def pools(count: int) -> st.SearchStrategy[Pool]:
    """`count`: of the records in each request."""
    return st.builds(
        Pool,
        st.lists(_values, min_size=1, max_size=12),
        st.lists(_texts, min_size=1, max_size=8),
        st.integers(0, 2**32),
        st.just(count),
    )


def random_pool(chance: Random, count: int) -> Pool:
    """The same without hypothesis, which remembers what it drew: too much for millions."""
    values = [_random_value(chance, 3) for _ in range(12)]
    return Pool(values, [_random_text(chance) for _ in range(8)], chance.randrange(2**32), count)


def _random_text(chance: Random) -> str:
    if chance.random() < 0.5:
        return chance.choice(ODD_TEXTS)
    return "".join(chr(chance.randrange(chance.choice((0x80, 0x3000, 0x110000)))) for _ in range(chance.randrange(12)))


def _random_value(chance: Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 6)
    if kind == 6:
        return [_random_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        return {_random_text(chance): _random_value(chance, depth - 1) for _ in range(chance.randrange(4))}
    scalars = (None, chance.random() < 0.5, chance.randrange(-1000, 1000), chance.choice(ODD_NUMBERS))
    return scalars[kind] if kind < 4 else _random_text(chance)


def records(pool: Pool) -> list[Any]:
    """The records of one request, always the same for a pool."""
    chance = Random(pool.seed)  # noqa: S311 it must come out the same again
    return [_record(chance, pool) for _ in range(pool.count)]


def body(pool: Pool) -> bytes:
    """As a client may write it: NaN, lone surrogates and all."""
    return json.dumps({"d": records(pool)}, ensure_ascii=True).encode()


def broken(pool: Pool) -> bytes:
    """A small body with some bytes changed, or cut off."""
    chance = Random(pool.seed)  # noqa: S311 as above
    raw = bytearray(body(pool._replace(count=3)))
    for _ in range(chance.randrange(1, 4)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw[: chance.choice((len(raw), chance.randrange(len(raw))))])


def _record(chance: Random, pool: Pool) -> Any:
    if chance.random() < 0.02:
        return chance.choice(pool.values)
    kind = chance.choice(("event", "event", "event", "profile", "profile", "token"))
    record: dict[str, Any] = {"type": kind, **_who(chance, pool)}
    if kind == "event":
        record |= {"evtName": chance.choice(NAMES), "evtData": _data(chance, pool, KEYS)}
    elif kind == "profile":
        record["profileData"] = _data(chance, pool, STANDARD)
    else:
        record["tokenData"] = {"id": chance.choice(pool.texts), "type": chance.choice(("apns", "fcm", "chrome", "no"))}
    if chance.random() < 0.5:
        record["ts"] = 1_700_000_000 + chance.randrange(10**6)
    if chance.random() < 0.2:
        record["uid"] = chance.choice(pool.texts)
    if chance.random() < 0.25:  # something of any kind in any place
        record[chance.choice([*record, "ts", "uid", "extra"])] = chance.choice(pool.values)
    return record


def _who(chance: Random, pool: Pool) -> dict[str, Any]:
    """Few people with many names, so that they meet, log in and become one."""
    number = chance.randrange(40)
    names = {
        "identity": chance.choice((f"user-{number}", number, "a@example.com", chance.choice(pool.texts))),
        "objectId": chance.choice(
            (f"__g{number % 25}", f"-ios{number}", (text := chance.choice(pool.texts)), f"__g{text}")
        ),
        "FBID": f"fb{number % 10}",
        "GPID": f"gp{number % 10}",
    }
    return {name: names[name] for name in names if chance.random() < (0.6 if name in ("identity", "objectId") else 0.1)}


def _data(chance: Random, pool: Pool, keys: tuple[str, ...]) -> dict[str, Any]:
    return {
        chance.choice(keys) if chance.random() < 0.8 else chance.choice(pool.texts): _datum(chance, pool)
        for _ in range(chance.randrange(6))
    }


def _datum(chance: Random, pool: Pool) -> Any:
    value = chance.choice(pool.values if chance.random() < 0.4 else CONTACTS)
    return {chance.choice(OPERATORS): value} if chance.random() < 0.2 else value
