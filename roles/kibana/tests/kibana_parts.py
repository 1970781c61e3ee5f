"""The module as Ansible would import it, and the scenario's stand-in for Kibana."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROLE = Path(__file__).resolve().parents[1]
PASSWORD = "secret of the test"


def imported(name: str, file: Path) -> ModuleType:
    """Import as Ansible does: a role's module_utils are part of ansible.module_utils."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


imported("ansible.module_utils.kibana_objects", ROLE / "module_utils/kibana_objects.py")
kibana_content = imported("kibana_content", ROLE / "library/kibana_content.py")
stand_in_for_kibana = imported("stand_in_for_kibana", ROLE.parents[1] / "molecule/kibana/stand_in/kibana.py")
