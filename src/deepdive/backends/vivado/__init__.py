"""Vivado's part of both backends: the system of processor, DMA and accelerator, to a bitstream."""
