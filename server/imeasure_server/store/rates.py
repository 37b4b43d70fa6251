"""What a call costs: the tiers of the contract, with the operator's numbers."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

CallType = Literal["single", "session"]
Tier = Literal["paygo", "starter", "professional", "enterprise"]

TIERS: tuple[Tier, ...] = ("paygo", "starter", "professional", "enterprise")
CONTRACT_RATES: dict[str, dict[str, Any]] = {
    "paygo": {"up_to": 100, "single": "3.00", "session": "4.00"},
    "starter": {"up_to": 500, "single": "2.50", "session": "3.50"},
    "professional": {"up_to": 2000, "single": "2.00", "session": "3.00"},
    # "Custom" in the contract: as professional until the operator sets it.
    "enterprise": {"up_to": None, "single": "2.00", "session": "3.00"},
}

Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2)]


class TierRates(BaseModel):
    """One tier: dollars for a call, for calls up to number `up_to` of a month; None is without end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    up_to: Annotated[int, Field(ge=0)] | None
    single: Dollars
    session: Dollars


class Rates(BaseModel):
    """All tiers. What is not given is as in the contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paygo: TierRates
    starter: TierRates
    professional: TierRates
    enterprise: TierRates

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        tiers = {
            name: {**tier, **given[name]} if isinstance(given.get(name), dict) else given.get(name, tier)
            for name, tier in CONTRACT_RATES.items()
        }
        return {**given, **tiers}

    @model_validator(mode="after")
    def _ascending(self) -> Rates:
        ends = [self._of(tier).up_to for tier in TIERS]
        finite = [end for end in ends[:-1] if end is not None]
        if len(finite) < len(ends) - 1 or finite != sorted(finite) or ends[-1] is not None:
            raise ValueError("up_to must ascend from paygo to professional, and enterprise has none.")
        return self

    @classmethod
    def free(cls) -> Rates:
        """The contract's tiers at no charge."""
        return cls.model_validate({tier: {"single": 0, "session": 0} for tier in TIERS})

    def tier(self, number: int) -> Tier:
        """The tier of the call that is number ``number`` of its month; 0 is a month without calls."""
        for tier in TIERS:
            end = self._of(tier).up_to
            if end is None or number <= end:
                return tier
        return TIERS[-1]

    def cents(self, tier: Tier, call_type: CallType) -> int:
        """What a call of this type costs in this tier."""
        rates = self._of(tier)
        return int((rates.single if call_type == "single" else rates.session) * 100)

    def _of(self, tier: Tier) -> TierRates:
        rates: TierRates = getattr(self, tier)
        return rates


def read_rates(value: object) -> object:
    """What `Rates` is made of: from the path of a JSON file, or from JSON itself; anything else as it is.

    Raises:
        ValueError: the file cannot be read, or this is no JSON; a sentence.
    """
    if not isinstance(value, str | Path):
        return value
    text = str(value).strip()
    if not text.startswith("{"):
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise ValueError(f"The rates in {text} cannot be read ({reason}).") from None
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise ValueError(f"The rates are no JSON ({error.msg}, line {error.lineno}).") from None
