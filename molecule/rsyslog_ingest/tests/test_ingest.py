"""What this ingest promises beyond the contract (test_contract.py): which client gets in, what is kept when something dies."""

import base64
import json
import ssl
import time

import pytest
from ingest_client import event
from service_over_tls import wait_for

from tests.ingest.test_contract import refused, send_and_read

SERVICE = "logbastion-ingest"
QUEUE = "/var/spool/logbastion-ingest"


def test_client_with_the_name_of_another_is_cut_off(ingest):
    context = ingest.context(ingest.of_client("stranger.log-shipper"))
    line = json.dumps(event("refused", 0)).encode()
    refused(lambda: send_and_read(ingest, context, line))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_that_closes_without_reading_loses_nothing(ingest, store, run, version):
    context = ingest.context()
    context.minimum_version = context.maximum_version = version
    with ingest.connect(context) as connection:
        connection.sendall(b"".join(json.dumps(event(run, number)).encode() + b"\n" for number in range(1000)))
    store.wait_for_all(run, 1000)


def test_dead_letter_is_the_line_byte_by_byte(ingest, run):
    line = json.dumps(event(run, 0, event={"id": run, "dataset": "django.secrets"}), indent=1).replace("\n", "\t")
    ingest.send([line.encode()])
    assert ingest.wait_for_dead_letter(run)["raw"] == line


def test_bytes_that_are_not_text_are_kept_as_they_came(ingest, run):
    line = run.encode() + b" \xff\xfe \x7f"
    ingest.send([line])
    kept = wait_for(
        lambda: [each for each in ingest.dead_letters() if base64.b64decode(each.get("raw_base64", "")) == line]
    )
    assert len(kept) == 1


def test_modes_and_owners(ingest, host, run):
    ingest.send([run.encode()])
    ingest.wait_for_dead_letter(run)
    expected = {
        "/etc/logbastion-ingest": ("root", "logbastion-ingest", 0o750),
        "/etc/logbastion-ingest/rsyslog.conf": ("root", "logbastion-ingest", 0o640),
        "/etc/logbastion-ingest/deliver.json": ("root", "logbastion-ingest", 0o640),
        "/etc/logbastion-ingest/elasticsearch_password": ("root", "logbastion-ingest", 0o640),
        "/etc/logbastion-ingest/certs/host.key": ("root", "logbastion-ingest", 0o640),
        "/var/spool/logbastion-ingest": ("logbastion-ingest", "logbastion-ingest", 0o700),
        "/var/log/logbastion-ingest": ("logbastion-ingest", "logbastion-ingest", 0o750),
        "/var/log/logbastion-ingest/dead-letters.jsonl": ("logbastion-ingest", "logbastion-ingest", 0o640),
    }
    found = {path: (host.file(path).user, host.file(path).group, host.file(path).mode) for path in expected}
    assert found == expected


def test_dead_letters_have_an_end(ingest, host, run):
    ingest.send([run.encode()])
    ingest.wait_for_dead_letter(run)
    host.check_output("logrotate --force --state /tmp/state /etc/logrotate.d/logbastion-ingest-dead-letters")
    ingest.send([f"{run} again".encode()])
    ingest.wait_for_dead_letter(f"{run} again")
    directory = "/var/log/logbastion-ingest/dead-letters"
    found = host.check_output(f"grep --recursive --count {run} {directory} {directory}.jsonl")
    assert sum(int(line.rpartition(":")[2]) for line in found.splitlines()) == 2
    host.check_output(f"touch --time=modify --date='91 days ago' {directory}/*")
    host.check_output("systemd-tmpfiles --clean")
    assert host.check_output(f"ls {directory}") == ""
    assert [letter["raw"] for letter in ingest.dead_letters()] == [f"{run} again"]
    for timer in ("logrotate.timer", "systemd-tmpfiles-clean.timer"):
        assert host.check_output(f"systemctl is-active {timer}") == "active"


def test_system_logging_and_node_exporter_of_the_host_were_not_switched_on(host):
    for service in ("rsyslog", "prometheus-node-exporter"):
        assert not host.service(service).is_running
        assert host.service(service).is_masked


def test_service_runs_without_privileges(host):
    assert {process.user for process in host.process.filter(comm="rsyslogd")} == {"logbastion-ingest"}
    assert {process.user for process in host.process.filter(comm="prometheus-node")} == {"prometheus"}
    for service in (SERVICE, f"{SERVICE}-metrics"):
        exposure = host.run(f"systemd-analyze security --no-pager --threshold=35 {service}")
        assert exposure.rc == 0, exposure.stdout


def test_killed_service_comes_back(ingest, store, run):
    ingest.systemctl("kill", "--kill-who=main", "--signal=KILL", SERVICE)
    ingest.wait_until_listening()
    ingest.send_events([event(run, 0)])
    store.wait_for_all(run, 1)


def test_what_was_taken_in_survives_kill_and_restart_while_elasticsearch_is_away(
    ingest, store, run, elasticsearch_away, metrics
):
    begin = time.time()
    for turn, command in enumerate(
        (("kill", "--kill-who=main", "--signal=KILL"), ("restart",), ("kill", "--kill-who=all", "--signal=KILL"))
    ):
        ingest.send_events(event(run, number) for number in range(turn * 1000, turn * 1000 + 1000))
        ingest.systemctl(*command, SERVICE)
        ingest.wait_until_listening()
    wait_for(lambda: metrics.value("logbastion_ingest_queue_events") >= 3000)
    assert metrics.value("logbastion_ingest_queue_bytes") > 3000 * len(json.dumps(event(run, 0)))
    # The first of them waits still, and Prometheus can tell for how long.
    wait_for(lambda: begin - 60 < metrics.value("logbastion_ingest_oldest_timestamp_seconds") < time.time())
    elasticsearch_away()
    store.wait_for_all(run, 3000, 300)
    wait_for(lambda: metrics.value("logbastion_ingest_queue_events") == 0)
    wait_for(lambda: metrics.value("logbastion_ingest_oldest_timestamp_seconds") == 0)


def test_restart_takes_away_what_is_delivered(ingest, store, host, run, metrics):
    ingest.send_events(event(run, number) for number in range(100))
    store.wait_for_all(run, 100)
    wait_for(lambda: metrics.value("logbastion_ingest_queue_events") == 0)
    assert host.run("grep -rl %s %s", run, QUEUE).stdout, "rsyslogd keeps it while it runs"
    ingest.systemctl("restart", SERVICE)
    ingest.wait_until_listening()
    assert host.run("grep -rl %s %s", run, QUEUE).rc == 1
    ingest.send_events(event(run, number) for number in range(100, 200))
    store.wait_for_all(run, 200)


def test_killed_while_it_takes_events_in_and_sent_again_each_is_stored_once(ingest, store, run):
    events = [event(run, number) for number in range(2000)]
    with ingest.connect(ingest.context()) as connection:
        for each in events[:1000]:
            connection.sendall(json.dumps(each).encode() + b"\n")
        ingest.systemctl("kill", "--kill-who=main", "--signal=KILL", SERVICE)
    ingest.wait_until_listening()
    ingest.send_events(events)
    store.wait_for_all(run, 2000)


def test_wrong_password_makes_events_wait_and_the_right_one_needs_no_restart(ingest, store, host, run):
    path = "/etc/logbastion-ingest/elasticsearch_password"
    right = host.file(path).content_string
    ingest.systemctl("kill", "--kill-who=all", "--signal=KILL", SERVICE)
    host.check_output("echo wrong > %s", path)
    ingest.wait_until_listening()
    process = host.check_output(f"systemctl show --value --property=MainPID {SERVICE}")
    ingest.send_events(event(run, number) for number in range(100))
    wait_for(
        lambda: (
            "Events wait in the queue: Elasticsearch answered 401"
            in host.check_output(f"journalctl -o cat --since=-2min -u {SERVICE}")
        )
    )
    host.run_expect([0], "printf '%%s' %s > %s", right, path)
    store.wait_for_all(run, 100)
    assert host.check_output(f"systemctl show --value --property=MainPID {SERVICE}") == process


def test_no_event_is_in_the_journal(host):
    assert "business" not in host.check_output(f"journalctl -o cat -u {SERVICE}")


def test_wrong_variables_get_a_sentence_and_change_nothing(run_playbook):
    for variables, sentence in (
        ({"rsyslog_ingest_prot": 5959}, "knows no variable rsyslog_ingest_prot"),
        ({"rsyslog_ingest_port": "99999", "rsyslog_ingest_permitted_clients": ["*"]}, "rsyslog_ingest_port is 99999."),
        ({"rsyslog_ingest_queue_maximum_size": "900000g"}, "Only "),
    ):
        run = run_playbook(playbook="refusals.yml", limit="rsyslog-ingest-trixie", variables=variables)
        assert run.failed
        assert sentence in run.sentences
        assert run.changed == 0
