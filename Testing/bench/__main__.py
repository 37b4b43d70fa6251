"""All benches: Markdown on the screen and in a file, JSON beside it.

PYTHONPATH=Testing:server:IMeasure .venv/bin/python -m bench --output bench-output
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from bench import latency, measurement, monailabel_comparison, vhs_latency
from bench.accuracy_report import short_page
from bench.comparison import compare
from bench.store import write_whole

BENCHES = ("latency", "measurement", "vhs", "monailabel", "accuracy")
MODULES = {
    "latency": latency,
    "measurement": measurement,
    "vhs": vhs_latency,
    "monailabel": monailabel_comparison,
}
METHODS = ("network", "classical engine", "sphere", "ConfidenceConnected")
SETS = ("sts", "nodules", "phantoms")
CASES = 4  # of each set; all of them: make bench-accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and accuracy of this checkout.")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--only", choices=BENCHES, action="append")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pages = []
    for name in options.only or BENCHES:
        if name == "accuracy":
            pages.append(accuracy(options.output))
        else:
            bench = MODULES[name]
            pages.append(bench.markdown(bench.run(options.output / f"{name}.json")))
    (options.output / "bench.md").write_text("\n\n".join(pages) + "\n", encoding="utf-8")
    print(f"In {options.output}/: bench.md and a JSON file for each bench.")


def accuracy(output: Path) -> str:
    """A few cases of the comparison, kept where the whole of it is; prints and returns Markdown."""
    data = Path(os.environ.get("IMEASURE_DATA", "../shared/data"))
    results = compare(output / "accuracy", data, METHODS, SETS, CASES, os.cpu_count() or 1)
    write_whole(output / "accuracy.json", json.dumps(results, indent=1, ensure_ascii=False).encode())
    text = short_page(results)
    print(text)
    return text


if __name__ == "__main__":
    main()
