"""What PORTAL_HTTPS=1 switches on, in a process of its own."""

import json
import os
import subprocess
import sys

from exports_portal.runtime import BASE_DIR

PROGRAM = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
plain = Client().get("/login/")
behind_proxy = Client().get("/login/", headers={"X-Forwarded-Proto": "https"})
print(json.dumps({
    "plain": [plain.status_code, plain.headers["Location"]],
    "status": behind_proxy.status_code,
    "hsts": behind_proxy.headers["Strict-Transport-Security"],
    "csrf": dict(behind_proxy.cookies["csrftoken"]),
    "session": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE],
    "proxies": settings.PORTAL_PROXIES,
    "live": Client().get("/live").status_code,
}))
"""


def test_https_redirects_and_secures_cookies() -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "exports_portal.settings", "PORTAL_HTTPS": "1"}
    environment |= {"PORTAL_ALLOWED_HOSTS": "testserver"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["plain"] == [301, "https://testserver/login/"]
    assert found["status"] == 200
    assert found["hsts"] == "max-age=31536000; includeSubDomains; preload"
    assert found["csrf"]["secure"] is True
    assert found["csrf"]["samesite"] == "Lax"
    assert found["session"] == [True, True, "Lax"]
    assert found["proxies"] == 1
    assert found["live"] == 200  # health checks come without TLS
