"""Rates and tiers: the contract's table, and an operator's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from imeasure_server.settings import ServerSettings
from imeasure_server.store.rates import CallType, Rates, Tier

CONTRACT = Rates.model_validate({})


@pytest.mark.parametrize(
    ("first", "last", "tier", "single", "session"),
    [
        (0, 100, "paygo", 3.00, 4.00),
        (101, 500, "starter", 2.50, 3.50),
        (501, 2000, "professional", 2.00, 3.00),
        (2001, 10**9, "enterprise", 2.00, 3.00),
    ],
)
def test_the_contracts_table(first: int, last: int, tier: Tier, single: float, session: float) -> None:
    assert CONTRACT.tier(first) == CONTRACT.tier(last) == tier
    assert CONTRACT.cents(tier, "single") == single * 100
    assert CONTRACT.cents(tier, "session") == session * 100


@pytest.mark.parametrize("call_type", ["single", "session"])
def test_free(call_type: CallType) -> None:
    assert {Rates.free().cents(Rates.free().tier(number), call_type) for number in (1, 101, 501, 2001)} == {0}


def test_an_operators_own_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rates.json"
    file.write_text(json.dumps({"paygo": {"up_to": 10, "single": 0.29}, "enterprise": {"single": 1, "session": 1.5}}))
    rates = ServerSettings(rates=str(file)).rates  # type: ignore[arg-type]
    assert (rates.tier(10), rates.tier(11)) == ("paygo", "starter")
    assert rates.cents("paygo", "single") == 29
    assert rates.cents("paygo", "session") == 400
    assert rates.cents("enterprise", "session") == 150
    monkeypatch.setenv("IMEASURE_RATES", str(file))
    assert ServerSettings().rates == rates
    monkeypatch.setenv("IMEASURE_RATES", file.read_text())
    assert ServerSettings().rates == rates
    monkeypatch.setenv("IMEASURE_NO_BILLING", "1")
    assert ServerSettings().charged_rates == Rates.free()


@pytest.mark.parametrize(
    "text",
    [
        '{"paygo": {"single": -1}}',
        '{"paygo": {"single": 0.001}}',
        '{"paygo": {"single": NaN}}',
        '{"paygo": {"single": "free"}}',
        '{"paygo": {"up_to": 900}}',
        '{"starter": {"up_to": null}}',
        '{"enterprise": {"up_to": 5}}',
        '{"paygo": 3}',
        '{"gold": {"single": 1, "session": 1}}',
        '{"paygo": {"batch": 1}}',
        "{broken",
        "[1]",
        "/no/such/file.json",
    ],
)
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(rates=text)  # type: ignore[arg-type]
