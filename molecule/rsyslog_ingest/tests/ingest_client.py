"""The ingest as its clients see it, and Elasticsearch behind it, from the control node."""

from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from service_over_tls import ServiceOverTls

from lab import hosts
from tests.ingest.client import PORT, Credentials, IngestClient, Store, event

__all__ = ["ELASTICSEARCH", "PORT", "SHIPPER", "Ingest", "Store", "event"]

ELASTICSEARCH = "rsyslog-ingest-bookworm"
SHIPPER = "rsyslog-ingest-trixie.log-shipper"


class Ingest(IngestClient):
    """The ingest of one host of this scenario."""

    def __init__(self, host: Any, name: str, certificates: Path) -> None:
        self.host = host
        self.certificates = certificates
        super().__init__(name, self.of_client(SHIPPER), address=hosts.address(name), read_dead_letters=self._read)

    def of_client(self, client: str) -> Credentials:
        """Return the credentials of a client whose certificate the scenario has made."""
        path = self.certificates / "clients" / client
        return Credentials(
            self.certificates / "ca/ca.crt", path.with_name(f"{client}.crt"), path.with_name(f"{client}.key")
        )

    def _read(self) -> str:
        return str(self.host.run("cat /var/log/logbastion-ingest/dead-letters.jsonl 2>/dev/null || true").stdout)

    def systemctl(self, *words: str) -> None:
        self.host.check_output("systemctl " + " ".join(words))


class Metrics(ServiceOverTls):
    """What the ingest tells Prometheus."""

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        answer = self.get("/metrics")
        answer.raise_for_status()
        samples = [each for family in text_string_to_metric_families(answer.text) for each in family.samples]
        found = [each.value for each in samples if each.name == name and each.labels.items() >= labels.items()]
        assert found, f"no {name} {labels}"
        return sum(found)
