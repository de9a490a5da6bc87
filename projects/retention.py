"""How long a project keeps its data. None: for ever, which is what a new project does."""

from dataclasses import asdict, dataclass

from projects.models import LEAST_DAYS, Project

MOST_DAYS = 36_500


@dataclass(frozen=True)
class Retention:
    """Days: events and profile updates since their capture, rejected and skipped records and runs since the end of
    the run, the audit log since the act.
    """

    events: int | None = None
    rejected: int | None = None
    runs: int | None = None
    audit: int | None = None

    def errors(self) -> dict[str, list[str]]:
        """By the names of the fields of `Project`; empty when all is well."""
        return {
            field_of(name): [f"At least {LEAST_DAYS[name]} days, at most {MOST_DAYS:,}; empty keeps them for ever."]
            for name, days in asdict(self).items()
            if days is not None and not LEAST_DAYS[name] <= days <= MOST_DAYS
        }

    def as_fields(self) -> dict[str, int | None]:
        """The same under the names of the fields of `Project`."""
        return {field_of(name): days for name, days in asdict(self).items()}


def field_of(name: str) -> str:
    return f"keep_{name}_days"


def retention_of(project: Project) -> Retention:
    return Retention(**{name: getattr(project, field_of(name)) for name in LEAST_DAYS})
