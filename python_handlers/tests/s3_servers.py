"""Servers that speak S3, as processes with TLS: versitygw, which is a real one, and moto, which stands in for one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from sink import Certificates

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test-key",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class S3Server:
    """A process on a loopback port; its data is in the directory and survives a kill, if the server is a real one."""

    def __init__(self, certificates: Certificates, directory: Path) -> None:
        self.ca_file = certificates.ca
        self.pem = directory / "server.pem"
        self.pem.write_bytes(certificates.server.private_key_and_cert_chain_pem.bytes())
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def endpoint(self) -> str:
        return f"https://localhost:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self._log = (self.directory / "server.log").open("ab")
        environment = {**os.environ, **CREDENTIALS}
        self._process = subprocess.Popen(self.command(), stdout=self._log, stderr=self._log, env=environment)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.client().list_buckets()
                return
            except (BotoCoreError, ClientError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "server.log").read_text()) from None
                time.sleep(0.05)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def client(self) -> Any:
        session = boto3.session.Session(
            CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
        )
        return session.client("s3", endpoint_url=self.endpoint, verify=str(self.ca_file))

    def address(self, bucket: str, **arguments: str) -> str:
        given = {"endpoint": self.endpoint, "ca_file": str(self.ca_file), **arguments}
        return f"s3://{bucket}/logs?" + "&".join(f"{name}={value}" for name, value in given.items())


class S3StandIn(S3Server):
    """moto: answers like S3 from memory, and enforces less. It stands in for S3 where a real server takes too long."""

    encryption = "AES256"

    def command(self) -> list[str]:
        program = str(Path(sys.executable).with_name("moto_server"))
        return [program, "-H", "127.0.0.1", "-p", str(self.port), "-c", str(self.pem), "-k", str(self.pem)]


class Versitygw(S3Server):
    """An S3 gateway over a directory, with versions and object lock. It does not encrypt: its disk has to."""

    encryption = "bucket"

    def __init__(self, certificates: Certificates, directory: Path, program: str) -> None:
        super().__init__(certificates, directory)
        self._program = program
        for name in ("data", "versions"):
            (directory / name).mkdir()

    def command(self) -> list[str]:
        access, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        return [
            self._program,
            *("--access", access, "--secret", secret, "--port", f"127.0.0.1:{self.port}"),
            *("--cert", str(self.pem), "--key", str(self.pem), "--quiet"),
            *("posix", "--versioning-dir", str(self.directory / "versions"), str(self.directory / "data")),
        ]


def made(certificates: Certificates, directory: Path) -> S3Server:
    """Return versitygw when ``S3_SERVER`` names its program, else the stand-in."""
    program = os.environ.get("S3_SERVER")
    return Versitygw(certificates, directory, program) if program else S3StandIn(certificates, directory)
