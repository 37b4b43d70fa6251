"""From a radiograph to a heart score: starts the real server, asks it as the example of RadAnalyzer's contract does.

make demo                                  # the CT demo, then this one on the sample radiograph
make demo-vhs RADIOGRAPH=chest.png         # your own lateral chest of a dog, JPEG or PNG
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
from pathlib import Path

import requests
from local_server import running_server

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "Resources" / "SampleData" / "canine_thorax_lateral.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radiograph", type=Path, default=SAMPLE)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    options = parser.parse_args()
    if not options.radiograph.is_file():
        raise SystemExit(f"There is no file {options.radiograph}.")
    options.output.mkdir(parents=True, exist_ok=True)
    key = secrets.token_urlsafe(24)
    environment = {"IMEASURE_API_KEYS": key, "IMEASURE_WORKSPACE": str(options.output / "workspace")}
    request = {"image": base64.b64encode(options.radiograph.read_bytes()).decode(), "render": True}
    with running_server(None, options.output / "vhs-server.log", environment) as address:
        response = requests.post(f"{address}/v3/predict", headers={"x-api-key": key}, json=request, timeout=300)
    answer = response.json()
    if not response.ok:
        raise SystemExit(f"The server refused: {answer['error']}")
    rendered = answer.pop("rendered_image", None)
    (options.output / "vhs.json").write_text(json.dumps(answer, indent=1))
    print(answer["result_description"])
    if answer["vhs"] is None or rendered is None:
        raise SystemExit(f"No score. The whole answer is in {options.output}/vhs.json.")
    (options.output / "vhs.png").write_bytes(base64.b64decode(rendered))
    vlas = "none" if answer["vlas"] is None else f"{answer['vlas']:.2f}"
    print(f"VHS {answer['vhs']:.2f}  VLAS {vlas}  confidence {answer['model_confidence']} (spread {answer['spread']})")
    print(f"In {options.output}/: vhs.png, vhs.json, vhs-server.log")


if __name__ == "__main__":
    main()
