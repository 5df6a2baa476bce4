"""Diffusion: what it costs to watch every step, and how long 16 digits take.

    python -m benchmarks.diffusion [--rounds 7]

bare_s: `list(generator.steps(...))`, the sampling loop alone. watched_s: the same settings as the
page has them made: queued, computed by the thread of the runs, told to a page that asks again as
soon as it has its
answer (step_player_next, with its base64 and JSON), until the last frame is there. Both in this
process and in turn, so that a
slow moment of the machine hits both; medians. All cores. At most 15 % overhead and 1.5 s for 16
digits in 25 steps are
wanted. Writes benchmarks/results/diffusion.csv.
"""

import argparse
import json
import statistics
import time
from typing import Any

from benchmarks.results import record
from tasks import loaders
from tasks.core import device
from tasks.diffusion.generator import DiffusionGenerator
from tasks.diffusion.tab import generate
from tasks.ui import step_player

PAUSE_S = 0.015  # between an answer and the page's next question, as in step_player.js
WANTED_OVERHEAD, WANTED_S = 15, 1.5  # %; s


def bare(generator: DiffusionGenerator, settings: dict[str, Any]) -> float:
    """Seconds of the sampling loop alone."""
    start = time.perf_counter()
    for _ in generator.steps(**settings):
        pass
    return time.perf_counter() - start


def watched(n: int, n_steps: int, guidance: float) -> float:
    """Seconds from the button to the last frame."""
    start = time.perf_counter()
    run = generate.begin("mnist", generate.IN_TURN, n, 0, "unipc", n_steps, guidance)["run"]
    have = 0
    while True:
        answer = step_player.step_player_next({"run": run, "have": have})
        if answer.get("error"):
            raise RuntimeError(answer["error"])
        json.dumps(answer)
        have += len(answer["frames"])
        if answer["done"]:
            break
        time.sleep(PAUSE_S)
    if have != n_steps:
        raise RuntimeError(f"{have} of {n_steps} frames came")
    return time.perf_counter() - start


def measure(
    generator: DiffusionGenerator, n: int, n_steps: int, guidance: float, rounds: int
) -> dict[str, Any]:
    """One row of results."""
    settings = generate.check_request("mnist", generate.IN_TURN, n, 0, "unipc", n_steps, guidance)[
        1
    ]
    pairs = []
    for i in range(rounds + 1):  # the first warms up
        ways = [lambda: bare(generator, settings), lambda: watched(n, n_steps, guidance)]
        seconds = [way() for way in (ways if i % 2 else ways[::-1])]
        pairs.append(seconds if i % 2 else seconds[::-1])
    bare_s, watched_s = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    return {
        "digits": n,
        "steps": n_steps,
        "guidance": guidance,
        "rounds": rounds,
        "bare_s": round(bare_s, 3),
        "watched_s": round(watched_s, 3),
        "overhead_percent": round(100 * (watched_s / bare_s - 1), 1),
        "bare_fastest_s": round(min(pair[0] for pair in pairs[1:]), 3),
        "watched_fastest_s": round(min(pair[1] for pair in pairs[1:]), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    device.use_all_cores()  # this thread, too: the thread of the runs does it by itself
    generator = loaders.diffusion_generator("mnist")
    print(
        f"{'digits':>6}{'steps':>7}{'guidance':>10}{'bare, s':>10}"
        f"{'watched, s':>12}{'overhead':>10}"
    )
    rows = []
    for n, n_steps, guidance in ((16, 25, 1.5), (16, 25, 1.0), (1, 25, 1.5)):
        row = measure(generator, n, n_steps, guidance, args.rounds)
        rows.append(row)
        print(
            f"{n:6d}{n_steps:7d}{guidance:10.1f}{row['bare_s']:10.3f}{row['watched_s']:12.3f}"
            f"{row['overhead_percent']:9.1f}%",
            flush=True,
        )
    for row in rows:
        record("diffusion", row)
    slow = [row for row in rows if row["digits"] == 16 and row["watched_s"] > WANTED_S]
    dear = [row for row in rows if row["overhead_percent"] > WANTED_OVERHEAD]
    print(
        f"wanted: at most {WANTED_S} s for 16 digits ({'missed' if slow else 'met'}), at most "
        f"{WANTED_OVERHEAD} % "
        f"overhead ({'missed' if dear else 'met'})"
    )


if __name__ == "__main__":
    main()
