"""Whose key is let in to ``/v3``: created, revoked, given at the start, given at an earlier start."""

from __future__ import annotations

from pathlib import Path

import httpx
from radanalyzer.client import KEY, Client, refusal
from radanalyzer.prepared import measured, picture
from radanalyzer.serving import prepared_service

from imeasure_server.store.keys import Keys

REFUSED = (403, "Invalid API key")


def test_a_key_is_good_as_soon_as_it_is_made_and_bad_as_soon_as_it_is_revoked(tmp_path: Path) -> None:
    with prepared_service(tmp_path) as service:
        service.pool.results[picture(1)] = measured()
        keys = Keys(service.app.state.store.database)
        made = keys.create("my clinic")
        customer = Client(service.url, made.secret)
        assert customer.predict(picture(1))["billing"]["monthly_usage"] == 1
        assert service.client.predict(picture(1))["billing"]["monthly_usage"] == 1
        keys.revoke("my clinic")
        assert refusal(customer.get("/health")) == REFUSED
        assert service.client.get("/health").status_code == 200


def test_a_key_that_was_given_at_an_earlier_start_is_let_in_no_more(tmp_path: Path) -> None:
    with prepared_service(tmp_path) as service:
        assert service.client.get("/health").status_code == 200
    with prepared_service(tmp_path, api_keys="another") as service:
        assert refusal(service.client.get("/health")) == REFUSED
        assert Client(service.url, "another").get("/health").status_code == 200


def test_a_given_key_that_was_revoked_stays_out(tmp_path: Path) -> None:
    with prepared_service(tmp_path, api_keys=KEY) as service:
        keys = Keys(service.app.state.store.database)
        keys.revoke(keys.list()[0].id)
        assert refusal(service.client.get("/health")) == REFUSED
    with prepared_service(tmp_path, api_keys=KEY) as service:
        assert refusal(service.client.get("/health")) == REFUSED


def test_a_made_key_opens_the_other_protocols_too(tmp_path: Path) -> None:
    with prepared_service(tmp_path, require_api_key=True) as service:
        made = Keys(service.app.state.store.database).create("my clinic")
        for key, status in ((made.secret, 415), (KEY, 415), ("wrong", 401), ("", 401)):
            response = httpx.post(f"{service.url}/seg", headers={"x-api-key": key}, trust_env=False)
            assert response.status_code == status


def test_keys_are_kept_as_hashes_alone(tmp_path: Path) -> None:
    with prepared_service(tmp_path) as service:
        made = Keys(service.app.state.store.database).create("my clinic")
        assert Client(service.url, made.secret).get("/health").status_code == 200
    stored = b"".join(path.read_bytes() for path in (tmp_path / "workspace").rglob("*") if path.is_file())
    assert KEY.encode() not in stored
    assert made.secret.encode() not in stored
