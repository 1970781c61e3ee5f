#!/usr/bin/python
# Copyright The Logbastion authors
# SPDX-License-Identifier: Apache-2.0
"""Ansible module: what Elasticsearch holds is compared with what it should hold, and only what differs is written."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.store_objects import PATHS, needed_feature, normal, stored_body
from ansible.module_utils.urls import open_url

DOCUMENTATION = r"""
module: log_store
short_description: Load templates, policies, roles and users into Elasticsearch
description:
  - Reads each object from Elasticsearch, compares it by meaning (Elasticsearch returns settings as words and adds defaults) and writes it only
    when it differs. In check mode nothing is written; the result is the same.
  - Objects that are not named are left alone. No object is ever deleted.
  - What needs ILM or SLM is left out, with a warning, when this Elasticsearch has neither.
options:
  url:
    description: Address of Elasticsearch, C(https) only.
    type: str
    required: true
  ca_path:
    description: File with the certificate authority that the server's certificate is verified with.
    type: path
    required: true
  username:
    description: Who writes. Needs the privileges C(manage_index_templates) and C(manage_security).
    type: str
    required: true
  password:
    description: The password of O(username).
    type: str
    required: true
  objects:
    description: Templates, policies, roles and the snapshot repository, written in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      kind:
        description: What it is.
        type: str
        required: true
        choices: [snapshot_repository, ilm_policy, component_template, index_template, role, slm_policy]
      name:
        description: Its name.
        type: str
        required: true
      body:
        description: The body as in Elasticsearch's API.
        type: dict
        required: true
  users:
    description: Native users.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
      update_password:
        description:
          - With V(always) the password is compared by logging in with it, and set when it is another one. With V(on_create) it is the first password of
            a person, who may change it.
        type: str
        default: always
        choices: [always, on_create]
      roles:
        description: All roles of the user.
        type: list
        elements: str
        required: true
  roll_over:
    description:
      - Whether data streams get a new index when their template changed. A template counts for new indices only.
    type: bool
    default: true
  timeout:
    description: Seconds for one request.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Load one component template
  log_store:
    url: https://node1:9200
    ca_path: /etc/elasticsearch/certs/ca.crt
    username: elastic
    password: "{{ elastic_password }}"
    objects:
      - kind: component_template
        name: logbastion-event
        body: "{{ lookup('ansible.builtin.file', 'logbastion-event.json') | from_json }}"
"""

RETURN = r"""
left_out:
  description: What was not written because this Elasticsearch has no ILM or SLM, as C(kind name).
  type: list
  elements: str
  returned: success
written:
  description: What was (in check mode, would be) written, as C(kind name).
  type: list
  elements: str
  returned: success
rolled_over:
  description: Data streams that got a new index.
  type: list
  elements: str
  returned: success
"""


class ApiError(Exception):
    """Elasticsearch could not be asked, or refused; the message is a sentence for the operator. `status` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Elasticsearch over HTTPS, verified with `ca_path` (PEM file); `timeout` in seconds."""

    def __init__(self, url: str, ca_path: str, username: str, password: str, timeout: int) -> None:
        self.url = url.rstrip("/")
        self.ca_path = ca_path
        self.auth = (username, password)
        self.timeout = timeout

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, auth: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """Return the answer's body.

        Raises:
            ApiError: for every status from 400 on, and when there is no answer.
        """
        name, password = auth or self.auth
        try:
            with open_url(
                self.url + path,
                method=method,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
                url_username=name,
                url_password=password,
                force_basic_auth=True,
                ca_path=self.ca_path,
                timeout=self.timeout,
            ) as answer:
                found: dict[str, Any] = json.loads(answer.read() or b"{}")
                return found
        except HTTPError as error:
            raise ApiError(
                f"{method} {path} as {name} was refused with status {error.code}: {_reason(error)}", error.code
            ) from error
        except (URLError, OSError, ValueError) as error:
            raise ApiError(f"{self.url} gave no usable answer: {getattr(error, 'reason', error)}") from error

    def find(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the stored object in normal form, None if there is none."""
        try:
            answer = self.call("GET", PATHS[kind] + quote(name, safe=""))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        body = stored_body(kind, name, answer)
        return None if body is None else normal(kind, body)

    def has(self, feature: str) -> bool:
        """Tell whether this Elasticsearch has `ilm` or `slm`: one without it knows no such address, or takes `_ilm` for the name of an index."""
        try:
            self.call("GET", f"/_{feature}/status")
        except ApiError as error:
            if error.status == 405 or (error.status == 400 and "no handler found" in str(error)):
                return False
            raise
        return True


def _reason(error: HTTPError) -> str:
    try:
        found = json.loads(error.read())["error"]
        causes = [found] if isinstance(found, str) else []
        while isinstance(found, dict):
            causes.append(str(found.get("reason")))
            found = found.get("caused_by")
        return "; ".join(causes)
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)


def user_difference(api: Api, user: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return the user before and after without the password, None if nothing differs. Someone is logged in to find out, nothing is written."""
    if user.get("update_password") == "on_create":
        stored = stored_user(api, user["name"])
        roles = {"roles": sorted(user["roles"])}
        if stored is None:
            return {}, {**roles, "password": "as given"}
        found = {"roles": sorted(stored["roles"])}
        return None if found == roles else (found, roles)
    after = {"roles": sorted(user["roles"]), "password": "as given"}
    try:
        before = api.call("GET", "/_security/_authenticate", auth=(user["name"], user["password"]))
    except ApiError as error:
        if error.status != 401:
            raise
    else:
        found = {"roles": sorted(before["roles"]), "password": "as given"}
        return None if found == after else (found, after)
    stored = stored_user(api, user["name"])
    return ({} if stored is None else {"roles": sorted(stored["roles"]), "password": "another"}), after


def stored_user(api: Api, name: str) -> dict[str, Any] | None:
    """Return the native user as Elasticsearch has it, None if there is none."""
    try:
        found: dict[str, Any] = api.call("GET", f"/_security/user/{quote(name, safe='')}")[name]
    except ApiError as error:
        if error.status != 404:
            raise
        return None
    return found


def user_body(api: Api, user: dict[str, Any]) -> dict[str, Any]:
    """Return what is written of a user. A person who is there keeps the password, the full name, and whether the account is switched off."""
    stored = stored_user(api, user["name"]) if user.get("update_password") == "on_create" else None
    if stored is None:
        return {"roles": user["roles"], "password": user["password"]}
    kept = {key: stored[key] for key in ("full_name", "email", "metadata", "enabled") if stored.get(key) is not None}
    return {**kept, "roles": user["roles"]}


def streams_of(api: Api, patterns: list[str]) -> list[str]:
    """Return the names of the data streams that exist below the patterns."""
    found = api.call("GET", f"/_resolve/index/{quote(','.join(patterns), safe='')}")
    return sorted(stream["name"] for stream in found["data_streams"])


def shadowed(api: Api, pattern: str, wanted: dict[str, Any]) -> bool:
    """Tell whether a new index below `pattern` gets something else than the properties `wanted`, because another template has a higher priority."""
    name = pattern.replace("*", "simulated")
    template = api.call("POST", f"/_index_template/_simulate_index/{quote(name, safe='')}")["template"]
    found = template.get("mappings", {}).get("properties", {})
    return any(key not in found or found[key].get("type") != value.get("type") for key, value in wanted.items())


def label_of(thing: dict[str, Any]) -> str:
    """Return how an object is named in results."""
    return f"{thing['kind']} {thing['name']}"


def load(api: Api, parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Bring the store to what `parameters` (the module's options) say and return the module's result.

    Raises:
        ApiError: when Elasticsearch refuses, or when another template would win over one of these.
    """
    written, before, after, changed_components, patterns = [], {}, {}, set(), []
    absent = {
        feature for feature in {needed_feature(thing) for thing in parameters["objects"]} - {""} if not api.has(feature)
    }
    left_out = [label_of(thing) for thing in parameters["objects"] if needed_feature(thing) in absent]
    for thing in parameters["objects"]:
        label = label_of(thing)
        if label in left_out:
            continue
        stored, wanted = api.find(thing["kind"], thing["name"]), normal(thing["kind"], thing["body"])
        template_changed = stored != wanted
        if template_changed:
            written.append(label)
            before[label], after[label] = stored or {}, wanted
            if thing["kind"] == "component_template":
                changed_components.add(thing["name"])
            if not check:
                api.call("PUT", PATHS[thing["kind"]] + quote(thing["name"], safe=""), thing["body"])
        if thing["kind"] == "index_template" and (
            template_changed or changed_components & set(thing["body"].get("composed_of", []))
        ):
            patterns += thing["body"]["index_patterns"]
    for user in parameters["users"]:
        difference = user_difference(api, user)
        if difference:
            label = f"user {user['name']}"
            written.append(label)
            before[label], after[label] = difference
            if not check:
                body = user_body(api, user)
                api.call("PUT", f"/_security/user/{quote(user['name'], safe='')}", body)
    streams = streams_of(api, patterns) if patterns and parameters["roll_over"] else []
    if not check:
        for stream in streams:
            api.call("POST", f"/{quote(stream, safe='')}/_rollover")
        refuse_shadows(api, parameters["objects"])
    return {
        "changed": bool(written),
        "written": written,
        "rolled_over": streams,
        "left_out": left_out,
        "diff": {"before": before, "after": after},
    }


def refuse_shadows(api: Api, objects: list[dict[str, Any]]) -> None:
    """Raise ApiError when a new index of one of the streams would not get the fields of its component templates."""
    components = {thing["name"]: thing["body"] for thing in objects if thing["kind"] == "component_template"}
    for thing in objects:
        if thing["kind"] != "index_template":
            continue
        wanted: dict[str, Any] = {}
        for name in thing["body"].get("composed_of", []):
            wanted |= components.get(name, {}).get("template", {}).get("mappings", {}).get("properties", {})
        for pattern in thing["body"]["index_patterns"]:
            if shadowed(api, pattern, wanted):
                raise ApiError(
                    f"New indices of {pattern} would not get the fields of the template {thing['name']}: another index template matches them with a "
                    f"higher priority than {thing['body'].get('priority', 0)}, or a component template named @custom or @lifecycle changes their types. "
                    "Lower that priority (GET /_index_template shows all) or remove the change."
                )


def main() -> None:
    """Run the module."""
    user = {
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "update_password": {"type": "str", "default": "always", "choices": ["always", "on_create"], "no_log": False},
        "roles": {"type": "list", "elements": "str", "required": True},
    }
    thing = {
        "kind": {"type": "str", "required": True, "choices": list(PATHS)},
        "name": {"type": "str", "required": True},
        "body": {"type": "dict", "required": True},
    }
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "ca_path": {"type": "path", "required": True},
            "username": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "objects": {"type": "list", "elements": "dict", "required": True, "options": thing},
            "users": {"type": "list", "elements": "dict", "default": [], "options": user},
            "roll_over": {"type": "bool", "default": True},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    given = module.params
    if not given["url"].startswith("https://"):
        module.fail_json(msg=f"The address {given['url']} is not https: passwords are not sent in clear.")
    api = Api(given["url"], given["ca_path"], given["username"], given["password"], given["timeout"])
    try:
        result = load(api, given, check=module.check_mode)
        if result["left_out"]:
            module.warn(
                "This Elasticsearch has no lifecycle or snapshot management (Elastic's packages do), so these were left out: "
                f"{', '.join(result['left_out'])}. Nothing in it is ever deleted."
            )
        module.exit_json(**result)
    except ApiError as error:
        if module.check_mode and error.status == 0:
            # Before the first deployment there is nobody to ask: everything would be written.
            names = [label_of(thing) for thing in given["objects"]] + [
                f"user {user['name']}" for user in given["users"]
            ]
            module.warn(f"{error} In check mode this is taken for an Elasticsearch that does not run yet.")
            module.exit_json(changed=True, written=names, rolled_over=[], left_out=[])
        module.fail_json(msg=str(error), status=error.status)


if __name__ == "__main__":
    main()
