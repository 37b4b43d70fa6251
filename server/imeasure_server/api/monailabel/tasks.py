"""Training, scoring, batches and logs: what MONAI Label answers where there are none."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query
from typing_extensions import Never

from imeasure_server.errors import ApiError

router = APIRouter(tags=["MONAI Label"], include_in_schema=False)

_TASKS = {"train": "Train", "scoring": "Scoring", "batch/infer": "Batch_infer"}


def _missing(sentence: str) -> Never:
    raise ApiError(404, "NOT_FOUND", sentence)


def _add(path: str, name: str) -> None:
    """The addresses of one kind of task."""

    async def status(check_if_running: bool = Query(False)) -> None:
        _missing(f"No {name} Tasks are currently Running" if check_if_running else f"No {name} Tasks Found")

    async def run_all() -> dict[str, Any]:
        return {}

    async def run(task: str) -> None:
        _missing(f"This server has no {name.lower()} tasks: it runs models and does not train them.")

    async def stop() -> None:
        return None

    for spelling in (f"/{path}", f"/{path}/"):
        router.add_api_route(spelling, status, methods=["GET"])
        router.add_api_route(spelling, run_all, methods=["POST"])
        router.add_api_route(spelling, stop, methods=["DELETE"])
    for spelling in (f"/{path}/{{task}}", f"/{path}/{{task}}/"):
        router.add_api_route(spelling, run, methods=["POST"])


for _path, _name in _TASKS.items():
    _add(_path, _name)


@router.get("/logs")
@router.get("/logs/")
@router.get("/logs/gpu")
async def logs() -> None:
    """The log may hold what is nobody's business; whoever runs the server reads it where it runs."""
    _missing("This server does not show its log over HTTP.")
