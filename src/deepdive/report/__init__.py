"""The report: the same figures in the terminal and as one self-contained HTML page."""

from deepdive.report.page import write_page
from deepdive.report.report import Classification, Report
from deepdive.report.synthesis import load_synthesis
from deepdive.report.terminal import (
    print_classifications,
    print_design,
    print_front,
    print_schedule,
    print_synthesis,
    print_verification,
)

__all__ = [
    "Classification",
    "Report",
    "load_synthesis",
    "print_classifications",
    "print_design",
    "print_front",
    "print_schedule",
    "print_synthesis",
    "print_verification",
    "write_page",
]
