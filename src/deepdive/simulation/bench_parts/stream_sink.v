// Reads a stream; refuses at random.
module stream_sink #(
    parameter ID = 1
) (
    input wire clk,
    input wire rst,
    input wire [7:0] pause,
    input wire [31:0] seed,
    output reg ready
);
    reg [31:0] random;

    initial begin
        random = 1;
        ready = 0;
    end

    always @(posedge clk) begin
        random <= rst ? (seed ^ (ID * 32'h85ebca6b)) | 32'd1 : {random[30:0], 1'b0} ^ (random[31] ? 32'h04c11db7 : 32'd0);
        ready <= random[15:8] >= pause;
    end
endmodule
