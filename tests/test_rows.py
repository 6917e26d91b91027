"""The house: rows and circles are contracts of import-linter; what a contract cannot say is held here."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import twofold

ROOT = Path(twofold.__file__).parent
FACES = ("cli", "estimator.py", "review", "serving")
ENVIRONMENT = re.compile(
    r"print|input|sys\.(stdin|stdout|stderr|argv)|os\.(environ|getenv)|from (sys|os|platformdirs) import .*"
)
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+|\btwofold (train|evaluate|predict|audit|split|fetch)\b")


def literals(file: Path) -> Iterator[tuple[int, str]]:
    """The string literals of a file with their lines, docstrings and texts below constants left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.Expr))
    prose = {statement.value for statement in statements if isinstance(statement.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            yield node.lineno, node.value


def test_nothing_below_the_faces_names_a_flag_or_a_command() -> None:
    files = [file for file in ROOT.rglob("*.py") if file.relative_to(ROOT).parts[0] not in FACES]
    named = [
        f"{file.relative_to(ROOT)}:{line}: {text}"
        for file in files
        for line, text in literals(file)
        if FLAG.search(text)
    ]
    assert not named, "\n".join(named)


def test_nothing_below_the_faces_prints_or_reads_the_environment() -> None:
    used = []
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] in (*FACES, "__main__.py"):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Attribute | ast.ImportFrom) else getattr(node, "id", "")
            if ENVIRONMENT.fullmatch(text):
                used.append(f"{file.relative_to(ROOT)}: {text}")
    assert not used, "\n".join(used)


def test_no_two_modules_have_one_name() -> None:
    names = Counter(file.stem for file in ROOT.rglob("*.py") if file.stem not in ("__init__", "__main__"))
    assert not [name for name, count in names.items() if count > 1]


def types(file: Path) -> Iterator[str]:
    """The names of the classes and of the type aliases of a module."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not node.targets[0].id.isupper():
            yield node.targets[0].id


def test_no_two_types_have_one_name() -> None:
    names = Counter(name for file in ROOT.rglob("*.py") for name in types(file))
    del names["__all__"]
    assert not [name for name, count in names.items() if count > 1]
