"""Where a benchmark's figures go: printed, and appended to benchmarks/results/<name>.csv with date,
machine, commit."""

import csv
from datetime import UTC, datetime
from pathlib import Path

from tasks.core import weights
from train import report

FOLDER = Path(__file__).parent / "results"


def record(name: str, row: dict[str, float | int | str], quiet: bool = False) -> None:
    """Print one row of results and append it to the benchmark's CSV; the columns must stay the
    same."""
    date = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    full = {"date": date, "commit": weights.commit(), "machine": report.hardware(), **row}
    for key, value in full.items() if not quiet else ():
        print(f"{key:>24}  {value}")
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.csv"
    is_new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(full), lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerow(full)
