"""Admin: the logs, people and the catalogue. All of it is read-only; `events.ingest` is the only writer."""

from typing import ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.lifetimes import lifetimes
from events.models import (
    DailyCount,
    Erased,
    Erasure,
    Event,
    EventName,
    Identifier,
    LogBase,
    Person,
    ProfileChange,
    PropertySeen,
    PurgedLog,
    RefusedUpload,
    RollupPosition,
)
from exports_portal.common.admin import BigTableAdmin, ReadOnlyAdmin, link, list_link, pretty


class LogAdmin(BigTableAdmin):
    """A log: newest first, within a project along its index by position."""

    list_filter = ("project",)
    list_select_related: ClassVar[tuple[str, ...]] = ("project", "person")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Order by id alone would walk over all other projects' rows."""
        one_project = "project__id__exact" in request.GET
        return ("project", "-tx_id", "-id") if one_project else ("-id",)

    @admin.display(description="person")
    def person_link(self, row: Event | ProfileChange) -> SafeString | str:
        return link(row.person)


@admin.register(Event)
class EventAdmin(LogAdmin):
    list_display = ("id", "name", "person_link", "occurred_at", "received_at", "project")
    list_select_related = ("project", "person", "name")
    fields = (
        "id",
        "uid",
        "project",
        "name_link",
        "person_link",
        "identity",
        "clevertap_id",
        "occurred_at",
        "received_at",
        "tx_id",
        "lane",
        "flags",
        "shown_properties",
    )
    readonly_fields = fields

    @admin.display(description="name")
    def name_link(self, event: Event) -> SafeString | str:
        return link(event.name)

    @admin.display(description="properties")
    def shown_properties(self, event: Event) -> SafeString:
        return pretty(event.properties)


@admin.register(ProfileChange)
class ProfileChangeAdmin(LogAdmin):
    list_display = ("id", "person_link", "received_at", "project")
    fields = (
        "id",
        "uid",
        "project",
        "person_link",
        "identity",
        "clevertap_id",
        "received_at",
        "tx_id",
        "set",
        "removed",
    )
    readonly_fields = fields

    @admin.display(description="set")
    def set(self, change: ProfileChange) -> SafeString:
        return pretty(change.changed)


@admin.register(Person)
class PersonAdmin(BigTableAdmin):
    list_display = ("id", "identity", "name", "email", "phone", "clevertap_id", "project")
    list_filter = ("project",)
    list_select_related = ("project",)
    fields = (
        "project",
        "identity",
        "clevertap_id",
        "name",
        "email",
        "phone",
        "shown_properties",
        "events",
        "identifiers",
        "merged_into",
        "created_at",
        "changed_at",
    )
    readonly_fields = fields

    @admin.display(description="properties")
    def shown_properties(self, person: Person) -> SafeString:
        return pretty(person.properties)

    @admin.display(description="events")
    def events(self, person: Person) -> SafeString:
        return pretty(lifetimes([person.pk]).get(person.pk, {}))

    @admin.display(description="identifiers")
    def identifiers(self, person: Person) -> SafeString:
        return list_link(Identifier, "identifiers", person__id=person.pk)


@admin.register(Identifier)
class IdentifierAdmin(BigTableAdmin):
    list_display = ("id", "kind", "value", "person_link", "project")
    list_filter = ("kind", "project")
    list_select_related = ("person", "project")
    fields = ("project", "kind", "value", "person_link")
    readonly_fields = fields

    @admin.display(description="person")
    def person_link(self, identifier: Identifier) -> SafeString | str:
        return link(identifier.person)


@admin.register(EventName)
class EventNameAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "count", "first_seen_at", "last_seen_at", "discarded_at", "project")
    list_filter = ("kind", "project")
    search_fields = ("name",)
    list_select_related = ("project",)
    fields = ("project", "name", "kind", "count", "first_seen_at", "last_seen_at", "discarded_at", "daily_counts")
    readonly_fields = fields

    @admin.display(description="daily counts")
    def daily_counts(self, name: EventName) -> SafeString:
        return list_link(DailyCount, "daily counts", name__id=name.pk)


@admin.register(PropertySeen)
class PropertySeenAdmin(BigTableAdmin):
    list_display = ("key", "type", "name", "count", "last_seen_at")
    list_select_related = ("name",)


@admin.register(RefusedUpload)
class RefusedUploadAdmin(BigTableAdmin):
    list_display = ("id", "received_at", "code", "error", "project")
    list_filter = ("project",)
    list_select_related = ("project",)


@admin.register(DailyCount)
class DailyCountAdmin(BigTableAdmin):
    list_display = ("day", "name", "count")
    list_select_related = ("name",)


@admin.register(RollupPosition)
class RollupPositionAdmin(ReadOnlyAdmin):
    list_display = ("project", "kind", "tx_id")
    list_select_related = ("project",)


@admin.register(LogBase)
class LogBaseAdmin(ReadOnlyAdmin):
    list_display = ("base", "system_identifier")


@admin.register(Erasure)
class ErasureAdmin(BigTableAdmin):
    list_display = ("id", "project", "requested_at", "first_pass_at", "finished_at")
    list_select_related = ("project",)
    fields = ("id", "project", "people", "tx_id", "requested_at", "first_pass_at", "finished_at", "erased")
    readonly_fields = fields

    @admin.display(description="erased records")
    def erased(self, erasure: Erasure) -> SafeString:
        return list_link(Erased, "erased records", erasure__id=erasure.pk)


@admin.register(Erased)
class ErasedAdmin(BigTableAdmin):
    list_display = ("id", "log", "record_id", "name", "occurred_at", "received_at", "project")
    list_select_related = ("project", "name")
    list_filter = ("log", "project")


@admin.register(PurgedLog)
class PurgedLogAdmin(ReadOnlyAdmin):
    list_display = ("project", "log", "records", "received_until", "happened_until", "tx_id", "row_id")
    list_select_related = ("project",)
