"""The keys of pseudonyms in a running application: not in its environment, its log, or its crash reports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from logbastion.pseudonym_keys import add_key

PROGRAM = """
import logging, logging.config, os, sys, traceback
import logbastion
from logbastion import log_authentication_attempt

logging.config.dictConfig(logbastion.logging_config(environment="production", log_directory=sys.argv[1]))
log_authentication_attempt("ana@escola.example", False, "wrong_password")
from logbastion.pseudonyms import pseudonym_of

print("environ", dict(os.environ))
print("proc", open("/proc/self/environ").read())
logging.getLogger("business.dump").error("environment", extra={"environ": dict(os.environ)})
try:
    pseudonym_of("email", object())
    raise ValueError("for the traceback")
except Exception as error:
    logging.getLogger("business.dump").exception("failed", stack_info=True)
    lines = traceback.TracebackException.from_exception(error, capture_locals=True).format()
    print("crash report", *lines)
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").startswith("logbastion"):
        print(module.__name__, vars(module))
print(pseudonym_of("email", "ana@escola.example"))
"""


@pytest.mark.parametrize("rotations", [1, 3])
def test_no_key_is_anywhere_that_is_shown(tmp_path, rotations):
    keys, logs = tmp_path / "keys", tmp_path / "logs"
    ids = [add_key(keys) for _ in range(rotations)]
    os.chmod(tmp_path, 0o700)
    logs.mkdir(mode=0o750)
    environment = {**os.environ, "LOGBASTION_PSEUDONYM_KEYS_FILE": str(keys)}
    source = Path(__file__).parents[1] / "src"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(logs)],
        env={**environment, "PYTHONPATH": str(source)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = done.stdout + done.stderr + "".join(file.read_text() for file in logs.iterdir())
    assert f"p1:{ids[-1]}:" in shown  # the keys were in use
    assert "crash report" in shown
    assert '"logger":"business.dump"' in shown
    secrets = [line.split()[1] for line in keys.read_text().splitlines() if not line.startswith("#")]
    assert len(secrets) == rotations
    for key in secrets:
        raw = bytes.fromhex(key)
        for form in (key, key.upper(), repr(raw), repr(bytearray(raw)), str(list(raw))):
            assert form not in shown
