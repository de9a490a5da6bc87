"""Amplitude's two data regions and their hosts."""

from collections.abc import Mapping
from enum import StrEnum


class Residency(StrEnum):
    """Where a project of Amplitude keeps its data. A key of one region is not known in the other."""

    EUROPE = "europe"
    STANDARD = "standard"

    @property
    def label(self) -> str:
        return "Europe" if self is Residency.EUROPE else "Standard"

    @property
    def other(self) -> "Residency":
        return Residency.STANDARD if self is Residency.EUROPE else Residency.EUROPE


HOSTS: Mapping[Residency, str] = {
    Residency.EUROPE: "https://api.eu.amplitude.com",
    Residency.STANDARD: "https://api2.amplitude.com",
}
BATCH_PATH = "/batch"


def base_url(residency: Residency, overrides: Mapping[Residency, str] | None = None) -> str:
    """The address without a path and without a closing slash; an override that is empty does not count."""
    override = (overrides or {}).get(residency, "").strip().rstrip("/")
    return override or HOSTS[residency]
