# ruff: noqa: S608, RUF001 - statements for the log only; signs that look like others
"""Ways to write a name and a value into one text.

A syntax that neither quotes nor escapes takes no wild values, and no name that it could not hold.
"""

from __future__ import annotations

import html
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from corpus.items import Item

from red_team.kinds import KINDS, is_wild

Write = Callable[[str, str], str]


@dataclass(frozen=True)
class Syntax:
    """One way to write a pair.

    Attributes:
        write: the text from name and value.
        quotes: it can hold any value.
        lines: it can hold a line break.

    """

    write: Write
    quotes: bool
    lines: bool = False

    def suits(self, item: Item) -> bool:
        """Say whether the item can stand in it as a whole."""
        if "\n" in item.value or "\r" in item.value:
            return self.lines
        # What speaks for itself may hold spaces and signs of its own: nothing around it has to say where it ends.
        return (
            self.quotes or (item.kind in KINDS and KINDS[item.kind].alone) or not is_wild(item) or item.kind in _SPACED
        )

    def __call__(self, item: Item) -> str:
        """Return the text."""
        return self.write(item.known_field or "x", item.value)


_SPACED: Final = {"card_named", "phone_portuguese", "nif", "bearer", "basic"}


def _word(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _camel(name: str) -> str:
    parts = _word(name).split("_")
    return parts[0] + "".join(part.title() for part in parts[1:])


def _single(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _double(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _form(name: str, value: str) -> str:
    return urllib.parse.urlencode({"step": "2", name: value, "lang": "pt"})


def _sql(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


SYNTAXES: Final[dict[str, Syntax]] = {
    "arrow": Syntax(lambda n, v: f"{n} => {v}", False),
    "arrow_quoted": Syntax(lambda n, v: f"'{n}' => '{_single(v)}',", True),
    "thin_arrow": Syntax(lambda n, v: f"{n} -> {v}", False),
    "is": Syntax(lambda n, v: f"the {n} is {v}", False),
    "portuguese_is": Syntax(lambda n, v: f"o campo {n} é {v}", False),
    "colon": Syntax(lambda n, v: f"{n}: {v}", False),
    "colon_tight": Syntax(lambda n, v: f"{n}:{v}", False),
    "colon_quoted": Syntax(lambda n, v: f"{n}: '{_single(v)}'", True),
    "equals_quoted": Syntax(lambda n, v: f'{n}="{_double(v)[1:-1]}"', True),
    "equals_semicolon": Syntax(lambda n, v: f"a=1;{n}={v};b=2", False),
    "equals_comma": Syntax(lambda n, v: f"a=1, {n}={v}, b=2", False),
    "walrus": Syntax(lambda n, v: f"{n} := {v}", False),
    "double_equals": Syntax(lambda n, v: f"if {_word(n)} == '{_single(v)}'", True),
    "next_line": Syntax(lambda n, v: f"{n}:\n    {v}\nend", False),
    "next_line_bare": Syntax(lambda n, v: f"{n}\n{v}\n", False),
    "pipe": Syntax(lambda n, v: f"{n}|{v}|ok", False),
    "table": Syntax(lambda n, v: f"| {n} | {v} |", False),
    "tab": Syntax(lambda n, v: f"{n}\t{v}\tok", False),
    "yaml_block": Syntax(lambda n, v: f"user:\n  id: 3\n  {n}: {v}\n  active: true\n", False),
    "yaml_quoted": Syntax(lambda n, v: f"user:\n  - id: 3\n    {n}: {_double(v)}\n", True),
    "yaml_folded": Syntax(lambda n, v: f"{n}: |\n  {v}\nnext: 1", False),
    "ini": Syntax(lambda n, v: f"[mail]\nhost = a\n{n} = {v}\nport = 25\n", False),
    "toml": Syntax(lambda n, v: f"[mail]\n{_word(n)} = {_double(v)}\n", True),
    "xml_element": Syntax(lambda n, v: f"<user><id>3</id><{n}>{html.escape(v)}</{n}></user>", True, True),
    "xml_namespace": Syntax(lambda n, v: f'<ns:{n} xsi:type="xsd:string">{html.escape(v)}</ns:{n}>', True, True),
    "xml_attribute": Syntax(lambda n, v: f'<user id="3" {n}="{html.escape(v)}"/>', True),
    "html_input": Syntax(lambda n, v: f'<input type="text" name="{n}" id="id_1" value="{html.escape(v)}">', True),
    "html_value_first": Syntax(lambda n, v: f'<input value="{html.escape(v)}" type="hidden" name="{n}">', True),
    "multipart": Syntax(
        lambda n, v: f'--b7\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n--b7--\r\n', True, True
    ),
    "multipart_typed": Syntax(
        lambda n, v: (
            f'--b7\nContent-Disposition: form-data; name="{n}"\nContent-Type: text/plain; charset=utf-8\n\n{v}\n--b7--'
        ),
        True,
        True,
    ),
    "form": Syntax(_form, True, True),
    "form_capitals_encoded_name": Syntax(
        lambda n, v: "a=1&" + urllib.parse.quote(n, safe="").replace("_", "%5F") + "=" + urllib.parse.quote(v, safe=""),
        True,
        True,
    ),
    "query": Syntax(lambda n, v: f"https://e.example/p?{_form(n, v)}#top", True, True),
    "query_twice_encoded": Syntax(
        lambda n, v: "/entrar?next=" + urllib.parse.quote(f"/p?{_form(n, v)}", safe=""), True, True
    ),
    "form_brackets": Syntax(lambda n, v: urllib.parse.urlencode({f"user[{n}]": v, "a": 1}), True, True),
    "curl_data": Syntax(
        lambda n, v: f"curl -X POST -d '{_word(n)}={urllib.parse.quote(v, safe='')}' https://e.example", True
    ),
    "curl_header": Syntax(lambda n, v: f"curl -sS -H '{n}: {v}' https://e.example", False),
    "curl_json": Syntax(lambda n, v: "curl --data-raw '" + json.dumps({n: v}).replace("'", "'\\''") + "'", True),
    "flag": Syntax(lambda n, v: f"run --{n.replace('_', '-')} {v} --verbose", False),
    "flag_quoted": Syntax(lambda n, v: f"run --{n.replace('_', '-')} {_double(v)} now", True),
    "argv": Syntax(lambda n, v: repr(["run", f"--{n}", v, "now"]), True),
    "export": Syntax(lambda n, v: f"export {_word(n).upper()}={v}", False),
    "environment": Syntax(lambda n, v: f"environ({{'LANG': 'C', '{_word(n).upper()}': {v!r}}})", True, True),
    "env_lines": Syntax(lambda n, v: f"LANG=C\n{_word(n).upper()}={v}\nHOME=/root", False),
    "repr_dict": Syntax(lambda n, v: repr({"id": 3, n: v, "ok": True}), True, True),
    "repr_dict_nested": Syntax(lambda n, v: repr({"user": {"form": [{n: [v]}]}}), True, True),
    "repr_pairs": Syntax(lambda n, v: repr([("id", 3), (n, v)]), True, True),
    "repr_call": Syntax(lambda n, v: f"User(id=3, {_word(n)}={v!r}, ok=True)", True, True),
    "repr_querydict": Syntax(lambda n, v: f"<QueryDict: {{'a': ['1'], {n!r}: [{v!r}]}}>", True, True),
    "repr_field_value": Syntax(lambda n, v: f"Field(name={n!r}, value={v!r})", True, True),
    "json_name_value": Syntax(lambda n, v: json.dumps({"name": n, "value": v}), True, True),
    "java_map": Syntax(lambda n, v: f"{{id=3, {n}={v}, ok=true}}", False),
    "kotlin": Syntax(lambda n, v: f"User(id=3, {_camel(n)}={v}, ok=true)", False),
    "go_struct": Syntax(lambda n, v: f"&{{ID:3 {_camel(n)[:1].upper()}{_camel(n)[1:]}:{v} Ok:true}}", False),
    "ruby": Syntax(lambda n, v: f"{{:id=>3, :{_word(n)}=>{_double(v)}}}", True),
    "javascript": Syntax(lambda n, v: f"{{ id: 3, {_camel(n)}: '{_single(v)}' }}", True),
    "protobuf": Syntax(lambda n, v: f"user {{\n  {_word(n)}: {_double(v)}\n}}", True),
    "logfmt": Syntax(lambda n, v: f'level=info msg="saved form" {n}={_double(v)} took=3ms', True),
    "json_pretty": Syntax(lambda n, v: json.dumps({"a": 1, n: v}, indent=2), True, True),
    "json_in_json": Syntax(lambda n, v: json.dumps({"body": json.dumps({"inner": json.dumps({n: v})})}), True, True),
    "json_cut": Syntax(lambda n, v: json.dumps({"a": 1, n: v})[:-2] + "...", True, True),
    "json_lines": Syntax(lambda n, v: '{"id": 3}\n' + json.dumps({n: v}) + "\n{}", True, True),
    "json_list": Syntax(lambda n, v: json.dumps({n: ["", v]}), True, True),
    "jsonp": Syntax(lambda n, v: f"callback({json.dumps({n: v})});", True, True),
    "sql_insert": Syntax(lambda n, v: f"INSERT INTO conta (id, {_word(n)}, ok) VALUES (3, {_sql(v)}, 1)", True),
    "sql_insert_two_rows": Syntax(
        lambda n, v: f"INSERT INTO `conta` (`id`, `{_word(n)}`) VALUES (3, ''), (4, {_sql(v)})", True
    ),
    "sql_update": Syntax(lambda n, v: f"UPDATE conta SET ok = 1, {_word(n)} = {_sql(v)} WHERE id = 3", True),
    "sql_where": Syntax(lambda n, v: f'SELECT * FROM conta WHERE "conta"."{_word(n)}" = {_sql(v)} LIMIT 1', True),
    "sql_like": Syntax(lambda n, v: f"SELECT 1 FROM conta WHERE {_word(n)} LIKE {_sql('%' + v + '%')}", True),
    "sql_in": Syntax(lambda n, v: f"SELECT 1 FROM conta WHERE {_word(n)} IN ('a', {_sql(v)})", True),
    "sql_params": Syntax(
        lambda n, v: f"(0.002) UPDATE conta SET {_word(n)} = %s WHERE id = %s; params=({v!r}, 3)", True, True
    ),
    "sql_params_alone": Syntax(lambda n, v: f"query failed, column {_word(n)}, params=({v!r}, 3)", True, True),
    "orm_filter": Syntax(lambda n, v: f"Conta.objects.filter({_word(n)}={v!r}).first()", True, True),
    "orm_q": Syntax(lambda n, v: f"<Q: (AND: ('{_word(n)}__iexact', {v!r}), ('id', 3))>", True, True),
    "postgres_detail": Syntax(
        lambda n, v: f"duplicate key value\nDETAIL:  Key ({_word(n)})=({v}) already exists.", False
    ),
    "template_html": Syntax(lambda n, v: f"<tr><th>{n}</th><td>{html.escape(v)}</td></tr>", True),
    "list_item": Syntax(lambda n, v: f"* {n}: {v}\n* id: 3", False),
    "bracketed": Syntax(lambda n, v: f"[{n}: {v}]", False),
    "bracket_then_value": Syntax(lambda n, v: f"[{n}] {v}", False),
    "quoted_name": Syntax(lambda n, v: f'"{n}" = "{_double(v)[1:-1]}"', True),
    "backticks": Syntax(lambda n, v: f"`{n}`: `{v}`", False),
    "bold": Syntax(lambda n, v: f"**{n}:** {v}", False),
    "got": Syntax(lambda n, v: f"invalid {n}, got '{_single(v)}'", True),
    "value_for": Syntax(lambda n, v: f"received value {v!r} for {n}", True, True),
    "wide_colon": Syntax(lambda n, v: f"{n} : {v}", False),
    "fullwidth_colon": Syntax(lambda n, v: f"{n}：{v}", False),
    "colon_dash": Syntax(lambda n, v: f"{n} - {v}", False),
    "parenthesis": Syntax(lambda n, v: f"login refused ({n} {v})", False),
    "wsgi_bytes": Syntax(lambda n, v: repr(json.dumps({n: v}).encode()), True, True),
    "http_client_debug": Syntax(
        lambda n, v: "send: " + repr(f"POST /x HTTP/1.1\r\nHost: a\r\n\r\n{_form(n, v)}".encode()), True, True
    ),
    "django_setting": Syntax(lambda n, v: f"settings.{_word(n).upper()} = {v!r}", True, True),
    "subscript": Syntax(lambda n, v: f"data[{n!r}] = {v!r}", True, True),
    "get_default": Syntax(lambda n, v: f"os.environ.get('{_word(n).upper()}', {v!r})", True, True),
    "keyerror": Syntax(lambda n, v: f"ValidationError: {{'{n}': ['“{v}” is not valid.']}}", False),
    "comparison": Syntax(lambda n, v: f"AssertionError: {_word(n)} {v!r} != 'x'", True, True),
}
