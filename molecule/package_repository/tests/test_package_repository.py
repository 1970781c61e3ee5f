"""What apt thinks of the repository, and what is refused."""

import re
import subprocess

import pytest

BOOKWORM = "package-repository-bookworm"
SOURCE = {
    BOOKWORM: "file:/srv/logbastion-repository",
    "package-repository-trixie": "https://package-repository-trixie:8443/repository",
}


def test_apt_takes_elasticsearch_from_the_repository_at_the_pinned_version(host, inventory_name):
    policy = host.check_output("apt-cache policy elasticsearch").replace("file:///", "file:/")
    assert re.search(r"Candidate: 8\.19\.", policy)
    assert re.search(r" 8\.19\.\S+ 999\n +500 " + re.escape(SOURCE[inventory_name]) + r" stable/main ", policy)


def test_apt_reads_all_lists_without_a_warning(host):
    result = host.run("apt-get update")
    assert result.rc == 0
    assert "W:" not in result.stdout + result.stderr
    assert "E:" not in result.stdout + result.stderr


def test_repository_is_not_trusted_without_its_key(host):
    """The key is what apt goes by: with an empty one in its place the repository is refused."""
    host.check_output("mv /etc/apt/keyrings/lab.asc /etc/apt/keyrings/lab.kept")
    try:
        host.check_output("touch /etc/apt/keyrings/lab.asc")
        host.check_output("mkdir --parents /tmp/lists/partial")
        options = "-o Dir::Etc::sourcelist=/etc/apt/sources.list.d/lab.sources -o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists=/tmp/lists"
        result = host.run(f"apt-get {options} update")
        assert result.rc == 100
        assert "is not signed" in result.stderr
    finally:
        host.check_output("mv /etc/apt/keyrings/lab.kept /etc/apt/keyrings/lab.asc")


def test_files_belong_to_root_and_everybody_reads_them(host):
    for path in ("/etc/apt/keyrings/lab.asc", "/etc/apt/sources.list.d/lab.sources", "/etc/apt/preferences.d/lab.pref"):
        file = host.file(path)
        assert (path, file.user, file.group, file.mode) == (path, "root", "root", 0o644)
    assert not host.file("/etc/apt/apt.conf.d/80lab-proxy.conf").exists


@pytest.fixture(scope="module")
def other_key(tmp_path_factory):
    """A public key that signs nothing here."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch"]
    subprocess.run(
        [*gpg, "--passphrase", "", "--quick-generate-key", "Somebody else", "ed25519", "sign"],
        check=True,
        capture_output=True,
    )
    key = home / "other.asc"
    subprocess.run([*gpg, "--armor", "--output", str(key), "--export"], check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return key


def test_what_cannot_be_done_gets_a_sentence_and_leaves_nothing(tmp_path, other_key, assert_each_is_refused):
    not_a_key = tmp_path / "key.asc"
    not_a_key.write_text("<html>blocked</html>\n")
    elsewhere = "https://packages.invalid/apt"
    cases = {
        "directory": (
            {"uris": ["file:///srv/not-there"]},
            "The package repository file:///srv/not-there cannot be reached from",
        ),
        "name": ({"uris": [elsewhere]}, f"The package repository {elsewhere} cannot be reached from {BOOKWORM}"),
        "proxy": ({"uris": [elsewhere], "proxy": "http://127.0.0.1:1"}, "Connection refused"),
        "proxy address": ({"proxy": "127.0.0.1"}, "package_repository_proxy must be an address"),
        "plain": (
            {"uris": ["http://packages.invalid/apt"]},
            "must hold addresses that begin with https:// or file:///.",
        ),
        "no key": (
            {"key": "/no/such/key.asc"},
            "/no/such/key.asc on the control node, and there is no ASCII armoured public key",
        ),
        "not a key": ({"key": str(not_a_key)}, "there is no ASCII armoured public key"),
        "other key": (
            {"key": str(other_key)},
            "apt does not accept the package repository file:///srv/logbastion-repository",
        ),
        "bad pin": ({"pin": "newest"}, "package_repository_version_pin (newest) must be a version"),
    }
    assert_each_is_refused(cases, BOOKWORM)


def test_refused_repository_left_nothing(host, inventory_name):
    found = host.run("find /etc/apt -name '*refused*'")
    assert found.rc == 0
    assert found.stdout == ""


def test_version_that_does_not_exist_is_named_with_those_that_do(run_playbook):
    run = run_playbook(limit=BOOKWORM, variables={"package_repository_version_pin": "7.17.*"})
    assert run.failed
    assert "has no version 7.17.* of elasticsearch, kibana, logstash. It has 8.19." in run.sentences
    assert run.changed == 0


def test_misspelt_variable_is_refused(run_playbook):
    run = run_playbook(limit=BOOKWORM, variables={"package_repository_uri": "https://packages.invalid/apt"})
    assert run.failed
    assert "knows no variable package_repository_uri." in run.sentences
    assert run.changed == 0
