// A RAM with one write port and one read port with a registered output; a word may not be read in the cycle that writes it.
// STYLE is "block", "distributed" or "ultra".
module deepdive_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 2,
    parameter ADDRESS_BITS = 1,
    parameter STYLE = "block"
) (
    input wire clk,
    input wire write_enable,
    input wire [ADDRESS_BITS-1:0] write_address,
    input wire [WIDTH-1:0] write_data,
    input wire read_enable,
    input wire [ADDRESS_BITS-1:0] read_address,
    output reg [WIDTH-1:0] read_data
);
    (* ram_style = STYLE *)
    reg [WIDTH-1:0] words [0:DEPTH-1];

    always @(posedge clk)
        if (write_enable) words[write_address] <= write_data;

    always @(posedge clk)
        if (read_enable) read_data <= words[read_address];
endmodule
