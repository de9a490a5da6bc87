"""Counts of exports and runs: sums over their shards, made for the rows that were fetched and for no others."""

from functools import cache
from typing import Any, ClassVar, Self, TypeVar

import orjson
from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import F, Func, Subquery, Sum, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import JSONObject

COUNTED = TypeVar("COUNTED", bound=models.Model)
SETTLED = ("delivered", "rejected", "held", "skipped")
COUNTS = ("read", *SETTLED)
OUT = ("in_flight", "unconfirmed")  # without an answer yet; those sent again are counted apart
ANY_KEYS = [-1]  # stands for the keys of rows
TALLIES = (*COUNTS, *OUT)
SUMS = {name: Sum(name) for name in COUNTS} | {name: Sum(F(name) + F(f"{name}_again")) for name in OUT}


def is_any_of(column: str, keys: models.QuerySet[Any]) -> Func:
    """column = ANY (ARRAY (keys)): read from an index in order, where a join or IN looks it up key by key."""
    return Func(
        F(column),
        ArraySubquery(keys),
        template="%(expressions)s)",
        arg_joiner=" = ANY (",
        output_field=models.BooleanField(),
    )


class CountedQuerySet(models.QuerySet[COUNTED]):
    """Adds sums to rows once they have been read, by one query for all of them, as prefetch_related() adds rows.

    In the query itself they would be made for every row that is passed on the way to a page: a hundred thousand sums
    for the last page of a list. So they are attributes of rows; nothing is filtered or ordered by them.
    """

    summed: ClassVar[dict[str, Any]]
    _counted = False

    def with_counts(self) -> Self:
        """Each row gets the attributes of `summed`, 0 where it has no shards."""
        clone = self.all()
        clone._counted = True
        return clone

    def shards(self) -> models.QuerySet[Any]:
        """The shards of the row OuterRef("pk"), as one group."""
        raise NotImplementedError

    def purged(self) -> Combinable:
        """JSON of the counts of what the row OuterRef("pk") had and is gone; null when nothing is."""
        return Value(None, output_field=models.JSONField())

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._counted = self._counted
        return clone

    def _fetch_all(self) -> None:
        is_read = self._result_cache is not None
        super()._fetch_all()
        if self._counted and not is_read and self._fields is None:  # type: ignore[attr-defined]
            self._add_counts(self._result_cache or [])

    def _add_counts(self, rows: list[Any]) -> None:
        """A subquery per row: joined, one export with very many runs would make PostgreSQL read all shards."""
        if not rows:
            return
        statement, parameters = _counting(self.model)
        keys = [row.pk for row in rows]
        with connection.cursor() as cursor:
            cursor.execute(statement, [keys if one == ANY_KEYS else one for one in parameters])
            found = {key: [orjson.loads(text or "null") or {} for text in texts] for key, *texts in cursor.fetchall()}
        for row in rows:
            counts = found.get(row.pk, ())
            for name in self.summed:
                setattr(row, name, sum(some.get(name) or 0 for some in counts))


@cache
def _counting(model: type[models.Model]) -> tuple[str, tuple[Any, ...]]:
    """The statement that sums up the shards of the rows with ANY_KEYS. Made once: Django would compile it each time."""
    rows: Any = model._default_manager.all()
    wanted = Func(
        F("pk"),
        Value(ANY_KEYS, output_field=ArrayField(models.BigIntegerField())),
        template="%(expressions)s)",
        arg_joiner=" = ANY (",
        output_field=models.BooleanField(),
    )
    sums = rows.shards().annotate(sums=JSONObject(**rows.summed)).order_by().values("sums")
    found = rows.filter(wanted).values_list("pk", Subquery(sums), rows.purged())
    statement, parameters = found.order_by().query.sql_with_params()
    return statement, parameters
