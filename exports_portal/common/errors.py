"""What a verb says when it will not do what was asked. Pages, REST and commands translate these two."""


class Invalid(Exception):
    """The input is wrong. `errors` maps a field's name to sentences; the key "" speaks of the whole."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, texts in errors.items() for text in texts))
        self.errors = errors

    @property
    def sentence(self) -> str:
        """All that is wrong in one line, for commands and messages that have no fields."""
        return " ".join(text for texts in self.errors.values() for text in texts)


class Refused(Exception):
    """The move is not allowed in the present state. The message says why and what to do instead."""
