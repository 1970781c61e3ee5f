"""Imports point one way: `django` and `cli` know the library, the library does not know them."""

import ast
from pathlib import Path

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
