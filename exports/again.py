"""Making a new export from an old one: a duplicate, or one that goes on where a stopped one stood."""

import re
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max, Sum
from django.db.models.functions import Greatest

from events import logs, purge
from exports import actions, runs, schedule
from exports.models import Export, Frequency, Held, Run, Shard, Status
from exports.rejected import REPEATS_KNOWN, ConsentNeeded
from exports.spec import MAX_NAME, ExportSpec, check, spec_of
from exports_portal.common import audit, bells
from exports_portal.common.audit import Actor
from exports_portal.common.errors import Refused
from exports_portal.common.log_context import request_id
from projects import access

NUMBERED = re.compile(r" \((copy|continued)( \d+)?\)$")
TAKE_HELD = """
INSERT INTO exports_held (export_id, shard_id, record_id, ids, not_before, message)
SELECT %s, %s, record_id, ids, not_before, message FROM exports_held WHERE export_id = %s ORDER BY id
"""


def duplicate_export(*, export: Export, by: Actor, now: datetime) -> Export:
    """Create the same export once more, under a name of its own."""
    return actions.create_export(project=export.project, spec=copy_of(export, now=now), by=by, now=now)


def copy_of(export: Export, *, now: datetime) -> ExportSpec:
    """What a duplicate would be. Days that lie too far back by now become the oldest ones allowed."""
    return replace(fresh_spec(export, now=now), name=another_name(export, "copy"))


def another_name(export: Export, kind: str) -> str:
    """What a new export may be called, so that the two can be told apart: "October (copy)", then "October (copy 2)"."""
    stem = NUMBERED.sub("", export.label)[: MAX_NAME - 20]
    taken = set(export.project.exports.filter(name__startswith=stem).values_list("name", flat=True))
    names = (f"{stem} ({kind}{f' {number}' if number > 1 else ''})" for number in count(1))
    return next(name for name in names if name not in taken)


def fresh_spec(export: Export, *, now: datetime) -> ExportSpec:
    """The spec of a new export like this one, with dates that may be chosen today."""
    spec, today = spec_of(export), now.astimezone(export.project.tz).date()
    oldest = schedule.oldest_day(today)
    dates = {name: getattr(spec, name) for name in ("date_from", "date_to", "start_date")}
    spec = replace(spec, **{name: value and max(value, oldest) for name, value in dates.items()})
    return replace(spec, start_date=spec.start_date and max(spec.start_date, today))


@transaction.atomic
def continue_export(*, export: Export, consent: bool = False, by: Actor, now: datetime) -> Export:
    """A new export that begins at the cursor of a stopped one and takes over what it held. Once per export.

    The old one keeps its counts, its held records are shown as not sent there. What may have been sent without an
    answer is sent again, with the same insert_ids; more than 7 days after the stop only with `consent`.
    Raises Invalid, Refused, ConsentNeeded and PermissionDenied.
    """
    access.require(by, export.project, *access.EDITORS)
    actions.hold_integrations(export.integration_id)
    old = actions.locked(export)
    _refuse_unless_stopped(old)
    _fence_off(old)
    reading = Run.objects.filter(export=old, reading=True).order_by("sequence").first()
    _refuse_if_purged(old, reading)
    if reading is not None and not consent:
        _ask_consent(reading, now=now)
    spec = replace(spec_of(old), name=another_name(old, "continued"))
    integration = check(spec, project=old.project, now=now, previous=spec)
    new = Export(
        project=old.project,
        created_by=actions.user_of(by),
        created_at=now,
        updated_at=now,
        exported_on=now,
        captured_from=old.captured_from,
        next_tx_id=old.next_tx_id,
        continues=old,
    )
    new.apply(spec, integration)
    actions.share_fault(new, now=now)
    new.next_run_at = _next_run(old, reading, now=now)
    new.save()
    audit.record(
        action="export.continue", by=by, now=now, project_id=new.project_id, target=new, after={"export": old.pk}
    )
    _take_over(old, new, reading, now=now)
    transaction.on_commit(bells.ring_tick)
    return new


def _refuse_unless_stopped(export: Export) -> None:
    if export.frequency == Frequency.ONE_TIME:
        raise Refused("A one-time export cannot be continued. Duplicate it instead.")
    if export.status != Status.STOPPED:
        raise Refused(f"This export is {export.status}. Only a STOPPED one can be continued.")
    if Export.objects.filter(continues=export).exists():
        raise Refused("This export has been continued already.")


def _refuse_if_purged(old: Export, reading: Run | None) -> None:
    """What it would go on with must be there without a gap. Until the end of the transaction it stays."""
    gone = purge.hold(old.project_id, logs.CHANGES if old.of_profiles else logs.EVENTS)
    place = (old.next_tx_id, 0)
    if reading is not None:
        cursors = reading.shards.filter(reading=True).values_list("cursor_tx_id", "cursor_id")
        place = max((reading.from_tx_id, 0), min(cursors, default=place))
    if gone.received_until is None or place >= (gone.tx_id, gone.row_id) or old.captured_from > gone.received_until:
        return
    raise Refused(
        "Records that it would go on with are not kept any more: the project keeps them for a limited time. "
        "Create a new export."
    )


def _ask_consent(reading: Run, *, now: datetime) -> None:
    """Repeats of what the partner has taken without telling are recognised for some time only."""
    count = reading.shards.aggregate(count=Sum("unconfirmed"))["count"]
    if count and reading.finished_at is not None and reading.finished_at < now - REPEATS_KNOWN:
        what = "1 record was" if count == 1 else f"{count:,} records were"
        raise ConsentNeeded(
            f"{what} sent without an answer more than 7 days ago. The partner recognises repeats for 7 days only: what "
            "it has taken would count twice. Confirm that you want this."
        )


def _fence_off(old: Export) -> None:
    """A request that is still out writes nothing any more: the new export sends its records again, and counts them."""
    Shard.objects.filter(run__export=old, run__status=Status.STOPPED).update(
        fence=F("fence") + 1,
        unconfirmed=Greatest("unconfirmed", "in_flight"),
        in_flight=0,
        unconfirmed_again=Greatest("unconfirmed_again", "in_flight_again"),
        in_flight_again=0,
    )


def _next_run(old: Export, reading: Run | None, *, now: datetime) -> datetime:
    """A boundary that has passed since the last window is made up for at once.

    Live goes on at once too, unless it takes over a run that streams already.
    """
    if old.frequency == Frequency.LIVE and (reading is None or not reading.is_endless):
        return now
    end = old.runs.aggregate(end=Max("window_end"))["end"] or old.captured_from
    return max(now, runs.next_run_at(old, after=end))


def _take_over(old: Export, new: Export, reading: Run | None, *, now: datetime) -> None:
    held = Held.objects.filter(export=old).count()
    if reading is None and not held:
        return
    run = _same_window(reading, old, new, now=now)
    shards = (
        [_from_cursor(shard, run) for shard in reading.shards.order_by("index")]
        if reading
        else [Shard(run=run, index=0, of=1, reading=False, open=True)]
    )
    shards[0].read = shards[0].held = shards[0].taken_over = held
    shards[0].open |= held > 0
    Shard.objects.bulk_create(shards)
    with connection.cursor() as cursor:
        cursor.execute(TAKE_HELD, [new.pk, shards[0].pk, old.pk])


def _same_window(reading: Run | None, old: Export, new: Export, *, now: datetime) -> Run:
    """The window that was being read; for held records alone an empty one at its end."""
    start = old.runs.aggregate(end=Max("window_end"))["end"] or old.captured_from
    window: dict[str, Any] = {"window_start": start, "window_end": start}
    window |= {"from_tx_id": old.next_tx_id, "until_tx_id": old.next_tx_id, "axis": "position"}
    if reading is not None:
        window = {name: getattr(reading, name) for name in (*window, "estimate")}
    settings = runs.frozen_settings(new, sent_before=reading or old.runs.order_by("sequence").last())
    return Run.objects.create(
        export=new,
        integration=new.integration,
        sequence=1,
        settings=settings,
        reading=reading is not None,
        created_at=now,
        request_id=request_id(),
        **window,
    )


def _from_cursor(shard: Shard, run: Run) -> Shard:
    return Shard(
        run=run,
        index=shard.index,
        of=shard.of,
        open=shard.reading,
        reading=shard.reading,
        batch_records=shard.batch_records,
        cursor_tx_id=shard.cursor_tx_id,
        cursor_id=shard.cursor_id,
        start_tx_id=shard.cursor_tx_id,
        start_id=shard.cursor_id,
    )
