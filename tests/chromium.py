"""Which Chromium the browser tests drive, and how one is had where there is none.

    python -m tests.chromium    find or install one, say which

In this order: the program that the environment variable CHROMIUM names; one on PATH; Debian's
package, where it may be installed; Playwright's own.
"""

import functools
import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@functools.cache
def find_chromium() -> str | None:
    """Path of a Chromium of the system that starts; None: take Playwright's own.

    Raises:
        FileNotFoundError: CHROMIUM names a program that does not start.
    """
    named = os.environ.get("CHROMIUM")
    if named:
        if not _starts(named):
            raise FileNotFoundError(
                f"CHROMIUM is {named!r}, which does not start. Name another one or unset it."
            )
        return named
    on_path = (shutil.which(name) for name in NAMES)
    return next((path for path in on_path if path and _starts(path)), None)


def _starts(program: str) -> bool:
    """Ubuntu's `chromium-browser`, for one, is only a notice where there is no snap."""
    try:
        return (
            subprocess.run(
                [program, "--version"], capture_output=True, timeout=60, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def ensure_chromium() -> str | None:
    """As `find_chromium`, after installing one where none was found. Raises CalledProcessError
    where that fails."""
    found = find_chromium()
    if found is None and _install_debian():
        find_chromium.cache_clear()
        found = find_chromium()
    if found is None:
        deps = ["--with-deps"] if _may_install() else []
        subprocess.run(
            [sys.executable, "-m", "playwright", "install", *deps, "chromium"], check=True
        )
    return found


def _may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _install_debian() -> bool:
    if not _may_install():
        return False
    commands = ["apt-get update -q", "apt-get install -qy --no-install-recommends chromium"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return all(
        subprocess.run(c.split(), env=environment, check=False).returncode == 0 for c in commands
    )


if __name__ == "__main__":
    print("Chromium for the browser tests:", ensure_chromium() or "Playwright's own")
