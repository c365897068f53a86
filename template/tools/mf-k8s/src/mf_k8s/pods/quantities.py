"""Quantities of Kubernetes, as text in one spelling: cores (`1.5`), `4096M` and `8196Mi`."""

import re
from decimal import Decimal
from typing import Any

UNITS = {"": Decimal(1), "m": Decimal("0.001"), "u": Decimal("1e-6"), "n": Decimal("1e-9")}
UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", 1)}
UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}


def parse_quantity(text: str) -> Decimal | None:
    """Return a Kubernetes quantity, like 1500m, 4Gi or 1e3, as a number, or None if it is not one.

    kubernetes.utils.parse_quantity does the same, and importing it takes two seconds.
    """
    match = re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?([a-zA-Z]*)", text, re.ASCII)
    if not match or match[3] not in UNITS or (match[2] and match[3]):
        return None
    return Decimal(match[1] + (match[2] or "")) * UNITS[match[3]]


def quantity(value: Any) -> str:
    """Return a Kubernetes quantity in one spelling: 6000.0M and 6G are both `6000M`."""
    number = parse_quantity(str(value))
    if number is None:
        return str(value)
    for unit in ("M", "Mi"):
        if number and number % UNITS[unit] == 0:
            return f"{number / UNITS[unit]:.0f}{unit}"
    return f"{number.normalize():f}"
