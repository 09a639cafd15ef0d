"""What a sweep looks at: every combination of some networks, widths, resolutions and bits."""

from __future__ import annotations

from itertools import product

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Candidate(BaseModel):
    """One network to be tried: a zoo name or `package.module:callable`, its width, pixels a side, and bits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    width: float
    resolution: int
    weights: int
    activations: int

    def __str__(self) -> str:
        return f"{self.model}-{self.width:g}-{self.resolution} W{self.weights}A{self.activations}"


class Space(BaseModel):
    """The values that are combined; each at least one, none twice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: tuple[str, ...] = Field(min_length=1)
    width: tuple[float, ...] = (1.0,)
    resolution: tuple[int, ...] = (224,)
    weights: tuple[int, ...] = (4, 8)
    activations: tuple[int, ...] = (8,)

    @model_validator(mode="after")
    def _values(self) -> Space:
        ranges = {"width": (1e-3, 16), "resolution": (1, 8192), "weights": (2, 8), "activations": (2, 8)}
        for name, values in self.choices.items():
            if not values or len(set(values)) != len(values):
                raise ValueError(f"{name} is {list(values)}; give each value once, and at least one")
            low, high = ranges.get(name, (None, None))
            for value in values:
                if low is not None and high is not None and not low <= float(value) <= high:
                    raise ValueError(f"{name} {value} is outside {low:g}..{high:g}")
        return self

    @property
    def choices(self) -> dict[str, tuple[str | float | int, ...]]:
        """The values of each field of a Candidate."""
        return {name: getattr(self, name) for name in Candidate.model_fields}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Every combination."""
        choices = self.choices
        return tuple(
            Candidate(**dict(zip(choices, values, strict=True)))  # type: ignore[arg-type]
            for values in product(*choices.values())
        )
