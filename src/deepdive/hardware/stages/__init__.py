"""The stages: each one a contract (streams, folding, cycles, cost) that the C++ templates and the RTL keep."""
