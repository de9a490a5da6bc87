"""Amplitude: the Integrate panel's fields, how a record becomes an event, and how answers become verdicts.

The only module that knows both the portal and `amplitude_client`. Mapping: docs/amplitude.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from django.conf import settings as portal_settings

import amplitude_client as client
from amplitude_client import Decision, Problem, Residency
from partners.contract import (
    Adapter,
    Choice,
    Contact,
    Contacts,
    Encoded,
    EncodeOptions,
    Encodings,
    Field,
    Limits,
    Outcome,
    Record,
    Refusal,
    Secrets,
    Sender,
    Settings,
    Skip,
    Step,
    TestReport,
    Verdict,
)
from partners.identifiers import Identifiers

MAX_EVENT_ID = 2**31
NO_IDENTIFIER = "no_identifier"

# CleverTap's property → Amplitude's top-level key and its type. Charged ID names an order, not a product,
# so it does not become productId.
TEXT_KEYS = {
    "CT App Version": "app_version",
    "ct_app_version": "app_version",
    "CT OS Version": "os_version",
    "ct_os_version": "os_version",
    "Model": "device_model",
    "CT Network Carrier": "carrier",
}
PLACES = (("CT Latitude", "CT Longitude"), ("ct_latitude", "ct_longitude"))
CHARGED = "Charged"


class AmplitudeAdapter(Adapter):
    slug = "amplitude"
    label = "Amplitude"
    category = "Analytics"
    description = "Send events and user profiles to your Amplitude project, in Europe or the Standard region."
    takes_profiles = True
    reasons = client.IN_SHORT
    fields = (
        Field(
            "api_key",
            "API key",
            hint="Amplitude › Org Settings › Projects › your project › General. Stored encrypted, never shown again.",
            secret=True,
        ),
        Field(
            "data_residency",
            "Data Residency",
            choices=(
                Choice("europe", "Europe", client.HOSTS[Residency.EUROPE].removeprefix("https://")),
                Choice("standard", "Standard", client.HOSTS[Residency.STANDARD].removeprefix("https://")),
            ),
            default="europe",
            connects=True,
            as_cards=True,
        ),
        Field(
            "device_id_mapping",
            "Device ID Mapping",
            hint="Sent as device_id. With None, Amplitude tells repeats apart by the user id alone.",
            choices=(Choice("clevertap_id", "CleverTap ID"), Choice("none", "None")),
            default="clevertap_id",
        ),
        Field(
            "user_id_mapping",
            "User ID Mapping",
            hint="Sent as user_id. Fallback order where it is missing: the export's identifier priority, "
            "which begins as Identity, Email, Phone.",
            choices=(Choice("identity", "Identity"), Choice("email", "Email"), Choice("phone", "Phone")),
            default="identity",
        ),
    )

    def encoder(self, options: EncodeOptions) -> "AmplitudeEncoder":
        return AmplitudeEncoder(options)

    def profile_encoder(self, options: EncodeOptions) -> "AmplitudeProfileEncoder":
        return AmplitudeProfileEncoder(options)

    def sender(self, settings: Settings, secrets: Secrets) -> Sender:
        return AmplitudeSender(secrets["api_key"], Residency(settings["data_residency"]))

    def test_connection(self, settings: Settings, secrets: Secrets) -> TestReport:
        steps = client.test_connection(secrets["api_key"], Residency(settings["data_residency"]), _overrides())
        return TestReport(client.is_ok(steps), tuple(Step(step.name, step.outcome, step.message) for step in steps))

    def backoff_seconds(self, failures: int) -> float:
        return client.backoff_seconds(failures)


class AmplitudeEncoder:
    """Turns records into events of Amplitude's batch endpoint (Amplitude, Batch Event Upload).

    The hottest loop of delivery: an event is put together from pieces of JSON, and the pieces that come again (names
    and ids that have passed their checks) are kept. A record that is not all plain takes the careful way, `_encode`.
    """

    TEMPLATE = b'{"event_type":%b,"time":%d,%b%b"insert_id":"%b","event_id":%d,%b"event_properties":%b}'
    KEPT = 20_000  # pieces of a kind

    def __init__(self, options: EncodeOptions) -> None:
        self._identifiers = Identifiers(options, client.check_id)
        self._with_device = options.settings["device_id_mapping"] == "clevertap_id"
        self._excluded = options.excluded_properties
        self._hyphenate = options.hyphenate_names
        # History must not overwrite today's user properties (Amplitude, data backfill guide).
        self._constant = b'"$skip_user_properties_sync":true,' if options.one_time else b""
        self._latest_ms = int(options.now.timestamp() * 1000) + client.FUTURE_MS
        self._may_be_plain = self._with_device and self._identifiers.order[0] == "identity" and not options.rewrites
        self._names: dict[str, bytes] = {}
        self._users: dict[str | None, bytes] = {}
        self._devices: dict[str, bytes] = {}

    def encode(self, records: Sequence[Record], contacts: Contacts) -> Encodings:
        names, users, devices = self._names, self._users, self._devices
        template, constant = self.TEMPLATE, self._constant
        earliest_ms, latest_ms = client.EARLIEST_MS, self._latest_ms
        bodies: list[bytes] = []
        careful: list[int] = []
        for record in records:
            name, time_ms = names.get(record.name), record.time_ms
            user, device = users.get(record.identity), devices.get(record.clevertap_id)
            if name and user and device and record.plain and earliest_ms <= time_ms <= latest_ms:
                event_id, properties = record.id % MAX_EVENT_ID, record.properties
                bodies.append(template % (name, time_ms, user, device, record.uid, event_id, constant, properties))
            else:
                careful.append(len(bodies))
                bodies.append(b"")
        rest = [records[index] for index in careful]
        outcomes = map(self._encode, rest, self._identifiers.contacts(rest, contacts))
        odd = dict(zip(careful, outcomes, strict=True))
        for index, outcome in odd.items():
            if isinstance(outcome, Encoded):
                bodies[index] = outcome.body
        return Encodings(records, bodies, odd)

    def _encode(self, record: Record, contact: Contact) -> Encoded | Refusal | Skip:
        """Any record, with every check."""
        user_id, problem = self._identifiers.user_id(record, contact)
        device_id = record.clevertap_id if self._with_device else None
        if user_id is None and device_id is None and problem is None:
            return Skip(NO_IDENTIFIER)
        name = client.hyphenate(record.name) if self._hyphenate else record.name
        problem = (
            problem
            or (client.check_id(device_id, field="device_id") if device_id is not None else None)
            or client.check_event_type(name)
            or client.check_time(record.time_ms, now_ms=self._latest_ms - client.FUTURE_MS)
        )
        extra, properties, altered = self._constant, record.properties, 0
        if not record.plain or self._excluded or self._hyphenate:
            extra, properties, altered, too_deep = self._rewrite(record)
            problem = problem or too_deep
        user, device = _piece("user_id", user_id), _piece("device_id", device_id)
        event_id = record.id % MAX_EVENT_ID
        pieces = (orjson.dumps(name), record.time_ms, user, device, record.uid, event_id, extra, properties)
        body = self.TEMPLATE % pieces
        if problem is not None:
            return _refusal(problem, body)
        if self._may_be_plain and user_id == record.identity:
            self._keep(record, orjson.dumps(name), user, device)
        return Encoded(body, user_id, device_id, altered)

    def _keep(self, record: Record, name: bytes, user: bytes, device: bytes) -> None:
        """The pieces have passed their checks: the next record that has them is plain."""
        for kept in (self._names, self._users, self._devices):
            if len(kept) >= self.KEPT:
                kept.clear()
        self._names[record.name] = name
        self._users[record.identity] = user
        self._devices[record.clevertap_id] = device

    def _rewrite(self, record: Record) -> tuple[bytes, bytes, int, Problem | None]:
        """Parse the properties; exclude, clean, fill the top-level keys, rename.

        Returns the pieces for the top level and the properties, how many values were altered, and what is wrong.
        """
        properties = orjson.loads(record.properties)
        exclude(properties, self._excluded)
        cleaned, changes, problem = client.clean_value(properties)
        if problem is not None:
            return self._constant, record.properties, 0, problem
        top = top_level_keys(record.name, cleaned)
        extra = orjson.dumps(top)[1:-1] + b"," if top else b""
        if self._hyphenate:
            cleaned, renamed = client.hyphenate_names(cleaned)
            changes += renamed
        return self._constant + extra, orjson.dumps(cleaned), changes, None


class AmplitudeProfileEncoder:
    """Turns profile updates, and people as they are, into $identify events (Amplitude, Identify; Batch Event Upload).

    Every property stands inside an operation, as operations and bare keys may not be mixed. There is no event_id:
    Amplitude also takes events of one device, time and event_id for repeats, and an event may have the same numbers.
    Never $skip_user_properties_sync: the properties are the purpose.
    """

    TEMPLATE = b'{"event_type":"$identify","time":%d,%b%b"insert_id":"%b","user_properties":%b}'
    UNSET = "-"  # what the official SDKs send as the value of a removed property

    def __init__(self, options: EncodeOptions) -> None:
        self._identifiers = Identifiers(options, client.check_id)
        self._with_device = options.settings["device_id_mapping"] == "clevertap_id"
        self._excluded = options.excluded_properties
        self._hyphenate = options.hyphenate_names
        self._now_ms = int(options.now.timestamp() * 1000)

    def encode(self, records: Sequence[Record], contacts: Contacts) -> Encodings:
        outcomes = map(self._encode, records, self._identifiers.contacts(records, contacts))
        return Encodings.of(records, list(outcomes))

    def _encode(self, record: Record, contact: Contact) -> Encoded | Refusal | Skip:
        user_id, problem = self._identifiers.user_id(record, contact)
        device_id = record.clevertap_id if self._with_device else None
        if user_id is None and device_id is None and problem is None:
            return Skip(NO_IDENTIFIER)
        operations, renamed = self._operations(record)
        operations, altered, too_deep = client.clean_value(operations, field="user_properties")
        problem = (
            problem
            or (client.check_id(device_id, field="device_id") if device_id is not None else None)
            or client.check_time(record.time_ms, now_ms=self._now_ms)
            or too_deep
        )
        ids = (_piece("user_id", user_id), _piece("device_id", device_id))
        body = self.TEMPLATE % (record.time_ms, *ids, record.uid, orjson.dumps(operations))
        return Encoded(body, user_id, device_id, altered + renamed) if problem is None else _refusal(problem, body)

    def _operations(self, record: Record) -> tuple[dict[str, dict[str, Any]], int]:
        """$set and $unset, and how many names had to be altered.

        With nothing to say an empty $set still ties the device to the user.
        """
        properties = orjson.loads(record.properties)
        exclude(properties, self._excluded)
        sets, renamed = client.hyphenate_names(properties) if self._hyphenate else (properties, 0)
        gone = (self._name(key) for key in record.removed if key not in self._excluded)
        unset = {key: self.UNSET for key in gone if key not in sets}
        operations = {"$unset": unset} if unset else {}
        return {"$set": sets, **operations} if sets or not unset else operations, renamed

    def _name(self, key: str) -> str:
        return client.hyphenate(key) if self._hyphenate else key


def exclude(properties: dict[str, Any], names: frozenset[str]) -> None:
    """Take the named properties out, wherever they stand: at the top or inside Items and other nested values."""
    values: list[Any] = [properties] if names else []
    while values:
        value = values.pop()
        if isinstance(value, dict):
            for name in names & value.keys():
                del value[name]
            values += value.values()
        elif isinstance(value, list):
            values += value


def top_level_keys(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What known properties put at the top level; they stay in the properties too."""
    keys: dict[str, Any] = {}
    for prop, key in TEXT_KEYS.items():
        value = properties.get(prop)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            keys[key] = str(value)
    for latitude, longitude in PLACES:
        lat, lng = _number(properties.get(latitude)), _number(properties.get(longitude))
        if lat is not None and lng is not None and abs(lat) <= 90 and abs(lng) <= 180:  # one without the other is none
            keys |= {"location_lat": lat, "location_lng": lng}
    if name == CHARGED:
        keys |= _charged_keys(properties)
    return keys


def _charged_keys(properties: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    revenue = _number(properties.get("Amount"))
    if revenue is not None:
        keys["revenue"] = revenue
    currency = properties.get("Currency")
    if isinstance(currency, str) and len(currency) == 3 and currency.isascii() and currency.isalpha():
        keys["currency"] = currency.upper()
    return keys


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None  # also drops NaN and infinities, for which no comparison holds


def _piece(field: str, value: str | None) -> bytes:
    return b"" if value is None else b'"%b":%b,' % (field.encode(), orjson.dumps(value))


def _refusal(problem: Problem, body: bytes) -> Refusal:
    return Refusal(problem.code, problem.field, problem.message, problem.cure, body.decode())


class AmplitudeSender:
    """One worker's connection to one region with one key."""

    def __init__(self, api_key: str, residency: Residency) -> None:
        url = client.base_url(residency, _overrides())
        gzip_from = None if client.is_loopback(url) else client.GZIP_FROM
        self._api_key = api_key
        self._client = client.AmplitudeClient(api_key, url, gzip_from=gzip_from)
        limits = self._client.limits
        self.limits = Limits(limits.events, limits.body_bytes - limits.frame_bytes)

    def send(self, batch: Encodings) -> Verdict:
        answer = self._client.send(batch.bodies)
        decision = client.decide(answer, batch_size=len(batch), ids=_Ids(batch), api_key=self._api_key)
        return _verdict(decision, answer.elapsed_ms)

    def probe(self) -> Verdict:
        return self.send(Encodings((), [], {}))

    def close(self) -> None:
        self._client.close()


class _Ids:
    """The ids of a batch as they were sent; few answers ask for them."""

    def __init__(self, batch: Encodings) -> None:
        self._batch = batch

    def __iter__(self) -> Iterator[tuple[str | None, str | None]]:
        return ((one.user_id, one.device_id) for one in self._batch if isinstance(one, Encoded))


def _verdict(decision: Decision, elapsed_ms: int) -> Verdict:
    return Verdict(
        outcome=Outcome(decision.outcome.value),
        message=decision.message,
        status=decision.status,
        elapsed_ms=elapsed_ms,
        rejected={index: _refusal(problem, b"") for index, problem in decision.rejected.items()},
        held=decision.held,
        why_held=client.WHY_HELD,
        refusal=_refusal(decision.problem, b"") if decision.problem else None,
        accepted=decision.accepted if decision.outcome is client.Outcome.ACCEPTED else None,
        maybe_more=decision.maybe_more,
        unknown=decision.maybe_accepted,
        wait=decision.wait,
    )


def _overrides() -> dict[Residency, str]:
    return {
        Residency.EUROPE: portal_settings.AMPLITUDE_EU_URL,
        Residency.STANDARD: portal_settings.AMPLITUDE_STANDARD_URL,
    }
