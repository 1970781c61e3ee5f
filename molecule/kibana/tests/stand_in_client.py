"""The stand-in as a client of Kibana's API sees it."""

import json
from typing import Any

import requests
from service_over_tls import ServiceOverTls


class StandInForKibana(ServiceOverTls):
    """The stand-in as a client of Kibana's API sees it, with the header that Kibana wants."""

    def send(self, method: str, path: str, body: Any = None, **arguments: Any) -> requests.Response:
        """Send JSON; nothing is raised for a status."""
        return requests.request(
            method,
            f"https://{self.address}:{self.port}{path}",
            json=body,
            auth=arguments.pop("auth", self.auth),
            verify=self.authority,
            timeout=10,
            headers={"kbn-xsrf": "test"},
            **arguments,
        )

    def objects(self) -> dict[str, Any]:
        """Return what the space has of the scenario's objects, by type and id."""
        names = [
            "index-pattern:logs-django.application",
            "index-pattern:logs-django.security",
            "dashboard:logbastion-sample",
        ]
        wanted = [
            dict(zip(("type", "id"), name.split(":"), strict=True))
            for name in [*names, "search:logbastion-sample-search"]
        ]
        body = {"objects": wanted, "excludeExportDetails": True}
        answer = self.send("POST", "/s/school/api/saved_objects/_export", body)
        assert answer.status_code == 200, answer.text
        things = [json.loads(line) for line in answer.text.split("\n") if line]
        return {f"{thing['type']}:{thing['id']}": thing for thing in things}
