"""The hardware wing's ground floor: streams, stages, compute units, boards, C++ templates and RTL modules."""
