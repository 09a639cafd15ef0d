# Compute unit head as an IP core; the Makefile says which step: DEEPDIVE_STEP is csim, csynth or cosim.
set unit head
set part xczu9eg-ffvb1156-2-e
set period_ns 4.000
# Files that the unit's test bench reads, below the project's folder.
set stimulus cosim/input.bin
set expected csim/golden/head.bin
set frames 2
set weights {weights/head_head_conv.bin }
source [file join [file dirname [file dirname [file normalize [info script]]]] component.tcl]
