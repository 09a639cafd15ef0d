// deepdive_rom as open synthesis sees it: a block RAM with a write port that nothing proves idle, so that Yosys counts the
// block RAMs without working through megabits of weights. Small ROMs in LUTs keep their contents, which their size depends on.
module deepdive_rom #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDRESS_BITS = 1,
    parameter STYLE = "block",
    parameter FILE = ""
) (
    input wire clk,
    input wire enable,
    input wire [ADDRESS_BITS-1:0] address,
    output reg [WIDTH-1:0] data
);
    generate
        if (STYLE == "block") begin : in_block_ram
            (* ram_style = "block" *)
            reg [WIDTH-1:0] words [0:DEPTH-1];

            always @(posedge clk) if (address[0]) words[address] <= data;

            always @(posedge clk) if (enable) data <= words[address];
        end else begin : in_luts
            (* rom_style = "logic" *)
            reg [WIDTH-1:0] words [0:DEPTH-1];

            initial $readmemh(FILE, words);

            always @(posedge clk) if (enable) data <= words[address];
        end
    endgenerate
endmodule
