"""An incident reaches a real Alertmanager over TLS with a password; one that hangs or is away harms nobody."""

import base64
import contextlib
import json
import logging
import socket
import ssl
import subprocess
import time
import urllib.request

import pytest
import test_incidents
from conftest import eventually
from http_sink import HttpsStandIn, drip, stay_silent
from test_incidents import count, fail

from logbastion import IncidentDetectionHandler, IncidentDetector
from logbastion.incidents.options import checked_options
from logbastion.incidents.responses.runner import Responder

PASSWORD = "a password of this test"
HASH = "$2b$04$QNxSWv0FO6ZaAReJ1QUUpOt/q5JoeIH5lBnORk6AQM01RP4OlpXq6"
told, clock = test_incidents.told, test_incidents.clock


class Alertmanager:
    def __init__(self, directory, certificates):
        self._directory, self._context = directory, ssl.create_default_context(cafile=str(certificates.ca))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        certificates.server.private_key_pem.write_to_path(str(directory / "tls.key"))
        certificates.server.cert_chain_pems[0].write_to_path(str(directory / "tls.crt"))
        (directory / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        users = {"alertmanager": HASH}
        tls = {"cert_file": "tls.crt", "key_file": "tls.key"}
        (directory / "web.yml").write_text(json.dumps({"tls_server_config": tls, "basic_auth_users": users}))
        (directory / "password").write_text(PASSWORD + "\n")

    def start(self):
        self._process = subprocess.Popen(
            ["prometheus-alertmanager", "--config.file=alertmanager.yml", "--web.config.file=web.yml",
             "--storage.path=data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="],
            cwd=self._directory, stdout=subprocess.DEVNULL, stderr=(self._directory / "log").open("wb"),
        )  # fmt: skip
        eventually(lambda: self.alerts() is not None, 60)

    def alerts(self):
        token = base64.b64encode(f"alertmanager:{PASSWORD}".encode()).decode()
        url = f"https://localhost:{self.port}/api/v2/alerts"
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {token}"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, context=self._context, timeout=20) as answer:
            return json.load(answer)
        return None

    def stop(self):
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def detector(clock, destinations, ca, given_up_by=time.monotonic, **more):
    asked = {"alertmanager": {"destinations": destinations, "ca_file": str(ca), **more}}
    patterns, made, _ = checked_options({"responses": asked})
    responder = Responder(made, clock=given_up_by)
    found = IncidentDetector(patterns, responder=responder, clock=clock, threaded=False, service_name="school")
    handler = IncidentDetectionHandler(found)
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


@pytest.mark.integration
def test_alertmanager_knows_an_incident_of_several_workers_once_and_its_end(told, clock, tmp_path, certificates):
    clock.now = time.time()
    alertmanager = Alertmanager(tmp_path, certificates)
    alertmanager.start()
    try:
        login = {"username": "alertmanager", "password_file": str(tmp_path / "password")}
        # The first is away: the other one is told all the same.
        where = ["localhost:1", f"localhost:{alertmanager.port}"]
        with (
            detector(clock, where, certificates.ca, **login) as one,
            detector(clock, where, certificates.ca, **login) as two,
        ):
            fail(3)
            eventually(lambda: told.outcomes() == [("alertmanager", "done")] * 2)
            (alert,) = alertmanager.alerts()
            assert alert["labels"]["alertname"] == "Incident"
            assert alert["labels"]["incident"] == "payment_failure"
            assert (alert["labels"]["severity"], alert["labels"]["service"]) == ("critical", "school")
            assert told.records[0].incident_id in alert["annotations"]["description"]
            assert test_incidents.PAYMENT not in json.dumps(alert)
            clock.now += 120  # it goes on, so its end is put off
            fail()
            before = alert["endsAt"]
            one.sweep()
            eventually(lambda: alertmanager.alerts()[0]["endsAt"] > before)
            two.sweep()
            eventually(lambda: told.outcomes() == [("alertmanager", "done")] * 4)
            clock.now += 300
            one.sweep()
            two.sweep()
            eventually(lambda: alertmanager.alerts() == [])
            eventually(lambda: told.outcomes() == [("alertmanager", "done")] * 6)
            assert len(told.of("incident_opened")) == len(told.of("incident_resolved")) == 2
        wrong = {**login, "password_file": str(tmp_path / "wrong")}
        (tmp_path / "wrong").write_text("wrong")
        with detector(clock, where, certificates.ca, **wrong):
            told.records.clear()
            fail()
            eventually(lambda: told.outcomes() == [("alertmanager", "failed")])
            assert "401" in told.of("incident_response")[0].result
        with detector(clock, where, certificates.other_ca, **login):
            told.records.clear()
            fail()
            eventually(lambda: told.outcomes() == [("alertmanager", "failed")])
    finally:
        alertmanager.stop()


@pytest.mark.parametrize("misbehaves", [stay_silent, drip])
def test_an_alertmanager_that_hangs_is_given_up(told, clock, certificates, misbehaves):
    before = count("logbastion_incident_responses_total", response="alertmanager", outcome="timed_out")
    with HttpsStandIn(certificates) as server, detector(clock, server.address, certificates.ca, clock) as found:
        server.behave = misbehaves
        fail(100)  # returns although nobody answers
        eventually(lambda: server.requests)
        clock.now += 10
        assert found.sweep()
        assert told.outcomes() == [("alertmanager", "timed_out")]
        assert found.lasting()[0].count == 100
    counted = count("logbastion_incident_responses_total", response="alertmanager", outcome="timed_out")
    assert counted == before + 1
