"""Where it is hosted: the repository as a Space, and the Dockerfile's steps, in a Python
environment of their own.

One environment is made as a Space's build makes it, `pip install gradio[oauth,mcp]==... -r
requirements.txt`; the Dockerfile's own pip step must find nothing left to do in it. From a copy of
the files that the
image would hold the app is started by the Dockerfile's command under its variables, with those of a
Space on top, and every
family of methods is asked once. Afterwards nothing may lie outside the temporary folder.
"""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from gradio_client import Client, handle_file

from benchmarks.app_process import end, wait_for
from tests import hostile
from tests.conftest import ROOT, free_port

LARGEST = 10_000_000  # bytes of a file in a Space without Git LFS
MINUTES = 25  # torch alone is gigabytes
SPACE = {
    "SPACE_ID": "someone/image-lab",
    "SYSTEM": "spaces",
    "SPACE_HOST": "someone-image-lab.hf.space",
}


def front_matter() -> dict[str, str]:
    _, front, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(line.split(": ", 1) for line in front.splitlines() if ": " in line)


def dockerfile() -> list[tuple[str, str]]:
    """(instruction, arguments) of each step, lines joined."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return [(name, " ".join(rest.split())) for name, rest in steps]


def step(instruction: str, part: str = "") -> str:
    """The arguments of the one step of this kind that holds `part`."""
    (found,) = (text for name, text in dockerfile() if name == instruction and part in text)
    return found


def tracked() -> list[str]:
    """The files of the repository, new ones included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def in_the_image() -> list[str]:
    """What `COPY . .` copies: all but what .dockerignore names."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def ignored(name: str) -> bool:
        parts = name.split("/")
        parents = ["/".join(parts[: k + 1]) for k in range(len(parts))]
        return any(
            fnmatch.fnmatch(parent, pattern)
            or (pattern.startswith("**/") and fnmatch.fnmatch(last, pattern[3:]))
            for pattern in patterns
            for parent, last in zip(parents, parts, strict=True)
        )

    return [name for name in tracked() if not ignored(name)]


@pytest.fixture(scope="module")
def index() -> None:
    """pip's package index, which whoever installs the app has."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--no-deps",
        "-q",
        "six",
    ]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("pip reaches no package index: nothing can be installed anew")


def test_files_are_small_enough_for_a_space() -> None:
    assert [name for name in tracked() if (ROOT / name).stat().st_size > LARGEST] == []


def test_dockerfile_is_clean() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dockerfile_has_the_python_of_the_space() -> None:
    assert step("FROM").startswith(f"python:{front_matter()['python_version'].strip(chr(34))}-")


def test_system_packages_exist() -> None:
    if shutil.which("apt-cache") is None:
        pytest.skip("no apt here to ask")
    assert "packages.txt" in step("RUN", "apt-get")
    for name in (ROOT / "packages.txt").read_text(encoding="utf-8").split():
        said = subprocess.run(
            ["apt-cache", "policy", name], capture_output=True, text=True, check=True
        ).stdout
        if not said:
            pytest.skip("apt has no package lists here")
        assert re.search(r"Candidate: \d", said), f"{name} is no package"


@pytest.mark.timeout(600)
def test_requirements_resolve_beside_the_space_s_gradio(index: None) -> None:
    """For the Python that the front matter names, whichever runs this."""
    values = front_matter()
    version = values["python_version"].strip('"')
    command = [
        *(
            sys.executable,
            "-m",
            "pip",
            "install",
            "--dry-run",
            "--ignore-installed",
            "--quiet",
            "--report",
            "-",
        ),
        *("--python-version", version, "--only-binary=:all:", "--target", "unused"),
        *(f"gradio[oauth,mcp]=={values['sdk_version']}", "-r", "requirements.txt"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    chosen = {
        one["metadata"]["name"].lower(): one["metadata"]
        for one in json.loads(done.stdout)["install"]
    }
    assert {"gradio", "torch", "mcp", "authlib"} <= set(chosen)
    assert chosen["gradio"]["version"] == values["sdk_version"]


class Hosted(NamedTuple):
    url: str
    files: Path  # the app's own
    home: Path
    environment: dict[str, str]


@pytest.fixture(scope="module")
def python(index: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new environment, as a Space builds it."""
    folder = tmp_path_factory.mktemp("environment")
    if shutil.disk_usage(folder).free < 15e9:
        pytest.skip(f"{folder} has less than 15 GB free: no room for a second PyTorch")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    program = folder / "bin" / "python"
    wanted = [f"gradio[oauth,mcp]=={front_matter()['sdk_version']}", "-r", "requirements.txt"]
    done = subprocess.run(
        [program, "-m", "pip", "install", "-q", *wanted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    yield program
    shutil.rmtree(folder, ignore_errors=True)  # gigabytes


@pytest.fixture(scope="module")
def hosted(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """The app, started by the Dockerfile's command from the Dockerfile's files."""
    folder = tmp_path_factory.mktemp("hosted")
    files, home, temporary = (folder / name for name in ("app", "home", "tmp"))
    home.mkdir()
    temporary.mkdir()
    for name in in_the_image():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, files / name)
    port = free_port()
    variables = dict(re.findall(r"(\w+)=(\S*)", step("ENV")))
    variables = {name: value.replace("/tmp", str(temporary)) for name, value in variables.items()}
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        **variables,
        **SPACE,
        "GRADIO_SERVER_PORT": str(port),
    }
    command = json.loads(step("CMD"))
    log = folder / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=files, env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_for(url)
    except TimeoutError:
        pytest.fail(log.read_text())
    yield Hosted(url, files, home, environment)
    end(process)


def everything_in(folder: Path) -> dict[str, int]:
    return {
        str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()
    }


@pytest.mark.timeout(60 * MINUTES)
def test_the_image_s_environment_is_the_space_s(python: Path) -> None:
    command = step("RUN", "pip install").split()
    assert command[:4] == ["python", "-m", "pip", "install"]
    asked = [str(python), *command[1:], "--dry-run", "--quiet", "--report", "-"]
    report = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(report.stdout)["install"] == [], (
        "the Dockerfile's pip step wants something else"
    )
    subprocess.run([python, "-m", "pip", "check"], check=True)


@pytest.mark.timeout(60 * MINUTES)
def test_it_works_where_it_is_hosted_and_writes_to_the_temporary_folder_only(
    hosted: Hosted, tmp_path: Path
) -> None:
    before = everything_in(hosted.files)
    client = Client(hosted.url, verbose=False)
    picture = handle_file(hostile.good_png(tmp_path))
    read = client.predict(picture, api_name="/classify_digit")
    assert max(read, key=read.__getitem__) == "1"
    assert sum(client.predict(picture, api_name="/classify_photo").values()) <= 1.001
    assert "boxes" in client.predict(picture, "digits", 0.4, 0.7, 320, api_name="/detect_objects")
    for name, values in {
        "/segment_scene": (picture,),
        "/denoise_photo": (picture, 25),
        "/enlarge_photo": (picture, 2),
        "/generate_by_gan": (),
        "/generate_by_diffusion": (),
    }.items():
        assert client.predict(*values, api_name=name), name
    client.close()
    assert everything_in(hosted.files) == before
    assert everything_in(hosted.home) == {}


@pytest.mark.timeout(60 * MINUTES)
def test_the_image_s_health_check_tells_a_healthy_server(hosted: Hosted) -> None:
    command = json.loads(step("HEALTHCHECK").partition("CMD ")[2])
    port = hosted.environment["GRADIO_SERVER_PORT"]
    alive, dead = ([part.replace("7860", p) for part in command] for p in (port, str(free_port())))
    assert subprocess.run(alive, env=hosted.environment, check=False).returncode == 0
    assert (
        subprocess.run(dead, env=hosted.environment, capture_output=True, check=False).returncode
        != 0
    )
