"""An undefined variable in one of our templates fails the test."""

import logging

from exports_portal.runtime import BASE_DIR


class UndefinedVariableError(Exception):
    """A template of ours used a variable that its context does not have."""


class UndefinedVariables(logging.Filter):
    """Raises where Django only notes, at level DEBUG, that a variable could not be resolved.

    Django's own, the admin's and the API docs' templates rely on missing variables, so only ours count.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 2:
            variable, template = map(str, record.args)
            if is_ours(template):
                raise UndefinedVariableError(f"{template} uses {{{{ {variable} }}}}, which its context lacks.")
        return False


def is_ours(template: str) -> bool:
    """Whether a template's name is a file of templates/, the admin's replacements aside."""
    return not template.startswith(("admin/", "/")) and (BASE_DIR / "templates" / template).is_file()
