"""README, CONTRIBUTING and docs/ name only what is there: targets, modules, options, files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMES = [
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+)(?:-%)?:", MAKEFILE, re.MULTILINE))


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every line of a shell block, without its comment."""
    lines = [line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
    return sorted({line.partition("  #")[0].strip() for line in lines} - {""})


def module_file(module: str) -> Path | None:
    """The file that `python -m module` runs."""
    path = ROOT / Path(*module.split("."))
    files = (path.with_suffix(".py"), path / "__main__.py")
    return next((file for file in files if file.is_file()), None)


def test_there_are_commands() -> None:
    assert {"make run", "make test"} <= set(commands())


@pytest.mark.parametrize("command", [c for c in commands() if re.search(r"(^| )make ", c)])
def test_make_target_exists(command: str) -> None:
    target = command.partition("make ")[2].split()[0]
    name, _, module = target.partition("-")
    assert name in TARGETS
    if name == "train":
        assert module_file(f"train.{module}") is not None


@pytest.mark.parametrize("command", [c for c in commands() if " -m " in c])
def test_module_and_its_options_exist(command: str) -> None:
    module, _, options = command.partition(" -m ")[2].partition(" ")
    if module.partition(".")[0] not in ("train", "benchmarks", "docs", "tasks", "tests"):
        pytest.skip(f"{module} is a package's own")
    path = module_file(module)
    assert path is not None
    source = "\n".join(p.read_text(encoding="utf-8") for p in path.parent.glob("*.py"))
    if module.startswith("train."):  # options that the trainings share
        source += (ROOT / "train" / "options.py").read_text(encoding="utf-8")
    for option in re.findall(r"--[a-z-]+", options):
        assert f'"{option}"' in source, f"{module} has no {option}"


def test_front_matter_of_spaces() -> None:
    _, front, _ = PAGES["README.md"].split("---\n", 2)
    values = dict(line.split(": ", 1) for line in front.splitlines() if ": " in line)
    assert values["sdk"] == "gradio"
    assert values["app_file"] == "app.py"
    assert (ROOT / values["app_file"]).is_file()
    assert values["license"] == "agpl-3.0"
    assert tuple(map(int, values["python_version"].strip('"').split("."))) >= (3, 11)
    assert len(values["short_description"]) <= 60  # longer ones are refused
    floor = re.search(
        r"^gradio>=([\d.]+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert floor is not None
    assert values["sdk_version"].startswith(floor[1])


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) < 150


def test_links_to_files_are_alive() -> None:
    for name, text in PAGES.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert (ROOT / name).parent.joinpath(target).exists(), f"{target} is not there"


def test_cards_check_passes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tasks.core.model_pages", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
