"""Imports point one way: `django` and `cli` know the library, the library does not know them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import logbastion

SOURCE = Path(logbastion.__file__).parent
OUTSIDE = ("logbastion.cli.", "logbastion.django.")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_the_library_knows_neither_the_command_nor_django():
    library = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] not in {"cli", "django"}]
    assert len(library) > 30
    wrong = {
        str(path.relative_to(SOURCE)): name
        for path in library
        for name in imported(path)
        if f"{name}.".startswith(OUTSIDE) or name.split(".")[0] == "django"
    }
    assert wrong == {}


def test_who_ships_only_gets_nothing_of_the_parts_that_take_megabytes():
    heavy = ("prometheus_client", "redis", "boto3", "logbastion.incidents", "logbastion.detection", "logbastion.config")
    lines = (
        f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r})",
        "from logbastion import ShippingHandler",
        f"print([name for name in {heavy} if name in sys.modules])",
    )
    program = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_all_that_the_package_names_is_there():
    assert all(getattr(logbastion, name) for name in logbastion.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = logbastion.nonsense
