"""Power, modelled: static, clock tree, activity-scaled dynamic power of the logic, memory traffic, processing system.

Dynamic energy of a CMOS node is ``activity * C * V**2`` a clock cycle, so a primitive draws ``uW/MHz * MHz * activity``
microwatts; the clock tree draws its part whether data moves or not. The coefficients stand for 16 nm UltraScale+ at
0.85 V, at the activity that the vendor's tools take when they know nothing (12.5 % toggles, UG440). Sources:

- LUT 0.0557 uW/MHz with the nets it drives, flip-flop 0.0011, clock tree 0.0206 for each flip-flop, BRAM36 20.6: the
  routed Vivado power report of a design of 488,068 LUTs, 665,852 flip-flops and 412.5 BRAM36 at 180 MHz on an Alveo
  U50, published with the Cyansemi RegEx demo (CLB logic without registers 1.757 W, signals 3.132 W, registers 0.137 W,
  clocks 2.464 W, block RAM 1.532 W). Part of that design, the shell, runs faster than 180 MHz: rather too high.
- DSP48E2 3.5 uW/MHz, UltraRAM 14 uW/MHz: estimates without a public source, held against the K26 in `published`.
- DRAM 160 pJ a byte: the lower end of the 1.3-2.6 nJ for 64 bits in Horowitz, "Computing's energy problem", ISSCC 2014.
- Clock generation: 30 mW (an estimate).

Board files hold leakage, processing system and what other processes draw. None of this was measured by us, hence the
wide error bar; docs/power.md holds the model against published figures.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from deepdive.hardware.boards import Board
from deepdive.hardware.resources import Resources

UW_PER_MHZ = {"dsp": 3.5, "lut": 0.0557, "ff": 0.0011, "bram36": 20.6, "uram": 14.0}
CLOCK_W, CLOCK_UW_PER_MHZ_FF = 0.030, 0.0206
JOULE_PER_BYTE = 160e-12
UNCERTAINTY_DYNAMIC = 0.4
UNCERTAINTY_STATIC = 0.3
PL = "programmable logic"
PL_MEMORY = "programmable logic and external memory traffic"
BOUNDARY = "programmable logic, external memory traffic and processing system, without the rest of the board"


class Watts(BaseModel):
    """Power within a boundary, with its error bar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float
    boundary: str


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
    def boundaries(self) -> tuple[Watts, Watts, Watts]:
        """The logic alone, with its memory traffic, and with the processing system too."""
        logic = self.dynamic_w - self.memory_w
        return (
            within(PL, logic, self.static_w),
            within(PL_MEMORY, self.dynamic_w, self.static_w),
            within(self.boundary, self.dynamic_w, self.static_w + self.ps_w),
        )

    @property
    def low(self) -> float:
        """Lower end of the error bar."""
        return self.boundaries[-1].low

    @property
    def high(self) -> float:
        """Upper end of the error bar."""
        return self.boundaries[-1].high


def within(boundary: str, dynamic_w: float, static_w: float) -> Watts:
    """Power with half an error bar of 40 % of what switches and 30 % of what does not."""
    total, half = dynamic_w + static_w, UNCERTAINTY_DYNAMIC * dynamic_w + UNCERTAINTY_STATIC * static_w
    return Watts(value=total, low=total - half, high=total + half, boundary=boundary)


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
        clock_w=CLOCK_W + CLOCK_UW_PER_MHZ_FF * used.ff * scale,
        dsp_w=watts["dsp"],
        logic_w=watts["lut"] + watts["ff"],
        ram_w=watts["bram36"] + watts["uram"],
        memory_w=external_bytes_per_second * JOULE_PER_BYTE,
        ps_w=board.power.ps_w,
    )
