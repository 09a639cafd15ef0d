// In the place of Yosys' file of this name: its maps of block RAMs look for files in the folder of the run first. Theirs
// computes the contents of each block RAM bit by bit, which takes longer than a small stage; ours leaves them out, counts
// and paths stay the same. The order of the ports' bits is theirs (Yosys, techlibs/xilinx/brams_defs.vh).
`define PARAMS_INIT_18
`define PARAMS_INITP_18
`define PARAMS_INIT_36
`define PARAMS_INITP_36
`define PARAMS_INIT_36_U

`define MAKE_DO(do, dop, rdata) \
	wire [63:0] do; \
	wire [7:0] dop; \
	assign rdata = { \
		dop[7], \
		do[63:56], \
		dop[6], \
		do[55:48], \
		dop[5], \
		do[47:40], \
		dop[4], \
		do[39:32], \
		dop[3], \
		do[31:24], \
		dop[2], \
		do[23:16], \
		dop[1], \
		do[15:8], \
		dop[0], \
		do[7:0] \
	};

`define MAKE_DI(di, dip, wdata) \
	wire [63:0] di; \
	wire [7:0] dip; \
	assign { \
		dip[7], \
		di[63:56], \
		dip[6], \
		di[55:48], \
		dip[5], \
		di[47:40], \
		dip[4], \
		di[39:32], \
		dip[3], \
		di[31:24], \
		dip[2], \
		di[23:16], \
		dip[1], \
		di[15:8], \
		dip[0], \
		di[7:0] \
	} = wdata;

function [71:0] ival;
	input integer width;
	input [71:0] val;
	ival = val;
endfunction
