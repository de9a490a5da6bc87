"""All records of the made-up shop, local day by local day, each day in order of time."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from events.demo import words
from events.demo.people import Shopper, shoppers
from events.demo.visits import Record, Visit, campaign, moment

EVENTS_PER_VISIT = 7.55  # measured; the last day that is not over yet included
CAMPAIGN_SHARE = 0.2  # of all events
EVENTS_PER_MESSAGE = 2.05


def records_by_day(
    *, seed: int, events: int, people: int, days: int, tz: ZoneInfo, now: datetime
) -> Iterator[list[Record]]:
    """One list per local day, the last one up to `now`. About `events` events altogether."""
    random = Random(seed)  # noqa: S311 the same shop for the same seed
    crowd = shoppers(random, people, days)
    today = now.astimezone(tz).date()
    yield _first_profiles(crowd, today - timedelta(days=days), tz)
    for index in range(days):
        day = today - timedelta(days=days - 1 - index)
        records = list(_day(random, crowd, index, day, tz, events / days))
        records.sort(key=lambda record: record["ts"])
        yield [record for record in records if record["ts"] <= now.timestamp()]


def _first_profiles(crowd: list[Shopper], day: date, tz: ZoneInfo) -> list[Record]:
    """Those who were there before the first day."""
    ts = int(datetime.combine(day, time(12), tz).timestamp())
    return [
        {"type": "profile", "ts": ts, "identity": one.identity, "objectId": one.device, "profileData": one.profile}
        for one in crowd
        if one.signed_in and one.identity
    ]


def _day(random: Random, crowd: list[Shopper], index: int, day: date, tz: ZoneInfo, events: float) -> Iterator[Record]:
    midnight = datetime.combine(day, time(), tz)
    present = [one for one in crowd if one.joined < index]
    version = words.APP_VERSIONS[min(index // 17, len(words.APP_VERSIONS) - 1)]
    share = words.WEEKDAYS[day.weekday()]
    visits = int(events * (1 - CAMPAIGN_SHARE) * share / EVENTS_PER_VISIT)
    starts = sorted(moment(random, midnight) for _ in range(visits))
    new = [one for one in crowd if one.joined == index]
    returning = random.choices(present, [one.weight for one in present], k=max(0, visits - len(new))) if present else []
    visitors = [(one, True) for one in new] + [(one, False) for one in returning]
    random.shuffle(visitors)
    for start, (shopper, installs) in zip(starts, visitors, strict=False):
        yield from Visit(random, shopper, start, version).records(installs=installs)
    reached = int(events * CAMPAIGN_SHARE * share / EVENTS_PER_MESSAGE)
    addressed = random.sample(present, min(reached, len(present)))
    yield from campaign(random, addressed, day, index, int((midnight + timedelta(hours=18)).timestamp()))
