"""What others published of power on these devices, with all that the power model asks for, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass

from deepdive.hardware.boards import load_board
from deepdive.hardware.power import model_power
from deepdive.hardware.resources import Resources


@dataclass(frozen=True)
class Published:
    """A design with its watts.

    Parameters
    ----------
    how
        Measured, or by whose estimate.
    board
        Whose leakage, processing system and process are taken.
    clock_mhz, dsp_clock_mhz
        Of the logic, and of the DSPs.
    watts
        As published, of what `boundary` says: ``switching`` (clocks, logic, block RAM), ``chip`` (with leakage and
        processing system), ``processing system`` or ``static``.
    """

    name: str
    source: str
    how: str
    board: str
    used: Resources
    clock_mhz: float
    dsp_clock_mhz: float
    external_bytes_per_second: float
    watts: float
    boundary: str
    remark: str = ""

    @property
    def modelled(self) -> tuple[float, float, float]:
        """What the model says within the same boundary, low and high end: W, at full activity."""
        board = load_board(self.board)
        logic = self.used.model_copy(update={"dsp": 0})
        power = model_power(board, logic, self.clock_mhz, 1.0, self.external_bytes_per_second)
        dsps = model_power(board, Resources(dsp=self.used.dsp), self.dsp_clock_mhz, 1.0, 0)
        switching = power.dynamic_w - power.memory_w + dsps.dsp_w
        fixed = {
            "switching": 0.0,
            "chip": power.static_w + power.ps_w,
            "processing system": power.ps_w,
            "static": power.static_w,
        }[self.boundary]
        moving = switching if self.boundary in ("switching", "chip") else 0.0
        half = 0.4 * moving + 0.3 * fixed
        return moving + fixed, moving + fixed - half, moving + fixed + half

    @property
    def deviation(self) -> float:
        """Of the model from what was published, as a share of the latter."""
        return self.modelled[0] / self.watts - 1


PUBLISHED = (
    Published(
        name="Regular expressions, Alveo U50",
        source="Cyansemi RegEx demo V1.0, README, table 'Utilization and Power'",
        how="Vivado, routed",
        board="zcu102",
        used=Resources(dsp=4, lut=488_068, ff=665_852, bram36=412.5),
        clock_mhz=180,
        dsp_clock_mhz=180,
        external_bytes_per_second=0,
        watts=9.022,
        boundary="switching",
        remark="the coefficients of LUT, FF and block RAM come from here",
    ),
    Published(
        name="DPU B3136, smart camera, K26",
        source="AMD, kria-apps-docs, kv260/2022.1 smartcamera, 'Hardware Architecture of the Accelerator'",
        how="vendor's estimate",
        board="kv260",
        used=Resources(dsp=586, lut=77_884, ff=77_884, bram36=101.5, uram=52),
        clock_mhz=300,
        dsp_clock_mhz=600,
        external_bytes_per_second=3.04e9,
        watts=7.9,
        boundary="chip",
        remark="FF not stated: as many as LUT assumed",
    ),
    Published(
        name="Data recorder, XC7Z045",
        source="Vivado 2021.1 report_power of a routed design, 6,473 cells at 50 MHz",
        how="Vivado, routed",
        board="pynq-z2",
        used=Resources(),
        clock_mhz=50,
        dsp_clock_mhz=50,
        external_bytes_per_second=0,
        watts=1.569,
        boundary="processing system",
        remark="the processing system of the Zynq-7000 boards comes from here",
    ),
    Published(
        name="Data recorder, XC7Z045, leakage",
        source="the same report",
        how="Vivado, routed",
        board="pynq-z2",
        used=Resources(),
        clock_mhz=50,
        dsp_clock_mhz=50,
        external_bytes_per_second=0,
        watts=0.219,
        boundary="static",
        remark="a device four times as large as the XC7Z020",
    ),
)
