"""The rules that a reader relies on: which way imports run, and how long things may be."""

import ast
import functools
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("benchmarks", "docs", "tasks", "tests", "train")
SOURCES = sorted([ROOT / "app.py", *(p for name in FOLDERS for p in (ROOT / name).rglob("*.py"))])
PAGE = ("tab", "ui", "server")  # folders below tasks/ that know gradio
SHARED = ("core", "networks", "models", *PAGE)  # what belongs to no single task
MAX_BODY = 60  # lines of a function, without its signature and docstring
MAX_FILES = 15  # Python files in a folder below tasks/


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}
TASK_FILES = [path for path in SOURCES if module_name(path).startswith("tasks")]


def executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those below `if TYPE_CHECKING:`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from executed(node)


@functools.cache
def imports(path: Path, typing: bool = False) -> set[str]:
    """Every module that a file imports, also inside functions; `from a import b` counts as
    `a.b`. `typing`: with those that only the type checker reads."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if typing else executed(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def our_module(name: str) -> str | None:
    """The module of this repository that an imported name is, or lies in."""
    if name in MODULES:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in MODULES else None


def our_imports(path: Path) -> set[str]:
    return {module for name in imports(path) if (module := our_module(name))}


def part_of(path: Path) -> str:
    """ "core", "networks", "ui", "detection" ...: the folder or file directly below tasks/."""
    return Path(*path.relative_to(ROOT / "tasks").parts[:1]).stem


def knows_gradio(path: Path) -> bool:
    return path.name == "app.py" or any(name in PAGE for name in path.relative_to(ROOT).parts[1:-1])


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_gradio_is_imported_by_the_page_only(path: Path) -> None:
    if knows_gradio(path) or path.relative_to(ROOT).parts[0] in ("tests", "docs", "benchmarks"):
        return
    assert not {n for n in imports(path) if n.split(".")[0] == "gradio"}
    pages = {n for n in our_imports(path) if set(n.split(".")[1:]) & set(PAGE)}
    assert not pages


@pytest.mark.parametrize("path", TASK_FILES, ids=module_name)
def test_tasks_do_not_import_each_other(path: Path) -> None:
    """But through `tasks.loaders`, which only the page may use: it imports every handler."""
    own = part_of(path)
    others = {module.split(".")[1] for module in our_imports(path) if module.count(".") >= 1}
    allowed = {own, *SHARED}
    if set(PAGE) & set(path.relative_to(ROOT).parts):
        allowed |= {"loaders"}
    if own == "loaders":
        return
    if own == "core":
        allowed = {"core"}
    elif own == "networks":
        allowed = {"networks"}
    elif own == "models":
        allowed = {"models", "core"}
    assert others <= allowed


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_imports_run_one_way(path: Path) -> None:
    top = path.relative_to(ROOT).parts[0]
    forbidden = {
        "app.py": {"train", "tests", "benchmarks", "docs", "torch"},
        "tasks": {"app", "train", "tests", "benchmarks", "docs"},
        "train": {"app", "tests", "benchmarks", "docs"},
    }.get(top, set())
    assert not {name for name in imports(path) if name.split(".")[0] in forbidden}


@pytest.mark.parametrize(
    "path", [p for p in TASK_FILES if part_of(p) == "networks"], ids=module_name
)
def test_networks_import_torch_only(path: Path) -> None:
    """And diffusers, whose U-Net the diffusion models are built on, and each other."""
    packages = {n.split(".")[0] for n in imports(path) if not n.startswith("tasks.networks.")}
    assert packages <= {"torch", "diffusers"} | set(sys.stdlib_module_names)


TURNS = {
    "core/scheduling.py": "who computes",
    "ui/jobs.py": "the jobs' queue",
    "text_to_image/preview.py": "a function's calls become an iterator",
}
"""Below tasks/: files that let threads wait for each other, and for what."""
WAITING = ("Condition", "Semaphore", "BoundedSemaphore", "Barrier", "Queue", "ThreadPoolExecutor")


def waits(path: Path) -> bool:
    """Whether it makes something that decides who waits, or gives an event a queue of its own."""
    tree = ast.parse(path.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    limits = {
        keyword.arg
        for call in calls
        for keyword in call.keywords
        if not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
    }
    return bool(names & set(WAITING) or limits & {"concurrency_id", "concurrency_limit"})


def test_one_scheduler_decides_who_waits() -> None:
    found = {str(p.relative_to(ROOT / "tasks")) for p in TASK_FILES if waits(p)}
    assert found == set(TURNS)


def test_no_import_circles() -> None:
    """Imports inside functions count, and those below `if TYPE_CHECKING:`."""
    graph = {
        name: {module for n in imports(path, typing=True) if (module := our_module(n))} - {name}
        for name, path in MODULES.items()
    }
    while True:
        leaves = {name for name, below in graph.items() if not below & graph.keys()}
        if not leaves:
            break
        graph = {name: below for name, below in graph.items() if name not in leaves}
    roots = set(graph)
    while above := {n for n in roots if not any(n in graph[m] for m in roots if m != n)}:
        roots -= above
    assert not {name: sorted(graph[name] & roots) for name in sorted(roots)}


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name != "__init__.py" or p.stat().st_size], ids=module_name
)
def test_file_opens_with_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_function_bodies_are_short(path: Path) -> None:
    long = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            if lines > MAX_BODY:
                long[node.name] = lines
    assert not long


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in TASK_FILES}),
    ids=lambda folder: str(folder.relative_to(ROOT)),
)
def test_folders_are_small(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MAX_FILES


def tab_modules() -> set[str]:
    """The modules that define build_tab."""
    found = set()
    for path in TASK_FILES:
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


def imported_by(code: str, packages: tuple[str, ...]) -> str:
    """Which of the packages a new Python has imported after `code`."""
    code = f"import sys, {code}; print(sorted(set({packages!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_page_is_built_without_torch_and_opencv() -> None:
    """The page answers before they are imported, so nothing on the way to it may import them."""
    heavy = ("torch", "torchvision", "diffusers", "ultralytics", "cv2")
    assert imported_by("app; app.build_app()", heavy) == "[]"


@pytest.mark.parametrize("module", ["weights", "images", "device", "scheduling", "model_cache"])
def test_core_imports_nothing_heavy(module: str) -> None:
    heavy = ("torch", "gradio", "tensorboard", "transformers")
    assert imported_by(f"tasks.core.{module}", heavy) == "[]"
