"""What goes wrong on the way of the logs: spool, ingest, Elasticsearch, certificates, retention of the log files."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import stack
from lab.fire import programs, remote
from lab.fire.causes import Cause, Expected
from lab.shell import run

APP = stack.APPLICATION
NAME = stack.APPLICATION_NAME
INGEST = "logbastion-ingest"
QUEUE = f"/var/spool/{INGEST}"
DEAD_LETTERS = f"/var/log/{INGEST}/dead-letters.jsonl"
NOT_JSON = "logbastion-fire"
RETENTION = f"{NAME}-log-retention.service"
_LAST_RUN = f"{stack.LOG_DIRECTORY}/.last-retention-run"
_UNKNOWN_AGE = f"{stack.LOG_DIRECTORY}/debug.log.20200101T000000Z"
_CERTIFICATE = f"/etc/{NAME}/logging/certs/client.crt"
_KEPT = f"{remote.DIRECTORY}/client.crt"
_DAY = 86400
_DJANGO, _OF_INGEST = {"job": "django"}, {"job": "ingest"}
_SECOND = "a second process of the application with a spool of its own"
# What a real event of the lab is not: too long a line is one, too; these go to the dead letters when Elasticsearch is back.
_LINES, _LINE_BYTES = 1300, 100_000


def _program(words: str) -> Any:
    return lambda: programs.application_program(words)


@contextmanager
def _full_disk() -> Iterator[None]:
    programs.make_spool()
    with remote.small_disk(APP, programs.SPOOL, "300k", NAME):
        programs.start_application_program(f"flood --fast=1 --spool={programs.SPOOL}")
        try:
            yield
        finally:
            programs.stop(APP, "program")


@contextmanager
def _damaged() -> Iterator[None]:
    programs.make_spool()
    programs.start_application_program(f"write-spool --spool={programs.SPOOL}", name="writer")
    find = f"find {programs.SPOOL} -type f -size +4k"
    try:
        remote.wait_until(
            lambda: (
                bool(remote.shell(APP, find).strip())
                and not remote.shell(APP, "systemctl is-active logbastion-fire-writer || true").startswith("active")
            ),
            30,
            "no spool was written",
        )
        damage = (
            "import sys\nfor path in sys.argv[1:]:\n file = open(path, 'r+b')\n size = file.seek(0, 2)\n"
            " for place in range(3000, size - 200, 9000):\n  file.seek(place)\n  file.write(b'\\xff' * 60)\n"
        )
        remote.write(APP, f"{remote.DIRECTORY}/damage.py", damage)
        remote.shell(APP, f"python3 {remote.DIRECTORY}/damage.py $({find})")
        programs.start_application_program(f"read-spool --spool={programs.SPOOL}")
        yield
    finally:
        programs.stop(APP, "program")
        remote.shell(APP, f"rm -rf {programs.SPOOL}")


@contextmanager
def _certificate(days: int) -> Iterator[None]:
    """Put a certificate in place that ends soon: of the lab's authority, for the same key and name, so that shipping goes on."""
    remote.shell(APP, f"mkdir -p {remote.DIRECTORY}; cp -p {_CERTIFICATE} {_KEPT}")
    text = _ending_soon(remote.read(APP, _CERTIFICATE), days)
    try:
        # Into the same file: owner and mode stay.
        run(["podman", "exec", "--interactive", f"logbastion-{APP}", "sh", "-c", f"cat > {_CERTIFICATE}"], stdin=text)
        yield
    finally:
        remote.shell(APP, f"cp -p {_KEPT} {_CERTIFICATE}")


def _ending_soon(certificate: str, days: int) -> str:
    """Return a certificate for the same key with another end."""
    authority = stack.SECRETS / "certificates/ca"
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        old, request, names, public = (place / name for name in ("old.crt", "request", "extensions", "public"))
        old.write_text(certificate, encoding="ascii")
        asked = run(["openssl", "x509", "-in", old, "-noout", "-ext", "subjectAltName"]).splitlines()[-1].strip()
        name = asked.rpartition(":")[2]
        public.write_text(run(["openssl", "x509", "-in", old, "-noout", "-pubkey"]), encoding="ascii")
        names.write_text(
            f"subjectAltName={asked}\nextendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\nbasicConstraints=CA:FALSE\n",
            encoding="ascii",
        )
        # The request has a key that is thrown away; the certificate gets the old one's.
        curve: list[str | Path] = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            place / "thrown-away",
        ]
        run(["openssl", "req", "-new", *curve, "-subj", f"/CN={name}", "-out", request])
        return run(
            ["openssl", "x509", "-req", "-in", request, "-force_pubkey", public, "-CA", authority / "ca.crt",
             "-CAkey", authority / "ca.key", "-days", str(days), "-extfile", names, "-set_serial", "7"],
            what="Signing a certificate that ends soon",
        )  # fmt: skip


@contextmanager
def _other_news(change: Callable[[dict[str, float]], None]) -> Iterator[None]:
    """Change the news that the last run of retention has left; the next run, which is made afterwards, writes its own."""
    remote.shell(APP, f"systemctl start {RETENTION}")
    news = json.loads(remote.read(APP, _LAST_RUN))
    change(news)
    try:
        remote.shell(APP, f"echo '{json.dumps(news)}' > {_LAST_RUN}")
        yield
    finally:
        remote.shell(APP, f"systemctl start {RETENTION}")


def _three_days_ago(news: dict[str, float]) -> None:
    news["finished"] -= 3 * _DAY


def _archive_failed(news: dict[str, float]) -> None:
    news["archive_failures"] = 1


@contextmanager
def _retention_fails() -> Iterator[None]:
    remote.shell(
        APP, f"install -o {NAME} -g log-readers -m 0640 /dev/null {_UNKNOWN_AGE}; echo 'no event' > {_UNKNOWN_AGE}"
    )
    try:
        remote.shell(APP, f"systemctl start {RETENTION} || true")
        yield
    finally:
        remote.shell(
            APP, f"rm -f {_UNKNOWN_AGE}*; systemctl reset-failed {RETENTION} || true; systemctl start {RETENTION}"
        )


@contextmanager
def _elasticsearch_away() -> Iterator[None]:
    """Stop Elasticsearch, and send the ingest a flood of lines that are no events: 5 % of the room of its queue."""
    with remote.stopped(stack.OBSERVER, "elasticsearch"):
        _flood()
        yield


def _flood() -> None:
    sender = (
        "import os, socket, ssl\n"
        "context = ssl.create_default_context(cafile=os.environ['LOGBASTION_CA_FILE'])\n"
        "context.load_cert_chain(os.environ['LOGBASTION_CERTIFICATE_FILE'], os.environ['LOGBASTION_KEY_FILE'])\n"
        "host, port = os.environ['LOGBASTION_INGEST'].split(':')\n"
        "with context.wrap_socket(socket.create_connection((host, int(port)), timeout=120), server_hostname=host) as s:\n"
        f" for number in range({_LINES}):\n"
        f"  s.sendall(b'{NOT_JSON} %d ' % number + b'x' * {_LINE_BYTES} + b'\\n')\n"
        " s.shutdown(socket.SHUT_WR)\n"
        " while s.recv(4096): pass\n"
    )
    remote.write(APP, f"{remote.DIRECTORY}/flood.py", sender)
    programs.start(
        APP,
        "flood",
        f"/usr/bin/python3 {remote.DIRECTORY}/flood.py",
        f"User={NAME}",
        f"EnvironmentFile=/etc/{NAME}/logging.env",
    )


def forget_dead_letters() -> None:
    """Take the flood's lines out of the dead letters again; others stay. While it is done, the ingest is stopped."""
    count = f"grep -c '{NOT_JSON}' {DEAD_LETTERS} 2>/dev/null || true"
    if remote.shell(stack.OBSERVER, count).strip() in {"", "0"}:
        return
    with remote.stopped(stack.OBSERVER, INGEST):
        remote.shell(
            stack.OBSERVER,
            f"grep -v '{NOT_JSON}' {DEAD_LETTERS} > {DEAD_LETTERS}.kept || true; cat {DEAD_LETTERS}.kept > {DEAD_LETTERS}; rm {DEAD_LETTERS}.kept",
        )


@contextmanager
def _small_queue_disk() -> Iterator[None]:
    """Give the queue a disk of 64 MiB; what waits in it moves there and back."""
    host, beside = stack.OBSERVER, f"{remote.DIRECTORY}/queue"
    owner = remote.shell(host, f"stat -c %U:%G {QUEUE}").strip()
    mode = remote.shell(host, f"stat -c 0%a {QUEUE}").strip()
    with remote.stopped(host, INGEST):
        remote.shell(host, f"rm -rf {beside}; mkdir -p {beside}; cp -a {QUEUE}/. {beside}/")
        remote.shell(
            host,
            f"mount -t tmpfs -o size=64m,mode={mode} tmpfs {QUEUE}; chown {owner} {QUEUE}; cp -a {beside}/. {QUEUE}/",
        )
    try:
        yield
    finally:
        with remote.stopped(host, INGEST):
            remote.shell(
                host,
                f"rm -rf {beside}; mkdir -p {beside}; cp -a {QUEUE}/. {beside}/; umount {QUEUE}; "
                f"find {QUEUE} -mindepth 1 -delete; cp -a {beside}/. {QUEUE}/; rm -rf {beside}",
            )


SPOOL = (
    Cause(
        "33 MiB of events wait in a spool and more come",
        (Expected("SpoolFilling"),),
        _program("flood --fast=33"),
        stand_in=_SECOND,
    ),
    Cause(
        "a stream has more events than its room of 4 MiB",
        (Expected("EventsDropped", {"stream": "application"}),),
        _program("flood --room=4 --fast=4000"),
        stand_in=f"{_SECOND}, which has less room than the default 256 MiB",
    ),
    Cause(
        "events do not fit into the datagrams by which they are shipped",
        (Expected("EventsRefused"),),
        _program("oversized"),
        stand_in=_SECOND,
    ),
    Cause("bytes of a spool file are overwritten", (Expected("SpoolDamaged"),), _damaged, stand_in=_SECOND),
)
EVIDENCE = (
    Cause(
        "the stream security has more events than its room of 4 MiB",
        (Expected("SecurityOrAuditEventsDropped", {"stream": "security"}),),
        _program("flood --stream=security --room=4 --fast=4000"),
        stand_in=f"{_SECOND}, which has less room than the default 256 MiB",
    ),
    Cause("the disk of the spool is full", (Expected("EventsOnlyInMemory"),), _full_disk, stand_in=_SECOND),
)
RETENTION_CAUSES = (
    Cause(
        "the archive of log files took one file less",
        (Expected("LogArchiveFailing"),),
        lambda: _other_news(_archive_failed),
        stand_in="written into the news of the last run: the lab has no archive that could fail",
    ),
    Cause("a log file is no log file", (Expected("LogRetentionFailing"),), _retention_fails),
    Cause(
        "retention has not run for three days",
        (Expected("LogRetentionNotRun"),),
        lambda: _other_news(_three_days_ago),
        within=150,
        stand_in="the time of its last run is written back by three days: nobody waits so long",
    ),
)
CERTIFICATES = (
    Cause(
        "the client certificate has ten days left",
        (Expected("CertificateExpiresSoon", {"name": "client"}),),
        lambda: _certificate(10),
    ),
    Cause(
        "the client certificate has one day left",
        (Expected("CertificateExpiring", {"name": "client"}),),
        lambda: _certificate(1),
    ),
)
INGEST_CAUSES = (
    Cause(
        "the ingest is stopped for six minutes",
        (
            Expected("ShippingFailing"),
            Expected("IngestDown"),
            Expected("EventsWaitTooLong"),
            Expected("IngestLag", after=True),
        ),
        lambda: remote.stopped(stack.OBSERVER, INGEST),
        within=420,
    ),
    Cause(
        "Elasticsearch is stopped for six minutes, and 130 MB that are no events come",
        (
            Expected("IngestQueueFilling"),
            Expected("ElasticsearchLag"),
            Expected("IngestDeadLetters", after=True),
        ),
        _elasticsearch_away,
        within=700,
    ),
    Cause("the disk of the queue has 64 MiB", (Expected("IngestDiskTooSmall"),), _small_queue_disk),
    Cause(
        "the ingest's exporter is stopped",
        (Expected("TargetDown", _OF_INGEST),),
        lambda: remote.stopped(stack.OBSERVER, f"{INGEST}-metrics"),
    ),
)
