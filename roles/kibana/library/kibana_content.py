#!/usr/bin/python
# Copyright The Logbastion authors
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: what Kibana shows in a space is compared with what it should show, and only what differs is loaded."""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kibana_objects import (
    SavedObject,
    differs,
    key_of,
    normal,
    remembered,
    sentence,
    twice,
)
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
module: kibana_content
short_description: Make a space in Kibana and load saved objects into it
description:
  - Makes the space when it is not there, exports the objects that are named, compares them by meaning and imports only those that differ. In check mode
    nothing is written; the result is the same.
  - Objects that are not named are left alone. Nothing is ever deleted. What somebody has changed in a named object is put back.
  - Uses C(/api/spaces/space), C(/api/saved_objects/_export) and C(/api/saved_objects/_import), which 8.19 and 9.x have.
options:
  url:
    description: Address of Kibana, C(https) only.
    type: str
    required: true
  ca_path:
    description: File with the certificate authority that the server's certificate is verified with.
    type: path
    required: true
  username:
    description: Who writes. Needs all privileges of Kibana.
    type: str
    required: true
  password:
    description: The password of O(username).
    type: str
    required: true
  space:
    description: The space. What is not named here (colour, initials) stays as people have set it.
    type: dict
    required: true
    suboptions:
      id:
        description: Part of the addresses of the space.
        type: str
        required: true
      name:
        description: Its name.
        type: str
        required: true
  saved_objects:
    description: Objects as a line of an export has them, with C(type), C(id), C(attributes) and C(references).
    type: list
    elements: dict
    required: true
  state_file:
    description:
      - File on the host that keeps, for each object, what it was loaded from and what Kibana has made of it, as sums. Kibana migrates objects of older versions
        when it loads them; without the file, such an object would be loaded at each run.
    type: path
    required: true
  timeout:
    description: Seconds for one request.
    type: int
    default: 120
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Load the dashboards
  kibana_content:
    url: https://kibana1:5601
    ca_path: /etc/kibana/certs/ca.crt
    username: elastic
    password: "{{ elastic_password }}"
    space: {id: logs, name: Application logs}
    saved_objects: "{{ lookup('ansible.builtin.file', 'overview.ndjson').split('\n') | select | map('from_json') | list }}"
    state_file: /var/lib/logbastion-kibana/saved_objects.json
"""

RETURN = r"""
written:
  description: What was (in check mode, would be) written, as C(space id) or C(type:id).
  type: list
  elements: str
  returned: success
"""


class KibanaError(Exception):
    """Kibana could not be asked, or refused; the message is a sentence for the operator. `status` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0, attributes: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.attributes = attributes or {}


class Kibana:
    """Kibana over HTTPS, verified with `ca_path` (PEM file); `timeout` in seconds."""

    def __init__(self, url: str, ca_path: str, username: str, password: str, timeout: int) -> None:
        self.url = url.rstrip("/")
        self.ca_path = ca_path
        self.auth = (username, password)
        self.timeout = timeout

    def call(self, method: str, path: str, data: bytes | None = None, content_type: str = "application/json") -> bytes:
        """Return the answer's body.

        Raises:
            KibanaError: for every status from 400 on, and when there is no answer.
        """
        try:
            with open_url(
                self.url + path,
                method=method,
                data=data,
                # Kibana takes a request that changes something only with this header (its protection against forged ones).
                headers={"Content-Type": content_type, "kbn-xsrf": "logbastion"},
                url_username=self.auth[0],
                url_password=self.auth[1],
                force_basic_auth=True,
                ca_path=self.ca_path,
                timeout=self.timeout,
            ) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            message, attributes = _reason(error)
            raise KibanaError(
                f"Kibana refused {method} {path} as {self.auth[0]} with status {error.code}: {message}",
                error.code,
                attributes,
            ) from error
        except (URLError, OSError, ValueError) as error:
            raise KibanaError(f"{self.url} gave no usable answer: {getattr(error, 'reason', error)}") from error

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send and return JSON, as `call` does."""
        answer = self.call(method, path, None if body is None else json.dumps(body).encode())
        found: dict[str, Any] = json.loads(answer or b"{}")
        return found

    def space(self, name: str) -> dict[str, Any] | None:
        """Return the space as Kibana has it, None if there is none."""
        try:
            return self.send("GET", f"/api/spaces/space/{quote(name, safe='')}")
        except KibanaError as error:
            if error.status != 404:
                raise
            return None

    def exported(self, space: str, wanted: list[SavedObject]) -> dict[str, SavedObject]:
        """Return those of the objects that the space has, by `key_of`, as Kibana exports them."""
        asked = [{"type": thing["type"], "id": thing["id"]} for thing in wanted]
        while asked:
            body = {"objects": asked, "includeReferencesDeep": False, "excludeExportDetails": True}
            try:
                lines = self.call("POST", f"/s/{space}/api/saved_objects/_export", json.dumps(body).encode())
            except KibanaError as error:
                # One object that is not there is enough for a refusal, which names all of them.
                absent = {key_of(thing) for thing in error.attributes.get("objects", [])}
                left = [thing for thing in asked if key_of(thing) not in absent]
                if error.status != 400 or len(left) == len(asked):
                    raise
                asked = left
            else:
                found = [json.loads(line) for line in lines.decode().split("\n") if line.strip()]
                return {key_of(thing): thing for thing in found}
        return {}

    def load(self, space: str, things: list[SavedObject]) -> None:
        """Import objects, each over the one that is there.

        Raises:
            KibanaError: when one of them was not loaded, with Kibana's reason for each.
        """
        boundary = uuid.uuid4().hex
        lines = "\n".join(json.dumps(thing) for thing in things)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="logbastion.ndjson"\r\n'
        data = f"{head}Content-Type: application/ndjson\r\n\r\n{lines}\r\n--{boundary}--\r\n".encode()
        path = f"/s/{space}/api/saved_objects/_import?overwrite=true"
        answer = json.loads(self.call("POST", path, data, f"multipart/form-data; boundary={boundary}"))
        if not answer.get("success"):
            reasons = "; ".join(sentence(error) for error in answer.get("errors", []))
            raise KibanaError(f"Kibana did not load everything: {reasons or answer}.", 200)
        elsewhere = [entry for entry in answer.get("successResults", []) if entry.get("destinationId")]
        if elsewhere:
            names = ", ".join(f"{entry['type']} {entry['id']}" for entry in elsewhere)
            raise KibanaError(
                f"Another space of this Kibana has {names} already, so copies with other ids were loaded into {space}. One Kibana shows the dashboards in one "
                "space: use the space that has them (kibana_space), or delete them there and the copies here, and run again.",
                200,
            )


def _reason(error: HTTPError) -> tuple[str, dict[str, Any]]:
    try:
        found = json.loads(error.read())
        return str(found.get("message", found)), found.get("attributes") or {}
    except (ValueError, AttributeError, OSError):
        return str(error.reason), {}


def space_difference(kibana: Kibana, wanted: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the space before and after, None if nothing differs."""
    stored = kibana.space(wanted["id"])
    if stored is None:
        return {}, {**wanted, "disabledFeatures": []}
    kept = {name: value for name, value in stored.items() if not name.startswith("_")}
    after = {**kept, **wanted}
    return None if kept == after else (kept, after)


def bring(kibana: Kibana, parameters: dict[str, Any], memory: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Bring Kibana to what `parameters` (the module's options) say and return the module's result; `memory` is brought up to date.

    Raises:
        KibanaError: when Kibana refuses.
    """
    space, wanted = parameters["space"]["id"], parameters["saved_objects"]
    written: list[str] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    difference = space_difference(kibana, parameters["space"])
    if difference:
        label = f"space {space}"
        written.append(label)
        before[label], after[label] = difference
        if not check:
            new = not difference[0]
            path = "/api/spaces/space" if new else f"/api/spaces/space/{space}"
            kibana.send("POST" if new else "PUT", path, difference[1])
    stored = {} if difference and not difference[0] else kibana.exported(space, wanted)
    changed = [thing for thing in wanted if differs(thing, stored.get(key_of(thing)), memory.get(key_of(thing)))]
    for thing in changed:
        label = key_of(thing)
        written.append(label)
        before[label] = normal(stored[label]) if label in stored else {}
        after[label] = normal(thing)
    if not check:
        if changed:
            kibana.load(space, changed)
            stored = kibana.exported(space, wanted)
            lost = sorted(key_of(thing) for thing in wanted if key_of(thing) not in stored)
            if lost:
                raise KibanaError(f"Kibana said that it had loaded {', '.join(lost)}, and does not have it.", 200)
        memory.clear()
        memory.update({key_of(thing): remembered(thing, stored[key_of(thing)]) for thing in wanted})
    return {"changed": bool(written), "written": written, "diff": {"before": before, "after": after}}


def read_state(path: str) -> dict[str, Any]:
    """Return what the state file says; a file that is not there or not JSON says nothing, and then everything that was migrated is loaded again."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_state(path: str, memory: dict[str, Any]) -> None:
    """Replace the state file whole, mode 0600 (AnsibleModule.atomic_move would give it the mode of any new file)."""
    descriptor, draft = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".saved_objects.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(memory, file, indent=1, sort_keys=True)
    os.replace(draft, path)


def main() -> None:
    """Run the module."""
    space = {"id": {"type": "str", "required": True}, "name": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_path": {"type": "path", "required": True},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "space": {"type": "dict", "required": True, "options": space},
            "saved_objects": {"type": "list", "elements": "dict", "required": True},
            "state_file": {"type": "path", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not given["url"].startswith("https://"):
        module.fail_json(msg=f"The address {given['url']} is not https: passwords are not sent in clear.")
    doubled = twice(given["saved_objects"])
    if doubled:
        module.fail_json(msg=f"The files name {', '.join(doubled)} more than once. Keep each object in one file.")
    kibana = Kibana(given["url"], given["ca_path"], given["username"], given["password"], given["timeout"])
    memory = read_state(given["state_file"])
    known = dict(memory)
    try:
        result = bring(kibana, given, memory, check=module.check_mode)
    except KibanaError as error:
        if module.check_mode and error.status == 0:
            # Before the first deployment there is nobody to ask: everything would be written.
            names = [f"space {given['space']['id']}", *(key_of(thing) for thing in given["saved_objects"])]
            module.warn(f"{error} In check mode this is taken for a Kibana that does not run yet.")
            module.exit_json(changed=True, written=names)
        module.fail_json(msg=str(error), status=error.status)
    if memory != known and not module.check_mode:
        write_state(given["state_file"], memory)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
