"""What the role writes into kibana.yml and the keystore, and that each setting exists in 8.19 and in 9.x.

Kibana itself is not run here, and it refuses to start with a setting that it does not know. So each one that is used must be in the table below, with
the page that documents it for 8.19 (https://www.elastic.co/guide/en/kibana/8.19/) and for 9.x (https://www.elastic.co/docs/reference/kibana/configuration-reference/).
Read were the general and the security page of 9.x, the security page of an earlier 8.x, and the schemas of xpack.security and telemetry in the sources
(security/server/config.ts, telemetry/server/config/config.ts). Not opened: the pages of 8.19, and those of telemetry and reporting.

| Settings | 8.19 | 9.x |
| -------- | ---- | --- |
| server.name, host, port, publicBaseUrl; server.ssl.enabled, certificate, key, supportedProtocols; server.securityResponseHeaders.disableEmbedding |
  settings.html | general-settings |
| elasticsearch.hosts, serviceAccountToken; elasticsearch.ssl.certificateAuthorities, verificationMode | settings.html | general-settings |
| path.data, status.allowAnonymous, newsfeed.enabled, map.includeElasticMapsService | settings.html | general-settings |
| logging.root.level, logging.root.appenders | logging-settings.html | logging-settings |
| telemetry.optIn, telemetry.allowChangingOptInStatus | telemetry-settings-kbn.html | telemetry-settings |
| xpack.security.authc.providers.basic.<name>.order; xpack.security.session.idleTimeout, lifespan, cleanupInterval; xpack.security.sameSiteCookies;
  xpack.security.loginAssistanceMessage; xpack.security.encryptionKey | security-settings-kb.html | security-settings |
| xpack.encryptedSavedObjects.encryptionKey | security-settings-kb.html | security-settings |
| xpack.reporting.encryptionKey | reporting-settings-kb.html | reporting-settings |

And what the module and the tasks ask of the API:

| Route | Page |
| ----- | ---- |
| GET /api/status | https://www.elastic.co/docs/api/doc/kibana/operation/operation-get-status |
| GET, POST, PUT /api/spaces/space | https://www.elastic.co/docs/api/doc/kibana/group/endpoint-spaces |
| POST /api/saved_objects/_export, _import | https://www.elastic.co/docs/api/doc/kibana/group/endpoint-saved-objects |
| POST, DELETE /_security/service/elastic/kibana/credential/token | https://www.elastic.co/guide/en/elasticsearch/reference/8.19/security-api-create-service-token.html |
"""

import json

import jinja2
import pytest
import yaml
from kibana_parts import ROLE

SETTINGS = {
    "server.name", "server.host", "server.port", "server.publicBaseUrl", "server.ssl.enabled", "server.ssl.certificate", "server.ssl.key",
    "server.ssl.supportedProtocols", "server.securityResponseHeaders.disableEmbedding", "elasticsearch.hosts", "elasticsearch.ssl.certificateAuthorities",
    "elasticsearch.ssl.verificationMode", "path.data", "status.allowAnonymous", "newsfeed.enabled", "map.includeElasticMapsService", "logging.root.level",
    "logging.root.appenders", "telemetry.optIn", "telemetry.allowChangingOptInStatus", "xpack.security.authc.providers.basic.basic1.order",
    "xpack.security.session.idleTimeout", "xpack.security.session.lifespan", "xpack.security.session.cleanupInterval", "xpack.security.sameSiteCookies",
    "xpack.security.loginAssistanceMessage",
}  # fmt: skip
SECRETS = {
    "elasticsearch.serviceAccountToken", "xpack.security.encryptionKey", "xpack.encryptedSavedObjects.encryptionKey", "xpack.reporting.encryptionKey",
}  # fmt: skip


def load(name):
    return yaml.safe_load((ROLE / name).read_text())


def rendered(**changes):
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=jinja2.select_autoescape(default_for_string=False),
    )
    environment.filters |= {"comment": "# {}".format, "to_json": json.dumps}
    variables = {**load("defaults/main.yml"), **load("vars/main.yml")}
    known = {key: value for key, value in variables.items() if "{{" not in str(value) and "{%" not in str(value)}
    given = {
        "ansible_managed": "managed",
        "inventory_hostname": "logs1.example.org",
        "kibana_public_url": "https://logs.example.org",
        "kibana_elasticsearch_urls": ["https://es1.example.org:9200"],
    }
    text = environment.from_string((ROLE / "templates/kibana.yml.j2").read_text())
    return yaml.safe_load(text.render(**(known | given | changes)))


def test_settings_are_those_of_the_table():
    assert set(rendered(kibana_login_message="Members only")) == SETTINGS
    assert set(rendered()) == SETTINGS - {"xpack.security.loginAssistanceMessage"}


def test_what_may_not_be_repeated_is_everything_that_the_role_writes():
    assert set(load("vars/main.yml")["__kibana_own_settings"]) == SETTINGS | SECRETS
    assert set(load("vars/main.yml")["__kibana_own_secrets"]) == SECRETS
    assert load("vars/main.yml")["__kibana_own_settings"] == sorted(SETTINGS | SECRETS)


def test_values():
    found = rendered()
    assert found["server.publicBaseUrl"] == "https://logs.example.org"
    assert found["server.ssl.enabled"] is True
    assert found["server.ssl.supportedProtocols"] == ["TLSv1.3", "TLSv1.2"]
    assert found["elasticsearch.ssl.verificationMode"] == "full"
    assert [found[name] for name in ("telemetry.optIn", "newsfeed.enabled", "map.includeElasticMapsService")] == [
        False
    ] * 3
    assert [name for name in found if ".providers." in name] == ["xpack.security.authc.providers.basic.basic1.order"]
    assert (found["xpack.security.session.idleTimeout"], found["xpack.security.session.lifespan"]) == ("1h", "12h")


@pytest.mark.parametrize("text", ["Only: for # members", '"quoted" {{ braces }}', "two\nlines", "ünïcode 💡"])
def test_a_text_of_the_inventory_arrives_as_it_is(text):
    found = rendered(kibana_login_message=text)["xpack.security.loginAssistanceMessage"]
    # A sign above U+FFFF is written as two halves, which are one sign in JavaScript's strings and two in Python's.
    assert found.encode("utf-16", "surrogatepass").decode("utf-16") == text


def test_settings_of_the_inventory_keep_their_types():
    given = {
        "server.maxPayload": 2097152,
        "server.xsrf.allowlist": [],
        "csp.strict": True,
        "server.customResponseHeaders": {"a": "b"},
    }
    found = rendered(kibana_settings=given)
    assert {name: found[name] for name in given} == given


def test_no_secret_is_written_into_the_file():
    text = (ROLE / "templates/kibana.yml.j2").read_text()
    assert [name for name in SECRETS if name in text] == []


def test_roles_name_streams_that_there_are_and_privileges_that_were_looked_up():
    """The privileges of Elasticsearch are tried on a real one, in tests/elasticsearch."""
    table = yaml.safe_load((ROLE.parents[1] / "elk_templates/kibana_roles.yml").read_text())
    assert sorted(table) == ["log_developer", "log_operator", "log_privacy_officer", "log_security_officer"]
    for role in table.values():
        assert {stream for entry in role["indices"] for stream in entry["streams"]} <= {
            "application", "security", "audit", "performance", "debug",
        }  # fmt: skip
        assert set(role["kibana"]) <= {"dashboard.read", "discover.read", "dev_tools.read"}
