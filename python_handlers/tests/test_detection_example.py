"""Passwords are guessed at the example under four gunicorn workers: seen at the fifth failure, and blocked."""

import http.client
import json
import re
import subprocess
import sys

import pytest
from conftest import eventually
from test_example import EXAMPLE, School

pytestmark = pytest.mark.integration
ATTACKER = "192.0.2.7"


class Guesser:
    """Comes through the trusted proxy of this test, and writes something else into the header each time."""

    def __init__(self, school):
        self._school, self.number = school, 0

    def request(self, method, headers, body=None, address=ATTACKER):
        self.number += 1
        connection = http.client.HTTPSConnection("localhost", self._school.port, context=self._school._context)
        origin = f"https://localhost:{self._school.port}"
        forged = {"X-Forwarded-For": f"203.0.113.{self.number}, {address}", "Referer": f"{origin}/", **headers}
        connection.request(method, "/login/", body, forged)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer, text

    def guess(self):
        answer, text = self.request("GET", {})
        if answer.status != 200:
            return answer.status
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)[1]
        form = f"username=teacher&password=guess{self.number}&csrfmiddlewaretoken={token}"
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", headers, form)[0].status


def test_the_fifth_failure_blocks_the_address_for_all_workers(tmp_path, certificates, sink):
    school = School(tmp_path, certificates, sink)
    changed = {"WEB_CONCURRENCY": "4", "LOGBASTION_TRUSTED_PROXIES": "127.0.0.1", "DETECTION_BLOCKING": "enforce"}
    school.environment.update(changed)
    assert school.run("manage.py", "migrate", "-v0").returncode == 0
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "aprende_school.wsgi"]
    with (tmp_path / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=EXAMPLE, env=school.environment, stdout=log, stderr=log)
    try:
        eventually(lambda: school.get("/healthz") == (200, "ok\n"), 60)
        guesser = Guesser(school)
        assert [guesser.guess() for _ in range(8)] == [200] * 5 + [403] * 3
        answer, page = guesser.request("GET", {})
        assert 0 < int(answer.headers["Retry-After"]) <= 900
        assert page.startswith("Your address is blocked")
        assert guesser.request("GET", {}, address="192.0.2.8")[0].status == 200
        metrics = school.metrics()
        listed = school.run("manage.py", "blocked_addresses").stdout
        lifted = school.run("manage.py", "blocked_addresses", "--lift", ATTACKER)
        assert lifted.returncode == 0, lifted.stderr
        assert guesser.request("GET", {})[0].status == 200
    finally:
        server.terminate()
        server.wait(60)
    assert listed.startswith(f"{ATTACKER}  blocked until")
    assert metrics["security_events_total", ("event_type", "brute_force_attack")] == 1
    assert metrics["security_events_total", ("event_type", "ip_blocked")] == 1
    assert metrics["logbastion_blocked_requests_total", ("mode", "enforce")] == 4
    events = [json.loads(line) for line in (tmp_path / "logs/security.log").open("rb")]
    told = [event["event_type"] for event in events if event["logger"] == "security.events"]
    assert told == ["brute_force_attack", "ip_blocked", "ip_block_lifted"]
    attack = next(event for event in events if event["event_type"] == "brute_force_attack")
    assert attack["security"]["source_ip"] == ATTACKER
