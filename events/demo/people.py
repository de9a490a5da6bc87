"""The people of the made-up shop."""

from dataclasses import dataclass
from random import Random
from typing import Any

from events.demo import words

ANONYMOUS_SHARE = 0.08
NEW_SHARE = 0.35  # installed the app within the days shown
TESTERS = ("qa-1", "qa-2", "qa-3")  # ids shorter than partners like, as real apps have them


@dataclass
class Shopper:
    """identity None: never signs in. joined: index of the day of the installation, below 0 when before the first."""

    identity: str | None
    device: str
    platform: str
    base: dict[str, Any]
    profile: dict[str, Any]
    joined: int
    weight: float
    signed_in: bool = False


def shoppers(random: Random, count: int, days: int) -> list[Shopper]:
    return [_shopper(random, number, days) for number in range(count)]


def _shopper(random: Random, number: int, days: int) -> Shopper:
    is_ios = random.random() < 0.15
    city, latitude, longitude, _ = random.choices(words.CITIES, [city[3] for city in words.CITIES])[0]
    model, system = random.choice(words.IPHONES if is_ios else words.ANDROIDS)
    joined = random.randrange(days) if random.random() < NEW_SHARE else -1
    identity = None if random.random() < ANONYMOUS_SHARE else f"KM-{100_000 + number * 7}"
    if number < len(TESTERS):
        identity = TESTERS[number]
    return Shopper(
        identity=identity,
        device=f"{'-' if is_ios else '__'}{random.getrandbits(128):032x}",
        platform="iOS" if is_ios else "Android",
        base={
            "CT OS Version": system,
            "Model": model,
            "CT Network Carrier": random.choice(words.CARRIERS),
            "CT Latitude": round(latitude + random.uniform(-0.1, 0.1), 4),
            "CT Longitude": round(longitude + random.uniform(-0.1, 0.1), 4),
            "CT Source": "Mobile",
        },
        profile=_profile(random, number, city),
        joined=joined,
        weight=random.paretovariate(1.6),
        signed_in=joined < 0,
    )


def _profile(random: Random, number: int, city: str) -> dict[str, Any]:
    first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
    language = random.choices(words.LANGUAGES, [share for _, share in words.LANGUAGES])[0][0]
    profile: dict[str, Any] = {"Name": f"{first} {last}", "City": city, "Language": language}
    if random.random() < 0.7:
        profile["Email"] = f"shopper{number}@example.com"
    if random.random() < 0.85:
        profile["Phone"] = f"+9190000{number:05}"
    if random.random() < 0.2:
        profile["Plus Member"] = True
    return profile
