"""The pipelines as they are rendered: their syntax by Logstash's grammar, and that each option exists in 8.19 and in 9.x.

Logstash itself is not run here. An option that is used must be in the tables below. Each was looked up in the sources of Logstash 8.19.20 and 9.5.2 (settings)
and of the plugins: the versions that 8.19.20 has (tcp 6.4.14, http 3.10.11, json_lines 3.2.2, elasticsearch 11.22.17, file 4.3.0; of beats 6.9.11 and
dead_letter_queue 2.0.2 the ones before, 6.9.8 and 2.0.1), and the newest, for 9.x. The filters mutate and ruby, the codec line and the plugin pipeline were
taken from their pages only. The pages are below https://www.elastic.co/guide/en/logstash/8.19/ and https://www.elastic.co/docs/reference/logstash/ (9.x).

| Options | Page |
| ------- | ---- |
| input tcp: host, port, codec, dns_reverse_lookup_enabled, tcp_keep_alive, ssl_* | plugins-inputs-tcp |
| input beats: host, port, enrich, ssl_* | plugins-inputs-beats |
| input http: host, port, codec, max_content_length, remote_host_target_field, request_headers_target_field, ssl_* | plugins-inputs-http |
| input pipeline: address; output pipeline: send_to | pipeline-to-pipeline |
| input dead_letter_queue: path, pipeline_id, commit_offsets, clean_consumed | plugins-inputs-dead_letter_queue |
| codec json_lines: decode_size_limit_bytes | plugins-codecs-json_lines |
| codec line: format | plugins-codecs-line |
| filter mutate: add_field, remove_field (common options), replace | plugins-filters-mutate |
| filter ruby: code, path | plugins-filters-ruby |
| output elasticsearch: hosts, api_key, ssl_*, data_stream, data_stream_auto_routing, action, document_id, manage_template, silence_errors_in_log |
  plugins-outputs-elasticsearch |
| output file: path, file_mode, dir_mode, flush_interval, codec | plugins-outputs-file |
| id | the common options of each of these pages |
| logstash.yml, pipelines.yml | logstash-settings-file, persistent-queues, dead-letter-queues, monitoring-logstash |
"""

import json
from pathlib import Path

import jinja2
import pytest
import yaml
from logbastion.redaction.classification import Classification
from logstash_pipeline_parser import Pipeline

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ROOT / "elk_templates/logstash"
ROLE = ROOT / "roles/logstash"
INPUT_TLS = {
    "ssl_enabled", "ssl_certificate", "ssl_key", "ssl_client_authentication", "ssl_certificate_authorities", "ssl_supported_protocols",
}  # fmt: skip
OPTIONS = {
    "input.tcp": {"host", "port", "codec", "dns_reverse_lookup_enabled", "tcp_keep_alive"} | INPUT_TLS,
    "input.beats": {"host", "port", "enrich"} | INPUT_TLS,
    "input.http": {
        "host", "port", "codec", "max_content_length", "remote_host_target_field", "request_headers_target_field",
    } | INPUT_TLS,
    "input.pipeline": {"address"},
    "input.dead_letter_queue": {"path", "pipeline_id", "commit_offsets", "clean_consumed"},
    "json_lines": {"decode_size_limit_bytes"},
    "line": {"format"},
    "filter.mutate": {"add_field", "remove_field", "replace"},
    "filter.ruby": {"code", "path"},
    "output.pipeline": {"send_to"},
    "output.elasticsearch": {
        "hosts", "api_key", "ssl_enabled", "ssl_certificate_authorities", "ssl_verification_mode", "data_stream", "data_stream_auto_routing", "action",
        "document_id", "manage_template", "silence_errors_in_log",
    },
    "output.file": {"path", "file_mode", "dir_mode", "flush_interval", "codec"},
}  # fmt: skip
SETTINGS = {
    "node.name", "path.data", "path.logs", "config.reload.automatic", "config.reload.interval", "pipeline.ecs_compatibility", "pipeline.unsafe_shutdown",
    "queue.type", "queue.drain", "queue.checkpoint.writes", "dead_letter_queue.enable", "dead_letter_queue.max_bytes", "dead_letter_queue.storage_policy",
    "dead_letter_queue.retain.age",
    "api.enabled", "api.http.host", "api.http.port", "api.auth.type", "api.auth.basic.username", "api.auth.basic.password",
}  # fmt: skip
PIPELINE_SETTINGS = {"pipeline.id", "path.config", "queue.type", "queue.max_bytes", "dead_letter_queue.enable"}


def plain(name):
    """Return the role's defaults and internal variables that are not templates."""
    variables = yaml.safe_load((ROLE / name).read_text())
    return {key: value for key, value in variables.items() if "{{" not in str(value)}


def rendered(path, **changes):
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        autoescape=jinja2.select_autoescape(default_for_string=False),
    )
    environment.filters |= {"comment": "# {}".format, "to_json": json.dumps, "bool": bool}
    environment.filters["ternary"] = lambda value, yes, no: yes if value else no
    variables = {
        **plain("defaults/main.yml"),
        **plain("vars/main.yml"),
        "ansible_managed": "managed",
        "inventory_hostname": "logs1",
        "logstash_elasticsearch_urls": ["https://es1:9200", "https://es2:9200"],
        "__logstash_certificate_checksum": "abc",
        "__logstash_forbidden_fields": yaml.safe_load((SOURCES / "forbidden_fields.yml").read_text()),
        "__logstash_queue": "2048m",
        "__logstash_dead_letter_queue": "512m",
        "logstash_dead_letter_days": 90,
        **changes,
    }
    return environment.from_string(path.read_text()).render(variables)


CASES = {
    "all inputs": {},
    "tcp only, one environment": {
        "logstash_beats_port": 0, "logstash_http_port": 0, "logstash_environments": ["production"],
    },
    "two environments": {"logstash_environments": ["production", "staging"]},
}  # fmt: skip


def plugins(nodes, section):
    """Yield section.plugin (a codec by its name alone) and its options, through branches, from the parser's tree."""
    for name, content in nodes:
        if name in ("if", "else if"):
            yield from plugins(content[1][0], section)
        elif name == "else":
            yield from plugins(content, section)
        else:
            options = {option: value[0] for option, value in content}
            yield f"{section}.{name}", options
            if isinstance(options.get("codec"), list):
                codec, of_codec = options["codec"]
                yield codec, {option: value[0] for option, value in of_codec}


def parsed(text):
    return [plugin for section, content in Pipeline(text).parse() for plugin in plugins(content, section)]


@pytest.fixture(scope="module", params=CASES)
def ingest(request):
    return parsed(rendered(SOURCES / "ingest.conf.j2", **CASES[request.param]))


@pytest.fixture(scope="module")
def dead_letters():
    return parsed(rendered(SOURCES / "dead_letters.conf.j2"))


def of(found, name):
    return [options for plugin, options in found if plugin == name]


def test_options_are_those_of_the_tables(ingest, dead_letters):
    for name, options in ingest + dead_letters:
        assert options.keys() - {"id"} <= OPTIONS[name], name


def test_tables_list_nothing_that_is_not_used(dead_letters):
    used = {}
    for name, options in parsed(rendered(SOURCES / "ingest.conf.j2")) + dead_letters:
        used.setdefault(name, set()).update(options.keys() - {"id"})
    assert used == OPTIONS


def test_each_plugin_has_a_name_of_its_own_for_the_metrics(ingest):
    named = [options.get("id") for name, options in ingest if "." in name]
    assert None not in named
    assert len(set(named)) == len(named)


def test_each_input_wants_tls_and_a_client_certificate(ingest):
    inputs = [options for name, options in ingest if name.startswith("input.")]
    assert inputs
    for options in inputs:
        assert options["ssl_enabled"] is True
        assert options["ssl_client_authentication"] == "required"
        assert options["ssl_supported_protocols"] == ["TLSv1.2", "TLSv1.3"]
        assert str(options["ssl_key"]).endswith("host.key")


def test_event_is_created_once_under_its_id_and_elasticsearch_is_verified(ingest):
    (output,) = of(ingest, "output.elasticsearch")
    assert (output["action"], output["document_id"]) == ("create", "%{[event][id]}")
    assert output["ssl_verification_mode"] == "full"
    assert output["api_key"] == "${ES_API_KEY}"
    assert output["silence_errors_in_log"] == ["version_conflict_engine_exception"]


def test_every_reason_for_a_dead_letter_leads_to_the_dead_letters(ingest, dead_letters):
    reasons = [reason for options in of(ingest, "filter.mutate") for (_, (reason,)) in options.get("add_field", [])]
    # As the contract of an ingest asks for them (tests/ingest/test_contract.py).
    wanted = ("not JSON", "@timestamp", "larger than 262144 bytes", "event.id", "event.dataset", "service.environment")
    assert [wanted[number] in reason for number, reason in enumerate(reasons)] == [True] * len(wanted)
    assert of(ingest, "output.pipeline")[0]["send_to"] == [of(dead_letters, "input.pipeline")[0]["address"]]


def test_refused_events_are_read_back_from_the_queue_of_the_pipeline_that_writes_them(dead_letters):
    pipelines = yaml.safe_load(rendered(ROLE / "templates/pipelines.yml.j2"))
    writers = [each["pipeline.id"] for each in pipelines if each["dead_letter_queue.enable"]]
    (reader,) = of(dead_letters, "input.dead_letter_queue")
    assert writers == [reader["pipeline_id"]]
    settings = yaml.safe_load(rendered(ROLE / "templates/logstash.yml.j2"))
    assert str(reader["path"]) == settings["path.data"] + "/dead_letter_queue"


def test_settings_are_those_of_the_tables():
    settings = yaml.safe_load(rendered(ROLE / "templates/logstash.yml.j2"))
    assert settings.keys() == SETTINGS
    for each in yaml.safe_load(rendered(ROLE / "templates/pipelines.yml.j2")):
        assert each.keys() == PIPELINE_SETTINGS


def test_what_is_dropped_is_what_the_package_drops_and_no_field_of_the_contract(ingest):
    names = yaml.safe_load((SOURCES / "forbidden_fields.yml").read_text())
    classification = Classification.standard()
    assert {name: getattr(classification.kind_of(name), "treatment", None) for name in names} == dict.fromkeys(
        names, "drop"
    ) | {"card_number": "last_four"}
    removed = of(ingest, "filter.mutate")[0]["remove_field"]
    assert {f"[extra][{name}]" for name in names} | set(names) == set(removed) - {
        "@version", "data_stream", "[event][original]",
    }  # fmt: skip
    mapping = yaml.safe_load((ROOT / "elk_templates/component_templates/logbastion-event.json").read_text())
    assert not set(names) & mapping["template"]["mappings"]["properties"].keys()


def test_streams_are_those_that_elasticsearch_has(ingest):
    templates = {path.stem for path in (ROOT / "elk_templates/index_templates").glob("logs-*.json")}
    assert {f"logs-{name}" for name in plain("vars/main.yml")["__logstash_datasets"]} == templates


def test_wrong_pipeline_is_not_taken():
    with pytest.raises(Exception, match="xpected"):
        parsed(rendered(SOURCES / "ingest.conf.j2").replace("mutate {", "mutate ", 1))
