"""Power, modelled: static, clocks, activity-scaled dynamic power of the logic, memory traffic, processing system.

Dynamic energy of a CMOS node is ``activity * C * V**2`` a clock cycle, so a primitive draws ``uW/MHz * MHz * activity``
microwatts. The coefficients stand for 16 nm UltraScale+ at 0.85 V with the routing of a well filled device, at the
activity that the vendor's estimator takes when it knows nothing (12.5 % toggles, UG440). They are estimates of the size
that Vivado reports for such designs, not measured and not fitted, hence the wide error bar:

- DSP48E2 with its multiplier and three register levels: 3.5 uW/MHz.
- LUT with the nets it drives: 0.045 uW/MHz; flip-flop with its share of the clock tree: 0.016 uW/MHz.
- BRAM36 read every cycle, 72 bits: 9 uW/MHz. UltraRAM: 14 uW/MHz.
- Clock networks: 30 mW and 0.5 mW/MHz.
- DRAM: 160 pJ a byte, the lower end of the 1.3-2.6 nJ for 64 bits in Horowitz, "Computing's energy problem", ISSCC
  2014.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from deepdive.hardware.boards import Board
from deepdive.hardware.resources import Resources

UW_PER_MHZ = {"dsp": 3.5, "lut": 0.045, "ff": 0.016, "bram36": 9.0, "uram": 14.0}
CLOCK_W, CLOCK_W_PER_MHZ = 0.030, 0.0005
JOULE_PER_BYTE = 160e-12
UNCERTAINTY_DYNAMIC = 0.4
UNCERTAINTY_STATIC = 0.3
BOUNDARY = "programmable logic, external memory traffic and processing system, without the rest of the board"


class Power(BaseModel):
    """Modelled power in W, by part, with its boundary; `low` and `high` are the ends of the error bar of `total_w`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    static_w: float
    clock_w: float
    dsp_w: float
    logic_w: float
    ram_w: float
    memory_w: float
    ps_w: float
    boundary: str = BOUNDARY

    @property
    def dynamic_w(self) -> float:
        """What depends on clock and traffic."""
        return self.clock_w + self.dsp_w + self.logic_w + self.ram_w + self.memory_w

    @property
    def total_w(self) -> float:
        """Everything within the boundary."""
        return self.static_w + self.dynamic_w + self.ps_w

    @property
    def low(self) -> float:
        """Lower end of the error bar."""
        return self.total_w - self.uncertainty_w

    @property
    def high(self) -> float:
        """Upper end of the error bar."""
        return self.total_w + self.uncertainty_w

    @property
    def uncertainty_w(self) -> float:
        """Half the error bar: 40 % of what switches, 30 % of what does not."""
        return UNCERTAINTY_DYNAMIC * self.dynamic_w + UNCERTAINTY_STATIC * (self.static_w + self.ps_w)


def model_power(
    board: Board, used: Resources, clock_mhz: float, activity: float, external_bytes_per_second: float
) -> Power:
    """Power of a design.

    Parameters
    ----------
    used
        What the design occupies.
    activity
        Share of clock cycles in which the data path moves, 0..1; scales everything but clocks and leakage.
    external_bytes_per_second
        Frames and weights read from and written to external memory.
    """
    if not 0 <= activity <= 1:
        raise ValueError(f"activity {activity} is outside 0..1")
    scale = clock_mhz * board.power.process_factor * 1e-6
    counts = used.model_dump()
    watts = {name: counts[name] * coefficient * scale * activity for name, coefficient in UW_PER_MHZ.items()}
    return Power(
        static_w=board.power.pl_static_w,
        clock_w=(CLOCK_W + CLOCK_W_PER_MHZ * clock_mhz) * board.power.process_factor,
        dsp_w=watts["dsp"],
        logic_w=watts["lut"] + watts["ff"],
        ram_w=watts["bram36"] + watts["uram"],
        memory_w=external_bytes_per_second * JOULE_PER_BYTE,
        ps_w=board.power.ps_w,
    )
