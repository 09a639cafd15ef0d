"""Power of the board's rails, from the sensors that Linux shows under /sys/class/hwmon."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

HWMON = Path("/sys/class/hwmon")
SENSORS = ("ina219", "ina226", "ina230", "ina231", "ina260")
PERIOD_S = 0.05


class Sensor(NamedTuple):
    """One rail: the driver's name, and the file with its power in microwatts."""

    name: str
    path: Path

    def read_w(self) -> float:
        """The power now, in W."""
        return int(self.path.read_text()) / 1e6


def find_sensors(folder: Path) -> list[Sensor]:
    """All INA226 and relatives; boards call them `ina226` or by their place, such as `ina226_u76`."""
    found = []
    for path in sorted(folder.glob("hwmon*")):
        try:
            name = (path / "name").read_text().strip()
        except OSError:
            continue
        if name.startswith(SENSORS) and (path / "power1_input").is_file():
            found.append(Sensor(name, path / "power1_input"))
    return found


class PowerMeter:
    """Reads all sensors again and again inside a `with` block; see `mean_w` and `lost` afterwards."""

    def __init__(self, sensors: list[Sensor]) -> None:
        self.sensors = sensors
        self.lost = ""
        self._sums: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    @property
    def mean_w(self) -> float | None:
        """Mean of the sum of all sensors; None without sensors, or when one vanished: such a sum would be wrong."""
        return sum(self._sums) / len(self._sums) if self._sums and not self.lost else None

    def __enter__(self) -> PowerMeter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while self.sensors and not self.lost:
            total = 0.0
            for sensor in self.sensors:
                try:
                    total += sensor.read_w()
                except (OSError, ValueError):
                    self.lost = sensor.name
                    return
            self._sums.append(total)
            if self._stop.wait(PERIOD_S):
                return
