// Watches a stream: writes its beats to a file, counts beats and stalls, notes the cycle in which each frame ends, and
// checks the rule of the stream: what is offered stays, unchanged, until it is taken.
module stream_monitor #(
    parameter WIDTH = 8,
    parameter NAME = "",
    parameter FRAME_BEATS = 1,
    parameter RECORD = 1
) (
    input wire clk,
    input wire rst,
    input wire [WIDTH-1:0] payload,
    input wire valid,
    input wire ready,
    input wire [31:0] frames,
    output wire complete,
    output wire moved
);
    integer beats_file, frames_file, counts_file;
    longint unsigned cycle, beats, blocked, starved, broken, first;
    reg [WIDTH-1:0] offered;
    reg waiting;

    assign complete = beats >= frames * FRAME_BEATS;
    assign moved = valid && ready;

    initial begin
        if (RECORD) beats_file = $fopen({NAME, ".beats"}, "w");
        frames_file = $fopen({NAME, ".frames"}, "w");
        cycle = 0;
        beats = 0;
        blocked = 0;
        starved = 0;
        broken = 0;
        first = 0;
        waiting = 0;
    end

    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (!rst) begin
            waiting <= valid && !ready;
            offered <= payload;
            if (waiting && !(valid && payload == offered)) broken <= broken + 1;
            if (valid && !ready) blocked <= blocked + 1;
            if (!valid && ready) starved <= starved + 1;
            if (valid && ready) begin
                beats <= beats + 1;
                if (beats % FRAME_BEATS == 0) first <= cycle;
                if (RECORD) $fwrite(beats_file, "%h\n", payload);
                if (beats % FRAME_BEATS == FRAME_BEATS - 1)
                    $fwrite(frames_file, "%0d %0d\n", FRAME_BEATS == 1 ? cycle : first, cycle);
            end
        end
    end

    final begin
        counts_file = $fopen({NAME, ".counts"}, "w");
        $fwrite(counts_file, "%0d %0d %0d %0d %0d %0d\n", beats, blocked, starved, broken, valid, ready);
        $fclose(counts_file);
        $fclose(frames_file);
        if (RECORD) $fclose(beats_file);
    end
endmodule
