"""The plain loop that live exports are compared with: look for new rows ten times a second, post them.

`python -m benchmarks.poller URL API_KEY` runs until it is ended. No checks, no checkpoints, no horizon: a row that
commits late is lost. It begins at the end of the log and says "polling" once it does.
"""

import os
import sys
import time

EVERY = 0.1


def main() -> None:
    url, api_key = sys.argv[1:]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exports_portal.settings")
    import django

    django.setup()
    import orjson
    import requests
    from django.db import connection

    session = requests.Session()
    session.trust_env = False
    session.headers["Content-Type"] = "application/json"
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM events_event")
        (last,) = cursor.fetchone()
        print("polling", flush=True)
        while True:
            cursor.execute(
                "SELECT e.id, e.uid::text, n.name, e.occurred_at, e.identity, e.clevertap_id, e.properties::text"
                " FROM events_event e JOIN events_eventname n ON n.id = e.name_id WHERE e.id > %s ORDER BY e.id",
                [last],
            )
            rows = cursor.fetchall()
            if not rows:
                time.sleep(EVERY)
                continue
            events = [
                {
                    "event_type": name,
                    "time": int(at.timestamp() * 1000),
                    "user_id": identity,
                    "device_id": device,
                    "insert_id": uid,
                    "event_properties": orjson.Fragment(properties),
                }
                for _, uid, name, at, identity, device, properties in rows
            ]
            body = orjson.dumps({"api_key": api_key, "events": events})
            session.post(f"{url}/batch", data=body, timeout=30).raise_for_status()
            last = rows[-1][0]


if __name__ == "__main__":
    main()
