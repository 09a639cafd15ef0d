# One unit through Vitis HLS. The unit's own script sets unit, part, period_ns, stimulus, expected, frames and weights,
# and sources this one; projects are made in the folder that the tool runs in.
set root [file dirname [file dirname [file normalize [info script]]]]
set step $::env(DEEPDIVE_STEP)
if {[lsearch -exact {csim csynth cosim} $step] < 0} {
    error "DEEPDIVE_STEP is '$step'; want csim, csynth or cosim"
}
# The vendor's headers, not the stand-ins in include/.
set cflags "-std=c++17 -Wno-unknown-pragmas -Wno-unused-label -I$root"
set arguments [list $frames [file join $root $stimulus] [file join $root $expected]]
foreach file $weights {
    lappend arguments [file join $root $file]
}

open_project -reset $unit
set_top ${unit}_unit
add_files [file join $root units $unit.cpp] -cflags $cflags
add_files -tb [file join $root cosim $unit.cpp] -cflags $cflags
open_solution -reset solution -flow_target vivado
set_part $part
create_clock -period $period_ns -name default
# A code is a byte at every port, whatever its bits: so DMA and host see what they see of the RTL design.
set_directive_aggregate -compact byte ${unit}_unit input
set_directive_aggregate -compact byte ${unit}_unit output

if {$step eq "csim"} {
    csim_design -argv [join $arguments]
} else {
    csynth_design
    if {$step eq "cosim"} {
        cosim_design -rtl verilog -argv [join $arguments]
    } else {
        export_design -format ip_catalog -rtl verilog -vendor deepdive -library units -ipname ${unit}_unit -version 1.0
    }
}
close_project
exit
