"""The Verilog project of a Design."""
