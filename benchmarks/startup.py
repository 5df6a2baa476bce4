"""From `python app.py` to the page, and to the first digit that is read.

    python -m benchmarks.startup [--runs 5]

page_s: until / answers with status 200. digit_s: until a first call of /classify_digit, sent as soon as the page is
there, has its answer: by then torch and the model are loaded. Writes benchmarks/results/startup.csv.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from gradio_client import Client, handle_file
from PIL import Image, ImageDraw

from benchmarks.app_process import running_app
from benchmarks.results import record


def draw_seven(path: Path) -> Path:
    image = Image.new("L", (280, 280), "white")
    ImageDraw.Draw(image).line([(80, 70), (200, 70), (120, 220)], fill="black", width=20, joint="curve")
    image.save(path)
    return path


def measure(picture: Path) -> tuple[float, float, str]:
    """(seconds to the page, seconds to the first answer, the digit that was read), both from the start."""
    began = time.monotonic()
    with running_app() as url:
        page = time.monotonic() - began
        answer = Client(url, verbose=False).predict(handle_file(str(picture)), api_name="/classify_digit")
        return page, time.monotonic() - began, max(answer, key=answer.get)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        picture = draw_seven(Path(folder) / "seven.png")
        print(f"{'run':>4}{'page, s':>10}{'first digit, s':>16}{'read as':>9}")
        results = []
        for run in range(1, args.runs + 1):
            results.append(measure(picture))
            print(f"{run:4d}{results[-1][0]:10.2f}{results[-1][1]:16.2f}{results[-1][2]:>9}", flush=True)
    row: dict[str, float | int | str] = {"runs": args.runs}
    for name, seconds in (("page_s", [r[0] for r in results]), ("digit_s", [r[1] for r in results])):
        row[f"{name}_median"] = round(statistics.median(seconds), 2)
        row[f"{name}_max"] = round(max(seconds), 2)
    record("startup", row)


if __name__ == "__main__":
    main()
