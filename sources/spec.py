"""What people ask for when they create or edit a source, and the rules that it must meet.

The web form and the REST API both fill a SourceSpec; the rules stand here once.
"""

from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from exports_portal.common.errors import Invalid
from projects.zones import zone_names
from sources.clevertap import REGIONS
from sources.models import Source

NAMES = 100
NAME_CHARACTERS = 512
FIRST_DAY = date(2013, 1, 1)  # CleverTap is not older


@dataclass(frozen=True)
class SourceSpec:
    """The writable fields of a source, named as in the REST API. Days are those of the account.

    date_to None: on and on, day by day. passcode "": the present one stays.
    """

    account_id: str
    region: str
    timezone: str
    events: list[str]
    date_from: date | None
    date_to: date | None = None
    passcode: str = field(default="", repr=False)

    def cleaned(self) -> "SourceSpec":
        """Without spaces around, empty names and repeated ones."""
        names = list(dict.fromkeys(name.strip() for name in self.events if name.strip()))
        return replace(self, account_id=self.account_id.strip(), passcode=self.passcode.strip(), events=names)

    def check(self, *, is_new: bool, now: datetime) -> None:
        """Raises Invalid with all that is wrong."""
        errors = {
            "account_id": _account_errors(self.account_id),
            "passcode": _passcode_errors(self.passcode, is_needed=is_new),
            "region": [] if self.region in REGIONS else [f"Choose one of: {', '.join(REGIONS)}."],
            "timezone": [] if self.timezone in zone_names() else [f"There is no time zone “{self.timezone}”."],
            "events": _name_errors(self.events),
        }
        if not errors["timezone"]:
            errors |= self._day_errors(now)
        if found := {name: texts for name, texts in errors.items() if texts}:
            raise Invalid(found)

    def _day_errors(self, now: datetime) -> dict[str, list[str]]:
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        if self.date_from is None:
            return {"date_from": ["Enter the first day."]}
        if not FIRST_DAY <= self.date_from <= today:
            return {"date_from": [f"The first day must lie between {FIRST_DAY:%d %b %Y} and today."]}
        if self.date_to is not None and self.date_to < self.date_from:
            return {"date_to": ["The last day lies before the first."]}
        return {}


KEPT = tuple(one.name for one in fields(SourceSpec) if one.name != "passcode")


def spec_of(source: Source) -> SourceSpec:
    """The spec that changes nothing."""
    return SourceSpec(**{name: getattr(source, name) for name in KEPT})


def _account_errors(account_id: str) -> list[str]:
    if not account_id:
        return ["Enter the account ID, which CleverTap shows under Settings > Project."]
    is_fine = len(account_id) <= 64 and account_id.isascii() and account_id.isprintable() and " " not in account_id
    return [] if is_fine else ["An account ID looks like ABC-DEF-GHIJ."]


def _passcode_errors(passcode: str, *, is_needed: bool) -> list[str]:
    if not passcode:
        return ["Enter a passcode of the account."] if is_needed else []
    is_fine = len(passcode) <= 200 and passcode.isascii() and passcode.isprintable()
    return [] if is_fine else ["A passcode is one word of letters, digits and signs."]


def _name_errors(names: list[str]) -> list[str]:
    if not names:
        return ["Enter the events to import, one on each line."]
    if len(names) > NAMES:
        return [f"These are {len(names)} events; {NAMES} is the most of one source."]
    odd = [name for name in names if len(name) > NAME_CHARACTERS or not name.isprintable()]
    return [f"“{odd[0][:40]}” cannot be an event name."] if odd else []
