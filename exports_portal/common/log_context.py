"""The id of the request that a line of the log belongs to.

Messages to workers carry none: a bell that a click rings wakes workers for whatever is due, and a slice rings the next
one. So the id is kept where it belongs, on the run that the click created or set going again.
"""

import structlog


def request_id() -> str:
    """The id of the web request under way; in a worker that of the click behind its task. Empty when there is none."""
    return str(structlog.contextvars.get_contextvars().get("request_id") or "")
