# A mock of the commands of Vitis HLS and Vivado that emitted scripts use: `tclsh amd_tools.tcl SCRIPT`.
#
# Whatever is not here is an error, as is a cell, a pin or a file that does not exist, a pin that is connected twice, and,
# at validate_bd_design, an interface or a clock that is left open. Connections and settings go to the file that the
# environment variable MOCK_LOG names, a line each.

set log [expr {[info exists env(MOCK_LOG)] ? [open $env(MOCK_LOG) a] : [open /dev/null w]}]
proc note args { puts $::log $args; flush $::log }
proc need_file path { if {![file exists $path]} { error "no file '$path'" } }

# --- Vitis HLS
proc open_project {flag name} { need $flag -reset; set ::hls_project $name; file mkdir $name; note open_project $name }
proc need {given wanted} { if {$given ne $wanted} { error "'$given' is not '$wanted'" } }
proc set_top name { note set_top $name }
proc open_solution {reset name flow target} {
    need $reset -reset; need $flow -flow_target; need $target vivado
    set ::hls_solution $name
}
proc set_part part { note set_part $part }
proc create_clock {period ns name default} { need $period -period; need $name -name; note create_clock [expr {$ns + 0.0}] }
proc set_directive_aggregate {compact how top port} { need $compact -compact; note aggregate $how $top $port }
proc csim_design {flag arguments} { need $flag -argv; note csim_design {*}$arguments }
proc csynth_design {} { set ::synthesised 1; note csynth_design }
proc cosim_design {rtl language flag arguments} {
    need $rtl -rtl; need $flag -argv
    if {![info exists ::synthesised]} { error "cosim before csynth" }
    foreach file [lrange $arguments 1 end] { need_file $file }
    note cosim_design {*}$arguments
}
proc export_design args {
    if {![info exists ::synthesised]} { error "export before csynth" }
    array set given $args
    file mkdir [file join $::hls_project $::hls_solution impl ip]
    note export_design $given(-vendor):$given(-library):$given(-ipname):$given(-version)
}
proc close_project {} { note close_project }

# --- Vivado: project
proc create_project args {
    if {[llength $args] == 3} { lassign $args memory flag part; need $memory -in_memory; need $flag -part; return }
    lassign $args name folder flag part force
    need $flag -part; set ::project $name; file mkdir $folder; note create_project $part
}
proc get_board_parts {quiet pattern} {
    need $quiet -quiet
    if {[info exists ::env(MOCK_NO_BOARDS)]} { return {} }
    return [list [string map {* 1.9} $pattern] [string map {* 1.10} $pattern]]
}
proc current_project {} { return project }
proc current_fileset {} { return sources_1 }
proc update_ip_catalog {} {}
proc update_compile_order {flag set} { need $flag -fileset }
proc add_files args {
    set files [lindex $args [expr {[lindex $args 0] in {-norecurse -tb} ? 1 : 0}]]
    foreach file $files { need_file $file; lappend ::sources $file }
    note add_files {*}$args
}
proc get_files name { return $name }
proc make_wrapper {flag files top} {
    need $flag -files; need $top -top
    touch $::project/$::project.gen/sources_1/bd/system/hdl/system_wrapper.v
}
proc touch path { file mkdir [file dirname $path]; close [open $path w] }
proc launch_runs {run flag step jobs count} {
    need $run impl_1; need $flag -to_step; need $step write_bitstream; need $jobs -jobs
    touch $::project/$::project.runs/impl_1/system_wrapper.bit
}
proc wait_on_run run {}
proc get_runs run { return $run }
proc get_property {name of} {
    switch $name {
        PROGRESS { return 100% }
        STATS.WNS { return [expr {[info exists ::env(MOCK_WNS)] ? $::env(MOCK_WNS) : 0.125}] }
        default { error "no property '$name'" }
    }
}

# --- Vivado: IP packager. The interfaces of a module follow from the names of its ports.
proc module_interfaces {file top} {
    set source [open $file]
    set text [read $source]
    close $source
    set start [lsearch -regexp [split $text \n] "^module \\\\?$top\\s*\\("]
    if {$start < 0} { error "no module '$top' in '$file'" }
    set text [join [lrange [split $text \n] $start end] \n]
    set text [string range $text 0 [string first "\nendmodule" $text]]
    set found {}
    set ::module_pins {}
    foreach {- direction name} [regexp -all -inline -line {^\s*(input|output)\s+(?:\[\d+:0\]\s+)?(\w+)\s*;} $text] {
        if {[regexp {^(\w+)_(tdata|tvalid|tready|tlast)$} $name - port part]} {
            if {$part eq "tvalid"} { dict set found $port [list stream [expr {$direction eq "output" ? "Master" : "Slave"}]] }
        } elseif {[regexp {^(\w*axi\w*)_(aw|ar|w|r|b)(addr|len|size|burst|valid|ready|data|strb|last|resp|prot)$} $name - port channel part]} {
            if {"$channel$part" in {arvalid awvalid}} { dict set found $port [list memory [expr {$direction eq "output" ? "Master" : "Slave"}]] }
        } else {
            lappend ::module_pins $name
        }
    }
    return $found
}
namespace eval ipx {}
proc ipx::package_project args {
    array set given [lrange $args 0 7]
    need $given(-root_dir) ip; need $given(-vendor) deepdive; need $given(-library) rtl
    file mkdir ip
    touch ip/component.xml
    if {![info exists ::top]} { error "no top is set" }
    if {"$::top.v" ni $::sources} { error "no source '$::top.v'" }
    set ::core_interfaces [module_interfaces $::top.v $::top]
    set ::unassociated [dict keys $::core_interfaces]
}
proc ipx::current_core {} { return core }
proc ipx::infer_bus_interface {port kind core} {
    need $core core
    if {$port ni $::module_pins} { error "no port '$port'" }
    if {![regexp {^xilinx\.com:signal:(clock|reset)_rtl:1\.0$} $kind]} { error "no such interface: $kind" }
    note infer $port $kind
}
proc ipx::get_bus_interfaces {port flag core} { need $flag -of_objects; return $port }
proc ipx::add_bus_parameter {name interface} { return $interface.$name }
proc ipx::associate_bus_interfaces args {
    array set given [lrange $args 0 3]
    need [lindex $args 4] core; need $given(-clock) clk
    if {[info exists given(-reset)]} { need $given(-reset) rst; return }
    set at [lsearch -exact $::unassociated $given(-busif)]
    if {$at < 0} { error "no interface '$given(-busif)', or it has a clock" }
    set ::unassociated [lreplace $::unassociated $at $at]
}
proc ipx::create_xgui_files core {}
proc ipx::update_checksums core {}
proc ipx::check_integrity core { if {[llength $::unassociated]} { error "no clock: $::unassociated" } }
proc ipx::save_core core { note packaged $::top }

# --- Vivado: block design. Interfaces are (stream or memory, Master or Slave); nets have a driver or not.
array set interfaces {
    xilinx.com:ip:axi_dma {
        M_AXIS_MM2S {stream Master} S_AXIS_S2MM {stream Slave}
        M_AXI_MM2S {memory Master} M_AXI_S2MM {memory Master} S_AXI_LITE {memory Slave}
    }
    xilinx.com:ip:axi_gpio {S_AXI {memory Slave}}
    xilinx.com:ip:axis_dwidth_converter {S_AXIS {stream Slave} M_AXIS {stream Master}}
    xilinx.com:ip:axis_data_fifo {S_AXIS {stream Slave} M_AXIS {stream Master}}
    deepdive_last_beat {s_axis {stream Slave} m_axis {stream Master}}
    xilinx.com:ip:smartconnect {} xilinx.com:ip:axi_interconnect {}
    xilinx.com:ip:proc_sys_reset {} xilinx.com:ip:xlconstant {}
    xilinx.com:ip:zynq_ultra_ps_e {M_AXI_HPM0_FPD {memory Master}}
    xilinx.com:ip:processing_system7 {M_AXI_GP0 {memory Master}}
}
# Pins that must be connected.
array set pins {
    xilinx.com:ip:axi_dma {s_axi_lite_aclk m_axi_mm2s_aclk m_axi_s2mm_aclk axi_resetn}
    xilinx.com:ip:axi_gpio {s_axi_aclk s_axi_aresetn gpio_io_i gpio2_io_i}
    xilinx.com:ip:axis_dwidth_converter {aclk aresetn}
    xilinx.com:ip:axis_data_fifo {s_axis_aclk s_axis_aresetn}
    deepdive_last_beat {aclk aresetn}
    xilinx.com:ip:smartconnect {aclk aresetn} xilinx.com:ip:axi_interconnect {ACLK ARESETN S00_ACLK S00_ARESETN}
    xilinx.com:ip:proc_sys_reset {slowest_sync_clk ext_reset_in} xilinx.com:ip:xlconstant {}
    xilinx.com:ip:zynq_ultra_ps_e {maxihpm0_fpd_aclk} xilinx.com:ip:processing_system7 {M_AXI_GP0_ACLK}
}
# Pins that drive.
set drivers {peripheral_aresetn peripheral_reset dout pl_clk0 pl_resetn0 FCLK_CLK0 FCLK_RESET0_N}

proc create_bd_design name {}
proc create_bd_cell {flag kind how vlnv name} {
    need $flag -type
    if {[info exists ::cell_interfaces($name)]} { error "cell '$name' exists" }
    if {[regexp {^deepdive:units:(\w+)_unit:1\.0$} $vlnv - unit]} {
        # As the tool does with words of Verilog.
        set made {input_r {stream Slave} output_r {stream Master} s_axi_control {memory Slave}}
        need_file $::root/vitis/$unit/solution/impl/ip
        set source [open $::root/units/$unit.cpp]
        foreach {- bundle} [regexp -all -inline {interface m_axi [^\n]*bundle=(\w+)} [read $source]] {
            dict set made m_axi_$bundle {memory Master}
        }
        close $source
        set ::cell_interfaces($name) $made
        set ::cell_pins($name) {ap_clk ap_rst_n}
    } elseif {[regexp {^deepdive:rtl:(\w+):1\.0$} $vlnv - top]} {
        need_file $::root/ip/component.xml
        set ::cell_interfaces($name) [module_interfaces $::root/$top.v $top]
        set ::cell_pins($name) $::module_pins
    } else {
        if {![info exists ::interfaces($vlnv)]} { error "no such core: $vlnv" }
        set ::cell_interfaces($name) $::interfaces($vlnv)
        set ::cell_pins($name) $::pins($vlnv)
    }
    note cell $name $vlnv
}
proc apply_bd_automation {flag rule config settings cell} { need $flag -rule; need $config -config; note automation $rule $settings }
proc get_bd_cells name {
    if {![info exists ::cell_interfaces($name)]} { error "no cell '$name'" }
    return $name
}
proc set_property args {
    if {[lindex $args 0] eq "top"} { set ::top [lindex $args 1] }
    if {[lindex $args 0] ne "-dict"} { note set_property {*}$args; return }
    lassign $args - settings cell
    if {[llength $settings] % 2} { error "odd settings: $settings" }
    foreach {key value} $settings {
        note set $cell $key $value
        switch -regexp -matchvar found $key {
            {^CONFIG\.NUM_(S|M)I$} {
                set side [lindex $found 1]
                for {set i 0} {$i < $value} {incr i} {
                    set port [format %s%02d $side $i]
                    lappend ::cell_interfaces($cell) ${port}_AXI [list memory [expr {$side eq "S" ? "Slave" : "Master"}]]
                    if {"ACLK" in $::cell_pins($cell) && "${port}_ACLK" ni $::cell_pins($cell)} {
                        lappend ::cell_pins($cell) ${port}_ACLK ${port}_ARESETN
                    }
                }
            }
            {^CONFIG\.PSU__USE__S_AXI_GP([2-5])$} {
                set port [expr {[lindex $found 1] - 2}]
                lappend ::cell_interfaces($cell) S_AXI_HP${port}_FPD {memory Slave}
                lappend ::cell_pins($cell) saxihp${port}_fpd_aclk
            }
            {^CONFIG\.PCW_USE_S_AXI_HP([0-3])$} {
                set port [lindex $found 1]
                lappend ::cell_interfaces($cell) S_AXI_HP${port} {memory Slave}
                lappend ::cell_pins($cell) S_AXI_HP${port}_ACLK
            }
        }
    }
}
proc get_bd_intf_pins args {
    if {[llength $args] == 1} {
        lassign [split [lindex $args 0] /] cell pin
        get_bd_cells $cell
        if {![dict exists $::cell_interfaces($cell) $pin]} { error "no interface '$cell/$pin'" }
        return $cell/$pin
    }
    set args [lsearch -all -inline -not -exact $args -quiet]
    lassign $args of cell filter expression
    need $of -of_objects; need $filter -filter
    if {![regexp {^MODE == (Master|Slave) && VLNV =~ \*:(axis|aximm)_rtl:\*$} $expression - mode kind]} { error "filter: $expression" }
    set found {}
    dict for {pin is} $::cell_interfaces($cell) {
        if {$is eq [list [expr {$kind eq "axis" ? "stream" : "memory"}] $mode]} { lappend found $cell/$pin }
    }
    return $found
}
proc get_bd_pins pin {
    lassign [split $pin /] cell name
    get_bd_cells $cell
    if {$name ni $::cell_pins($cell) && $name ni $::drivers} { error "no pin '$pin'" }
    return $pin
}
proc connect_bd_intf_net {from to} {
    foreach {pin mode} [list $from Master $to Slave] {
        if {[info exists ::connected($pin)]} { error "'$pin' is connected twice" }
        lassign [split $pin /] cell name
        lassign [dict get $::cell_interfaces($cell) $name] kind is
        need $is $mode
        lappend kinds $kind
        set ::connected($pin) 1
    }
    need {*}$kinds
    note connect $from $to
}
proc connect_bd_net {from to} {
    lassign [split $from /] - driver
    if {$driver ni $::drivers} { error "'$from' drives nothing" }
    if {[info exists ::connected($to)]} { error "'$to' is connected twice" }
    set ::connected($to) 1
    note net $from $to
}
proc assign_bd_address {} {}
proc validate_bd_design {} {
    foreach cell [array names ::cell_interfaces] {
        foreach pin [concat [dict keys $::cell_interfaces($cell)] $::cell_pins($cell)] {
            if {![info exists ::connected($cell/$pin)]} { error "'$cell/$pin' is open" }
        }
    }
    note validated
}
proc save_bd_design {} { touch $::project/$::project.gen/sources_1/bd/system/hw_handoff/system.hwh }

set script [lindex $argv end]
set argv {}
source $script
