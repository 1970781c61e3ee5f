"""Forged, broken and honest X-Forwarded-For headers."""

import logging
from types import SimpleNamespace

import pytest

from logbastion.client_address import (
    TrustedProxies,
    get_client_ip,
    get_user_agent,
    proxies_from_environment,
    set_trusted_proxies,
)

PROXIES = "10.0.0.0/8, 2001:db8:1::/48"
CLIENT = "203.0.113.9"


@pytest.fixture(autouse=True)
def _nobody_is_trusted(clean_environment):
    set_trusted_proxies(None)
    yield
    set_trusted_proxies(None)


def request(peer, forwarded=None, **more):
    meta = {"REMOTE_ADDR": peer, **more}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return SimpleNamespace(META=meta)


@pytest.mark.parametrize("forwarded", [None, CLIENT, "10.0.0.1", "unknown", f"{CLIENT}, 10.0.0.1"])
@pytest.mark.parametrize("proxies", [None, PROXIES, ""])
def test_a_stranger_is_the_client_whatever_it_writes(forwarded, proxies):
    assert get_client_ip(request("192.0.2.7", forwarded), proxies) == "192.0.2.7"


def test_nobody_is_trusted_by_default_not_even_this_machine():
    assert get_client_ip(request("127.0.0.1", CLIENT)) == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (CLIENT, CLIENT),
        (f"1.1.1.1, {CLIENT}", CLIENT),
        (f"10.0.0.66, {CLIENT}", CLIENT),  # forged to look like a proxy
        (f"1.1.1.1, {CLIENT}, 10.0.0.5", CLIENT),
        (f"1.1.1.1,{CLIENT},10.0.0.5,10.0.0.6", CLIENT),
        (f"<script>, ', unknown, {CLIENT}", CLIENT),
        (f"  1.1.1.1 ,\t{CLIENT}\t ", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        (f"{CLIENT},", CLIENT),
        (f"{CLIENT}, ,,10.0.0.5,", CLIENT),
        ("2001:DB8:0:0:0:0:0:9", "2001:db8::9"),
        ("[2001:db8::9]", "2001:db8::9"),
        ("[2001:db8::9]:443", "2001:db8::9"),
        ("2001:db8::9, 2001:db8:1::5", "2001:db8::9"),
        ("::ffff:203.0.113.9", CLIENT),
        (f"1.1.1.1, {CLIENT}, ::ffff:10.0.0.5", CLIENT),
        ("fe80::1%eth0", "fe80::1"),
        # Nobody but proxies: the left-most, a client within.
        ("10.0.0.7, 10.0.0.5", "10.0.0.7"),
        ("", "10.0.0.1"),
        (" , ", "10.0.0.1"),
        (None, "10.0.0.1"),
        # A trusted proxy wrote something that is no address.
        ("unknown", None),
        (f"{CLIENT}, unknown", None),
        (f"{CLIENT}, unix:, 10.0.0.5", None),
        (f"{CLIENT}, _hidden", None),
        ("203.0.113.9:", None),
        ("203.0.113.9:123456", None),
        ("203.0.113", None),
        ("203.0.113.009", None),
        ("0x7f.1", None),
        ("[203.0.113.9]", None),
        ("[2001:db8::9", None),
        ("[2001:db8::9]x", None),
        ("٢٠٣.0.113.9", None),
        ("203.0.113.9\n", None),
        ("203.0.113.9\x00", None),
        ("1" * 100_000, None),
        (",".join(["10.0.0.5"] * 1000), None),  # longer than any chain of proxies
    ],
)
def test_what_trusted_proxies_say(forwarded, client):
    assert get_client_ip(request("10.0.0.1", forwarded), PROXIES) == client


def test_the_proxy_may_have_an_ipv6_address_or_a_mapped_one():
    assert get_client_ip(request("2001:db8:1::1", CLIENT), PROXIES) == CLIENT
    assert get_client_ip(request("::ffff:10.0.0.1", CLIENT), PROXIES) == CLIENT
    assert get_client_ip(request("::ffff:192.0.2.7", CLIENT), PROXIES) == "192.0.2.7"


@pytest.mark.parametrize("peer", ["", None])
def test_a_unix_socket_is_trusted_only_when_that_is_said(peer):
    assert get_client_ip(request(peer, CLIENT), PROXIES) is None
    assert get_client_ip(request(peer, f"1.1.1.1, {CLIENT}, 10.0.0.5"), f"unix, {PROXIES}") == CLIENT
    assert get_client_ip(request(peer), "unix") is None
    assert get_client_ip(SimpleNamespace(META={"HTTP_X_FORWARDED_FOR": CLIENT}), "unix") == CLIENT


@pytest.mark.parametrize("peer", ["localhost", "unix:", "10.0.0.1, 10.0.0.2", "%", 7, b"10.0.0.1"])
def test_a_peer_that_is_no_address_is_nobody(peer):
    assert get_client_ip(request(peer, CLIENT), f"unix {PROXIES}") is None


class Hostile:
    @property
    def META(self):  # noqa: N802
        raise RuntimeError("no")


@pytest.mark.parametrize("broken", [None, object(), SimpleNamespace(META=None), SimpleNamespace(META=[]), Hostile(), 5])
def test_what_is_no_request(broken):
    assert get_client_ip(broken, PROXIES) is None
    assert get_user_agent(broken) is None


@pytest.mark.parametrize("value", ["10.0.0.0/33", "10.0.0.1/8", "proxy", "0.0.0.0/0", "::/0", "*", "10.0.0.5, what"])
def test_wrong_networks_get_a_sentence(value):
    with pytest.raises(ValueError, match="The trusted proxy"):
        TrustedProxies(value)
    with pytest.raises(ValueError, match="The trusted proxy"):
        get_client_ip(request("10.0.0.1"), value)


def test_networks_as_a_list_and_the_setting_before_the_environment(monkeypatch):
    monkeypatch.setenv("LOGBASTION_TRUSTED_PROXIES", "10.0.0.1,10.0.0.2")
    assert get_client_ip(request("10.0.0.2", CLIENT)) == CLIENT
    set_trusted_proxies(["10.0.0.1"])
    assert get_client_ip(request("10.0.0.2", CLIENT)) == "10.0.0.2"
    assert get_client_ip(request("10.0.0.1", CLIENT)) == CLIENT
    set_trusted_proxies([])
    assert get_client_ip(request("10.0.0.1", CLIENT)) == "10.0.0.1"
    assert repr(TrustedProxies(["unix", "10.0.0.1"])) == "TrustedProxies('unix, 10.0.0.1/32')"


def test_a_wrong_environment_variable_trusts_nobody_and_says_so_once(monkeypatch, caplog):
    monkeypatch.setenv("LOGBASTION_TRUSTED_PROXIES", "10.0.0.1, everybody-of-this-test")
    with caplog.at_level(logging.ERROR):
        assert get_client_ip(request("10.0.0.1", CLIENT)) == "10.0.0.1"
        assert get_client_ip(request("10.0.0.1", CLIENT)) == "10.0.0.1"
    assert [record.name for record in caplog.records] == ["system.log_management"]
    with pytest.raises(ValueError, match="everybody-of-this-test"):
        proxies_from_environment()


def test_the_user_agent_is_cut():
    assert get_user_agent(request("", HTTP_USER_AGENT="x" * 9999)) == "x" * 512


def test_they_can_still_be_had_from_events():
    from logbastion import events

    assert events.get_client_ip is get_client_ip
    assert events.get_user_agent is get_user_agent
