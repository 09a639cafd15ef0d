// A ROM with a registered output, so that synthesis may put it into block RAM; STYLE is "block" or "distributed".
// It stays outside of Amaranth because $readmemh keeps megabytes of weights out of the Verilog.
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
    (* rom_style = STYLE *)
    reg [WIDTH-1:0] words [0:DEPTH-1];

    initial $readmemh(FILE, words);

    always @(posedge clk)
        if (enable) data <= words[address];
endmodule
