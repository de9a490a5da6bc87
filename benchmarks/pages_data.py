"""The data that `benchmarks.pages` looks at: one project with very many exports and runs, filled in by the database.

Rows lie as they come about: the runs of an export are spread over the whole table. Export 1 is the busy one: a large
part of all runs and most of the rejected records are its own.
"""

from typing import Any

BUSY_RUNS = 20_000
SETTINGS = (
    '{"partner": "amplitude", "integration": {"data_residency": "europe", "device_id_mapping": "clevertap_id",'
    ' "user_id_mapping": "identity"}, "events": "all", "selected_events": [], "identifier_priority": ["identity"],'
    ' "excluded_properties": [], "hyphenate_names": false, "captured_from": null}'
)
INTEGRATIONS = """
INSERT INTO partners_integration
    (id, project_id, partner, nickname, settings, secrets, key_hint, created_at, updated_at, test_message, setup_fault,
     recoveries)
SELECT n, 1, 'amplitude', 'Amplitude ' || n, %(mapping)s, '', '9f3c', now(), now(), '', '', 0
  FROM generate_series(1, 10) AS n
"""
EXPORTS = """
INSERT INTO exports_export
    (id, project_id, integration_id, name, type, events, selected_events, identifier_priority, excluded_properties,
     hyphenate_names, frequency, date_from, date_to, every_hours, start_date, status, stop_reason, needs_attention,
     last_error, next_run_at, captured_from, next_tx_id, exported_on, version, created_at, updated_at)
SELECT n, 1, 1 + n %% 10, CASE WHEN n %% 3 = 0 THEN '' ELSE 'Export ' || n END, type, 'all', '{}',
       '{identity,email,phone}', '{}', false, frequency,
       CASE WHEN frequency = 'one_time' AND type = 'events' THEN day END,
       CASE WHEN frequency = 'one_time' AND type = 'events' THEN day END,
       CASE WHEN frequency = 'recurring' THEN 12 END, CASE WHEN frequency = 'recurring' THEN day END,
       status, '', false, '', CASE WHEN status IN ('PENDING', 'RUNNING') THEN now() + interval '1 day' END,
       at, 0, at, 1, at, at
  FROM (SELECT n, at, at::date AS day,
               CASE WHEN n %% 4 = 3 THEN 'user_profiles' ELSE 'events' END AS type,
               CASE WHEN n = 1 OR n / 4 %% 10 < 3 THEN 'recurring' WHEN n / 4 %% 10 < 9 THEN 'one_time' ELSE 'live' END
                   AS frequency,
               CASE WHEN n = 1 OR n %% 97 = 0 THEN 'RUNNING' WHEN n %% 89 = 0 THEN 'PENDING'
                    WHEN n %% 9 = 0 THEN 'STOPPED' ELSE 'DONE' END AS status
          FROM (SELECT n, now() - n * interval '10 minutes' AS at FROM generate_series(1, %(exports)s) AS n) AS dated
       ) AS e
"""
RUNS = """
INSERT INTO exports_run
    (id, export_id, integration_id, sequence, uid, status, axis, window_start, window_end, from_tx_id, until_tx_id,
     settings, estimate, reading, created_at, started_at, finished_at, last_error)
SELECT n, export, 1 + export %% 10, sequence, gen_random_uuid(), CASE WHEN open THEN 'RUNNING' ELSE 'DONE' END,
       'position', at - interval '12 hours', at, 0, 0, %(settings)s, 2000, open, at, at,
       CASE WHEN NOT open THEN at + interval '1 minute' END, ''
  FROM (SELECT n, export, sequence, now() - (%(runs)s - n) * interval '1 minute' AS at,
               sequence = max(sequence) OVER (PARTITION BY export) AND (export = 1 OR export %% 97 = 0) AS open
          FROM (SELECT n, CASE WHEN busy THEN 1 ELSE 2 + n %% (%(exports)s - 1) END AS export,
                       row_number() OVER (PARTITION BY CASE WHEN busy THEN 1 ELSE 2 + n %% (%(exports)s - 1) END
                                          ORDER BY n) AS sequence
                  FROM (SELECT n, n %% (%(runs)s / %(busy)s) = 0 AS busy FROM generate_series(1, %(runs)s) AS n) AS b
               ) AS placed
       ) AS r
"""
SHARDS = """
INSERT INTO exports_shard
    (run_id, index, of, open, reading, start_tx_id, start_id, taken_over, cursor_tx_id, cursor_id, fence, lease_owner,
     idle, failures, takeovers, batch_records, read, delivered, rejected, held, skipped, skip_reasons, hours,
     altered,
     refused_in_row, in_flight, unconfirmed, in_flight_again, unconfirmed_again)
SELECT id, 0, 1, reading, reading, 0, 0, 0, 0, 0, 0, '', false, 0, 0, 2000,
       1011, 1000, CASE WHEN export_id = 1 THEN 10 ELSE 0 END, CASE WHEN export_id = 1 THEN 0 ELSE 10 END, 1,
       '{"no_identifier": 1}', '{}', 0, 0, 0, 0, 0, 0
  FROM exports_run
"""
REJECTED = """
INSERT INTO exports_rejected
    (run_id, shard_id, record_id, reason, field, message, cure, payload, attempts, created_at)
SELECT s.run_id, s.id, n, (ARRAY['id_too_short', 'invalid_time', 'silenced'])[1 + n %% 3], 'user_id',
       'The user_id has fewer than 5 characters.', 'Send a longer identity.',
       '{"event_type": "Searched", "user_id": "abc"}', 1, now()
  FROM exports_shard s JOIN exports_run r ON r.id = s.run_id AND r.export_id = 1, generate_series(1, 10) AS n
"""
SKIPPED = """
INSERT INTO exports_skipped (run_id, shard_id, record_id, reason)
SELECT s.run_id, s.id, s.run_id, 'no_identifier' FROM exports_shard s
"""
HELD = """
INSERT INTO exports_held (export_id, shard_id, record_id, ids, not_before, message)
SELECT r.export_id, s.id, n, ARRAY['u:user-' || n], now() + interval '1 day', 'throttled'
  FROM exports_shard s JOIN exports_run r ON r.id = s.run_id AND r.reading AND r.export_id > 1,
       generate_series(1, 10) AS n
"""
AUDIT = """
INSERT INTO common_auditentry (at, project_id, actor, action, target_type, target_id, before, after)
SELECT finished_at, 1, 'Exports Portal', 'run.finish', 'run', id, '{"status": "RUNNING"}', '{"status": "DONE"}'
  FROM exports_run WHERE finished_at IS NOT NULL
"""
NAMES = """
INSERT INTO events_eventname (id, project_id, name, kind, first_seen_at, last_seen_at, count)
SELECT n, 1, 'Product Viewed ' || n, 'custom', now(), now(), n * 1000 FROM generate_series(1, 500) AS n
"""
DAYS = """
INSERT INTO events_dailycount (name_id, day, count)
SELECT n, current_date - back, n * back FROM generate_series(1, 500) AS n, generate_series(0, 365) AS back
"""
PEOPLE = """
INSERT INTO events_person
    (id, project_id, clevertap_id, identity, name, email, phone, created_at, changed_at, properties)
SELECT n, 1, '__device' || n, 'user-' || n, 'Asha Rao', 'User' || n || '@example.com', '+9198' || lpad(n::text, 8, '0'),
       now(), now(), '{"City": "Pune", "Plan": "Gold"}'
  FROM generate_series(1, %(people)s) AS n
"""
IDENTIFIERS = """
INSERT INTO events_identifier (project_id, kind, value, person_id)
SELECT 1, kind, CASE kind WHEN 'identity' THEN identity ELSE clevertap_id END, id
  FROM events_person, unnest(ARRAY['identity', 'device']) AS kind
"""
EVENTS = """
INSERT INTO events_event
    (project_id, name_id, person_id, uid, tx_id, received_at, occurred_at, identity, clevertap_id, lane,
     properties, flags)
SELECT 1, 1 + n %% 500, 1 + n %% %(people)s, gen_random_uuid(), pg_current_xact_id()::text::bigint, now(),
       now() - interval '20 hours' * random(), 'user-' || 1 + n %% %(people)s, '__device' || 1 + n %% %(people)s,
       n %% 1024, jsonb_build_object('Category', 'Books', 'Price', 499 + n %% 100, 'Product', 'Item ' || n %% 1000), 0
  FROM generate_series(1, %(events)s) AS n
"""
PARTS = (INTEGRATIONS, EXPORTS, RUNS, SHARDS, REJECTED, SKIPPED, HELD, AUDIT, NAMES, DAYS, PEOPLE, IDENTIFIERS, EVENTS)
KEYED = ("partners_integration", "exports_export", "exports_run", "events_eventname", "events_person")


def fill(*, exports: int, runs: int) -> None:
    """Everything, in project 1, which must be there."""
    from django.db import connection

    mapping = '{"data_residency": "europe", "device_id_mapping": "clevertap_id", "user_id_mapping": "identity"}'
    sizes: dict[str, Any] = {"exports": exports, "runs": runs, "busy": BUSY_RUNS, "events": 200_000, "people": 200_000}
    with connection.cursor() as cursor:
        # The rows are right by themselves: looking up each foreign key would double the time.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET synchronous_commit = off")
        for part in PARTS:
            cursor.execute(part, {**sizes, "mapping": mapping, "settings": SETTINGS})
        for table in KEYED:
            cursor.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")  # noqa: S608 our own names
        cursor.execute("VACUUM ANALYZE")
    connection.close()
