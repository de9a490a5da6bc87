"""Watches exports and tells their projects what changed: on change only, and many at once in one notification.

What is wrong is kept as Alert rows; `watch` and `runs_ended` bring them up to date, `tell` makes notifications of them.
Exports that fail for one reason are those of one integration: it is told of each kind at most every QUIET.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Q, Sum
from django.urls import reverse

from exports.lag import lags
from exports.models import Alert, Export, Frequency, Run, Shard, Status
from exports_portal.common import words
from notifications import actions as notifications
from notifications.actions import News
from notifications.models import Kind, Preferences
from projects.models import Project

WATCH_SECONDS = 10.0
FAILING_AFTER = timedelta(minutes=2)  # a passing fault is over by then; one that a person must mend is told at once
QUIET = timedelta(minutes=10)
ENOUGH_RECORDS = 20  # less tell nothing about a share
NAMED = 10  # exports in one notification
AT_ONCE = 5_000
_watched_at = -WATCH_SECONDS

# The last windows of each export, newest first: whether `empty_windows` of them, or more, had nothing to read.
# Summed window by window: the planner cannot know how few they are, and would join all shards that there are.
EMPTY = """
SELECT e.id FROM exports_export e
  LEFT JOIN notifications_preferences p ON p.project_id = e.project_id
 CROSS JOIN LATERAL (
    SELECT count(*) AS windows, sum((SELECT sum(read) FROM exports_shard WHERE run_id = r.id)) AS read FROM (
        SELECT id FROM exports_run WHERE export_id = e.id AND status = 'DONE'
         ORDER BY sequence DESC LIMIT coalesce(p.empty_windows, %(windows)s)) AS r) AS last
 WHERE e.id = ANY(%(exports)s) AND e.status IN ('PENDING', 'RUNNING') AND last.read = 0
   AND last.windows >= coalesce(p.empty_windows, %(windows)s)
"""


def watch_seldom(*, now: datetime) -> None:
    """`watch` and `tell`, at most every WATCH_SECONDS: for the tick."""
    global _watched_at
    if monotonic() - _watched_at >= WATCH_SECONDS:
        _watched_at = monotonic()
        watch(now=now)
        tell(now=now)


def watch(*, now: datetime) -> None:
    """Bring alerts up to date with what is going on. Costs what is active."""
    limits = _Limits()
    _update(Kind.FAILING, _failing(now), now=now)
    _update(Kind.LAG, _lagging(limits, now), now=now)
    live, others = _shares_of_live(), _shares_of_reading()
    wrong = _over_share({**others, **live}, limits)
    _update(Kind.REJECTED, wrong, now=now, looked_at=_telling(live))  # the others are judged once they have ended
    told = Alert.objects.filter(kind__in=(Kind.REJECTED, Kind.EMPTY), notified_at__isnull=False)
    told.filter(export__status__in=(Status.DONE, Status.STOPPED)).delete()  # no run of theirs will end them


@transaction.atomic
def runs_ended(run_ids: Sequence[int], *, now: datetime) -> None:
    """Look at runs that have just ended, each once: how much of them was rejected, and whether any had records."""
    if not run_ids:
        return
    ended = Run.objects.filter(pk__in=run_ids, status=Status.DONE).exclude(export__frequency=Frequency.LIVE)
    about = ended.values_list("export", "export__project")
    sums = about.annotate(refused=Sum("shards__rejected"), total=Sum("shards__read"))
    shares = {export: _Share(*share) for export, *share in sums}
    _update(Kind.REJECTED, _over_share(shares, _Limits()), now=now, looked_at=_telling(shares))
    recurring = Export.objects.filter(pk__in=shares, frequency=Frequency.RECURRING)
    looked_at = set(recurring.values_list("pk", flat=True))
    _update(Kind.EMPTY, _empty(looked_at), now=now, looked_at=looked_at)


def stopped(export: Export, *, reason: str, now: datetime) -> None:
    """The portal itself stopped it. Call it in the transaction of the stop."""
    Alert.objects.update_or_create(
        export=export, kind=Kind.STOPPED, defaults={"message": reason, "since": now, "notified_at": None}
    )


class _Share(NamedTuple):
    """Of so many records so many were rejected."""

    project_id: int
    rejected: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.rejected / self.of if self.of else 0.0

    def __str__(self) -> str:
        return f"{self.rejected:,} of {words.counted(self.of, 'record')} were rejected ({self.percent:.0f}%)."


class _Limits:
    """The projects' preferences, read once."""

    def __init__(self) -> None:
        self._by_project = {row.project_id: row for row in Preferences.objects.defer("webhook")}

    def of(self, project_id: int) -> Preferences:
        return self._by_project.get(project_id) or Preferences(project_id=project_id)


def _failing(now: datetime) -> dict[int, str]:
    long = Q(needs_attention=True) | Q(failing_since__lte=now - FAILING_AFTER)
    long |= Q(integration__recoveries__gt=0)  # only an empty list got through since: that is no recovery to tell of
    return dict(Export.objects.active().filter(long, failing_since__isnull=False).values_list("pk", "last_error"))


def _lagging(limits: _Limits, now: datetime) -> dict[int, str]:
    live = {export.pk: export for export in Export.objects.live()}
    return {
        pk: f"The oldest record that waits was captured {words.duration(lag.seconds)} ago."
        for pk, lag in lags(live.values(), now=now).items()
        if lag.seconds > 60 * limits.of(live[pk].project_id).lag_minutes
    }


def _over_share(shares: Mapping[int, _Share], limits: _Limits) -> dict[int, str]:
    return {
        key: str(share)
        for key, share in shares.items()
        if share.of >= ENOUGH_RECORDS and share.percent > limits.of(share.project_id).rejected_percent
    }


def _shares_of_reading() -> dict[int, _Share]:
    """Of runs that have an end and are not there yet."""
    reading = Shard.objects.filter(open=True).exclude(run__export__frequency=Frequency.LIVE)
    about = reading.values_list("run__export", "run__export__project")
    sums = about.annotate(refused=Sum("rejected"), total=Sum("read")).order_by()
    return {export: _Share(*share) for export, *share in sums}


def _shares_of_live() -> dict[int, _Share]:
    """Of the last two hours in which a live export sent something."""
    live = Shard.objects.filter(open=True, run__export__frequency=Frequency.LIVE).exclude(hours={})
    found = {}
    for export, project, hours in live.values_list("run__export", "run__export__project", "hours"):
        last = [hours[hour] for hour in sorted(hours, key=datetime.fromisoformat)[-2:]]
        rejected = sum(counts[1] for counts in last)
        found[export] = _Share(project, rejected, rejected + sum(counts[0] for counts in last))
    return found


def _telling(shares: Mapping[int, _Share]) -> set[int]:
    """Those of enough records to say that all is well again."""
    return {key for key, share in shares.items() if share.of >= ENOUGH_RECORDS}


def _empty(export_ids: Collection[int]) -> dict[int, str]:
    windows = Preferences._meta.get_field("empty_windows").default
    with connection.cursor() as cursor:
        cursor.execute(EMPTY, {"exports": list(export_ids), "windows": windows})
        found = [pk for (pk,) in cursor.fetchall()]
    message = "The last windows had no records. Is anything captured, and are the chosen events the right ones?"
    return dict.fromkeys(found, message)


def _update(kind: str, wrong: Mapping[int, str], *, now: datetime, looked_at: Collection[int] | None = None) -> None:
    """Keep alerts of a kind for the exports of `wrong`, and end those of the others that were looked at (None: all)."""
    there = Alert.objects.filter(kind=kind).select_related("export")
    if looked_at is not None:
        there = there.filter(export__in=wrong.keys() | set(looked_at))
    known = {alert.export_id: alert for alert in there}
    new = [
        Alert(export_id=key, kind=kind, message=message, since=now)
        for key, message in wrong.items()
        if key not in known
    ]
    Alert.objects.bulk_create(new, ignore_conflicts=True)
    back = [alert.pk for key, alert in known.items() if key in wrong and alert.resolved_at]
    Alert.objects.filter(pk__in=back).update(resolved_at=None)
    over = [alert for key, alert in known.items() if key not in wrong]
    to_tell = [alert.pk for alert in over if _is_recovery(alert)]
    Alert.objects.filter(pk__in=to_tell, resolved_at=None).update(resolved_at=now)
    Alert.objects.filter(pk__in=[alert.pk for alert in over if not _is_recovery(alert)]).delete()


def _is_recovery(alert: Alert) -> bool:
    """Whether its end is good news for somebody who knows of it; that of a stopped export is none."""
    told = alert.notified_at is not None and alert.kind in (Kind.FAILING, Kind.LAG)
    return told and alert.export.status != Status.STOPPED


def tell(*, now: datetime) -> None:
    """Make notifications of alerts that people do not know of, unless they heard of the same a moment ago."""
    waiting = Alert.objects.filter(Q(notified_at=None) | Q(resolved_at__isnull=False)).order_by("pk")
    groups: dict[tuple[Project, str, str], list[Alert]] = defaultdict(list)
    alerts = waiting.select_related("export__project", "export__integration").defer("export__integration__secrets")
    for alert in alerts[:AT_ONCE]:
        kind = str(Kind.RECOVERED) if alert.resolved_at else alert.kind
        groups[alert.export.project, kind, f"integration:{alert.export.integration_id}"].append(alert)
    for (project, kind, topic), group in groups.items():
        if notifications.is_quiet(project=project, kind=kind, topic=topic, since=now - QUIET):
            _tell(project, kind, topic, group, now=now)


@transaction.atomic
def _tell(project: Project, kind: str, topic: str, group: Sequence[Alert], *, now: datetime) -> None:
    notifications.notify(project=project, news=_news(project, kind, topic, group), now=now)
    rows = Alert.objects.filter(pk__in=[alert.pk for alert in group])
    if kind in (Kind.RECOVERED, Kind.STOPPED):
        rows.delete()
    else:
        rows.update(notified_at=now)


WHAT = {
    Kind.FAILING: ("cannot send", "cannot send"),
    Kind.RECOVERED: ("sends again", "send again"),
    Kind.STOPPED: ("was stopped by the portal", "were stopped by the portal"),
    Kind.REJECTED: ("has many rejected records", "have many rejected records"),
    Kind.EMPTY: ("has had nothing to send", "have had nothing to send"),
    Kind.LAG: ("lags behind", "lag behind"),
}


def _news(project: Project, kind: str, topic: str, group: Sequence[Alert]) -> News:
    one, many = WHAT[Kind(kind)]
    exports = sorted((alert.export for alert in group), key=attrgetter("pk"))
    reasons = [] if kind == Kind.RECOVERED else list(dict.fromkeys(alert.message for alert in group if alert.message))
    first = exports[0]
    if len(exports) == 1:
        path = reverse("exports:export-view", args=[project.account_id, first.pk])
        title, names = f"“{first.label}” {one}", []
    else:
        path = reverse("exports:export-list", args=[project.account_id])
        title = f"{len(exports):,} exports to “{first.integration.nickname}” {many}"
        names = [_names(exports)]
    text = "\n".join([*names, *islice(reasons, 3)])
    return News(kind, title, text=text, topic=topic, path=path, exports=[export.pk for export in exports])


def _names(exports: Iterable[Export]) -> str:
    labels = [f"“{export.label}”" for export in exports]
    more = f" and {len(labels) - NAMED:,} more" if len(labels) > NAMED else ""
    return f"{', '.join(labels[:NAMED])}{more}."
