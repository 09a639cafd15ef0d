# The system around the units: processor, DMA, the chain of units, fingerprint; to a bitstream. Run by `make bitstream`.
set units {head body1 body2 tail classifier}
# Beats of the FIFO behind each unit; 0 for none.
set fifo_depths {64 32 64 64 32}
set part xczu9eg-ffvb1156-2-e
set board_part {xilinx.com:zcu102:part0}
set clock_mhz 250
# Streams between memory and units: width of the unit's, width of the DMA's.
set input_bits 24
set input_dma_bits 128
set output_bits 40
set output_dma_bits 128
set port_bits 128
# Memory ports for weights, after the first, which is the DMA's.
set weight_ports 2
# The first 64 bits of the network's fingerprint.
set fingerprint_words {0xceaeb4d5 0x03987ec2}
set root [file dirname [file dirname [file normalize [info script]]]]

proc one {what found} {
    if {[llength $found] != 1} {
        error "$what: found [llength $found], want one"
    }
    return [lindex $found 0]
}

# Interfaces of a unit, by kind: their names are up to the tool, for 'input' and 'output' are words of Verilog.
proc stream_pin {cell mode} {
    return [one "$cell: stream $mode" [get_bd_intf_pins -of_objects [get_bd_cells $cell] -filter "MODE == $mode && VLNV =~ *:axis_rtl:*"]]
}
proc memory_pins {cell mode} {
    return [get_bd_intf_pins -quiet -of_objects [get_bd_cells $cell] -filter "MODE == $mode && VLNV =~ *:aximm_rtl:*"]
}

create_project deepdive deepdive -part $part -force
if {$board_part ne {}} {
    set known [lsort -dictionary [get_board_parts -quiet $board_part:*]]
    if {[llength $known] == 0} {
        error "Vivado does not know the board $board_part; install its board files (Tools, Vivado Store)"
    }
    set_property board_part [lindex $known end] [current_project]
}
set repositories {}
foreach unit $units {
    lappend repositories [file join $root vitis $unit solution impl ip]
}
set_property ip_repo_paths $repositories [current_project]
update_ip_catalog
add_files -norecurse [file join $root tcl last_beat.v]
update_compile_order -fileset sources_1
create_bd_design system

create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e processor
set preset [expr {$board_part ne {}}]
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config [list apply_board_preset $preset] [get_bd_cells processor]
set settings [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0]
lappend settings CONFIG.PSU__FPGA_PL0_ENABLE 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz
for {set port 0} {$port <= $weight_ports} {incr port} {
    # The tool numbers the ports HP0 to HP3 from 2.
    set number [expr {$port + 2}]
    lappend settings CONFIG.PSU__USE__S_AXI_GP$number 1 CONFIG.PSU__SAXIGP${number}__DATA_WIDTH $port_bits
}
set clock processor/pl_clk0
set reset processor/pl_resetn0
set control_port processor/M_AXI_HPM0_FPD
set processor_clocks processor/maxihpm0_fpd_aclk
set memory_port {processor/S_AXI_HP%d_FPD}
set memory_clock {processor/saxihp%d_fpd_aclk}
set_property -dict $settings [get_bd_cells processor]
for {set port 0} {$port <= $weight_ports} {incr port} {
    lappend processor_clocks [format $memory_clock $port]
}

create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset
connect_bd_net [get_bd_pins $clock] [get_bd_pins reset/slowest_sync_clk]
connect_bd_net [get_bd_pins $reset] [get_bd_pins reset/ext_reset_in]
foreach pin $processor_clocks {
    connect_bd_net [get_bd_pins $clock] [get_bd_pins $pin]
}

# Clock and reset of a cell, by the names of its pins.
proc clocked {cell clock_pins reset_pins} {
    foreach pin $clock_pins {
        connect_bd_net [get_bd_pins $::clock] [get_bd_pins $cell/$pin]
    }
    foreach pin $reset_pins {
        connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $cell/$pin]
    }
}

# Connects masters to one slave through a SmartConnect.
proc gather {name masters slave} {
    create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect $name
    set_property -dict [list CONFIG.NUM_SI [llength $masters] CONFIG.NUM_MI 1] [get_bd_cells $name]
    clocked $name aclk aresetn
    set index 0
    foreach master $masters {
        connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins [format %s/S%02d_AXI $name $index]]
        incr index
    }
    connect_bd_intf_net [get_bd_intf_pins $name/M00_AXI] [get_bd_intf_pins $slave]
}

# Widths that a DMA's stream cannot have are converted.
proc converted {name from_bits to_bits source} {
    if {$from_bits == $to_bits} {
        return $source
    }
    create_bd_cell -type ip -vlnv xilinx.com:ip:axis_dwidth_converter $name
    set settings [list CONFIG.S_TDATA_NUM_BYTES [expr {$from_bits / 8}] CONFIG.M_TDATA_NUM_BYTES [expr {$to_bits / 8}]]
    lappend settings CONFIG.HAS_TLAST.VALUE_SRC USER CONFIG.HAS_TLAST 1
    lappend settings CONFIG.HAS_TKEEP.VALUE_SRC USER CONFIG.HAS_TKEEP 1
    set_property -dict $settings [get_bd_cells $name]
    clocked $name aclk aresetn
    connect_bd_intf_net [get_bd_intf_pins $source] [get_bd_intf_pins $name/S_AXIS]
    return $name/M_AXIS
}

create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma dma
set settings [list CONFIG.c_include_sg 0 CONFIG.c_sg_length_width 26 CONFIG.c_sg_include_stscntrl_strm 0]
lappend settings CONFIG.c_m_axi_mm2s_data_width $port_bits CONFIG.c_m_axi_s2mm_data_width $port_bits
lappend settings CONFIG.c_m_axis_mm2s_tdata_width $input_dma_bits CONFIG.c_s_axis_s2mm_tdata_width $output_dma_bits
lappend settings CONFIG.c_mm2s_burst_size 64 CONFIG.c_s2mm_burst_size 64
set_property -dict $settings [get_bd_cells dma]
clocked dma {s_axi_lite_aclk m_axi_mm2s_aclk m_axi_s2mm_aclk} axi_resetn
gather dma_memory {dma/M_AXI_MM2S dma/M_AXI_S2MM} [format $memory_port 0]

create_bd_cell -type ip -vlnv xilinx.com:ip:axi_gpio fingerprint
set_property -dict [list CONFIG.C_IS_DUAL 1 CONFIG.C_ALL_INPUTS 1 CONFIG.C_ALL_INPUTS_2 1 CONFIG.C_GPIO_WIDTH 32 CONFIG.C_GPIO2_WIDTH 32] [get_bd_cells fingerprint]
clocked fingerprint s_axi_aclk s_axi_aresetn
foreach word $fingerprint_words index {0 1} pin {gpio_io_i gpio2_io_i} {
    create_bd_cell -type ip -vlnv xilinx.com:ip:xlconstant fingerprint_word$index
    set_property -dict [list CONFIG.CONST_WIDTH 32 CONFIG.CONST_VAL $word] [get_bd_cells fingerprint_word$index]
    connect_bd_net [get_bd_pins fingerprint_word$index/dout] [get_bd_pins fingerprint/$pin]
}

set slaves {dma/S_AXI_LITE fingerprint/S_AXI}
set weight_masters {}
set stream [converted input_width $input_dma_bits $input_bits dma/M_AXIS_MM2S]
foreach unit $units depth $fifo_depths {
    create_bd_cell -type ip -vlnv deepdive:units:${unit}_unit:1.0 $unit
    clocked $unit ap_clk ap_rst_n
    connect_bd_intf_net [get_bd_intf_pins $stream] [get_bd_intf_pins [stream_pin $unit Slave]]
    set stream [stream_pin $unit Master]
    lappend slaves [one "$unit: control" [memory_pins $unit Slave]]
    set weight_masters [concat $weight_masters [memory_pins $unit Master]]
    if {$depth > 0} {
        create_bd_cell -type ip -vlnv xilinx.com:ip:axis_data_fifo ${unit}_fifo
        set_property -dict [list CONFIG.FIFO_DEPTH $depth] [get_bd_cells ${unit}_fifo]
        clocked ${unit}_fifo s_axis_aclk s_axis_aresetn
        connect_bd_intf_net [get_bd_intf_pins $stream] [get_bd_intf_pins ${unit}_fifo/S_AXIS]
        set stream ${unit}_fifo/M_AXIS
    }
}
create_bd_cell -type module -reference deepdive_last_beat last_beat
set_property -dict [list CONFIG.WIDTH $output_bits CONFIG.BEATS 2] [get_bd_cells last_beat]
clocked last_beat aclk aresetn
connect_bd_intf_net [get_bd_intf_pins $stream] [get_bd_intf_pins last_beat/s_axis]
set stream last_beat/m_axis
set stream [converted output_width $output_bits $output_dma_bits $stream]
connect_bd_intf_net [get_bd_intf_pins $stream] [get_bd_intf_pins dma/S_AXIS_S2MM]

# Weights in memory: their readers share the other ports in turn.
for {set port 1} {$port <= $weight_ports} {incr port} {
    set masters {}
    for {set index [expr {$port - 1}]} {$index < [llength $weight_masters]} {incr index $weight_ports} {
        lappend masters [lindex $weight_masters $index]
    }
    gather weights_memory$port $masters [format $memory_port $port]
}

create_bd_cell -type ip -vlnv xilinx.com:ip:axi_interconnect control
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI [llength $slaves]] [get_bd_cells control]
clocked control {ACLK S00_ACLK} {ARESETN S00_ARESETN}
connect_bd_intf_net [get_bd_intf_pins $control_port] [get_bd_intf_pins control/S00_AXI]
set index 0
foreach slave $slaves {
    set master [format M%02d $index]
    clocked control ${master}_ACLK ${master}_ARESETN
    connect_bd_intf_net [get_bd_intf_pins control/${master}_AXI] [get_bd_intf_pins $slave]
    incr index
}

assign_bd_address
validate_bd_design
save_bd_design
set design [get_files system.bd]
make_wrapper -files $design -top
add_files -norecurse [one wrapper [glob -directory deepdive deepdive.*/sources_1/bd/system/hdl/system_wrapper.v]]
set_property top system_wrapper [current_fileset]
launch_runs impl_1 -to_step write_bitstream -jobs 2
wait_on_run impl_1
set run [get_runs impl_1]
if {[get_property PROGRESS $run] ne "100%"} {
    error "implementation ended with: [get_property STATUS $run]"
}
set slack_ns [get_property STATS.WNS $run]
if {$slack_ns < 0} {
    error "timing is not met: worst slack $slack_ns ns at $clock_mhz MHz; compile the network again with a lower --clock"
}
file mkdir [file join $root bitstream]
file copy -force [one bitstream [glob -directory deepdive deepdive.runs/impl_1/*.bit]] [file join $root bitstream deepdive.bit]
file copy -force [one handoff [glob -directory deepdive deepdive.*/sources_1/bd/system/hw_handoff/system.hwh]] [file join $root bitstream deepdive.hwh]
puts "wrote bitstream/deepdive.bit and bitstream/deepdive.hwh; worst slack $slack_ns ns"
