// Feeds the beats of a file, one hexadecimal word a line, into a stream; pauses at random. With REPEAT it
// begins again at the end.
module stream_source #(
    parameter WIDTH = 8,
    parameter FILE = "",
    parameter ID = 1,
    parameter REPEAT = 0
) (
    input wire clk,
    input wire rst,
    input wire [7:0] pause,
    input wire [31:0] seed,
    output reg [WIDTH-1:0] payload,
    output reg valid,
    input wire ready
);
    integer file, found;
    reg [31:0] random;
    reg [WIDTH-1:0] next;

    initial begin
        file = $fopen(FILE, "r");
        valid = 0;
        payload = 0;
        random = 1;
    end

    always @(posedge clk) begin
        random <= rst ? (seed ^ (ID * 32'h9e3779b9)) | 32'd1 : {random[30:0], 1'b0} ^ (random[31] ? 32'h04c11db7 : 32'd0);
        if (!rst && (!valid || ready)) begin
            valid <= 0;
            if (random[15:8] >= pause) begin
                found = $fscanf(file, "%h\n", next);
                if (REPEAT != 0 && found != 1) begin
                    found = $rewind(file);
                    found = $fscanf(file, "%h\n", next);
                end
                if (found == 1) begin
                    payload <= next;
                    valid <= 1;
                end
            end
        end
    end
endmodule
