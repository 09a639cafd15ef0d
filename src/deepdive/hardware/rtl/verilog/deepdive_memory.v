// The two memories of DeepDive's RTL. Both read synchronously, so that synthesis may put them into block RAM; STYLE says
// "block" or "distributed". They stay outside of Amaranth because $readmemh keeps megabytes of weights out of the Verilog.

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
    (* rom_style = STYLE, ram_style = STYLE *)
    reg [WIDTH-1:0] words [0:DEPTH-1];

    initial $readmemh(FILE, words);

    always @(posedge clk)
        if (enable) data <= words[address];
endmodule

// One write port, one read port; a word may not be read in the cycle that writes it.
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
