"""The house rules that a reader relies on: which way imports run, what every tab has, how long a file may be."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("app", "benchmarks", "docs", "tasks", "tests", "train")
SOURCES = sorted(
    path for path in [ROOT / "app.py", *(p for name in OURS[1:] for p in (ROOT / name).rglob("*.py"))] if path.is_file()
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions; `from a import b` counts as `a.b`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def reaches(path: Path, *packages: str) -> set[str]:
    """The imports of a file that lie in one of the packages."""
    return {name for name in imports(path) if any(name == p or name.startswith(p + ".") for p in packages)}


def kind(path: Path) -> str:
    name = module_name(path)
    for prefix in ("tasks.tabs", "tasks.networks", "tasks", "train", "tests", "benchmarks", "docs"):
        if name == prefix or name.startswith(prefix + "."):
            return prefix
    return name


FORBIDDEN = {
    "app": ("train", "tests", "benchmarks", "docs", "torch"),
    "tasks.tabs": ("app", "train", "tests", "benchmarks", "docs"),
    "tasks": ("app", "tasks.tabs", "train", "tests", "benchmarks", "docs", "gradio"),
    "tasks.networks": ("app", "tasks.tabs", "train", "tests", "benchmarks", "docs", "gradio"),
    "train": ("app", "tasks.tabs", "tests", "benchmarks", "docs", "gradio"),
}


@pytest.mark.parametrize("path", [p for p in SOURCES if kind(p) in FORBIDDEN], ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    assert not reaches(path, *FORBIDDEN[kind(path)])


@pytest.mark.parametrize("path", [p for p in SOURCES if kind(p) == "tasks.networks"], ids=module_name)
def test_networks_import_torch_only(path: Path) -> None:
    """And diffusers, whose U-Net the diffusion models are built on, and each other."""
    packages = {n.partition(".")[0] for n in imports(path) if not n.startswith("tasks.networks.")}
    assert packages <= {"torch", "diffusers"} | set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", [p for p in SOURCES if p.name != "__init__.py" or p.stat().st_size], ids=module_name)
def test_file_opens_with_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_file_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < (80 if path.name == "app.py" else 350)


def tab_modules() -> set[str]:
    """The modules in tasks/tabs that define build_tab."""
    found = set()
    for path in (ROOT / "tasks" / "tabs").glob("*.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        if any(isinstance(node, ast.FunctionDef) and node.name == "build_tab" for node in body):
            found.add(module_name(path))
    return found


def test_every_tab_is_listed_once_and_has_a_title() -> None:
    app = importlib.import_module("app")
    assert sorted(tab.__name__ for tab in app.TABS) == sorted(tab_modules())
    titles = [tab.TITLE for tab in app.TABS]
    assert all(isinstance(title, str) and title for title in titles)
    assert len(set(titles)) == len(titles)


def test_page_is_built_without_torch() -> None:
    """The page answers before torch is imported, so nothing on the way to it may import torch."""
    heavy = ("torch", "torchvision", "diffusers", "ultralytics")
    code = f"import sys, app; app.build_app(); print(sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "[]"


HEAVY = ("torch", "gradio", "tensorboard", "transformers")


@pytest.mark.parametrize("module", ["tasks.weights", "tasks.images", "tasks.ink", "tasks.compute"])
def test_shared_modules_import_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
