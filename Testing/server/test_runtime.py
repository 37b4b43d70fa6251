"""The running server: signals, a full queue, clients that leave, workers that die, keys, ids and logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest
from contract import Answer, ellipsoid_scan, form, post, scan_metadata
from contract.client import BOUNDARY, multipart_body
from contract.server import ServerProcess

StartServer = Callable[..., ServerProcess]
SCAN, _ = ellipsoid_scan()
IMAGE = SCAN.crop_bytes([0, 0, 0], [79, 79, 23])
CLICK = SCAN.world((40, 40, 12))


def ask(server: ServerProcess, **headers: str) -> Answer:
    """One click on the lesion."""
    return post(server.url, scan_metadata(SCAN, [{"mode": "positive", "points": [CLICK]}]), IMAGE, **headers)


def worker_of(server: ServerProcess) -> psutil.Process:
    """The process that computes."""
    children = psutil.Process(server.process.pid).children()
    return next(child for child in children if "spawn_main" in " ".join(child.cmdline()))


def metric(server: ServerProcess, name: str) -> float:
    """The value of a metric that has one worker."""
    text = httpx.get(f"{server.url}/metrics", trust_env=False).text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def asleep(process: psutil.Process) -> Iterator[None]:
    """The worker stands still, so that what waits for it can be looked at."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def log_lines(server: ServerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_runs_finish(
    start_server: StartServer, threads: ThreadPoolExecutor, number: signal.Signals
) -> None:
    server = start_server()
    worker = worker_of(server)
    with asleep(worker):
        answers = [threads.submit(ask, server) for _ in range(2)]
        eventually(lambda: metric(server, "imeasure_queue_depth") == 1)
        server.process.send_signal(number)
        worker.send_signal(number)  # as a terminal and a service manager do
        eventually(lambda: _refuses_connections(server))
        assert server.process.poll() is None
    assert [answer.result(60).status for answer in answers] == [200, 200]
    assert server.process.wait(30) == 0
    assert not worker.is_running()


def _refuses_connections(server: ServerProcess) -> bool:
    try:
        httpx.get(server.url, trust_env=False, timeout=0.5)
    except httpx.ConnectError:
        return True
    except httpx.TransportError:
        pass
    return False


def test_a_second_ctrl_c_ends_at_once(start_server: StartServer, threads: ThreadPoolExecutor) -> None:
    server = start_server()
    worker = worker_of(server)
    worker.suspend()
    answer = threads.submit(ask, server)
    eventually(lambda: metric(server, "imeasure_worker_busy") == 1)
    server.process.send_signal(signal.SIGINT)
    eventually(lambda: _refuses_connections(server))
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 130
    assert (answer.result(60).status, answer.result().code) == (503, "SERVER_BUSY")
    assert not worker.is_running()


def test_the_worker_ends_with_its_server(start_server: StartServer) -> None:
    server = start_server()
    worker = worker_of(server)
    server.process.kill()
    server.process.wait(30)
    eventually(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def test_a_full_queue_is_an_answer_and_health_is_always_there(
    start_server: StartServer, threads: ThreadPoolExecutor
) -> None:
    server = start_server("--queue-size", "2")
    with asleep(worker_of(server)):
        waiting = [threads.submit(ask, server) for _ in range(3)]
        eventually(lambda: metric(server, "imeasure_queue_depth") == 2)
        assert metric(server, "imeasure_queue_capacity") == 2
        refused = ask(server)
        assert httpx.get(f"{server.url}/", trust_env=False).json() == {"status": "UP"}
    assert (refused.status, refused.body) == (
        503,
        {"error": "The server is busy; try again in a moment", "code": "SERVER_BUSY"},
    )
    assert int(refused.headers["retry-after"]) >= 1
    assert {answer.result(60).status for answer in waiting} == {200}
    assert ask(server).status == 200


def test_a_client_that_leaves_frees_its_place(start_server: StartServer, threads: ThreadPoolExecutor) -> None:
    server = start_server("--queue-size", "1")
    body = multipart_body(form(scan_metadata(SCAN, [CLICK]), IMAGE))
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}

    def leave_early() -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/seg", content=body, headers=headers, timeout=2, trust_env=False)

    with asleep(worker_of(server)):
        running = threads.submit(leave_early)
        eventually(lambda: metric(server, "imeasure_worker_busy") == 1)
        leave_early()
        running.result(30)
        eventually(lambda: metric(server, "imeasure_queue_depth") == 0)
        patient: Future[Answer] = threads.submit(ask, server)
        eventually(lambda: metric(server, "imeasure_queue_depth") == 1)
    assert patient.result(60).status == 200
    statuses = [line["status"] for line in log_lines(server) if line.get("route") == "/seg"]
    assert sorted(statuses) == [200, 499, 499]


def test_a_killed_worker_is_an_answer_and_the_next_request_works(
    start_server: StartServer, threads: ThreadPoolExecutor
) -> None:
    server = start_server()
    before = ask(server)
    worker = worker_of(server)
    worker.suspend()
    answer = threads.submit(ask, server)
    eventually(lambda: metric(server, "imeasure_worker_busy") == 1)
    worker.send_signal(signal.SIGKILL)
    after = [answer.result(60), ask(server)]
    # The worker may have been stopped before it had the job, which a new one then does.
    assert after[0].status == 200 or (after[0].status, after[0].body) == (
        500,
        {"error": "An unexpected error occurred", "code": "INTERNAL_ERROR"},
    )
    assert after[1].status == 200
    assert after[1].raw == before.raw
    assert worker_of(server).pid != worker.pid
    assert metric(server, "imeasure_worker_resident_bytes") > 1 << 20


KEY = "correct-horse"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that asks for a key."""
    from contract.server import launch

    server = launch(
        tmp_path_factory.mktemp("guarded"),
        "--require-api-key",
        "--api-key",
        KEY,
        "--api-key",
        "battery-staple",
        environment={"IMEASURE_API_KEYS": "not-used"},
    )
    yield server
    server.stop()


@pytest.mark.parametrize("headers", [{}, {"x-api-key": ""}, {"x-api-key": "wrong"}, {"x-api-key": "not-used"}])
def test_without_a_key_nothing_is_computed(guarded: ServerProcess, headers: dict[str, str]) -> None:
    answer = ask(guarded, **headers)
    assert (answer.status, answer.code) == (401, "UNAUTHORIZED")
    assert answer.body["error"].endswith("x-api-key header")
    assert httpx.get(f"{guarded.url}/metrics", headers=headers, trust_env=False).status_code == 401


def test_a_refusal_arrives_although_the_body_is_large(guarded: ServerProcess) -> None:
    response = httpx.post(f"{guarded.url}/seg", files={"image": bytes(20_000_000)}, trust_env=False, timeout=60)
    assert response.status_code == 401


@pytest.mark.parametrize("key", [KEY, "battery-staple"])
def test_each_key_is_let_in(guarded: ServerProcess, key: str) -> None:
    assert ask(guarded, **{"x-api-key": key}).status == 200
    assert httpx.get(f"{guarded.url}/metrics", headers={"x-api-key": key}, trust_env=False).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_health_and_documentation_are_open(guarded: ServerProcess, path: str) -> None:
    assert httpx.get(f"{guarded.url}{path}", trust_env=False).status_code == 200


def test_logs_hold_no_keys(guarded: ServerProcess) -> None:
    ask(guarded, **{"x-api-key": "wrong-key-of-someone"})
    text = guarded.log.read_text()
    assert "/seg" in text
    assert not any(secret in text for secret in (KEY, "battery-staple", "not-used", "wrong-key-of-someone"))


def test_errors_outside_the_contract_have_its_format(live_server: str) -> None:
    missing = httpx.get(f"{live_server}/no/such/thing", trust_env=False)
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    wrong = httpx.get(f"{live_server}/seg", trust_env=False)
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", "POST")


@pytest.mark.parametrize("given", ["0f8fad5b-d9cb-469f-a165-70867728950e", "viewer_1.42"])
def test_a_sane_request_id_is_kept(live_server: str, given: str) -> None:
    response = httpx.get(live_server, headers={"X-Request-ID": given}, trust_env=False)
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, '"quoted"', "Doe^John"])
def test_another_request_id_is_replaced(live_server: str, given: str) -> None:
    response = httpx.get(live_server, headers={"X-Request-ID": given}, trust_env=False)
    assert response.headers["x-request-id"] not in {"", given}


def test_the_log_tells_what_was_done_and_not_what_was_sent(start_server: StartServer) -> None:
    server = start_server("--log-level", "debug")
    answer = ask(server, **{"x-request-id": "abc-1"})
    post(server.url, scan_metadata(SCAN, [[98.76, 54.32, 12.34]], id="Doe^John"), IMAGE)
    line = next(line for line in log_lines(server) if line.get("request_id") == "abc-1")
    assert (line["method"], line["route"], line["status"], line["level"]) == ("POST", "/seg", 200, "info")
    assert {"parse", "queue", "transfer", "engine", "measure", "encode"} <= line["stages"].keys()
    text = server.log.read_text()
    sent = ["98.76", "54.32", "12.34", "Doe", *(f"{value:.1f}" for value in CLICK), answer.body["mask"][:40]]
    # Times of the log itself have numbers of their own.
    bare = "\n".join(json.dumps({**entry, "time": "", "seconds": 0, "stages": {}}) for entry in log_lines(server))
    assert not [value for value in sent if value in bare]
    assert "Traceback" not in text


PROCESS = """
import sys
from starlette.testclient import TestClient
from imeasure_server import cli
from imeasure_server.app import create_app
from imeasure_server.settings import ServerSettings

if __name__ == "__main__":
    body, kind = sys.stdin.buffer.read(), sys.argv[1]
    with TestClient(create_app(ServerSettings(device="cpu"))) as client:
        assert client.post("/seg", content=body, headers={"content-type": kind}).status_code == 200
        client.get("/metrics")
    print(*sorted({name.partition(".")[0] for name in sys.modules}))
    print(*sorted(sys.modules))
"""


def test_the_http_process_imports_neither_torch_nor_an_engine() -> None:
    body = multipart_body(form(scan_metadata(SCAN, [{"mode": "positive", "points": [CLICK]}]), IMAGE))
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    command = [sys.executable, "-c", PROCESS, kind]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMEASURE_")}
    done = subprocess.run(command, input=body, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    modules = done.stdout.decode().split()
    assert "fastapi" in modules
    assert not {"torch", "monai", "maxflow", "SimpleITK", "imeasure_server.segmentation.engines"} & set(modules)
