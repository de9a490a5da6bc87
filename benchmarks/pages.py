"""The pages, the REST API and the admin over 100,000 exports and 1,000,000 runs of one project.

`python -m benchmarks.pages [--exports N] [--runs N] [--requests N] [--only WORD]`. One real gunicorn process, asked
over HTTP by a signed-in browser's session, one request at a time; a time is that of the whole answer. The ceiling is
the bare /live of the same process in the same run. Client, web process and database share the machine.
"""

import argparse
import gzip
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urljoin

import requests

from benchmarks import stack
from benchmarks.pages_data import fill

EMAIL, PASSWORD = "benchmark@example.com", "correct horse battery staple"
PAGE, API, ROWS, ADMIN = 150.0, 100.0, 20.0, 500.0  # ms at p95, what is wanted
ROW_BYTES, FIRST_BYTES = 3_000, 150_000


class Visit(NamedTuple):
    """An address to ask for again and again, and the ms that its p95 may take."""

    name: str
    path: str
    wanted: float
    headers: dict[str, str] = {}


class Visitor:
    """Keeps its cookies and its connection, as a browser does."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False
        self.session.headers.update(headers or {})

    def sign_in(self) -> None:
        form = self.session.get(f"{self.url}/login/").cookies["csrftoken"]
        given = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": form}
        answer = self.session.post(f"{self.url}/login/", given, headers={"Referer": self.url})
        assert "sessionid" in self.session.cookies, answer.text

    def get(self, path: str, headers: dict[str, str]) -> requests.Response:
        answer = self.session.get(urljoin(self.url, path), headers=headers, timeout=120)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return answer

    def milliseconds(self, visit: Visit, requests_: int) -> list[float]:
        """How long each of so many requests took; the first one, which fills caches, is not counted."""
        times = []
        for _ in range(requests_ + 1):
            started = time.perf_counter()
            self.get(visit.path, visit.headers)
            times.append((time.perf_counter() - started) * 1000)
        return sorted(times[1:])


FILTERS = (
    "page_size=40",
    "page={twentieth}",
    "page={fortieth}&page_size=40",
    "status=RUNNING",
    "status=STOPPED",
    "status=DONE&status=STOPPED",
    "status=DONE&page={beyond}",
    "type=user_profiles",
    "type=user_profiles&page={beyond}",
    "frequency=live",
    "frequency=live&frequency=recurring",
    "partner=amplitude",
    "partner=amplitude&page={beyond}",
    "format=JSON",
    "exported_on_after=2000-01-01&exported_on_before={today}",
    "exported_on_before=2025-12-31",
    "search=Export+777",
    "search=amplitude+7",
    "search=nothing+like+it",
    "ordering=name",
    "ordering=name&page={beyond}",
    "ordering=-status",
    "ordering=frequency&page={beyond}",
    "status=STOPPED&type=user_profiles&frequency=one_time&partner=amplitude&exported_on_after=2026-01-01",
)
TABS = (
    "",
    "page=1000",
    "tab=rejected",
    "tab=rejected&page=10000",
    "tab=rejected&reason=silenced",
    "tab=skipped",
    "tab=skipped&page=1000",
    "tab=settings",
    "tab=history",
)
PEOPLE = ("user-199999", "USER77@example.com", "%2B919800000077", "__device77", "nobody")
HTMX = {"HX-Request": "true"}


def visits(account: str, exports: int) -> Iterator[Visit]:
    """All pages that a person may have open."""
    root = f"/{account}/settings/partners/"
    lists = f"{root}exports/"
    yield Visit("bare page: /live", "/live", PAGE)
    yield Visit("/metrics", "/metrics", PAGE)
    yield Visit("Exports", lists, PAGE)
    places = {
        "twentieth": exports // 20,
        "fortieth": exports // 40,
        "beyond": exports,
        "today": time.strftime("%Y-%m-%d"),
    }
    for query in (given.format(**places) for given in FILTERS):
        size = "" if "page_size" in query else "&page_size=20"  # else the 40 is remembered
        yield Visit(f"Exports ?{query}", f"{lists}?{query}{size}", PAGE)
    yield Visit("a live row", f"{lists}rows/?id=97", ROWS, HTMX)
    yield Visit("a live row, 20,000 runs", f"{lists}rows/?id=1", PAGE, HTMX)
    yield Visit("View", f"{lists}97/", PAGE)
    yield Visit("View, live part", f"{lists}97/", PAGE, HTMX)
    for query in TABS:
        yield Visit(f"View, 20,000 runs ?{query}", f"{lists}1/?{query}", PAGE)
    yield Visit("View, 20,000 runs, live part", f"{lists}1/", PAGE, HTMX)
    yield Visit("Export to Amplitude", f"{lists}new/amplitude/", PAGE)
    yield Visit("Partner List", root, PAGE)
    yield Visit("Events", f"/{account}/events/", PAGE)
    yield Visit("Events, live part", f"/{account}/events/", PAGE, HTMX)
    yield Visit("Events ?search", f"/{account}/events/?search=viewed+49", PAGE)
    yield Visit("User profiles", f"/{account}/profiles/", PAGE)
    for word in PEOPLE:
        yield Visit(f"User profiles ?search={word}", f"/{account}/profiles/?search={word}", PAGE)
    yield Visit("a profile", f"/{account}/profiles/77/", PAGE)


def programs(exports: int, runs: int, token: str) -> Iterator[Visit]:
    bearer = {"Authorization": f"Bearer {token}"}
    for query in ("", f"page={exports // 20}", "status=RUNNING", "search=777", "ordering=name"):
        yield Visit(f"REST exports ?{query}", f"/api/v1/exports/?{query}", API, bearer)
    yield Visit("REST one export", "/api/v1/exports/97/", API, bearer)
    yield Visit("REST one export, 20,000 runs", "/api/v1/exports/1/", API, bearer)
    yield Visit("REST its runs", "/api/v1/exports/1/runs/", API, bearer)
    yield Visit("REST its runs, last page", "/api/v1/exports/1/runs/?page=1000", API, bearer)
    yield Visit("REST one run", f"/api/v1/runs/{runs // 2}/", API, bearer)
    yield Visit("REST rejected records", "/api/v1/runs/50/rejected/", API, bearer)
    yield Visit("REST events", "/api/v1/events/", API, bearer)


def admin_lists(runs: int) -> Iterator[Visit]:
    for model in ("export", "run", "shard", "rejected", "held", "skipped"):
        yield Visit(f"admin {model}s", f"/admin/exports/{model}/", ADMIN)
    yield Visit("admin exports ?status", "/admin/exports/export/?status__exact=STOPPED", ADMIN)
    yield Visit("admin exports ?q", "/admin/exports/export/?q=777", ADMIN)
    yield Visit("admin runs ?status", "/admin/exports/run/?status__exact=RUNNING", ADMIN)
    yield Visit("admin runs of an export", "/admin/exports/run/?export__id__exact=1", ADMIN)
    yield Visit("admin runs ?project", "/admin/exports/run/?export__project__id__exact=1", ADMIN)
    yield Visit("admin runs ?q", "/admin/exports/run/?q=777", ADMIN)
    yield Visit("admin run", f"/admin/exports/run/{runs // 2}/change/", ADMIN)
    yield Visit("admin export", "/admin/exports/export/1/change/", ADMIN)
    yield Visit("admin shards ?open", "/admin/exports/shard/?open__exact=1", ADMIN)
    yield Visit("admin people", "/admin/events/person/", ADMIN)
    yield Visit("admin events", "/admin/events/event/", ADMIN)
    yield Visit("admin audit", "/admin/common/auditentry/", ADMIN)


def measure(visitor: Visitor, found: Iterator[Visit], requests_: int, only: str) -> int:
    """Print a line for each address; how many took longer than wanted."""
    late = 0
    for visit in found:
        if only.lower() not in visit.name.lower():
            continue
        times = visitor.milliseconds(visit, requests_)
        p95 = times[math.ceil(0.95 * len(times)) - 1]  # the nearest rank
        late += p95 > visit.wanted
        mark = "" if p95 <= visit.wanted else "   TOO SLOW"
        print(
            f"{visit.name:62} {statistics.median(times):7.1f} {p95:7.1f} ms  (at most {visit.wanted:,.0f}){mark}",
            flush=True,
        )
    return late


def weigh(visitor: Visitor, account: str) -> None:
    """What the first visit and one live row cost on the wire."""
    lists = f"/{account}/settings/partners/exports/"
    first = sum(map(wire_bytes, (visitor.get(path, {}) for path in first_visit(visitor, lists))))
    row = wire_bytes(visitor.get(f"{lists}rows/?id=97", {"HX-Request": "true"}))
    print(f"first visit of Exports, with styles and scripts {first / 1000:8.1f} KB  (at most {FIRST_BYTES / 1000:.0f})")
    print(f"a live row                                      {row / 1000:8.1f} KB  (at most {ROW_BYTES / 1000:.0f})")


def wire_bytes(answer: requests.Response) -> int:
    """The length of a body as it was sent."""
    return int(answer.headers.get("Content-Length") or len(gzip.compress(answer.content, 6)))


def first_visit(visitor: Visitor, page: str) -> list[str]:
    """The page and all that it makes a browser load: styles, scripts, and the scripts that these import."""
    html = visitor.get(page, {}).text
    found = [page, *re.findall(r'(?:src|href)="(/static/[^"]+)"', html)]
    for script in [path for path in found if path.endswith(".js")]:
        found += [urljoin(script, path) for path in re.findall(r'import "([^"]+)"', visitor.get(script, {}).text)]
    return list(dict.fromkeys(found))


def add_up() -> None:
    """What the tick does over time, and autovacuum after it: after an upgrade a million runs are new to the totals."""
    from django.db import connection

    from exports import totals

    began = time.monotonic()
    while totals.add_up(limit=100_000):
        pass
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE exports_shard")
    print(f"ended runs added to the totals in {time.monotonic() - began:.0f} s", flush=True)


def project() -> dict[str, str]:
    """A project with the credentials of programs, and a superuser who belongs to it."""
    manage = [sys.executable, "manage.py"]
    made = subprocess.run(
        [*manage, "create_project", "Benchmark", "--timezone", "Asia/Kolkata", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, str] = json.loads(made.stdout)
    user = ["create_user", EMAIL, "--project", found["account_id"], "--role", "admin", "--password-stdin"]
    subprocess.run([*manage, *user], input=PASSWORD.encode(), stdout=subprocess.DEVNULL, check=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--exports", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--only", default="", help="measure only what has this word in its name")
    options = parser.parse_args()
    with stack.servers():
        made, started = project(), time.monotonic()
        import django

        django.setup()
        from projects.models import User

        User.objects.update(is_staff=True, is_superuser=True)
        fill(exports=options.exports, runs=options.runs)
        print(
            f"{options.exports:,} exports, {options.runs:,} runs   filled in {time.monotonic() - started:.0f} s",
            flush=True,
        )
        add_up()
        with stack.web() as (url, _):
            browser, account = Visitor(url), made["account_id"]
            browser.sign_in()
            print(f"{'':62}    p50     p95")
            late = measure(browser, visits(account, options.exports), options.requests, options.only)
            program = Visitor(url)
            for_programs = programs(options.exports, options.runs, made["api_token"])
            late += measure(program, for_programs, options.requests, options.only)
            late += measure(browser, admin_lists(options.runs), options.requests, options.only)
            weigh(browser, account)
    print(f"addresses over their time           {late:6}   (none)")


if __name__ == "__main__":
    main()
