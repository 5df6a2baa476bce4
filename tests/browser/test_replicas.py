"""Past one process: two replicas behind deploy/nginx.conf, their visitors, a camera, and a replica
that dies."""

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
from playwright.sync_api import Browser, Page, expect

from benchmarks.app_process import end, wait_for
from tests import hostile
from tests.conftest import ROOT, free_port

VISITORS = 6


class Replicas(NamedTuple):
    url: str
    processes: dict[
        str, subprocess.Popen[bytes]
    ]  # by their address, as the header X-Replica names it


def find_nginx() -> str:
    """Installed where that is possible and there is none."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    may_install = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")
    if may_install and not shutil.which("nginx", path=path):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            "apt-get update -q",
            "apt-get install -qy --no-install-recommends nginx-light",
        ):
            subprocess.run(command.split(), env=environment, capture_output=True, check=False)
    found = shutil.which("nginx", path=path)
    if not found:
        pytest.skip("no nginx here, and none can be installed")
    return found


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    nginx, folder = find_nginx(), tmp_path_factory.mktemp("replicas")
    ports = [free_port() for _ in range(3)]
    ours = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for there, here in zip(("7861", "7862", "8080"), ports, strict=True):
        ours, n = re.subn(
            rf"(?m)^(\s*(?:server 127\.0\.0\.1:|listen )){there}\b", rf"\g<1>{here}", ours
        )
        assert n == 1
    (folder / "image_lab.conf").write_text(ours)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/image_lab.conf; }}"
    )
    processes = {}
    for port in ports[:2]:
        env = {
            **os.environ,
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(folder / str(port)),
        }
        processes[f"127.0.0.1:{port}"] = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=env
        )
    front = subprocess.Popen(
        [nginx, "-e", str(folder / "errors"), "-c", str(folder / "nginx.conf")]
    )
    try:
        for address in processes:
            wait_for(f"http://{address}/")
        wait_for(f"http://127.0.0.1:{ports[2]}/")
        yield Replicas(f"http://127.0.0.1:{ports[2]}/", processes)
    finally:
        for process in (front, *processes.values()):
            end(process)


def visitor(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """A page in a browser of its own, and the replicas that answered it."""
    page, met = browser.new_context(viewport={"width": 900, "height": 850}).new_page(), []
    page.set_default_timeout(60_000)
    page.on("response", lambda response: met.append(response.headers.get("x-replica", "none")))
    page.goto(url)
    page.get_by_role("tab", name="Detection").wait_for()
    return page, met


def test_a_visitor_stays_with_one_replica_and_both_have_visitors(
    browser: Browser, replicas: Replicas
) -> None:
    homes = set()
    for _ in range(VISITORS):
        page, met = visitor(browser, replicas.url)
        page.get_by_role("tab", name="GAN").click()
        page.locator("#gan-grid canvas").first.wait_for()
        page.wait_for_timeout(500)
        assert len(met) > 5
        later = set(met[1:])  # the first answer sets the cookie
        assert len(later) == 1 and later <= set(replicas.processes), later
        homes |= later
        page.context.close()
    assert homes == set(replicas.processes)


def test_a_program_without_cookies_is_served(replicas: Replicas, tmp_path: Path) -> None:
    client = Client(replicas.url, verbose=False)
    for _ in range(3):
        read = client.predict(handle_file(hostile.good_png(tmp_path)), api_name="/classify_digit")
        assert max(read, key=read.__getitem__) == "1"
    client.close()


def test_a_camera_through_the_proxy_and_a_replica_that_dies(
    browser: Browser, replicas: Replicas
) -> None:
    page, met = visitor(browser, replicas.url)
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator(".live .said")).to_contain_text("Ready", timeout=60_000)
    page.get_by_role("button", name="Start camera").click()
    answered = "() => Math.max(0, ...[...document.querySelectorAll('#live-detection *')].map((e) => +e.dataset.answers || 0))"
    page.wait_for_function(f"({answered})() > 20", timeout=60_000)
    home = met[-1]
    replicas.processes[home].terminate()
    replicas.processes[home].wait(20)
    met.clear()
    page.reload()
    page.get_by_role("tab", name="Detection").click()
    expect(page.locator(".live .said")).to_contain_text("Ready", timeout=60_000)
    page.get_by_role("button", name="Start camera").click()
    page.wait_for_function(f"({answered})() > 20", timeout=60_000)
    assert met[-1] in replicas.processes and met[-1] != home
    page.context.close()
