"""One exception tree in one module, light enough for `--help`."""

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import glassmill
from glassmill import errors

SOURCES = Path(glassmill.__file__).parent
BUILT_IN = {
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
}


def _exceptions_defined_in(path: Path) -> list[str]:
    known = BUILT_IN | set(vars(errors))
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in known for base in node.bases)
    ]


def test_every_exception_is_defined_in_the_one_module_and_descends_from_its_base() -> None:
    elsewhere = {
        str(path.relative_to(SOURCES)): found
        for path in SOURCES.rglob("*.py")
        if path != SOURCES / "errors.py" and (found := _exceptions_defined_in(path))
    }
    assert not elsewhere
    tree = [getattr(errors, name) for name in _exceptions_defined_in(SOURCES / "errors.py")]
    assert len(tree) >= 15
    assert all(issubclass(each, errors.GlassmillError) and each.__doc__ for each in tree)


def test_the_module_imports_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); import glassmill.errors; print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    others = {name.split(".")[0] for name in loaded} - {"glassmill"}
    assert others <= set(sys.stdlib_module_names)


def test_what_callers_catch_as_builtin_errors_stays_catchable_so() -> None:
    assert issubclass(errors.ContextOverflow, ValueError)
    assert issubclass(errors.UnreadableError, ValueError)
    assert issubclass(errors.ShardError, RuntimeError)
    assert glassmill.UserError is errors.UserError
