"""All partners, found by importing the modules of `partners.adapters`."""

import importlib
import pkgutil
from functools import cache

from partners import adapters
from partners.contract import Adapter


@cache
def all_adapters() -> dict[str, Adapter]:
    """slug → adapter, in the order of their labels."""
    for module in pkgutil.iter_modules(adapters.__path__):
        importlib.import_module(f"{adapters.__name__}.{module.name}")
    found = sorted((cls() for cls in Adapter.__subclasses__()), key=lambda adapter: adapter.label)
    return {adapter.slug: adapter for adapter in found}


def adapter_for(slug: str) -> Adapter:
    """The adapter of a partner. Raises KeyError for an unknown slug."""
    return all_adapters()[slug]


def partner_choices() -> list[tuple[str, str]]:
    """For model and form fields; a function, so that a new partner needs no migration."""
    return [(adapter.slug, adapter.label) for adapter in all_adapters().values()]
