"""The cluster that was founded: whole, closed, confined, and without what it needed only to begin."""

import datetime
import socket
import ssl

import pytest
import requests

FOREIGN_ENTRIES = {
    "xpack.security.http.ssl.keystore.secure_password",
    "xpack.security.transport.ssl.keystore.secure_password",
}


def main_pid(host):
    return host.check_output("systemctl show --property MainPID --value elasticsearch.service")


def server_pid(host):
    """The launcher's child, which is the server."""
    return host.check_output(f"pgrep --parent {main_pid(host)} --full org.elasticsearch.server")


def test_both_nodes_are_one_healthy_cluster(node):
    health = node.get("/_cluster/health").json()
    assert health["number_of_nodes"] == 2
    assert health["status"] == "green"
    assert health["cluster_name"] == "logbastion"
    names = {found["name"] for found in node.get("/_nodes/_all/name").json()["nodes"].values()}
    assert names == {"elasticsearch-bookworm", "elasticsearch-trixie"}


def test_the_founders_names_are_gone_and_the_data_knows_the_cluster(host, node):
    configuration = host.file("/etc/elasticsearch/elasticsearch.yml").content_string
    assert "discovery.seed_hosts" in configuration
    assert "initial_master_nodes" not in configuration
    identity = node.get("/").json()["cluster_uuid"]
    assert (
        host.run("grep --recursive --text --quiet --fixed-strings %s /var/lib/elasticsearch/_state", identity).rc == 0
    )


def test_the_right_password_is_asked_for_over_tls(node):
    assert node.get("/").status_code == 200
    assert node.get("/", auth=("elastic", "wrong")).status_code == 401
    assert node.get_without_credentials("/").status_code == 401
    assert node.get_without_credentials("/_cluster/health").status_code == 401
    assert not node.answers_in_clear()


def test_a_client_that_trusts_another_authority_does_not_connect(node):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{node.address}:9200/", timeout=10)


def test_old_tls_is_refused(node):
    context = ssl.create_default_context(cafile=node.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection((node.address, 9200), timeout=10) as plain,
        pytest.raises(OSError, match=r"(?i)alert|eof|reset|protocol"),
    ):
        context.wrap_socket(plain, server_hostname=node.host)


def transport_answers(node, *, certificate=None):
    """Tell whether the transport port says anything to a ping after the handshake; TLS 1.2, so that a refusal comes with the handshake."""
    context = ssl.create_default_context(cafile=node.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(*certificate)
    try:
        with (
            socket.create_connection((node.address, 9300), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=node.host) as tls,
        ):
            tls.sendall(b"ES\xff\xff\xff\xff")
            return tls.recv(6) == b"ES\xff\xff\xff\xff"
    except OSError:
        return False


def test_only_who_has_a_certificate_of_the_authority_reaches_the_transport_port(node, secrets_directory):
    own = secrets_directory / "certificates/hosts" / node.host
    assert transport_answers(node, certificate=(f"{own}.crt", f"{own}.key"))
    assert not transport_answers(node)


def test_nothing_else_listens(host):
    ports = {line.split()[3].rpartition(":")[2] for line in host.check_output("ss -ltnH").splitlines()}
    assert ports == {"9200", "9300"}


@pytest.mark.parametrize(
    ("path", "user", "group", "mode"),
    [
        ("/etc/elasticsearch/elasticsearch.yml", "root", "elasticsearch", 0o640),
        ("/etc/elasticsearch/elasticsearch.keystore", "root", "elasticsearch", 0o640),
        ("/etc/elasticsearch/jvm.options.d/logbastion.options", "root", "elasticsearch", 0o640),
        ("/etc/elasticsearch/certs", "root", "elasticsearch", 0o750),
        ("/etc/elasticsearch/certs/host.key", "root", "elasticsearch", 0o640),
        ("/etc/systemd/system/elasticsearch.service.d/logbastion.conf", "root", "root", 0o644),
        ("/var/lib/elasticsearch", "elasticsearch", "elasticsearch", 0o2750),
        ("/var/log/elasticsearch", "elasticsearch", "elasticsearch", 0o2750),
    ],
)
def test_owners_and_modes(host, path, user, group, mode):
    found = host.file(path)
    assert (found.user, found.group, found.mode) == (user, group, mode)


def test_others_read_neither_keystore_nor_key_nor_logs(host):
    for path in ("elasticsearch.keystore", "certs/host.key", "elasticsearch.yml"):
        assert host.run("su --shell /bin/sh nobody --command 'cat /etc/elasticsearch/%s'", path).rc != 0
    assert host.run("su --shell /bin/sh nobody --command 'ls /var/log/elasticsearch /var/lib/elasticsearch'").rc != 0


def test_passwords_of_other_keystores_are_gone(host):
    entries = set(host.check_output("/usr/share/elasticsearch/bin/elasticsearch-keystore list").splitlines())
    assert "bootstrap.password" in entries
    assert not entries & FOREIGN_ENTRIES


def test_the_password_is_in_no_log_and_no_command_line(host, password):
    assert host.run("journalctl --no-pager --output cat").stdout.count(password) == 0
    assert host.run("grep --recursive --files-with-matches --fixed-strings %s /var/log /etc", password).stdout == ""


def test_heap_and_further_options_of_java_are_what_was_asked_for(node):
    for found in node.get("/_nodes/_local/jvm").json()["nodes"].values():
        assert found["jvm"]["mem"]["heap_max_in_bytes"] == 512 * 1024**2
        assert found["jvm"]["mem"]["heap_init_in_bytes"] == 512 * 1024**2
        assert "-XX:TieredStopAtLevel=1" in found["jvm"]["input_arguments"]


def test_the_server_is_confined(host):
    status = dict(
        line.split(":\t", 1)
        for line in host.file(f"/proc/{server_pid(host)}/status").content_string.splitlines()
        if ":\t" in line
    )
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert int(status["CapEff"], 16) == 0
    assert int(status["CapBnd"], 16) == 0
    assert host.run("systemd-analyze security --threshold=30 --no-pager elasticsearch.service").rc == 0


def test_the_kernel_allows_enough_memory_maps(host):
    assert int(host.file("/proc/sys/vm/max_map_count").content_string) >= 1048576
    assert host.file("/etc/sysctl.d/99-elasticsearch.conf").contains("vm.max_map_count")


def test_the_bootstrap_checks_are_enforced(host):
    log = host.file("/var/log/elasticsearch/logbastion.log").content_string
    assert "bound or publishing to a non-loopback address, enforcing bootstrap checks" in log


def test_nodes_were_restarted_one_after_the_other(host, inventory_name):
    """side_effect.yml gave both a reason to be restarted; the second one stops only when the first is back."""
    log = host.check_output(
        "grep --fixed-strings -e '] started {' -e '] stopping ...' /var/log/elasticsearch/logbastion.log"
    )
    times = [datetime.datetime.strptime(line[1:24], "%Y-%m-%dT%H:%M:%S,%f") for line in log.splitlines()]
    words = ["started" if "started {" in line else "stopping" for line in log.splitlines()]
    # What test_survival.py does to the nodes comes after these three, if the tests are run again.
    assert words[:3] == ["started", "stopping", "started"]
    RESTARTS[inventory_name] = times[1:3]
    if len(RESTARTS) == 2:
        first, second = sorted(RESTARTS.values())
        assert first[1] < second[0]


RESTARTS: dict[str, list[datetime.datetime]] = {}
"""Stop and start of each node, filled by the test above for one node after the other."""
