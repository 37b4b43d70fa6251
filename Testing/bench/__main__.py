"""All benches: Markdown on the screen and in a file, JSON beside it.

PYTHONPATH=Testing .venv/bin/python -m bench --output bench-output
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import accuracy, latency, measurement


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed and accuracy of this checkout.")
    parser.add_argument("--output", type=Path, default=Path("bench-output"))
    parser.add_argument("--only", choices=["accuracy", "latency", "measurement"], action="append")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pages = []
    for name, bench in (("latency", latency), ("measurement", measurement), ("accuracy", accuracy)):
        if options.only is None or name in options.only:
            pages.append(bench.markdown(bench.run(options.output / f"{name}.json")))
    (options.output / "bench.md").write_text("\n\n".join(pages) + "\n", encoding="utf-8")
    print(f"In {options.output}/: bench.md and a JSON file for each bench.")


if __name__ == "__main__":
    main()
