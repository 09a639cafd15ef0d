# Compute unit body1 as an IP core; the Makefile says which step: DEEPDIVE_STEP is csim, csynth or cosim.
set unit body1
set part xczu9eg-ffvb1156-2-e
set period_ns 4.000
# Files that the unit's test bench reads, below the project's folder.
set stimulus csim/golden/head.bin
set expected csim/golden/body1.bin
set frames 2
set weights {weights/body1_body1_pointwise2.bin }
source [file join [file dirname [file dirname [file normalize [info script]]]] component.tcl]
