"""Amplitude over HTTP, in plain Python: payload rules, transport, and what each answer means.

    client = AmplitudeClient(api_key, base_url(Residency.EUROPE))
    answer = client.send([b'{"event_type": …}', …])
    decision = decide(answer, batch_size=…, ids=[(user_id, device_id), …], api_key=api_key)

Nothing raises for what the network or the server does.
"""

from amplitude_client.answer import Answer, NetworkError, NetworkFault
from amplitude_client.backoff import backoff_seconds
from amplitude_client.client import (
    GZIP_FROM,
    MAX_BODY_BYTES,
    MAX_EVENTS,
    AmplitudeClient,
    Limits,
    frame_bytes,
    is_loopback,
    new_session,
)
from amplitude_client.connection_test import Step, is_ok, test_connection
from amplitude_client.decision import Decision, Outcome, decide
from amplitude_client.masking import mask
from amplitude_client.named import WHY_HELD
from amplitude_client.payload import (
    EARLIEST_MS,
    FUTURE_MS,
    MAX_DEPTH,
    MAX_TEXT,
    MIN_ID_LENGTH,
    Cleaned,
    check_event_type,
    check_id,
    check_time,
    clean_value,
    hyphenate_names,
)
from amplitude_client.problems import IN_SHORT, Problem
from amplitude_client.residency import HOSTS, Residency, base_url
from amplitude_client.text import clean_text, hyphenate

__all__ = [
    "EARLIEST_MS",
    "FUTURE_MS",
    "GZIP_FROM",
    "HOSTS",
    "IN_SHORT",
    "MAX_BODY_BYTES",
    "MAX_DEPTH",
    "MAX_EVENTS",
    "MAX_TEXT",
    "MIN_ID_LENGTH",
    "WHY_HELD",
    "AmplitudeClient",
    "Answer",
    "Cleaned",
    "Decision",
    "Limits",
    "NetworkError",
    "NetworkFault",
    "Outcome",
    "Problem",
    "Residency",
    "Step",
    "backoff_seconds",
    "base_url",
    "check_event_type",
    "check_id",
    "check_time",
    "clean_text",
    "clean_value",
    "decide",
    "frame_bytes",
    "hyphenate",
    "hyphenate_names",
    "is_loopback",
    "is_ok",
    "mask",
    "new_session",
    "test_connection",
]
