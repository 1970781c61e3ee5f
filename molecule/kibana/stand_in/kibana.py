#!/usr/bin/python3
"""Stand-in for Kibana: status, spaces, export and import of saved objects as Kibana's API has them, and nothing that people could look at.

What it does is what the sources of Kibana (elastic/kibana, 8.19 and 9.x) say of these routes; each rule below names its file. Names and passwords are asked of
the Elasticsearch that the configuration names, and so is the service account's token, without which it does not start.
"""

import base64
import http.server
import json
import os
import pathlib
import re
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

Answer = tuple[int, Any]
SUPPORTED = ("dashboard", "index-pattern", "search", "tag", "visualization", "lens")
# import-export-server-internal, lib/validate_references.ts
VALIDATED = ("index-pattern", "search")


class Store:
    """Spaces and objects, in a file that outlives the process."""

    def __init__(self, path: pathlib.Path) -> None:
        """Read what is there."""
        self.path = path
        self.lock = threading.Lock()
        default = {"default": {"id": "default", "name": "Default", "disabledFeatures": [], "_reserved": True}}
        self.spaces: dict[str, Any] = default
        self.objects: dict[str, Any] = {}
        self.writes = 0
        if path.exists():
            found = json.loads(path.read_text())
            self.spaces, self.objects, self.writes = found["spaces"], found["objects"], found["writes"]

    def save(self) -> None:
        """Write everything."""
        self.writes += 1
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps({"spaces": self.spaces, "objects": self.objects, "writes": self.writes}))
        draft.replace(self.path)

    def find(self, space: str, key: str) -> Any:
        """Return the object `type:id` as the space sees it."""
        return self.objects.get(f"{space}/{key}")

    def migrated(self, thing: dict[str, Any]) -> dict[str, Any]:
        """Return what is stored of what was sent: Kibana's own fields, and a dashboard in another shape, as a newer version's migration leaves it."""
        attributes = json.loads(json.dumps(thing["attributes"]))
        if thing["type"] == "dashboard" and "panelsJSON" in attributes:
            panels = [{**panel, "migrated": True} for panel in json.loads(attributes["panelsJSON"])]
            attributes["panelsJSON"] = json.dumps(panels, separators=(",", ":"))
            attributes["version"] = 3
        return {
            "type": thing["type"],
            "id": thing["id"],
            "attributes": attributes,
            "references": thing.get("references", []),
            "coreMigrationVersion": "8.8.0",
            "typeMigrationVersion": "10.2.0",
            "managed": thing.get("managed", False),
            "created_at": "2026-01-01T00:00:00.000Z",
            "updated_at": f"2026-01-01T00:00:{self.writes % 60:02d}.000Z",
            "version": f"W{self.writes}",
        }


class Api:
    """The routes."""

    def __init__(self, store: Store) -> None:
        """Serve a store."""
        self.store = store

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        """Return status and body for a request of somebody who may everything."""
        found = re.fullmatch(r"(?:/s/([^/]+))?(/api/[^?]*)(?:\?(.*))?", path)
        if not found:
            return 404, error(404, "Not Found")
        space, route, query = found[1] or "default", found[2], dict(urllib.parse.parse_qsl(found[3] or ""))
        if space not in self.store.spaces:
            return 404, error(404, "Saved object [space/" + space + "] not found")
        with self.store.lock:
            if route.startswith("/api/spaces/space"):
                return self.space(
                    method, urllib.parse.unquote(route.removeprefix("/api/spaces/space").lstrip("/")), body
                )
            if (method, route) == ("POST", "/api/saved_objects/_export"):
                return self.export(space, json.loads(body))
            if (method, route) == ("POST", "/api/saved_objects/_import"):
                return self.load(space, body, headers, query)
        return 404, error(404, "Not Found")

    def space(self, method: str, name: str, body: bytes) -> Answer:
        """Serve /api/spaces/space (spaces/server/routes/api/external)."""
        spaces = self.store.spaces
        if method == "GET":
            if not name:
                return 200, list(spaces.values())
            return (200, spaces[name]) if name in spaces else (404, error(404, "Not Found"))
        given = json.loads(body)
        unknown = set(given) - {
            "id",
            "name",
            "description",
            "initials",
            "color",
            "disabledFeatures",
            "imageUrl",
            "solution",
        }
        if unknown or not re.fullmatch(r"[a-z0-9_\-]+", given.get("id", "")) or not given.get("name"):
            return 400, error(400, f"[request body]: definition for this key is missing {sorted(unknown)}")
        if method == "POST" and given["id"] in spaces:
            return 409, error(409, f"A space with the identifier {given['id']} already exists.")
        if method == "PUT" and name not in spaces:
            return 404, error(404, "Not Found")
        spaces[given["id"]] = {**spaces.get(given["id"], {}), "disabledFeatures": [], **given}
        self.store.save()
        return 200, spaces[given["id"]]

    def export(self, space: str, body: dict[str, Any]) -> Answer:
        """Serve _export by objects (saved-objects/server-internal/src/routes/export.ts, saved_objects_exporter.ts)."""
        wanted = body["objects"]
        foreign = sorted({thing["type"] for thing in wanted} - set(SUPPORTED))
        if foreign:
            return 400, error(400, f"Trying to export object(s) with non-exportable types: {', '.join(foreign)}")
        absent = [thing for thing in wanted if not self.store.find(space, f"{thing['type']}:{thing['id']}")]
        if absent:
            objects = [{**thing, "error": {"statusCode": 404, "error": "Not Found"}} for thing in absent]
            return 400, {
                "message": "Error fetching objects to export",
                "attributes": {"objects": objects},
                "statusCode": 400,
            }
        lines = [
            json.dumps(self.store.find(space, f"{thing['type']}:{thing['id']}"), sort_keys=True) for thing in wanted
        ]
        if not body.get("excludeExportDetails"):
            lines.append(json.dumps({"exportedCount": len(wanted)}))
        return 200, "\n".join(lines)

    def load(self, space: str, body: bytes, headers: Any, query: dict[str, str]) -> Answer:
        """Serve _import (routes/import.ts, import_saved_objects.ts): all or, with errors, nothing."""
        boundary = re.fullmatch(r"multipart/form-data; boundary=(\S+)", headers["Content-Type"] or "")
        part = boundary and re.search(
            rb'name="file"; filename="[^"]+\.ndjson"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--' + boundary[1].encode(),
            body,
            re.DOTALL,
        )
        if not part:
            return 415 if not boundary else 400, error(400, "Invalid file extension")
        things = [json.loads(line) for line in part[1].decode().split("\n") if line.strip()]
        keys = {f"{thing['type']}:{thing['id']}" for thing in things}
        if len(keys) < len(things):
            return 400, error(400, "Non-unique import objects detected")
        errors = [failed for thing in things if (failed := self.refusal(space, thing, keys, query))]
        if errors:
            return 200, {"success": False, "successCount": 0, "errors": errors}
        results = [self.put(space, thing) for thing in things]
        self.store.save()
        return 200, {"success": True, "successCount": len(results), "warnings": [], "successResults": results}

    def refusal(self, space: str, thing: dict[str, Any], keys: set[str], query: dict[str, str]) -> Any:
        """Return why an object is not taken, or nothing."""
        name = {"type": thing["type"], "id": thing["id"], "meta": {"title": thing["attributes"].get("title")}}
        if thing["type"] not in SUPPORTED:
            return {**name, "error": {"type": "unsupported_type"}}
        missing = [
            {"type": entry["type"], "id": entry["id"]}
            for entry in thing.get("references", [])
            if entry["type"] in VALIDATED
            and f"{entry['type']}:{entry['id']}" not in keys
            and not self.store.find(space, f"{entry['type']}:{entry['id']}")
        ]
        if missing:
            return {**name, "error": {"type": "missing_references", "references": missing}}
        if query.get("overwrite") != "true" and self.store.find(space, f"{thing['type']}:{thing['id']}"):
            return {**name, "error": {"type": "conflict"}}
        return None

    def put(self, space: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Store an object; an id that another space has already becomes another one here (lib/check_conflicts.ts)."""
        key = f"{thing['type']}:{thing['id']}"
        elsewhere = any(name.endswith(f"/{key}") and name != f"{space}/{key}" for name in self.store.objects)
        stored = self.store.migrated(thing)
        result = {"type": thing["type"], "id": thing["id"], "managed": stored["managed"]}
        if elsewhere and not self.store.find(space, key):
            stored["id"] = f"copy-of-{thing['id']}"
            result["destinationId"] = stored["id"]
        self.store.objects[f"{space}/{stored['type']}:{stored['id']}"] = stored
        return result


def error(status: int, message: str) -> dict[str, Any]:
    """Return an error as Kibana's routes give it."""
    return {"statusCode": status, "error": http.HTTPStatus(status).phrase, "message": message}


def handler(api: Api, authenticated: Callable[[str], bool], available: Callable[[], bool]) -> Any:
    """Return a request handler. `authenticated` judges an Authorization header, `available` the connection to Elasticsearch."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            known = authenticated(self.headers["Authorization"] or "")
            if self.path == "/api/status":
                # core/packages/status: without credentials the level only.
                level = "available" if available() else "unavailable"
                overall = {"level": level, **({"summary": "a stand-in for Kibana"} if known else {})}
                self.reply(200 if level == "available" else 503, {"status": {"overall": overall}})
            elif not known:
                self.reply(401, error(401, "Unauthorized"))
            # core/packages/http/server-internal: lifecycle_handlers.ts
            elif self.command != "GET" and not self.headers["kbn-xsrf"]:
                self.reply(400, error(400, "Request must contain a kbn-xsrf header."))
            else:
                self.reply(*api.answer(self.command, self.path, body, self.headers))

        do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815

        def reply(self, status: int, body: Any) -> None:
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/ndjson" if isinstance(body, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def settings() -> dict[str, Any]:
    """Return kibana.yml (the role writes a JSON value a line) with the keystore over it, as Kibana does."""
    directory = pathlib.Path(os.environ["KBN_PATH_CONF"])
    lines = (directory / "kibana.yml").read_text().splitlines()
    pairs = [line.partition(":") for line in lines if line.strip() and not line.startswith("#")]
    words = {name: value.strip() for name, _, value in pairs}
    found = {name: json.loads(value) if value[:1] in '"[{' else value for name, value in words.items()}
    return {**found, **json.loads((directory / "kibana.keystore").read_text())["entries"]}


def asked(url: str, context: ssl.SSLContext, authorization: str) -> int:
    """Return the status with which Elasticsearch answers to who somebody is, 0 without an answer."""
    request = urllib.request.Request(f"{url}/_security/_authenticate", headers={"Authorization": authorization})  # noqa: S310
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


def main() -> None:
    """Serve."""
    found = settings()
    url = found["elasticsearch.hosts"][0]
    trusted = ssl.create_default_context(cafile=found["elasticsearch.ssl.certificateAuthorities"][0])
    token = f"Bearer {found['elasticsearch.serviceAccountToken']}"
    if asked(url, trusted, token) == 401:
        sys.exit("[FATAL][root] Unable to authenticate with Elasticsearch: the service account token is wrong")
    for name in (
        "xpack.security.encryptionKey",
        "xpack.encryptedSavedObjects.encryptionKey",
        "xpack.reporting.encryptionKey",
    ):
        if len(found.get(name, "")) < 32:
            sys.exit(f"[FATAL][root] Error: [config validation of [{name}]]: value has length below the minimum of 32")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(found["server.ssl.certificate"], found["server.ssl.key"])
    api = Api(Store(pathlib.Path(found["path.data"], "stand-in.json")))

    def authenticated(header: str) -> bool:
        scheme, _, value = header.partition(" ")
        return scheme == "Basic" and b":" in base64.b64decode(value) and asked(url, trusted, header) == 200

    server = http.server.ThreadingHTTPServer(
        (found["server.host"], int(found["server.port"])),
        handler(api, authenticated, lambda: asked(url, trusted, token) == 200),
    )
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("a stand-in for Kibana listens", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
