"""What was stored is there after the restart of side_effect.yml, and after the server or its launcher was killed without a word."""

from service_over_tls import wait_for
from test_cluster import main_pid, server_pid

VICTIMS = {"elasticsearch-bookworm": server_pid, "elasticsearch-trixie": main_pid}
"""What dies on each node: the server, or the launcher that systemd knows and whose child the server is."""


def is_whole(node):
    health = node.get("/_cluster/health").json()
    return (health.get("number_of_nodes"), health.get("status")) == (2, "green")


def document(node):
    return node.get(f"/survival-{node.host}/_doc/1").json().get("_source")


def processes(host):
    """Launcher and server, however many there are of them."""
    return set(host.run("pgrep --uid elasticsearch --full -- '-Des.path.home='").stdout.split())


def test_documents_and_cluster_survive_restart_and_kill(host, node, inventory_name):
    wait_for(lambda: is_whole(node), 180)
    assert document(node) == {"kept": inventory_name}
    cluster, before = node.get("/").json()["cluster_uuid"], processes(host)

    host.check_output(f"kill -KILL {VICTIMS[inventory_name](host)}")

    wait_for(lambda: processes(host).isdisjoint(before) and is_whole(node), 180)
    assert document(node) == {"kept": inventory_name}
    assert node.get("/").json()["cluster_uuid"] == cluster
    assert len(processes(host)) == 2
