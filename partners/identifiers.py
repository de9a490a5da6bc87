"""Which identifier of a person goes out as the user id: the mapping first, then the export's priority."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from partners.contract import NO_CONTACT, Contact, Contacts, EncodeOptions, Record

P = TypeVar("P")
KEPT = 20_000  # people


class Identifiers(Generic[P]):
    """Chooses by the options of one run. check: what a partner says is wrong with an identifier, None when it is fine.

    Contacts are looked up where a record itself does not tell its user id, and kept for its like: a slice is short.
    """

    def __init__(self, options: EncodeOptions, check: Callable[[str], P | None]) -> None:
        self.order = tuple(dict.fromkeys((options.settings["user_id_mapping"], *options.identifier_priority)))
        self._check = check
        self._found: dict[int, Contact] = {}

    def contacts(self, records: Sequence[Record], look_up: Contacts) -> Iterable[Contact]:
        """The contact of each record's person."""
        if len(self._found) >= KEPT:
            self._found.clear()
        by_record = self.order[0] == "identity"
        wanting = {r.person_id for r in records if not (by_record and self._is_usable(r.identity))}
        if new := wanting - self._found.keys():
            self._found.update(dict.fromkeys(new, NO_CONTACT) | look_up(new))
        return (self._found.get(record.person_id, NO_CONTACT) for record in records)

    def user_id(self, record: Record, contact: Contact) -> tuple[str | None, P | None]:
        """The first usable identifier; else what is wrong with the first that is there at all."""
        first_problem = None
        for kind in self.order:
            value = record.identity if kind == "identity" else getattr(contact, kind)
            if value:
                problem = self._check(value)
                if problem is None:
                    return value, None
                first_problem = first_problem or problem
        return None, first_problem

    def _is_usable(self, identity: str | None) -> bool:
        return identity is not None and self._check(identity) is None
