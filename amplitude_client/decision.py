"""What an answer of Amplitude means for the events of the request: one pure function, `decide`.

Sources: Amplitude, HTTP V2 and Batch Event Upload, and what users of both have observed. Where they are silent the
reading is chosen that can lose nothing, and a comment says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from amplitude_client import named
from amplitude_client.answer import Answer, NetworkFault
from amplitude_client.masking import mask
from amplitude_client.named import THROTTLE_SECONDS, Ids
from amplitude_client.problems import Problem
from amplitude_client.text import clean_text

# Nothing documents Retry-After; when it comes it is honoured up to this bound, so that an odd value cannot park an
# integration.
LONGEST_RETRY_AFTER = 300.0
SHOWN_TEXT = 300


class Outcome(StrEnum):
    """What to do with the events of the request."""

    ACCEPTED = "accepted"  # done
    PARTIAL = "partial"  # nothing was taken: drop the rejected, hold the held, resend the others at once
    SPLIT = "split"  # nothing was taken and nothing names the culprit: halve and resend; one event left is refused
    TOO_LARGE = "too_large"  # as SPLIT, and remember the size that works
    BACK_OFF = "back_off"  # a passing fault: resend the same bytes later
    SETUP_FAULT = "setup_fault"  # no request can succeed until a person mends something; keep everything


@dataclass(frozen=True)
class Decision:
    """An answer, understood. Every text is for people and free of the API key.

    rejected: index in the request → why it is refused for good. held: index → seconds to wait; later events of the
    request that share an id with a held one are held too, so that the order of a person stays.
    problem: what a single event gets when SPLIT or TOO_LARGE cannot halve any more.
    maybe_more: each map names one index only; Amplitude may have stopped at the first, so expect repeats.
    maybe_accepted: the outcome is unknown; only the same insert_ids make resending safe.
    wait: seconds for which the whole integration must be left alone, or None for the caller's own backoff.
    accepted: the number that Amplitude says it took.
    key_refused: it does not know the API key in this region.
    """

    outcome: Outcome
    message: str
    status: int | None = None
    rejected: Mapping[int, Problem] = field(default_factory=dict)
    held: Mapping[int, float] = field(default_factory=dict)
    problem: Problem | None = None
    maybe_more: bool = False
    maybe_accepted: bool = False
    wait: float | None = None
    accepted: int = 0
    key_refused: bool = False


@dataclass(frozen=True)
class _Question:
    """What the reading of an answer may look at."""

    answer: Answer
    status: int
    data: dict[str, Any]  # {} when the body is not a JSON object
    text: str  # Amplitude's own words, masked
    batch_size: int
    ids: Ids


def decide(answer: Answer, *, batch_size: int, ids: Ids, api_key: str) -> Decision:
    """Judge `answer` to a request of `batch_size` events whose (user_id, device_id) stand in `ids`.

    A batch_size of 0 is a probe: no event can be the culprit, so what would be SPLIT is a SETUP_FAULT.
    """
    if answer.error is not None or answer.status is None:
        decision = _unanswered(answer, batch_size)
    else:
        data = answer.json()
        text = mask(named.server_text(answer.body, data), api_key)[:SHOWN_TEXT]  # cut first, half a key would pass
        decision = _read(_Question(answer, answer.status, data or {}, text, batch_size, ids))
    if batch_size == 0 and decision.outcome in (Outcome.SPLIT, Outcome.TOO_LARGE):
        decision = _wall(decision)
    return _masked(decision, api_key)


def _read(question: _Question) -> Decision:
    reader = _READERS.get(question.status) or _FAMILIES.get(question.status // 100, _odd_status)
    return replace(reader(question), status=question.status)


def _masked(decision: Decision, api_key: str) -> Decision:
    """The last gate: ids and fields that the server named go into messages as well."""

    def clean(text: str) -> str:
        return mask(clean_text(text), api_key)  # a server may send what no database stores, such as NUL

    def hide(problem: Problem) -> Problem:
        return replace(problem, field=clean(problem.field), message=clean(problem.message))

    return replace(
        decision,
        message=clean(decision.message),
        rejected={index: hide(problem) for index, problem in decision.rejected.items()},
        problem=hide(decision.problem) if decision.problem else None,
    )


_NETWORK_MESSAGES: Mapping[NetworkFault, str] = {
    NetworkFault.DNS: "The address of Amplitude could not be found. Check the network and the name server.",
    NetworkFault.CONNECT: "Amplitude could not be reached. Check the network and the firewall.",
    NetworkFault.TLS: "The secure connection to Amplitude could not be made. Check the clock and the certificates.",
    NetworkFault.TIMEOUT_CONNECT: "Amplitude did not take the connection in time. Check the network and the firewall.",
    NetworkFault.TIMEOUT_READ: "Amplitude did not answer in time.",
    NetworkFault.CLOSED: "The connection to Amplitude broke before the answer was complete.",
    NetworkFault.OTHER: "The request to Amplitude failed on the way.",
}


def _unanswered(answer: Answer, batch_size: int) -> Decision:
    error = answer.error
    kind = error.kind if error else NetworkFault.OTHER
    unknown = error.sent if error else True
    tail = (
        "It may have taken the events: they are sent again with the same insert_ids, so none counts twice."
        if unknown
        else "Nothing was sent; the events wait and are sent again."
    )
    message = f"{_NETWORK_MESSAGES[kind]} {tail}" if batch_size else _NETWORK_MESSAGES[kind]
    return Decision(Outcome.BACK_OFF, message, answer.status, maybe_accepted=unknown)


def _ok(question: _Question) -> Decision:
    if not named.is_number(question.data.get("code"), 200):
        return _unknown(question, "Amplitude answered 200, but not in the form that it documents.")
    taken = question.data.get("events_ingested")
    if not isinstance(taken, int) or isinstance(taken, bool) or taken == question.batch_size:
        return Decision(Outcome.ACCEPTED, "Accepted by Amplitude.", accepted=question.batch_size)
    message = (
        f"Amplitude accepted the request, but counts {taken} events where {question.batch_size} were sent. "
        "Whether it counts repeats is not documented; compare the numbers in Amplitude."
    )
    return Decision(Outcome.ACCEPTED, message, accepted=taken)


def _bad_request(question: _Question) -> Decision:
    said = question.text.lower()
    if said.startswith(("invalid api key", "invalid_api_key")):
        return Decision(
            Outcome.SETUP_FAULT,
            "Amplitude did not accept the API key. Check that the key and the data residency belong to the same "
            "Amplitude project: a key of one region is unknown in the other.",
            key_refused=True,
        )
    if said.startswith("invalid request path"):
        return Decision(
            Outcome.SETUP_FAULT, "Amplitude does not know the address that was used. Check the address of the partner."
        )
    if question.batch_size == 0 and said.startswith(("request missing required field", "missing request body")):
        # The empty list itself is refused, and the key was not: neither a wall nor a wrong key.
        return Decision(Outcome.ACCEPTED, "Amplitude answered, but does not say whether it knows the API key.")
    found = named.read(question.data, batch_size=question.batch_size, ids=question.ids)
    if found.rejected or found.held:
        return _partial(question, found)
    return _split(question, "bad_request", "Amplitude did not accept the request and did not say which event is wrong")


def _partial(question: _Question, found: named.Found) -> Decision:
    parts = [
        f"{len(found.rejected)} refused for good" if found.rejected else "",
        f"{len(found.held)} must wait" if found.held else "",
    ]
    message = f"Amplitude took none of the {question.batch_size} events: {' and '.join(filter(None, parts))}"
    return Decision(
        Outcome.PARTIAL,
        f"{message} ({question.text}). The others are sent again at once.",
        rejected=found.rejected,
        held=found.held,
        maybe_more=found.maybe_more,
    )


def _split(question: _Question, code: str, what: str) -> Decision:
    """No index names the culprit. A firewall or proxy that refuses everything looks the same, hence the probe."""
    message = f"{what}. It says: “{question.text}”." if question.text else f"{what}."
    cure = "Look at the values of this event, mend them in your app or exclude the property, then send it again."
    problem = Problem(code, str(question.data.get("missing_field") or ""), message, cure)
    return Decision(Outcome.SPLIT, message, problem=problem)


def _forbidden(question: _Question) -> Decision:
    return _split(question, "forbidden", "Amplitude's firewall refused the request (403)")


def _other_refusal(question: _Question) -> Decision:
    """Undocumented 4xx: nothing was taken, and whether an event is to blame shows by halving."""
    return _split(question, f"refused_{question.status}", f"Amplitude refused the request ({question.status})")


def _too_large(question: _Question) -> Decision:
    message = "The request was too large for Amplitude (413)."
    problem = Problem(
        "too_large",
        "",
        "This event alone is too large for Amplitude.",
        "Exclude large properties from the export, then send it again.",
    )
    return Decision(Outcome.TOO_LARGE, message, problem=problem)


def _throttled(question: _Question) -> Decision:
    found = named.read(question.data, batch_size=question.batch_size, ids=question.ids)
    if found.rejected or found.held:
        return _partial(question, found)
    if found.unmatched is not None and question.batch_size > 1:
        # Where no device_id was sent Amplitude makes one up, and may name that one. Halving finds the event.
        return Decision(Outcome.SPLIT, "Amplitude throttles ids that are not among the ones sent.")
    if found.unmatched is not None and question.batch_size == 1:
        return _partial(question, named.Found(held={0: found.unmatched}))
    wait = max(THROTTLE_SECONDS, _retry_after(question.answer) or 0.0)
    tail = " The events wait and are sent again." if question.batch_size else " Test again in a while."
    return Decision(Outcome.BACK_OFF, f"Amplitude asks for a pause: too many requests (429).{tail}", wait=wait)


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("retry-after", "")
    return min(float(value), LONGEST_RETRY_AFTER) if value.isascii() and value.isdigit() else None


def _unavailable(question: _Question) -> Decision:
    """503 is the one server error after which nothing was taken for certain (Amplitude, HTTP V2)."""
    tail = " Nothing was taken; the events wait and are sent again."
    message = "Amplitude is not available at the moment (503)." + (tail if question.batch_size else "")
    return Decision(Outcome.BACK_OFF, message, wait=_retry_after(question.answer))


def _unknown(question: _Question, what: str) -> Decision:
    tail = " It may have taken the events: they are sent again with the same insert_ids, so none counts twice."
    message = what + (tail if question.batch_size else "")
    return Decision(Outcome.BACK_OFF, message, maybe_accepted=True, wait=_retry_after(question.answer))


def _server_error(question: _Question) -> Decision:
    return _unknown(question, f"Amplitude has a fault of its own ({question.status}).")


def _request_timeout(question: _Question) -> Decision:
    return _unknown(question, "Amplitude did not get the whole request in time (408).")


def _odd_status(question: _Question) -> Decision:
    """1xx, 2xx other than 200, and whatever no standard knows: only 200 is an acceptance (Amplitude, HTTP V2)."""
    return _unknown(question, f"Amplitude answered in a way that it does not document ({question.status}).")


def _redirect(question: _Question) -> Decision:
    return Decision(
        Outcome.SETUP_FAULT,
        f"The address of Amplitude answered with a redirect ({question.status}). Redirects are not followed, because "
        "they could lead to another region. Check the address of the partner and any proxy on the way.",
    )


def _wrong_address(question: _Question) -> Decision:
    """404 and 405 are about the address, 401 and 407 about who we are: no event can be the culprit."""
    return Decision(
        Outcome.SETUP_FAULT,
        f"The address of Amplitude answered with {question.status}, as if it were another service. "
        "Check the address of the partner and any proxy on the way.",
    )


def _wall(decision: Decision) -> Decision:
    message = (
        f"Amplitude refuses even a request without events. {decision.message} "
        "Check the firewall, the proxy and the country that this server sends from."
    )
    return Decision(Outcome.SETUP_FAULT, message, decision.status)


_READERS: Mapping[int, Callable[[_Question], Decision]] = {
    200: _ok,
    400: _bad_request,
    401: _wrong_address,
    403: _forbidden,
    404: _wrong_address,
    405: _wrong_address,
    407: _wrong_address,
    408: _request_timeout,
    413: _too_large,
    429: _throttled,
    503: _unavailable,
}
_FAMILIES: Mapping[int, Callable[[_Question], Decision]] = {3: _redirect, 4: _other_refusal, 5: _server_error}
