"""What loads when: a fast start is a promise, held to an allow-list in a process of its own."""

import json
import subprocess
import sys

LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded_by(program: str) -> set[str]:
    """The top-level packages, Python's own and those of a bare start left out, that are loaded once `program` ran."""

    def packages(program: str) -> set[str]:
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
        return set(json.loads(run.stdout.splitlines()[-1]))

    return packages(f"{program}\n{LOADED}") - packages(LOADED) - sys.stdlib_module_names


def test_importing_twofold_loads_nothing_heavy() -> None:
    assert loaded_by("import twofold") <= {"twofold", "numpy", "PIL"}
